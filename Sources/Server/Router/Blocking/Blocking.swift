import Storage

/// Commands that wait for a key: how they begin to, and how that ends.
extension WriteContext {
    /// Nothing was found: the client waits for the keys at these indices. Where it may not (in MULTI, scripts, the log),
    /// `empty` is the answer at once.
    func wait(for keys: Range<Int>, orAnswer empty: EmptyReply = .nullArray, _ wait: Wait) {
        server.wait(client, args, db.index, keys, orAnswer: empty, wait)
    }
}

extension ReadContext {
    /// The same for commands that only read.
    func wait(for keys: Range<Int>, orAnswer empty: EmptyReply = .nullArray, _ wait: Wait) {
        server.wait(client, args, db.index, keys, orAnswer: empty, wait)
    }
}

extension Server {
    fileprivate func wait(
        _ client: Client, _ args: Arguments, _ db: Int, _ keys: Range<Int>, orAnswer empty: EmptyReply, _ wait: Wait
    ) {
        guard let request = keptRequest(client, args) else { return empty.write(to: client.reply) }
        blocked.add(
            client, wait, keys.map { DatabaseKey(db, args[$0]) }, request, now: monotonicNanoseconds())
    }

    /// The client waits for something that is no key, until `answer` ends it. nil, with an error, where it may not.
    func wait(_ client: Client, _ args: Arguments) -> Waiter? {
        guard let request = keptRequest(client, args) else {
            client.reply.error(.notAllowedInMulti)
            return nil
        }
        blocked.add(client, Wait(timeout: 0, canBeEnded: false), [], request, now: monotonicNanoseconds())
        return client.waiter
    }

    /// A copy of the command at hand, to go on with later; nil where the client may not wait (MULTI, scripts, the log).
    private func keptRequest(_ client: Client, _ args: Arguments) -> Transaction? {
        guard let command = client.lastCommand, client.flags.isDisjoint(with: [.denyBlocking, .internal]) else {
            return nil
        }
        var request = Transaction()
        request.enqueue(command, args, request: nil)
        return request
    }

    /// After a command: who waits for keys that are ready now is served, and whom that makes others ready for, until
    /// nothing is left. Keys in the order in which they became ready, clients in that in which they came.
    @inline(never) func serveReady() {
        // What expired while the command ran, in DEBUG SLEEP within MULTI say, is not there any more.
        keyspace.now = wallClockMilliseconds()
        while let (key, queue) = blocked.takeReady() { key.withBytes { serve(key.db, $0, queue) } }
    }

    private func serve(_ db: Int, _ key: Bytes, _ queue: WaitQueue) {
        let database = keyspace.databases[db]
        var type = database.peek(key)?.type
        var last = 0
        // Those whom a removal serves are looked for among all; the others need not be asked when nothing is left.
        while type != nil || queue.removalCount > 0, let waiter = queue.next(after: last) {
            last = waiter.sequence
            guard type == waiter.wait.type || waiter.wait.isServedByRemoval else { continue }
            if attempt(waiter, key) { type = database.peek(key)?.type }
        }
    }

    /// Executes a waiting command for `key`, as a command of its own to the log. False when it goes on waiting.
    private func attempt(_ waiter: Waiter, _ key: Bytes) -> Bool {
        let client = waiter.client
        let began = clock
        let start = client.output.count
        let logged = propagator.position
        var isServed = false
        var failed = false
        expiredInCommand = 0
        keyspace.beginCommand()
        propagator.beginUnit()
        propagator.beginCommand()
        waiter.request.forEach { _, args, _ in
            do throws(CommandError) {
                switch waiter.wait.attempt {
                case .read(let attempt):
                    isServed = try attempt(
                        ReadContext(args: args, client: client, countsLookups: true), key)
                case .write(let attempt):
                    isServed = try attempt(
                        WriteContext(args: args, client: client), key)
                case .none: break
                }
            } catch {
                isServed = true
                failed = true
                client.output.truncate(to: start)
                client.reply.error(error)
                statistics.count(error: error.text)
            }
        }
        propagator.endUnit()
        clock = monotonicNanoseconds()
        waiter.nanoseconds &+= clock &- began
        if !isServed { return false }
        if propagator.position != logged { client.ackPosition = propagator.position }
        if holdsReads {
            waiter.request.forEach { command, args, _ in
                holdBack(client, command, args, hasWritten: propagator.position != logged)
            }
        }
        finishWaiting(waiter, start, failed: failed)
        return true
    }

    /// The reply stands in the output from `start` on; the client goes on with what it has sent meanwhile.
    private func finishWaiting(_ waiter: Waiter, _ start: Int, failed: Bool) {
        let client = waiter.client
        blocked.remove(waiter)
        waiter.request.forEach { command, args, _ in
            statistics.count(command.statistics, nanoseconds: waiter.nanoseconds, failed: failed)
            noteIfSlow(client, command, args, waiter.nanoseconds)
        }
        finish(client, start)
        client.transport?.scheduleFlush()
        client.transport?.scheduleResume()
    }

    /// Ends the waiting of those whose time is up.
    func endDueWaits() {
        if blocked.nextDeadline == .max { return }
        let now = monotonicNanoseconds()
        while let waiter = blocked.due(now) { timeOut(waiter) }
    }

    /// As if the time were up.
    func timeOut(_ waiter: Waiter) {
        let start = waiter.client.output.count
        waiter.wait.answerAtTimeout.write(to: waiter.client.reply)
        finishWaiting(waiter, start, failed: false)
    }

    /// Ends the waiting with an error.
    func abort(_ waiter: Waiter, _ error: CommandError) { answer(waiter, error) }

    /// Ends the waiting with an error, or OK.
    func answer(_ waiter: Waiter, _ error: CommandError?) {
        let start = waiter.client.output.count
        if let error {
            waiter.client.reply.error(error)
            statistics.count(error: error.text)
        } else {
            waiter.client.reply.ok()
        }
        finishWaiting(waiter, start, failed: error != nil)
    }

    /// The client's connection ends: nothing more is taken for it.
    func stopWaiting(_ client: Client) {
        if let waiter = client.waiter { blocked.remove(waiter) }
        pause.remove(client)
    }
}
