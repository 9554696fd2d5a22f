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
        if session.flags.contains(.dirtyWatch) || watchesTooMuch(session) {
            c.services.router.watchers.discardTransaction(session)
            return c.reply.nullArray()
        }
        let transaction = session.transaction.takeQueue()
        c.services.router.watchers.discardTransaction(session)
        session.flags.insert(.denyBlocking)
        defer { session.flags.remove(.denyBlocking) }
        c.reply.array(transaction.queue.count)
        transaction.forEach { command, args, request in
            if session.flags.contains(.restricted), isDenied(session, command, args, c.services.router) { return }
            c.services.router.call(session, command, args, request: request)
        }
    }

    /// Whether the user has lost a key since it was watched: whether that changed would show in what EXEC answers.
    private static func watchesTooMuch(_ session: Session) -> Bool {
        if !session.flags.contains(.restricted) { return false }
        return session.transaction.watched.contains { key in
            var mayKnow = true
            key.withBytes { mayKnow = session.mayKnow($0) }
            return !mayKnow
        }
    }

    /// Rights may have changed since the command was queued, even by one before it in this transaction.
    private static func isDenied(_ session: Session, _ command: CommandEntry, _ args: Arguments, _ router: Router)
        -> Bool
    {
        guard let denial = router.denial(session, command, args, .transaction) else { return false }
        let reason =
            switch denial {
            case .command: "no permission to execute the command or subcommand"
            case .key: "no permission to touch the specified keys"
            case .channel: "no permission to access one of the channels used as arguments to the command"
            case .database: "no permissions to access database"
            }
        let error = CommandError(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command "
                + "is no longer allowed for the following reason: \(reason)")
        session.reply.error(error)
        router.statistics.count(error: error.text)
        return true
    }
}
