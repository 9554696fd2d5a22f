import Storage

/// From a connection's bytes to executed commands.
extension Server {
    /// Executes what has come in for `client` and keeps the rest. `bytes` need to live only until this returns; a whole
    /// request among them is executed in place.
    func receive(_ client: Client, _ bytes: Bytes) {
        statistics.bytesRead &+= bytes.count
        if client.flags.contains(.closeAfterReply) { return }
        if client.input.count == 0 && !client.flags.contains(.blocked) {
            beginBatch()
            client.inputInPlace = bytes.count
            let used = execute(client, bytes)
            client.inputInPlace = 0
            if used < bytes.count { client.input.append(bytes[used..<bytes.count]) }
        } else {
            client.input.append(bytes)
            executeInput(client)
        }
        statistics.inputMaximum.note(client.input.count)
        if client.input.count > queryBufferLimit {
            statistics.queryBufferDisconnections += 1
            log.warning("Closing client that reached max query buffer length: id=\(client.id)")
            client.transport?.close()
        }
    }

    /// Goes on with the input of a client that was blocked.
    func resume(_ client: Client) {
        if client.flags.isDisjoint(with: [.closed, .closeAfterReply]) { executeInput(client) }
    }

    private func executeInput(_ client: Client) {
        if client.output.isOverflowed { return }
        if client.flags.contains(.blocked) || client.input.count == 0 { return }
        beginBatch()
        let used = execute(client, client.input.bytes)
        if used == client.input.count {
            client.input.removeAll(keepingAtMost: Self.keptInput)
        } else if used > 0 {
            client.input.removeFirst(used)
        }
    }
    /// Capacity that a connection keeps for requests that do not come in one piece.
    private static let keptInput = 16 << 10

    /// Executes the requests at the start of `input`; returns how many bytes were used up.
    private func execute(_ client: Client, _ input: Bytes) -> Int {
        client.lastInteraction = keyspace.now / 1000
        keyspace.touchesOnAccess = !client.flags.contains(.noTouch)
        var position = 0
        let pending = client.output.count
        while true {
            batch.removeAll()
            let isAuthenticated = !client.flags.contains(.unauthenticated)
            var failure: ProtocolError?
            parsing: while true {
                do {
                    switch try client.parser.next(
                        input, &position, batch, maximumBulk: maximumBulkLength, isAuthenticated: isAuthenticated)
                    {
                    // AUTH may change what the next one may be.
                    case .request: if isAuthenticated { continue } else { break parsing }
                    case .batchFull, .incomplete: break parsing
                    }
                } catch {
                    failure = error
                    break parsing
                }
            }
            let count = batch.count
            if count > 1 { prefetch(client) }
            for i in 0..<count {
                let request = batch.requests[i]
                if request.length > RowLimits.maximumName && refusesRow(client, batch.arguments(of: request)) {
                    continue
                }
                run(
                    client, batch.arguments(of: request),
                    request: request.isCanonical ? input[request.offset..<request.offset + request.length] : nil)
                // The connection ends; see `Connection.scheduleFlush`.
                if client.output.isOverflowed { return input.count }
                if client.flags.isDisjoint(with: [.closeAfterReply, .blocked, .closed]) { continue }
                if client.flags.contains(.closeAfterReply) || client.flags.contains(.closed) { return input.count }
                // Put off, not executed, where it is to be parsed again; blocked in it otherwise.
                client.parser = RequestParser()
                let isPutOff = client.isPutOff
                client.isPutOff = false
                return isPutOff ? request.offset : request.offset + request.length
            }
            if let failure {
                failure.write(to: client.reply)
                statistics.count(error: "ERR")
                client.flags.insert(.closeAfterReply)
                return input.count
            }
            if count == 0 { return position }
            // What was asked for with few bytes may be much: replies leave before there are more. Not where moving what
            // is left of the input would cost more than that saves.
            if client.output.count &- pending > Self.outputOfTurn, position < input.count,
                input.count - position <= Self.inputKeptByTurn
            {
                client.transport?.scheduleResume()
                return position
            }
        }
    }
    /// Bytes of replies after which a connection's further requests wait for the next turn; bytes of input that may.
    private static let outputOfTurn = 1 << 20
    private static let inputKeptByTurn = 1 << 20

    /// Brings the keys of the batch near, first their buckets, then their entries; and then in the same way the elements
    /// that they name of large collections.
    private func prefetch(_ client: Client) {
        let database = client.database
        for i in 0..<batch.count {
            let args = batch.arguments(of: batch.requests[i])
            // Most commands have their key first; for the others a line of cache is fetched for nothing.
            if args.count > 1 { batch.setHash(database.prefetch(args[1]), of: i) }
        }
        for i in 0..<batch.count where batch.requests[i].hasHash { database.prefetchEntry(batch.requests[i].hash) }
        var hasElements = false
        for i in 0..<batch.count where batch.requests[i].hasHash && batch.requests[i].argumentCount > 2 {
            let args = batch.arguments(of: batch.requests[i])
            let hash = database.prefetchElement(batch.requests[i].hash, args[2], args.count > 3 ? args[3] : nil)
            if hash == 0 { continue }
            batch.setElementHash(hash, of: i)
            hasElements = true
        }
        if !hasElements { return }
        for i in 0..<batch.count where batch.requests[i].elementHash != 0 {
            database.prefetchElementEntry(batch.requests[i].hash, batch.requests[i].elementHash)
        }
    }

