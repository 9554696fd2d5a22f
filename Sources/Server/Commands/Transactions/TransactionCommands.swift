import Storage

enum TransactionCommands {
    static let table: [Command] = [
        Command(
            "multi", arity: 1, flags: [.noscript, .loading, .stale, .fast, .allowBusy], keys: .none,
            group: .transactions, since: "1.2.0", complexity: "O(1)",
            summary: "Begins a transaction: what follows is queued until EXEC.", .control(multi)),
        Command(
            "exec", arity: 1, flags: [.noscript, .loading, .stale, .skipSlowlog], keys: .none, group: .transactions,
            since: "1.2.0", complexity: "Depends on the commands queued",
            summary: "Executes what was queued, unless a watched key has changed.", .control(exec)),
        Command(
            "discard", arity: 1, flags: [.noscript, .loading, .stale, .fast, .allowBusy], keys: .none,
            group: .transactions, since: "2.0.0", complexity: "O(N) for N commands queued",
            summary: "Forgets what was queued and what is watched.", .control(discard)),
        Command(
            "watch", arity: -2, flags: [.noscript, .loading, .stale, .fast, .allowBusy], keys: .range(1, -1, 1),
            group: .transactions, since: "2.2.0", complexity: "O(1) for each key",
            summary: "Makes the next EXEC do nothing if a key is changed until then.", .control(watch)),
        Command(
            "unwatch", arity: 1, flags: [.noscript, .loading, .stale, .fast, .allowBusy], keys: .none,
            group: .transactions, since: "2.2.0", complexity: "O(1)",
            summary: "Forgets which keys are watched.", .control(unwatch)),
    ]

    private static func multi(_ c: ReadContext) throws(CommandError) {
        if c.client.flags.contains(.multi) { throw .nestedMulti }
        c.client.flags.insert(.multi)
        c.reply.ok()
    }

    private static func discard(_ c: ReadContext) throws(CommandError) {
        guard c.client.flags.contains(.multi) else { throw .discardWithoutMulti }
        c.server.discardTransaction(c.client)
        c.reply.ok()
    }

    private static func watch(_ c: ReadContext) throws(CommandError) {
        if c.client.flags.contains(.multi) { throw .watchInMulti }
        // What is known to fail needs no more watching.
        if !c.client.flags.contains(.dirtyWatch) {
            for i in 1..<c.args.count { c.server.watch(c.client, c.args[i]) }
        }
        c.reply.ok()
    }

    private static func unwatch(_ c: ReadContext) throws(CommandError) {
        c.server.unwatchAll(c.client)
        c.reply.ok()
    }

    private static func exec(_ c: ReadContext) throws(CommandError) {
        let client = c.client
        guard client.flags.contains(.multi) else { throw .execWithoutMulti }
        if client.flags.contains(.dirtyQueue) {
            c.server.discardTransaction(client)
            throw .execAborted
        }
        c.server.expireWatched(client)
        if client.flags.contains(.dirtyWatch) {
            c.server.discardTransaction(client)
            return c.reply.nullArray()
        }
        let transaction = client.transaction.takeQueue()
        c.server.discardTransaction(client)
        client.flags.insert(.denyBlocking)
        defer { client.flags.remove(.denyBlocking) }
        c.reply.array(transaction.queue.count)
        transaction.forEach { command, args, request in
            c.server.call(client, command, args, request: request)
        }
    }
}

extension Server {
    /// Ends a transaction without executing it, and forgets what is watched.
    func discardTransaction(_ client: Client) {
        client.transaction.removeQueue()
        client.flags.subtract([.multi, .dirtyQueue, .dirtyWatch])
        unwatchAll(client)
    }
}
