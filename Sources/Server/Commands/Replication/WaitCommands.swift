import Storage

/// WAIT and WAITAOF: until what the client wrote is elsewhere, or on disk.
enum WaitCommands {
    static var table: [Command] {
        CommandGroup.generic.rows([
            .connection(
                "wait", 3, [.noscript, .callableByScripts], "3.0.0", "numreplicas:i timeout:i",
                "Waits until replicas have received the connection's writes.", wait
            ).tips("request_policy:all_shards response_policy:agg_min").categories(.connection, only: true),
            .connection(
                "waitaof", 4, [.noscript, .callableByScripts], "7.2.0", "numlocal:i numreplicas:i timeout:i",
                "Waits until the connection's writes are on disk, here and on replicas.", waitaof
            ).categories(.connection, only: true),
        ])
    }

    /// In milliseconds; 0: for ever.
    private static func timeout(_ text: Bytes) throws(CommandError) -> Int64 {
        guard let timeout = text.integer else {
            throw CommandError("ERR timeout is not an integer or out of range")
        }
        if timeout < 0 { throw CommandError("ERR timeout is negative") }
        // As Redis 7.2; 7.0 adds it to the time in ms since 1970, and waits for ever.
        if timeout > .max - wallClockMilliseconds() { throw .timeoutOutOfRange }
        return timeout
    }

    /// Answers at how many replicas the client's writes are, when these are enough or the time is up.
    private static func wait(_ c: ConnectionContext) throws(CommandError) {
        try refuseOnReplica(c, "WAIT")
        let wanted = try c.args.integer(1)
        let timeout = try timeout(c.args[2])
        let replicas = c.services.replication.replicas
        let offset = c.session.ackOffset
        let answer = EmptyReply.written { $0.integer(replicas.count(reaching: offset, synced: false)) }
        let goal = AckWaiters.Goal(offset: offset, replicas: Int(clamping: wanted))
        begin(c, goal, answer, timeout)
    }

    /// Answers whether what this client wrote is on disk here, and on how many replicas' disks.
    private static func waitaof(_ c: ConnectionContext) throws(CommandError) {
        let local = try c.args.integer(1, in: 0...1)
        let wanted = try c.args.integer(2)
        if wanted < 0 { throw .mustBePositive }
        let timeout = try timeout(c.args[3])
        try refuseOnReplica(c, "WAITAOF")
        let persistence = c.services.persistence
        if local > 0 && !persistence.keepsLog { throw .waitsForNoLog }
        let replicas = c.services.replication.replicas
        let offset = c.session.ackOffset
        let answer = EmptyReply.written { reply in
            reply.array(2)
            reply.integer(persistence.isSynced(offset) ? 1 : 0)
            reply.integer(replicas.count(reaching: offset, synced: true))
        }
        begin(
            c,
            AckWaiters.Goal(
                offset: offset, replicas: Int(clamping: wanted), countsSynced: true, isLocal: local > 0),
            answer, timeout)
    }

    private static func begin(_ c: ConnectionContext, _ goal: AckWaiters.Goal, _ answer: EmptyReply, _ timeout: Int64) {
        let replicas = c.services.replication.replicas
        if replicas.isReached(goal) { return answer.write(to: c.reply) }
        c.wait(for: 0..<0, orAnswer: answer, Wait(timeout: timeout, answerAtTimeout: answer, attempt: .none))
        guard let waiter = c.session.waiter else { return }
        replicas.waiters.append(waiter, goal)
        if goal.replicas > 0 { replicas.wantsAcks = true }
    }

    private static func refuseOnReplica(_ c: ConnectionContext, _ name: String) throws(CommandError) {
        if !c.services.replication.isReplica { return }
        throw CommandError(
            "ERR \(name) cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is "
                + "configured to be writable (which is not the default) writes to replicas are just local and are not "
                + "propagated.")
    }
}
