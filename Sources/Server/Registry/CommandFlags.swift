/// Named as COMMAND answers them, which are the names of the properties but for `_`.
struct CommandFlags: OptionSet, Sendable {
    let rawValue: UInt64

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
    /// Allowed while a script has run for too long.
    static let allowBusy = CommandFlags(rawValue: 1 << 18)

    // MARK: Ours: COMMAND does not name them

    /// Only removes, which is what is needed where writes are refused because a disk is full.
    static let frees = CommandFlags(rawValue: 1 << 19)
    /// Answers when another server has, for which a transaction does not wait.
    static let repliesLater = CommandFlags(rawValue: 1 << 20)
    /// Executed at once between MULTI and EXEC, not queued.
    static let unqueued = CommandFlags(rawValue: 1 << 21)
    /// MULTI: in a log, it opens what EXEC closes.
    static let beginsTransaction = CommandFlags(rawValue: 1 << 22)
    /// EXEC: it is refused for what was queued, and what it executed was logged and timed command by command.
    static let runsTransaction = CommandFlags(rawValue: 1 << 23)
    /// Allowed for clients of RESP2 that are subscribed to channels.
    static let whileSubscribed = CommandFlags(rawValue: 1 << 24)
    /// Answers the error of writes while the server refuses those: PING, by which monitoring learns of it.
    static let reportsMisconfiguration = CommandFlags(rawValue: 1 << 25)
    /// An administrator's command whose reply may show data, so that it waits until that is safe: DEBUG.
    static let showsData = CommandFlags(rawValue: 1 << 26)
    /// Times among its arguments may count from now. In the log they do not: it has the time itself.
    static let relativeTimes = CommandFlags(rawValue: 1 << 27)

    /// PSYNC: makes the connection a replica's; what it writes is the beginning of a stream.
    static let beginsReplication = CommandFlags(rawValue: 1 << 28)
    /// REPLCONF: between servers, also in the stream; no command to execute for who reads that.
    static let configuresReplication = CommandFlags(rawValue: 1 << 29)
    /// SELECT: what follows in a stream is for that database.
    static let selectsDatabase = CommandFlags(rawValue: 1 << 30)
    /// PING: a master shows with it that it is there.
    static let showsPresence = CommandFlags(rawValue: 1 << 31)
    /// CLIENT: what CLIENT CACHING has said still holds for the command after this one.
    static let keepsCaching = CommandFlags(rawValue: 1 << 32)

    /// May have keys, and may have none. Redis's name, and shown by COMMAND.
    static let noMandatoryKeys = CommandFlags(rawValue: 1 << 34)

    /// Scripts may call it, as in Redis 7.2, though COMMAND has `noscript` as 7.0 does: it would wait, and does not there.
    static let callableByScripts = CommandFlags(rawValue: 1 << 33)

    /// Ends a transaction, or what the client does altogether: between MULTI and EXEC it is executed for want of memory too.
    static let leavesTransaction = CommandFlags(rawValue: 1 << 40)

    /// In the order of COMMAND's replies.
    static let names: [(CommandFlags, StaticString)] = [
        (.write, "write"), (.readonly, "readonly"), (.denyoom, "denyoom"), (.admin, "admin"), (.pubsub, "pubsub"),
        (.noscript, "noscript"), (.blocking, "blocking"), (.loading, "loading"), (.stale, "stale"),
        (.skipMonitor, "skip_monitor"), (.skipSlowlog, "skip_slowlog"), (.asking, "asking"), (.fast, "fast"),
        (.noAuth, "no_auth"), (.noMandatoryKeys, "no_mandatory_keys"), (.movablekeys, "movablekeys"),
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
