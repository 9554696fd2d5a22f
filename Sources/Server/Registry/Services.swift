import Storage

// Invariant of this file: a room stands under its own type, and outlives the services. A session is alive while it executes.

/// What the handlers of `.connection` and `.admin` commands, and the rooms above, share. Confined to the loop.
final class Services {
    let keyspace: Keyspace
    let config: Config
    let logger: Logger
    let statistics: Statistics
    let slowlog = Slowlog()
    let latency = LatencyMonitor()
    let keySizes: KeySizeStatistics
    let stream: PropagationStream
    /// What happens to keys, for its listeners.
    let events: EventQueue
    /// By the names that clients use.
    let commands: CommandIndex
    /// By their own names, which the log has: the same index but where `rename-command` was used.
    let declaredCommands: CommandIndex
    let users: UserTable
    /// States of the server that refuse commands.
    var guards: Guards = []
    /// The client whose command is executed, or who is served: also while its script or transaction executes others. nil: none
    /// is.
    unowned(unsafe) var executing: Session?
    /// DEBUG SET-SKIP-CHECKSUM-VALIDATION: RESTORE takes payloads with wrong checksums, for tests of what is in them.
    var skipsPayloadChecksum = false
    var outputLimits = OutputBufferLimits()
    /// Bytes of an argument, at most.
    var maximumBulkLength = 512 << 20

    private struct Room {
        let type: ObjectIdentifier
        unowned(unsafe) let room: AnyObject
    }
    /// So few that looking through them takes less than hashing would.
    private var rooms: [Room] = []

    init(
        keyspace: Keyspace, config: Config, logger: Logger, statistics: Statistics, stream: PropagationStream,
        events: EventQueue, commands: CommandIndex, declaredCommands: CommandIndex, users: UserTable
    ) {
        self.keyspace = keyspace
        keySizes = KeySizeStatistics(keyspace)
        self.config = config
        self.logger = logger
        self.statistics = statistics
        self.stream = stream
        self.events = events
        self.commands = commands
        self.declaredCommands = declaredCommands
        self.users = users
    }

    var settings: Settings { config.settings }

    /// Makes a part of the server that stands above this room known to handlers, by its type. It must outlive this.
    func install<Part: AnyObject>(_ part: Part) {
        rooms.append(Room(type: ObjectIdentifier(Part.self), room: part))
    }
    /// The part of this type, which the server was put together with.
    func part<Part: AnyObject>(_ type: Part.Type = Part.self) -> Part {
        let wanted = ObjectIdentifier(type)
        for room in rooms where room.type == wanted { return unsafeDowncast(room.room, to: type) }
        preconditionFailure("the server has no \(type)")
    }

    /// Finds the command that `args` name, a subcommand too; nil when there is none.
    func command(_ args: Arguments) -> CommandEntry? { commands.find(args) }
    /// As `command`, for arguments that came out of a log. A log of Redis has the names that were in force there.
    func loggedCommand(_ args: Arguments) -> CommandEntry? { declaredCommands.find(args) ?? commands.find(args) }
}

extension CommandIndex {
    fileprivate func find(_ args: Arguments) -> CommandEntry? {
        guard args.count > 0, let command = find(args[0]) else { return nil }
        guard args.count > 1, let subcommands = command.subcommands else { return command }
        return subcommands.find(args[1])
    }
}