    // MARK: - One command

    /// Guards, then executes or queues. `request`: its bytes, if they are canonical RESP.
    @inline(__always)
    private func run(_ client: Client, _ args: Arguments, request: Bytes?) {
        let start = client.output.count
        guard let command = commands.find(args[0]), command.subcommands == nil else {
            return runContained(client, args, request: request, start)
        }
        dispatch(client, command, args, request: request, start)
    }

    /// Subcommands, and names that are none.
    @inline(never)
    private func runContained(_ client: Client, _ args: Arguments, request: Bytes?, _ start: Int) {
        guard let command = commands.find(args[0]) else {
            if isHTTP(args[0]) { return closeHTTP(client) }
            reject(client, nil, .unknownCommand(args))
            return finish(client, start)
        }
        guard args.count > 1, let subcommands = command.subcommands else {
            return dispatch(client, command, args, request: request, start)
        }
        guard let subcommand = subcommands.find(args[1]) else {
            reject(client, nil, .unknownSubcommand(args[1], of: args[0].string))
            return finish(client, start)
        }
        dispatch(client, subcommand, args, request: request, start)
    }

    /// A browser's request, which a page elsewhere may have made it send: no command of its body may be executed.
    private func isHTTP(_ name: Bytes) -> Bool {
        name.equals(ignoringCase: "post") || name.equals(ignoringCase: "host:")
    }
    private func closeHTTP(_ client: Client) {
        log.warning("A client at \(client.address) speaks HTTP, as in a cross-protocol attack: connection closed")
        // Nothing more is executed, and what was answered before is not sent.
        client.flags.insert(.closeAfterReply)
        client.transport?.close()
    }

    @inline(__always)
    private func dispatch(_ client: Client, _ command: CommandEntry, _ args: Arguments, request: Bytes?, _ start: Int) {
        client.lastCommand = command
        guard command.accepts(argumentCount: args.count) else {
            reject(client, command, .wrongArity(command.fullName))
            return finish(client, start)
        }
        if !client.flags.isDisjoint(with: Self.guardedFlags) || !guards.isEmpty,
            isHeldBack(client, command, args, request)
        {
            return finish(client, start)
        }
        call(client, command, args, request: request)
        finish(client, start)
        if blocked.hasReady { serveReady() }
    }
    /// States of a client in which not every command is simply executed.
    private static let guardedFlags: ClientFlags = [.multi, .unauthenticated, .pubsub]

    /// True when the command was refused, queued or put off.
    @inline(never)
    private func isHeldBack(_ client: Client, _ command: CommandEntry, _ args: Arguments, _ request: Bytes?) -> Bool {
        if client.flags.contains(.unauthenticated) && !command.flags.contains(.noAuth) {
            reject(client, command, .noAuth)
            return true
        }
        let isInMulti = client.flags.contains(.multi)
        if isInMulti && !command.flags.isDisjoint(with: [.noMulti, .repliesLater]) {
            reject(client, command, .notAllowedInMulti)
            return true
        }
        var refused = command.refusedBy
        if command.kind == .exec { refused.formUnion(client.transaction.refusedBy) }
        // A PING tells monitoring that writes are refused.
        if command.kind == .ping { refused.insert(.misconfigured) }
        refused.formIntersection(guards)
        if client.flags.contains(.master) { refused.subtract([.readOnlyReplica, .misconfigured, .outOfMemory]) }
        let errors = refused.subtracting(.paused)
        if !errors.isEmpty {
            reject(client, command, errors.error(self))
            return true
        }
        if client.flags.contains(.pubsub) && !client.reply.resp3 && client.hasSubscriptions
            && ![.ping, .quit, .reset, .subscription].contains(command.kind)
        {
            reject(client, command, .onlySubscriptions(command.fullName))
            return true
        }
        if !refused.isDisjoint(with: .paused) && client.flags.isDisjoint(with: [.replica, .master, .internal]) {
            client.isPutOff = true
            pause.put(off: client)
            return true
        }
        if isInMulti {
            switch command.kind {
            case .exec, .discard, .multi, .watch, .quit, .reset: break
            case .ordinary, .ping, .subscription:
                client.transaction.enqueue(command, args, request: request)
                client.reply.simple("QUEUED")
                return true
            }
        }
        return false
    }

    /// Answers an error before anything was executed; a transaction is spoilt by it.
    func reject(_ client: Client, _ command: CommandEntry?, _ error: CommandError) {
        if let command { statistics.reject(command.statistics) }
        var error = error
        if command?.kind == .exec {
            // Redis takes the code off: the transaction is what failed.
            error = CommandError("EXECABORT Transaction discarded because of: \(error.text)")
            discardTransaction(client)
        } else if client.flags.contains(.multi) {
            client.flags.insert(.dirtyQueue)
        }
        client.reply.error(error)
        statistics.count(error: error.text)
    }

