import Storage

/// What carries a command out. The case says what the handler may touch, so `readonly` and `write` need not be declared
/// and cannot lie.
enum Handler: Sendable {
    /// Looks at the keyspace only.
    case read(@Sendable (ReadContext) throws(CommandError) -> Void)
    /// May change the keyspace.
    case write(@Sendable (WriteContext) throws(CommandError) -> Void)
    /// Reads, and may keep in the value what it found out, which is propagated: PFCOUNT.
    case readCaching(@Sendable (ReadCachingContext) throws(CommandError) -> Void)
    /// Concerns the connection or the server, not the data: PING, CLIENT, EXEC.
    case connection(@Sendable (ConnectionContext) throws(CommandError) -> Void)
    /// An administrator's tool that gets at the keyspace, which is no write for guards, ACLs and replicas: DEBUG. What it
    /// changes is logged only where the handler says so.
    case admin(@Sendable (AdminContext) throws(CommandError) -> Void)
    /// Only its subcommands do something.
    case container
}

/// Calls back with the index of each argument that is a secret. The arguments need not make sense.
typealias SecretArguments = @Sendable (Arguments, (Int) -> Void) -> Void

/// One command, or one subcommand of a container. The only place where anything about a command is declared: COMMAND,
/// ACL categories, arity errors, key extraction, guards, log and replication derive from it.
struct Command: Sendable {
    /// Lower case; a subcommand's without its container.
    let name: StaticString
    /// Number of arguments with the name (and the container's); negative: at least so many.
    let arity: Int
    /// All but `write` and `readonly`, which come from the handler, and `movablekeys`, which comes from the keys.
    let flags: CommandFlags
    let keys: KeySpec
    let group: CommandGroup
    let since: StaticString
    let complexity: StaticString
    let summary: StaticString
    let categories: Categories
    let subcommands: [Command]
    /// Which arguments are passwords and the like: they are shown to nobody, whatever becomes of the command.
    let secrets: SecretArguments?
    let handler: Handler

    /// `keys` is the first argument unless said otherwise. `categories` are those that neither flags nor group imply;
    /// `isInGroupCategory` false: the group implies none.
    init(
        _ name: StaticString, arity: Int, flags: CommandFlags = [], keys: KeySpec = .first, group: CommandGroup,
        since: StaticString, complexity: StaticString = "O(1)", summary: StaticString, categories: Categories = [],
        isInGroupCategory: Bool = true, subcommands: [Command] = [], secrets: SecretArguments? = nil,
        _ handler: Handler = .container
    ) {
        var flags = flags
        switch handler {
        case .read, .readCaching: flags.insert(.readonly)
        case .write: flags.insert(.write)
        case .connection, .admin, .container: break
        }
        if keys.isMovable { flags.insert(.movablekeys) }
        self.name = name
        self.arity = arity
        self.flags = flags
        self.keys = keys
        self.group = group
        self.since = since
        self.complexity = complexity
        self.summary = summary
        // A container does nothing itself: its subcommands are in their group's category.
        var isInGroupCategory = isInGroupCategory
        if case .container = handler { isInGroupCategory = false }
        self.categories = categories.union(Categories(flags, isInGroupCategory ? group : nil))
        self.subcommands = subcommands
        self.secrets = secrets
        self.handler = handler
    }
}

/// Named as COMMAND answers them, which are the names of the properties but for `_`.
struct CommandFlags: OptionSet, Sendable {
    let rawValue: UInt32

    static let write = CommandFlags(rawValue: 1 << 0)
    static let readonly = CommandFlags(rawValue: 1 << 1)
    /// Refused when memory is used up.
    static let denyoom = CommandFlags(rawValue: 1 << 2)
    static let admin = CommandFlags(rawValue: 1 << 3)
    static let pubsub = CommandFlags(rawValue: 1 << 4)
    static let noscript = CommandFlags(rawValue: 1 << 5)
    static let blocking = CommandFlags(rawValue: 1 << 6)
    /// Allowed while data is loading.
    static let loading = CommandFlags(rawValue: 1 << 7)
    /// Allowed on a replica that has lost its master and has `replica-serve-stale-data no`.
    static let stale = CommandFlags(rawValue: 1 << 8)
    static let skipMonitor = CommandFlags(rawValue: 1 << 9)
    static let skipSlowlog = CommandFlags(rawValue: 1 << 10)
    static let asking = CommandFlags(rawValue: 1 << 11)
    static let fast = CommandFlags(rawValue: 1 << 12)
    static let noAuth = CommandFlags(rawValue: 1 << 13)
    /// Reads, but what it caches in the value is logged and replicated. Not shown by COMMAND, as in Redis.
    static let mayReplicate = CommandFlags(rawValue: 1 << 14)
    /// Where the keys are depends on the arguments.
    static let movablekeys = CommandFlags(rawValue: 1 << 15)
    static let noAsyncLoading = CommandFlags(rawValue: 1 << 16)
    static let noMulti = CommandFlags(rawValue: 1 << 17)
    /// Answers when another server has, for which a transaction does not wait. Not shown by COMMAND.
    static let repliesLater = CommandFlags(rawValue: 1 << 20)
    /// Allowed while a script has run for too long.
    static let allowBusy = CommandFlags(rawValue: 1 << 18)
    /// Only removes, which is what is needed where writes are refused because a disk is full. Ours: COMMAND does not
    /// name it.
    static let frees = CommandFlags(rawValue: 1 << 19)

    /// In the order of COMMAND's replies.
    static let names: [(CommandFlags, StaticString)] = [
        (.write, "write"), (.readonly, "readonly"), (.denyoom, "denyoom"), (.admin, "admin"), (.pubsub, "pubsub"),
        (.noscript, "noscript"), (.blocking, "blocking"), (.loading, "loading"), (.stale, "stale"),
        (.skipMonitor, "skip_monitor"), (.skipSlowlog, "skip_slowlog"), (.asking, "asking"), (.fast, "fast"),
        (.noAuth, "no_auth"), (.movablekeys, "movablekeys"),
        (.noAsyncLoading, "no_async_loading"), (.noMulti, "no_multi"), (.allowBusy, "allow_busy"),
    ]
}

/// What a command is about; COMMAND DOCS names it.
enum CommandGroup: Sendable {
    case generic, string, list, set, zset, hash, pubsub, transactions, connection, server, scripting, hyperloglog
    case geo, stream, bitmap, cluster, sentinel

    var name: StaticString {
        switch self {
        case .generic: "generic"
        case .string: "string"
        case .list: "list"
        case .set: "set"
        case .zset: "sorted-set"
        case .hash: "hash"
        case .pubsub: "pubsub"
        case .transactions: "transactions"
        case .connection: "connection"
        case .server: "server"
        case .scripting: "scripting"
        case .hyperloglog: "hyperloglog"
        case .geo: "geo"
        case .stream: "stream"
        case .bitmap: "bitmap"
        case .cluster: "cluster"
        case .sentinel: "sentinel"
        }
    }
}
