import Storage

/// Why a command failed: the text of an error reply without the leading "-". Its first word is the code that clients
/// look at. The texts that several commands share stand here, once.
struct CommandError: Error, Equatable {
    let text: String
    /// The text with what a client sent in it, where that need not be UTF-8.
    let bytes: [UInt8]?

    init(_ text: String) {
        self.text = text
        bytes = nil
    }
    init(bytes: [UInt8]) {
        text = String(decoding: bytes, as: UTF8.self)
        self.bytes = bytes
    }
    /// The parts one after the other; to Redis each is a C string.
    init(parts: Bytes...) { self.init(bytes: parts.flatMap { $0.buffer.prefix { $0 != 0 } }) }

    // MARK: Arguments

    static let wrongType = CommandError("WRONGTYPE Operation against a key holding the wrong kind of value")
    static let syntax = CommandError("ERR syntax error")
    static let timeoutOutOfRange = CommandError("ERR timeout is out of range")
    static let notInteger = CommandError("ERR value is not an integer or out of range")
    static let notInt32 = CommandError(
        "ERR value is out of range, value must between -2147483648 and 2147483647")
    static let notFloat = CommandError("ERR value is not a valid float")
    static let outOfRange = CommandError("ERR value is out of range")
    static let mustBePositive = CommandError("ERR value is out of range, must be positive")
    static let indexOutOfRange = CommandError("ERR index out of range")
    static let unblocked = CommandError("UNBLOCKED client unblocked via CLIENT UNBLOCK")
    static let noSuchKey = CommandError("ERR no such key")
    static let keyExists = CommandError("BUSYKEY Target key name already exists.")
    static let sameObject = CommandError("ERR source and destination objects are the same")
    static let databaseOutOfRange = CommandError("ERR DB index is out of range")
    static let incrementOverflows = CommandError("ERR increment or decrement would overflow")
    static let stringTooLong = CommandError("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
    static let waitsForNoLog = CommandError(
        "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
    static let saveInProgress = CommandError("ERR Background save already in progress")
    static let cannotShutDown = CommandError("ERR Errors trying to SHUTDOWN. Check logs.")
    static let rewriteInTheWay = CommandError(
        "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a "
            + "BGSAVE whenever possible.")
    static let nameTooLong = CommandError(
        "ERR keys and fields of hashes have at most \(RowLimits.maximumName) bytes: the snapshot could not hold this one"
    )
    static let entryTooLong = CommandError(
        "ERR an entry of a stream has at most \(RowLimits.maximumValue) bytes: the snapshot could not hold this one")
    static let invalidCursor = CommandError("ERR invalid cursor")

    /// `name` is lower case, `container|name` for a subcommand.
    static func wrongArity(_ name: String) -> CommandError {
        CommandError("ERR wrong number of arguments for '\(name)' command")
    }
    static func unknownSubcommand(_ subcommand: Bytes, of command: String) -> CommandError {
        CommandError(
            bytes: Array("ERR unknown subcommand '".utf8) + shown(subcommand, 128)
                + Array("'. Try \(command.uppercased()) HELP.".utf8))
    }
    /// A subcommand with options that make no sense.
    static func subcommandSyntax(_ args: Arguments) -> CommandError {
        CommandError(
            bytes: Array("ERR unknown subcommand or wrong number of arguments for '".utf8) + shown(args[1], 128)
                + Array("'. Try \(args[0].string.uppercased()) HELP.".utf8))
    }

    // MARK: Guards

    static let noAuth = CommandError("NOAUTH Authentication required.")
    static let wrongPassword = CommandError("WRONGPASS invalid username-password pair or user is disabled.")
    static let execAborted = CommandError("EXECABORT Transaction discarded because of previous errors.")
    static let nestedMulti = CommandError("ERR MULTI calls can not be nested")
    static let watchInMulti = CommandError("ERR WATCH inside MULTI is not allowed")
    static let notAllowedInMulti = CommandError("ERR Command not allowed inside a transaction")
    static let execWithoutMulti = CommandError("ERR EXEC without MULTI")
    static let discardWithoutMulti = CommandError("ERR DISCARD without MULTI")
    static let outOfMemory = CommandError("OOM command not allowed when used memory > 'maxmemory'.")
    static let tooFewReplicas = CommandError("NOREPLICAS Not enough good replicas to write.")
    static let replicaUsesKeyspace = CommandError("ERR Replica can't interact with the keyspace")
    static let readOnlyReplica = CommandError("READONLY You can't write against a read only replica.")
    static let loading = CommandError("LOADING Redis is loading the dataset in memory")
    static let masterDown = CommandError(
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.")
    static let busy = CommandError(
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.")
    static let busyFunction = CommandError(
        "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.")
    /// A checkpoint failed and `stop-writes-on-bgsave-error` is on.
    static let misconfigured = CommandError("MISCONF \(unableToSave)")
    static let unableToSave =
        "Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands "
        + "that may modify the data set are disabled, because this instance is configured to report errors during "
        + "writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for "
        + "details about the RDB error."
    static let passwordNotSet = CommandError(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
            + "configuration is correct?")
    static let helloNeedsAuth = CommandError(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> "
            + "<pass> option can be used to authenticate the client and select the RESP protocol version at the same "
            + "time")
    static let unsupportedProtocol = CommandError("NOPROTO unsupported protocol version")
    static let protectedMode = CommandError(
        "DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the "
            + "default user. In this mode connections are only accepted from the loopback interface. If you want to "
            + "connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable "
            + "protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by "
            + "connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly "
            + "accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively "
            + "you can just disable the protected mode by editing the Redis configuration file, and setting the "
            + "protected mode option to 'no', and then restarting the server. 3) If you started the server manually just "
            + "for testing, restart it with the '--protected-mode no' option. 4) Setup a an authentication password for "
            + "the default user. NOTE: You only need to do one of the above things in order for the server to start "
            + "accepting connections from the outside.")
    static let tooManyClients = CommandError("ERR max number of clients reached")

    /// A RESP2 client with subscriptions can do little else.
    static func onlySubscriptions(_ name: String) -> CommandError {
        CommandError(
            "ERR Can't execute '\(name)': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
                + "this context")
    }

    /// Shows the name as the client wrote it and the first of the arguments.
    static func unknownCommand(_ arguments: Arguments) -> CommandError {
        var list: [UInt8] = []
        for i in 1..<max(1, arguments.count) where list.count < 128 {
            list += [39] + shown(arguments[i], 128 - list.count) + [39, 32]
        }
        return CommandError(
            bytes: Array("ERR unknown command '".utf8) + shown(arguments[0], 128)
                + Array("', with args beginning with: ".utf8) + list)
    }
    /// At most `limit` bytes; to Redis these are C strings.
    private static func shown(_ bytes: Bytes, _ limit: Int) -> [UInt8] {
        Array(bytes[0..<min(limit, bytes.count)].buffer.prefix { $0 != 0 })
    }
}
