import Storage

enum TransactionCommands {
    static var table: [Command] {
        CommandGroup.transactions.rows(
            [.noscript, .loading, .stale],
            [
                .connection(
                    "multi", 1, [.fast, .allowBusy, .unqueued, .beginsTransaction], "1.2.0", "",
                    "Begins a transaction.", multi),
                .connection(
                    "exec", 1, [.skipSlowlog, .unqueued, .runsTransaction, .leavesTransaction], "1.2.0", "",
                    "Executes the commands of a transaction.", exec
                ).complexity("Depends on the commands queued"),
                .connection(
                    "discard", 1, [.fast, .allowBusy, .unqueued, .leavesTransaction], "2.0.0", "",
                    "Discards a transaction.", discard
                ).complexity("O(N) for N commands queued"),
                .connection(
                    "watch", -2, [.fast, .allowBusy, .unqueued], "2.2.0", "key...",
                    "Watches keys: if one changes, the next transaction is not executed.", watch
                ).keys([.keys(.ro)]).complexity("O(1) for each key"),
                .connection("unwatch", 1, [.fast, .allowBusy], "2.2.0", "", "Stops watching all keys.", unwatch),
            ])
    }

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
