import Storage

/// From a connection's bytes to executed commands.
extension Router {
    /// Executes what has come in for `client` and keeps the rest. `bytes` need to live only until this returns; a whole
    /// request among them is executed in place.
    func receive(_ session: Session, _ bytes: Bytes) {
        statistics.bytesRead &+= bytes.count
        if clientMemory.isExceeded { evictClients() }
        if !session.flags.isDisjoint(with: [.closeAfterReply, .evicted]) { return }
        if session.input.count == 0 && !session.flags.contains(.blocked) {
            beginBatch()
            session.inputInPlace = bytes.count
            let used = execute(session, bytes)
            session.inputInPlace = 0
            if used < bytes.count {
                session.input.append(bytes[used..<bytes.count], expecting: session.parser.expectedLength)
            }
        } else {
            session.input.append(bytes, expecting: session.parser.expectedLength)
            executeInput(session)
        }
        statistics.inputMaximum.note(session.input.count)
        countBuffers(of: session)
        if session.input.count > queryBufferLimit {
            statistics.queryBufferDisconnections += 1
            logger.warning("Closing client that reached max query buffer length: id=\(session.id)")
            session.transport?.close()
        }
    }

    /// Goes on with the input of a client that was blocked.
    func resume(_ session: Session) {
        if !session.flags.isDisjoint(with: [.closed, .closeAfterReply]) { return }
        executeInput(session)
        countBuffers(of: session)
    }

    private func countBuffers(of session: Session) {
        if !clientMemory.isLimited { return }
        clientMemory.count(session)
        if clientMemory.isExceeded { evictClients() }
    }

    private func executeInput(_ session: Session) {
        if session.output.isOverflowed { return }
        if session.flags.contains(.blocked) || session.input.count == 0 { return }
        beginBatch()
        let used = execute(session, session.input.bytes)
        if used == session.input.count {
            session.input.removeAll(keepingAtMost: Self.keptInput)
        } else if used > 0 {
            session.input.removeFirst(used)
        }
    }
    /// Capacity that a connection keeps for requests that do not come in one piece.
    private static let keptInput = 16 << 10

