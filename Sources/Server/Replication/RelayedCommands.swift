import Storage

/// Executes what a master says, and says it again in this server's own stream, byte for byte, so that id and offset are
/// the master's. Confined to the loop.
///
/// Each command is relayed before it is executed, and a transaction when its EXEC has come: what the execution causes here
/// alone (a client of a writable replica that waited for the key) then stands behind it.
final class RelayedCommands {
    /// Why nothing more can be executed of what the master says.
    struct Refusal: Error {
        let message: String
        init(_ message: String) { self.message = message }
    }

    private let router: Router
    /// Has the context of what the master says, from the selected database on, beyond the end of a connection.
    let session: Session
    /// What has come and is not executed: the beginning of a command, or all that came while writes are deferred.
    private let input = OutputBuffer(capacity: 16)
    private var parser = RequestParser()
    /// From MULTI on, until EXEC has come.
    private let transaction = OutputBuffer(capacity: 16)
    private var isInTransaction = false
    private let transactionBatch = RequestBatch()
    /// Says to the master how far this server is: at REPLCONF GETACK, with the offset in front of it.
    private let acknowledge: (Int) -> Void
    /// When a failing command was last reported, by its name, in monotonic nanoseconds.
    private var reported: [String: UInt64] = [:]

    /// Buffered input that is kept allocated.
    private static let keptInput = 1 << 20
    /// Bytes that a master may say before they can be executed: what a client of its can have sent as one command
    /// (client-query-buffer-limit there, by default), and names and lengths around it.
    private static let longestCommand = (1 << 30) + (64 << 20)
    /// While writes are deferred, so much is read on.
    private static let keptWhileHeld = 1 << 20
    /// Failing commands whose reports are remembered.
    private static let rememberedReports = 100

    init(_ router: Router, address: String, acknowledge: @escaping (Int) -> Void) {
        self.router = router
        self.acknowledge = acknowledge
        session = router.makeSession()
        session.flags.formUnion([.internal, .master])
        session.address = address
    }

    /// Bytes that have come and are not executed.
    var waiting: Int { input.count + transaction.count }
    /// Writes are deferred, and enough is read ahead.
    var isFull: Bool { isHeld && input.count > Self.keptWhileHeld }
    /// Something is to be executed once writes are not deferred any more.
    private(set) var isHeld = false

    /// A connection has ended: the stream goes on, if at all, behind the last command that was executed.
    func forgetRest() {
        input.removeAll(keepingAtMost: 1024)
        transaction.removeAll(keepingAtMost: 1024)
        isInTransaction = false
        isHeld = false
        parser = RequestParser()
    }

    /// Executes what has come, and keeps the rest. `bytes` live until this returns. Throws when the master says what is no
    /// stream of commands.
    func receive(_ bytes: Bytes) throws(Refusal) {
        if input.count == 0 && !isHeld {
            let used = try execute(bytes)
            if used < bytes.count { input.append(bytes[used..<bytes.count]) }
        } else {
            input.append(bytes)
            try proceed()
        }
        if waiting > max(Self.longestCommand, router.config.settings.queryBufferLimit) {
            throw Refusal(
                "a command or transaction has more than \(waiting) bytes; client-query-buffer-limit allows for more")
        }
    }

    /// Keeps what has come, to be executed with `proceed`.
    func keep(_ bytes: Bytes) { input.append(bytes) }

    /// Goes on with what was kept while writes were deferred.
    func proceed() throws(Refusal) {
        if input.count == 0 { return }
        let used = try execute(input.bytes)
        if used == input.count { input.removeAll(keepingAtMost: Self.keptInput) } else { input.removeFirst(used) }
    }

    // MARK: - Commands

    /// Executes the commands at the beginning of `input`; returns how many bytes were used up.
    private func execute(_ input: Bytes) throws(Refusal) -> Int {
        isHeld = false
        begin()
        defer { end() }
        let batch = router.batch
        var position = 0
        while true {
            batch.removeAll()
            let start = position
            if start < input.count && input[start] != UInt8(ascii: "*") {
                throw Self.notCanonical(input[start..<input.count])
            }
            let failure = Self.parse(input, &position, batch, &parser)
            if batch.length != position - start { throw Refusal("there are requests without a command in it") }
            if batch.count > 1 { router.prefetch(session) }
            for i in 0..<batch.count {
                let request = batch.requests[i]
                let bytes = input[request.offset..<request.offset + request.length]
                if !request.isCanonical { throw Self.notCanonical(bytes) }
                let args = batch.arguments(of: request)
                if mustWait(args) {
                    parser = RequestParser()
                    isHeld = true
                    return request.offset
                }
                try take(args, bytes)
            }
            if let failure { throw Refusal("\(failure.text)") }
            if batch.count == 0 { return position }
        }
    }

    private static func parse(
        _ input: Bytes, _ position: inout Int, _ batch: RequestBatch, _ parser: inout RequestParser
    ) -> ProtocolError? {
        do throws(ProtocolError) {
            while true {
                switch try parser.next(input, &position, batch, maximumBulk: longestCommand) {
                case .request: continue
                case .batchFull, .incomplete: return nil
                }
            }
        } catch {
            return error
        }
    }

    private static func notCanonical(_ bytes: Bytes) -> Refusal {
        Refusal("it uses the inline protocol, or numbers that are not written plainly: \(bytes.quoted)")
    }

    /// What the master's commands are executed with, until `end`.
    private func begin() {
        router.beginBatch()
        router.keyspace.touchesOnAccess = true
        router.keyspace.dueMode = .kept
        router.stream.isExecutingRelayed = true
        router.services.maximumBulkLength = max(router.services.maximumBulkLength, 1 << 40)
    }
    private func end() {
        router.stream.isExecutingRelayed = false
        router.updateDueMode()
        router.services.maximumBulkLength = router.config.settings.maxBulkLength
    }

