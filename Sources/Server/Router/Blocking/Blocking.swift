import Storage

/// Commands that wait for a key: how they begin to, and how that ends.
extension CommandContext {
    /// Nothing was found: the client waits for the keys at these indices. Where it may not (in MULTI, scripts, the log),
    /// `empty` is the answer at once.
    func wait(for keys: Range<Int>, orAnswer empty: EmptyReply = .nullArray, _ wait: Wait) {
        session.services.part(Router.self).wait(session, args, keys, orAnswer: empty, wait)
    }
}

extension Router {
    fileprivate func wait(
        _ session: Session, _ args: Arguments, _ keys: Range<Int>, orAnswer empty: EmptyReply, _ wait: Wait
    ) {
        guard let request = keptRequest(session, args) else { return empty.write(to: session.reply) }
        blocked.add(
            session, wait, keys.map { DatabaseKey(session.db, args[$0]) }, request, now: monotonicNanoseconds())
    }

    /// The client waits for something that is no key, until `answer` ends it. nil, with an error, where it may not.
    func wait(_ session: Session, _ args: Arguments) -> Waiter? {
        guard let request = keptRequest(session, args) else {
            session.reply.error(.notAllowedInMulti)
            return nil
        }
        blocked.add(session, Wait(timeout: 0, canBeEnded: false), [], request, now: monotonicNanoseconds())
        return session.waiter
    }

    /// A copy of the command that is executed, to go on with later; nil where the client may not wait (MULTI, scripts, the
    /// log).
    private func keptRequest(_ session: Session, _ args: Arguments) -> Transaction? {
        guard let command = session.lastCommand, session.flags.isDisjoint(with: [.denyBlocking, .internal]) else {
            return nil
        }
        var request = Transaction()
        request.enqueue(command, args, request: nil, refusedBy: [])
        return request
    }

    /// At the end of a unit: serves the clients that wait for keys that are ready, and those that this makes ready, until
    /// none is left: keys in the order in which they became ready, clients in that in which they came.
    @inline(never) func serveReady() {
        // What expired while the command ran, in DEBUG SLEEP within MULTI say, is not there any more.
        keyspace.now = wallClockMilliseconds()
        // What is done for a client of this replica the master does not say.
        let isRelayed = stream.isExecutingRelayed
        if isRelayed { stream.isExecutingRelayed = false }
        defer { if isRelayed { stream.isExecutingRelayed = true } }
        while let (key, queue) = blocked.takeReady() { key.withBytes { serveAll(key.db, $0, queue) } }
    }

    private func serveAll(_ db: Int, _ key: Bytes, _ queue: WaitQueue) {
        let database = keyspace.databases[db]
        var type = database.peek(key)?.type
        var last = 0
        // Waiters that a removal serves are looked for among all; the others need not be asked when nothing is left.
        while type != nil || queue.removalCount > 0, let waiter = queue.next(after: last) {
            last = waiter.sequence
            guard type == waiter.wait.type || waiter.wait.isServedByRemoval else { continue }
            if serve(waiter, key) { type = database.peek(key)?.type }
        }
    }

    /// The reply stands in the output from `start` on; the client goes on with what it has sent meanwhile.
    func finishWaiting(_ waiter: Waiter, _ start: Int, failed: Bool) {
        let session = waiter.session
        blocked.remove(waiter)
        waiter.request.forEach { command, args, _ in
            count(session, command, args, nanoseconds: waiter.nanoseconds, failed: failed)
        }
        finish(session, start)
        session.transport?.scheduleFlush()
        session.transport?.scheduleResume()
    }

    /// Ends the waiting of clients whose time is up.
    func endDueWaits() {
        if blocked.nextDeadline == .max { return }
        let now = monotonicNanoseconds()
        while let waiter = blocked.due(now) { timeOut(waiter) }
    }

    /// As if the time were up.
    func timeOut(_ waiter: Waiter) {
        let start = waiter.session.output.count
        waiter.wait.answerAtTimeout.write(to: waiter.session.reply)
        finishWaiting(waiter, start, failed: false)
    }

    /// Ends the waiting with an error.
    func abort(_ waiter: Waiter, _ error: CommandError) { answer(waiter, error) }

    /// Ends the waiting with an error, or OK.
    func answer(_ waiter: Waiter, _ error: CommandError?) {
        let start = waiter.session.output.count
        if let error {
            waiter.session.reply.error(error)
            statistics.count(error: error.text)
        } else {
            waiter.session.reply.ok()
        }
        finishWaiting(waiter, start, failed: error != nil)
    }

    /// Ends the waiting with a reply that was encoded elsewhere.
    func answer(_ waiter: Waiter, _ chunks: [SharedChunk]) {
        let session = waiter.session
        if session.flags.isDisjoint(with: [.replyOff, .replySkip]) {
            for chunk in chunks { session.queue.append(chunk) }
        }
        finishWaiting(waiter, session.output.count, failed: false)
    }

    /// The client's connection ends: nothing more is taken for it.
    func stopWaiting(_ session: Session) {
        if let waiter = session.waiter { blocked.remove(waiter) }
        pause.remove(session)
    }
}