    /// Drops the reply that the client does not want. Not yet when the command is blocked: there is none.
    @inline(__always)
    func finish(_ client: Client, _ start: Int) {
        if client.flags.isDisjoint(with: [.replyOff, .replySkip, .replySkipNext]) { return }
        finishSilently(client, start)
    }
    @inline(never)
    private func finishSilently(_ client: Client, _ start: Int) {
        if client.flags.contains(.blocked) { return }
        if !client.flags.isDisjoint(with: [.replyOff, .replySkip]) { client.output.truncate(to: start) }
        client.flags.remove(.replySkip)
        if client.flags.contains(.replySkipNext) {
            client.flags.remove(.replySkipNext)
            client.flags.insert(.replySkip)
        }
    }

    // MARK: - Execution

    /// Executes a command whose arguments were checked, and logs what it changed. Called for the commands of a
    /// transaction or script too, within their own call.
    @inline(__always)
    func call(_ client: Client, _ command: CommandEntry, _ args: Arguments, request: Bytes?) {
        let began = clock
        let start = client.output.count
        let changes = keyspace.changes
        let logged = propagator.position
        var failed = false
        let db = client.db
        expiredInCommand = 0
        keyspace.beginCommand()
        propagator.beginUnit()
        propagator.beginCommand()
        do throws(CommandError) {
            switch command.row.handler {
            case .read(let handler):
                statistics.reads &+= 1
                try handler(ReadContext(args: args, client: client, countsLookups: true))
            case .control(let handler):
                try handler(ReadContext(args: args, client: client, countsLookups: false))
            case .write(let handler), .admin(let handler):
                try handler(WriteContext(args: args, client: client))
            case .container:
                throw .wrongArity(command.fullName)
            }
        } catch {
            failed = true
            client.output.truncate(to: start)
            client.reply.error(error)
            statistics.count(error: error.text)
        }
        if command.flags.contains(.write) {
            if keyspace.changes &- changes > expiredInCommand {
                if command.isRenamed {
                    propagateRenamed(command, db, args)
                } else {
                    propagator.endCommand(db, args, request: request)
                }
            }
            statistics.writes &+= 1
        }
        propagator.endUnit()
        if propagator.position != logged { client.ackPosition = propagator.position }
        if holdsReads { holdBack(client, command, args, hasWritten: propagator.position != logged) }
        let ended = monotonicNanoseconds()
        clock = ended
        let elapsed = ended &- began
        if client.flags.contains(.blocked) {
            // It counts when it ends.
            client.waiter?.nanoseconds = elapsed
            return
        }
        statistics.count(command.statistics, nanoseconds: elapsed, failed: failed)
        noteIfSlow(client, command, args, elapsed)
    }

    /// The reply waits for the writes that it may show.
    @inline(never)
    func holdBack(_ client: Client, _ command: CommandEntry, _ args: Arguments, hasWritten: Bool) {
        // Each command of the transaction was asked itself.
        if command.kind == .exec { return }
        if hasWritten {
            recentWrites.note(command.row.keys, args, at: propagator.position)
        } else {
            let shown = recentWrites.position(shownBy: command, args, end: propagator.position)
            client.ackPosition = max(client.ackPosition, shown)
        }
    }

    /// The log has the command's own name: it must be readable when the configuration is another.
    @inline(never)
    private func propagateRenamed(_ command: CommandEntry, _ db: Int, _ args: Arguments) {
        let name = (command.container ?? command).row.name
        let renamed = [Bytes(name)] + (1..<args.count).map { args[$0] }
        renamed.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            propagator.endCommand(db, Arguments(base, buffer.count), request: nil)
        }
    }

    @inline(__always)
    func noteIfSlow(_ client: Client, _ command: CommandEntry, _ args: Arguments, _ nanoseconds: UInt64) {
        if nanoseconds >= slowlogNanoseconds { noteSlow(client, command, args, nanoseconds) }
    }

    @inline(never)
    private func noteSlow(_ client: Client, _ command: CommandEntry, _ args: Arguments, _ nanoseconds: UInt64) {
        if command.flags.contains(.skipSlowlog) || command.kind == .exec { return }
        slowlog.add(
            command.shown(args), microseconds: Int64(nanoseconds / 1000), seconds: keyspace.now / 1000,
            address: client.address, client: client.name)
    }

    /// Finds the command that `args` name, a subcommand too; nil when there is none.
    func command(_ args: Arguments) -> CommandEntry? { find(args, in: commands) }

    /// As `command`, for arguments that came out of a log. A log of Redis has the names that were in force there.
    func loggedCommand(_ args: Arguments) -> CommandEntry? {
        find(args, in: declaredCommands) ?? find(args, in: commands)
    }

    private func find(_ args: Arguments, in commands: CommandIndex) -> CommandEntry? {
        guard args.count > 0, let command = commands.find(args[0]) else { return nil }
        guard args.count > 1, let subcommands = command.subcommands else { return command }
        return subcommands.find(args[1])
    }
}