    /// CLIENT PAUSE holds up the master's writes too. A transaction is executed at its EXEC.
    private func mustWait(_ args: Arguments) -> Bool {
        let paused = router.guards.intersection(.paused)
        if paused.isEmpty { return false }
        if paused.contains(.pausedAll) || isInTransaction { return true }
        return router.services.declaredCommands.find(args[0])?.refusedBy.contains(.pausedWrites) ?? true
    }

    private func take(_ args: Arguments, _ bytes: Bytes) throws(Refusal) {
        let command = router.services.loggedCommand(args)
        if isInTransaction {
            if command?.flags.contains(.beginsTransaction) == true { throw Refusal("a MULTI stands within another") }
            transaction.append(bytes)
            if command?.flags.contains(.runsTransaction) == true { try executeTransaction() }
            return
        }
        if let command {
            session.lastCommand = command
            if command.flags.contains(.beginsTransaction) {
                isInTransaction = true
                transaction.append(bytes)
                return
            }
            if command.flags.contains(.runsTransaction) { throw Refusal("an EXEC stands without a MULTI") }
        }
        router.stream.relay(bytes, db: session.db)
        try run(command, args, bytes, behind: 0)
        // Only SELECT changes it, and causes nothing else.
        router.stream.relayedSelects(session.db)
    }

    /// All between MULTI and EXEC, as one unit.
    private func executeTransaction() throws(Refusal) {
        defer {
            isInTransaction = false
            transaction.removeAll(keepingAtMost: Self.keptInput)
        }
        let bytes = transaction.bytes
        router.stream.relay(bytes, db: session.db)
        try router.unit(.client) { () throws(Refusal) in
            var parser = RequestParser()
            var position = 0
            repeat {
                transactionBatch.removeAll()
                // It was parsed before, and is as it should be.
                if let failure = Self.parse(bytes, &position, transactionBatch, &parser) {
                    throw Refusal("\(failure.text)")
                }
                for i in 0..<transactionBatch.count {
                    let request = transactionBatch.requests[i]
                    let args = transactionBatch.arguments(of: request)
                    let command = router.services.loggedCommand(args)
                    if let command, !command.flags.isDisjoint(with: [.beginsTransaction, .runsTransaction]) {
                        router.count(session, command, args, nanoseconds: 0, failed: false)
                        continue
                    }
                    let end = request.offset + request.length
                    try run(command, args, bytes[request.offset..<end], behind: bytes.count - end)
                }
            } while transactionBatch.count > 0
            router.stream.relayedSelects(session.db)
        }
    }

    /// Executes a command that was relayed; `behind`: so many bytes were relayed behind it.
    private func run(_ command: CommandEntry?, _ args: Arguments, _ bytes: Bytes, behind: Int) throws(Refusal) {
        if args[0].isStruckOut { return }
        if command?.flags.contains(.configuresReplication) == true {
            if args.count > 1, args[1].equals(ignoringCase: "getack") {
                acknowledge(router.stream.offset - bytes.count - behind)
            }
            return
        }
        let output = session.output
        if let command, command.accepts(argumentCount: args.count), Self.isReplicated(command) {
            if bytes.count > RowLimits.maximumName && router.refusesRow(session, args) {
                // Its error stands in the output.
            } else {
                session.lastCommand = command
                router.call(session, command, args, request: nil)
                if router.work.afterCall.contains(.holdReads) {
                    router.recentWrites.note(command.row.keys, args, at: router.stream.offset)
                }
            }
        } else if command == nil {
            session.reply.error(.unknownCommand(args))
        } else if let command, !command.accepts(argumentCount: args.count) {
            session.reply.error(.wrongArity(command.fullName))
        } else {
            session.reply.error(CommandError("ERR a master does not send this command"))
        }
        defer { output.removeAll(keepingAtMost: 1 << 16) }
        guard output.count > 0, output.bytes[0] == UInt8(ascii: "-") else { return }
        report(output.bytes, command?.fullName ?? "<unknown>")
        if command?.flags.contains(.selectsDatabase) == true {
            // What follows is for that database alone.
            throw Refusal(
                "it uses database \(args[args.count - 1].string), and `databases` is "
                    + "\(router.keyspace.databases.count) here: set it as there")
        }
        let distance = (bytes.base + bytes.count) - args[0].base + behind
        router.stream.strikeOut(args[0].count, at: distance)
    }

    /// Whether a master has reason to send it. What would concern this server's log, settings or process is not executed for
    /// it.
    private static func isReplicated(_ command: CommandEntry) -> Bool {
        switch command.row.handler {
        case .read, .readCaching, .write: true
        case .connection:
            !command.flags.isDisjoint(with: [.mayReplicate, .selectsDatabase, .showsPresence])
        case .admin, .container, .help: false
        }
    }

    /// In Redis's words, which monitoring looks for; of each command once a second, as a master may send many.
    private func report(_ reply: Bytes, _ name: String) {
        let now = monotonicNanoseconds()
        router.statistics.unexpectedErrorReplies += 1
        if let last = reported[name], now - last < 1_000_000_000 { return }
        if reported.count >= Self.rememberedReports { reported.removeAll() }
        reported[name] = now
        let error = reply[1..<min(reply.count, 4096)].string.prefix { $0 != "\r\n" && $0 != "\r" && $0 != "\n" }
        router.logger.warning(
            "== CRITICAL == This replica is sending an error to its master: '\(error)' after processing the command "
                + "'\(name)'")
    }
}
