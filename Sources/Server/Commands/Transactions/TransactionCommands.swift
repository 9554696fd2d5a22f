import Storage

enum TransactionCommands {
    static let table: [Command] = [
        Command(
            "multi", arity: 1, flags: [.noscript, .loading, .stale, .fast, .allowBusy], keys: .none,
            group: .transactions, since: "1.2.0", complexity: "O(1)",
            summary: "Begins a transaction: what follows is queued until EXEC.", .connection(multi)),
        Command(
            "exec", arity: 1, flags: [.noscript, .loading, .stale, .skipSlowlog], keys: .none, group: .transactions,
            since: "1.2.0", complexity: "Depends on the commands queued",
            summary: "Executes what was queued, unless a watched key has changed.", .connection(exec)),
        Command(
            "discard", arity: 1, flags: [.noscript, .loading, .stale, .fast, .allowBusy], keys: .none,
            group: .transactions, since: "2.0.0", complexity: "O(N) for N commands queued",
            summary: "Forgets what was queued and what is watched.", .connection(discard)),
        Command(
            "watch", arity: -2, flags: [.noscript, .loading, .stale, .fast, .allowBusy], keys: .range(1, -1, 1),
            group: .transactions, since: "2.2.0", complexity: "O(1) for each key",
            summary: "Makes the next EXEC do nothing if a key is changed until then.", .connection(watch)),
        Command(
            "unwatch", arity: 1, flags: [.noscript, .loading, .stale, .fast, .allowBusy], keys: .none,
            group: .transactions, since: "2.2.0", complexity: "O(1)",
            summary: "Forgets which keys are watched.", .connection(unwatch)),
    ]

    private static func multi(_ c: ConnectionContext) throws(CommandError) {
        if c.session.flags.contains(.multi) { throw .nestedMulti }
        c.session.flags.insert(.multi)
        c.reply.ok()
    }

    private static func discard(_ c: ConnectionContext) throws(CommandError) {
        guard c.session.flags.contains(.multi) else { throw .discardWithoutMulti }
        c.services.router.watchers.discardTransaction(c.session)
        c.reply.ok()
    }

    private static func watch(_ c: ConnectionContext) throws(CommandError) {
        if c.session.flags.contains(.multi) { throw .watchInMulti }
        // What is known to fail needs no more watching.
        if !c.session.flags.contains(.dirtyWatch) {
            let isLoading = c.services.guards.contains(.loading)
            for i in 1..<c.args.count { c.services.router.watchers.watch(c.session, c.args[i], isLoading: isLoading) }
        }
        c.reply.ok()
    }

    private static func unwatch(_ c: ConnectionContext) throws(CommandError) {
        c.services.router.watchers.unwatchAll(c.session)
        c.reply.ok()
    }

    private static func exec(_ c: ConnectionContext) throws(CommandError) {
        let session = c.session
        guard session.flags.contains(.multi) else { throw .execWithoutMulti }
        if session.flags.contains(.dirtyQueue) {
            c.services.router.watchers.discardTransaction(session)
            throw .execAborted
        }
        if !c.services.guards.contains(.loading) { c.services.router.watchers.expire(session) }
        if session.flags.contains(.dirtyWatch) {
            c.services.router.watchers.discardTransaction(session)
            return c.reply.nullArray()
        }
        let transaction = session.transaction.takeQueue()
        c.services.router.watchers.discardTransaction(session)
        session.flags.insert(.denyBlocking)
        defer { session.flags.remove(.denyBlocking) }
        c.reply.array(transaction.queue.count)
        transaction.forEach { command, args, request in
            c.services.router.call(session, command, args, request: request)
        }
    }
}