    /// Executes the requests at the start of `input`; returns how many bytes were used up.
    private func execute(_ session: Session, _ input: Bytes) -> Int {
        session.flags.insert(.executing)
        let executing = services.executing
        services.executing = session
        defer {
            session.flags.remove(.executing)
            services.executing = executing
        }
        session.lastInteraction = keyspace.now / 1000
        keyspace.touchesOnAccess = !session.flags.contains(.noTouch)
        var position = 0
        let pending = session.output.count
        while true {
            batch.removeAll()
            let isAuthenticated = !session.flags.contains(.unauthenticated)
            var failure: ProtocolError?
            parsing: while true {
                do {
                    switch try session.parser.next(
                        input, &position, batch, maximumBulk: services.maximumBulkLength,
                        isAuthenticated: isAuthenticated)
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
            if count > 1 { prefetch(session) }
            for i in 0..<count {
                let request = batch.requests[i]
                if request.length > RowLimits.maximumName && refusesRow(session, batch.arguments(of: request)) {
                    continue
                }
                run(
                    session, batch.arguments(of: request),
                    request: request.isCanonical ? input[request.offset..<request.offset + request.length] : nil)
                // The connection ends; see `Connection.scheduleFlush`.
                if session.output.isOverflowed { return input.count }
                if session.flags.isDisjoint(with: [.closeAfterReply, .blocked, .closed]) {
                    let end = request.offset + request.length
                    if i + 1 == count || !endsTurn(session, after: pending, input.count - end) { continue }
                    session.parser = RequestParser()
                    return end
                }
                if session.flags.contains(.closeAfterReply) || session.flags.contains(.closed) { return input.count }
                // Put off, not executed, where it is to be parsed again; blocked in it otherwise.
                session.parser = RequestParser()
                let isDeferred = session.isDeferred
                session.isDeferred = false
                return isDeferred ? request.offset : request.offset + request.length
            }
            if let failure {
                failure.write(to: session.reply)
                statistics.count(error: "ERR")
                session.flags.insert(.closeAfterReply)
                return input.count
            }
            if count == 0 { return position }
            if endsTurn(session, after: pending, input.count - position) { return position }
        }
    }
    /// Whether what is left, `rest` bytes, waits for the next turn: what was asked for with few bytes may be much, and replies
    /// leave before there are more. Not where moving the rest would cost more than that saves.
    @inline(__always)
    private func endsTurn(_ session: Session, after pending: Int, _ rest: Int) -> Bool {
        if session.output.count &- pending <= Self.leastOutputOfTurn { return false }
        let limit = clientMemory.isLimited ? Self.leastOutputOfTurn : Self.outputOfTurn
        if session.output.count &- pending <= limit || rest <= 0 || rest > Self.inputKeptByTurn { return false }
        session.transport?.scheduleResume()
        return true
    }
    /// Bytes of replies after which a connection's further requests wait for the next turn; bytes of input that may.
    private static let outputOfTurn = 1 << 20
    /// As above, where clients go whose buffers are too large: before keys have to go for these.
    private static let leastOutputOfTurn = 64 << 10
    private static let inputKeptByTurn = 1 << 20

    /// Prefetches the keys of the batch, first their buckets, then their entries; and then likewise the elements of large
    /// collections that they name.
    func prefetch(_ session: Session) {
        let database = session.database
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
    private func run(_ session: Session, _ args: Arguments, request: Bytes?) {
        let start = session.output.count
        guard let command = commands.find(args[0]), command.subcommands == nil else {
            return runContained(session, args, request: request, start)
        }
        dispatch(session, command, args, request: request, start)
    }

    /// Subcommands, and names of no command.
    @inline(never)
    private func runContained(_ session: Session, _ args: Arguments, request: Bytes?, _ start: Int) {
        guard let command = commands.find(args[0]) else {
            if isHTTP(args[0]) { return closeHTTP(session) }
            session.lastCommand = nil
            reject(session, nil, .unknownCommand(args))
            return finish(session, start)
        }
        guard args.count > 1, let subcommands = command.subcommands else {
            return dispatch(session, command, args, request: request, start)
        }
        guard let subcommand = subcommands.find(args[1]) else {
            session.lastCommand = nil
            reject(session, nil, .unknownSubcommand(args[1], of: args[0].string))
            return finish(session, start)
        }
        dispatch(session, subcommand, args, request: request, start)
    }

    /// A browser's request, which a page elsewhere may have made it send: no command of its body may be executed.
    private func isHTTP(_ name: Bytes) -> Bool {
        name.equals(ignoringCase: "post") || name.equals(ignoringCase: "host:")
    }
    private func closeHTTP(_ session: Session) {
        logger.warning("A client at \(session.address) speaks HTTP, as in a cross-protocol attack: connection closed")
        // Nothing more is executed, and what was answered before is not sent.
        session.flags.insert(.closeAfterReply)
        session.transport?.close()
    }

    @inline(__always)
    private func dispatch(_ session: Session, _ command: CommandEntry, _ args: Arguments, request: Bytes?, _ start: Int)
    {
        session.lastCommand = command
        guard command.accepts(argumentCount: args.count) else {
            reject(session, command, .wrongArity(command.fullName))
            return finish(session, start)
        }
        if !session.flags.isDisjoint(with: Self.guardedFlags) || !guards.isEmpty,
            isHeldBack(session, command, args, request)
        {
            return finish(session, start)
        }
        call(session, command, args, request: request)
        finish(session, start)
    }
    /// States of a client in which not every command is simply executed.
    private static let guardedFlags: ClientFlags = [
        .multi, .unauthenticated, .restricted, .pubsub, .replica, .monitor,
    ]

    /// Clients whose commands no pause defers.
    private static let unpausedFlags: ClientFlags = [.replica, .monitor, .master, .internal]

    /// True when the command was refused, queued or deferred.
    @inline(never)
    private func isHeldBack(_ session: Session, _ command: CommandEntry, _ args: Arguments, _ request: Bytes?) -> Bool {
        if guards.contains(.limitedMemory) {
            if memory.mustBeCounted { makeRoom() }
            if guards == .limitedMemory && session.flags.isDisjoint(with: Self.guardedFlags) { return false }
        }
        if session.flags.contains(.unauthenticated) && !command.flags.contains(.noAuth) {
            reject(session, command, .noAuth)
            return true
        }
        // Replicas are exempt from CLIENT PAUSE, which they must not be used to get around.
        if !session.flags.isDisjoint(with: [.replica, .monitor])
            && !command.flags.isDisjoint(with: [.readonly, .write, .mayReplicate])
        {
            let error = CommandError.replicaUsesKeyspace
            if session.flags.contains(.replica) {
                logger.warning(
                    "== CRITICAL == This master is sending an error to its replica: '\(error.text)' "
                        + "after processing the command '\(command.fullName)'")
            }
            reject(session, command, error)
            return true
        }
        let isInMulti = session.flags.contains(.multi)
        if isInMulti && !command.flags.isDisjoint(with: [.noMulti, .repliesLater]) {
            reject(session, command, .notAllowedInMulti)
            return true
        }
        if session.flags.contains(.restricted),
            let denial = denial(session, command, args, isInMulti ? .transaction : .toplevel)
        {
            reject(session, command, denialError(denial, session, command, args))
            return true
        }
        let refusedBy = guards(refusing: command, args)
        var refused = refusedBy
        if command.flags.contains(.runsTransaction) { refused.formUnion(session.transaction.refusedBy) }
        // What is queued takes memory too.
        if isInMulti && !command.flags.contains(.leavesTransaction) { refused.insert(.outOfMemory) }
        refused.formIntersection(guards)
        if session.flags.contains(.master) { refused.subtract([.readOnlyReplica, .misconfigured, .outOfMemory]) }
        let errors = refused.subtracting(.paused)
        if !errors.isEmpty {
            reject(session, command, errors.error(misconfiguration: misconfiguration, busy: busy))
            return true
        }
        if session.flags.contains(.pubsub) && !session.reply.resp3 && session.hasSubscriptions
            && !command.flags.contains(.whileSubscribed)
        {
            reject(session, command, .onlySubscriptions(command.fullName))
            return true
        }
        if !refused.isDisjoint(with: .paused) && session.flags.isDisjoint(with: Self.unpausedFlags) {
            session.isDeferred = true
            pause.hold(session)
            return true
        }
        if isInMulti && !command.flags.contains(.unqueued) {
            session.transaction.enqueue(command, args, request: request, refusedBy: refusedBy)
            session.reply.simple("QUEUED")
            return true
        }
        return false
    }

    /// The states in which this request is refused.
    private func guards(refusing command: CommandEntry, _ args: Arguments) -> Guards {
        guard let flags = command.row.flagsOfRequest?(services, args, command.flags) else { return command.refusedBy }
        return Guards(refusing: flags)
    }

    /// Answers an error before anything was executed; a transaction is spoilt by it.
    func reject(_ session: Session, _ command: CommandEntry?, _ error: CommandError) {
        if let command { statistics.reject(command.statistics) }
        var error = error
        if let command, command.flags.contains(.runsTransaction) {
            // The transaction is what failed. Redis leaves the general code out, and keeps others.
            let reason = error.text.hasPrefix("ERR ") ? String(error.text.dropFirst(4)) : error.text
            error = CommandError("EXECABORT Transaction discarded because of: \(reason)")
            watchers.discardTransaction(session)
        } else if session.flags.contains(.multi) {
            session.flags.insert(.dirtyQueue)
        }
        session.reply.error(error)
        statistics.count(error: error.text)
    }

    /// Drops the reply that the client does not want; pushes that came meanwhile follow. Not yet when the command is blocked:
    /// there is none.
    @inline(__always)
    func finish(_ session: Session, _ start: Int) {
        if session.flags.isDisjoint(with: Self.finishedFlags) { return }
        finishSilently(session, start)
    }
    /// States of a client in which there is something to do when a command has ended.
    private static let finishedFlags: ClientFlags = [
        .replyOff, .replySkip, .replySkipNext, .replica, .hasPushes, .cachingGiven,
    ]
    @inline(never)
    private func finishSilently(_ session: Session, _ start: Int) {
        defer { if session.flags.contains(.hasPushes) { session.releasePushes() } }
        if session.flags.contains(.blocked) { return }
        // CLIENT CACHING holds for one command, or for a transaction.
        if session.flags.contains(.cachingGiven) && !session.flags.contains(.multi)
            && !(session.lastCommand?.flags.contains(.keepsCaching) ?? false)
        {
            session.flags.remove(.cachingGiven)
        }
        if session.flags.contains(.replica) { return checkSilent(session, start) }
        if !session.flags.isDisjoint(with: [.replyOff, .replySkip]) { session.output.truncate(to: start) }
        session.flags.remove(.replySkip)
        if session.flags.contains(.replySkipNext) {
            session.flags.remove(.replySkipNext)
            session.flags.insert(.replySkip)
        }
    }

    /// A reply would stand in the middle of the stream that the replica reads: the connection ends.
    private func checkSilent(_ session: Session, _ start: Int) {
        if session.output.count <= start || session.lastCommand?.flags.contains(.beginsReplication) ?? false { return }
        session.output.truncate(to: start)
        logger.warning(
            "Replica generated a reply to command '\(session.lastCommand?.fullName ?? "")', disconnecting it: "
                + ClientDescription.text(session, services))
        session.flags.insert(.closeAfterReply)
        session.transport?.close()
    }
}
