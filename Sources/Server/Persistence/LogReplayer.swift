import Storage

/// Executes the log's commands at start, through the same rows as a client's: what a command did then it does now.
final class LogReplayer {
    private let server: Router
    private unowned let persistence: PersistenceControl
    private let client: Session

    init(_ server: Router, _ persistence: PersistenceControl) {
        self.persistence = persistence
        self.server = server
        client = server.makeSession()
        client.flags.insert(.internal)
        server.liftLimits()
        server.clock = monotonicNanoseconds()
        server.keyspace.dueMode = .kept
    }

    /// What was replayed was executed before: it counts as little as in Redis.
    func end() {
        server.settingsChanged()
        server.updateDueMode()
        if !persistence.isLoading { return }
        server.statistics.reset(expired: server.keyspace.expired, expiredFields: server.keyspace.expiredFields)
    }

    /// Throws for a command that fails: the log holds only ones that succeeded, so that going on would diverge.
    func apply(_ arguments: UnsafeBufferPointer<Bytes>) throws(StorageError) {
        guard let base = arguments.baseAddress, !arguments.isEmpty else { return }
        let args = Arguments(base, arguments.count)
        // It failed where it was first executed.
        if args[0].isStruckOut { return }
        guard let command = server.services.loggedCommand(args), command.accepts(argumentCount: args.count) else {
            throw failure(args, "this program does not know it")
        }
        // What belongs together was checked to be whole when it was read; nobody waits for the answer to REPLCONF.
        if !command.flags.isDisjoint(with: [.beginsTransaction, .runsTransaction, .configuresReplication]) { return }
        // Masters before Redis 7 send times that count from now.
        let isRelative = command.flags.contains(.relativeTimes)
        if isRelative { server.keyspace.now = wallClockMilliseconds() }
        server.call(client, command, args, request: nil)
        if isRelative { server.keyspace.now = 0 }
        if client.output.count > 0 && client.output.bytes[0] == 45 {
            throw failure(args, client.output.bytes.string)
        }
        client.output.removeAll(keepingAtMost: 1 << 16)
        replayed &+= bytes(args)
        if server.clock >= persistence.nextTurn || replayed > Self.reportedBytes {
            persistence.loaded(bytes: replayed)
            replayed = 0
        }
    }

    /// Bytes replayed and not yet reported.
    private var replayed = 0
    private static let reportedBytes = 1 << 20

    /// Roughly what the command takes in the log, where its arguments lie one behind the other.
    @inline(__always) private func bytes(_ args: Arguments) -> Int {
        let last = args[args.count - 1]
        return last.base - args[0].base &+ last.count
    }

    /// The reader knows the segment and the offset.
    private func failure(_ args: Arguments, _ reason: String) -> StorageError {
        StorageError(
            file: server.config.settings.appendFileName,
            message:
                "the command \(args[0].quoted) cannot be replayed (\(reason.prefix { $0 != "\r\n" && $0 != "\r" }))")
    }
}
