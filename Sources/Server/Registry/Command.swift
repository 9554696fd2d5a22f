import Storage

typealias ReadHandler = @Sendable (ReadContext) throws(CommandError) -> Void
typealias ReadCachingHandler = @Sendable (ReadCachingContext) throws(CommandError) -> Void
typealias WriteHandler = @Sendable (WriteContext) throws(CommandError) -> Void
typealias ConnectionHandler = @Sendable (ConnectionContext) throws(CommandError) -> Void
typealias AdminHandler = @Sendable (AdminContext) throws(CommandError) -> Void

/// What carries a command out. The case says what the handler may touch, so `readonly`, `write` and `admin` need not be
/// declared and cannot lie.
enum Handler: Sendable {
    /// Looks at the keyspace only.
    case read(ReadHandler)
    /// Reads, and may keep in the value what it found out, which is propagated: PFCOUNT.
    case readCaching(ReadCachingHandler)
    /// May change the keyspace.
    case write(WriteHandler)
    /// Concerns the connection, or tells about the server: PING, CLIENT, INFO, EXEC.
    case connection(ConnectionHandler)
    /// An administrator's: CONFIG, DEBUG, SAVE. It may get at the keyspace, and is no write for guards, ACLs and replicas:
    /// what it changes is logged only where the handler says so.
    case admin(AdminHandler)
    /// Only its subcommands do something.
    case container
    /// Describes the other subcommands of its container, out of their rows.
    case help
}

/// Calls back with the index of each argument that is a secret. The arguments need not make sense.
typealias SecretArguments = @Sendable (Arguments, (Int) -> Void) -> Void

/// The flags that a request has by its arguments, where they are others than the command's, which come third.
typealias FlagsOfRequest = @Sendable (Services, Arguments, CommandFlags) -> CommandFlags?

/// One command, or one subcommand of a container. The only place where anything about a command is declared: COMMAND,
/// HELP, ACL categories, arity errors, key extraction, guards, log and replication derive from it. `CommandRows.swift` has
/// what rows are written with.
struct Command: Sendable {
    /// Lower case; a subcommand's without its container.
    let name: StaticString
    /// Number of arguments with the name (and the container's); negative: at least so many.
    let arity: Int
    let handler: Handler
    /// Those that the row declares, and those that follow from the handler and the keys.
    var flags: CommandFlags
    var keys: CommandKeys
    /// Set where a group's rows are put together, unless the row has declared another.
    var group: CommandGroup?
    /// Those that neither flags nor group imply.
    var ownCategories: Categories = []
    var isInGroupCategory: Bool
    var subcommands: [Command] = []
    /// Which arguments are passwords and the like: they are shown to nobody, whatever becomes of the command.
    var secrets: SecretArguments?
    /// EVAL: what may be refused depends on what the script says of itself.
    var flagsOfRequest: FlagsOfRequest?
    /// The channels that it uses.
    var channels: ChannelArguments?
    /// Databases besides the selected one that it uses.
    var databases: DatabaseArguments?
    var documentation: CommandDocumentation

    init(
        _ name: StaticString, _ arity: Int, _ flags: CommandFlags, _ keys: [KeySpec],
        _ documentation: CommandDocumentation, _ handler: Handler
    ) {
        self.name = name
        self.arity = arity
        self.handler = handler
        self.keys = CommandKeys(specs: keys)
        self.documentation = documentation
        var flags = flags
        // A container does nothing itself: its subcommands are in their group's category.
        isInGroupCategory = true
        switch handler {
        case .read: flags.insert(.readonly)
        case .readCaching: flags.formUnion([.readonly, .mayReplicate])
        case .write: flags.insert(.write)
        case .admin: flags.insert(.admin)
        case .container: isInGroupCategory = false
        case .connection, .help: break
        }
        if self.keys.isMovable { flags.insert(.movablekeys) }
        self.flags = flags
    }

    /// ACL categories.
    var categories: Categories { ownCategories.union(Categories(flags, isInGroupCategory ? group : nil)) }
}

/// What COMMAND DOCS and HELP tell users about a command. Text: nothing is made of it until one of them is asked.
struct CommandDocumentation: Sendable {
    let since: StaticString
    let summary: StaticString
    /// In the notation that `ArgumentSyntax` parses.
    let arguments: StaticString
    var complexity: StaticString? = "O(1)"
    /// For proxies and cluster clients, in Redis's words, separated by spaces.
    var tips: StaticString = ""
    /// Versions, and what each changed.
    var history: [(version: StaticString, change: StaticString)] = []
    var deprecation: (version: StaticString, replacement: StaticString)?
    /// Not for users' programs.
    var isSystemCommand = false
}
