import Storage

/// OBJECT: how a value is kept.
enum ObjectCommands {
    static let table: [Command] = [
        Command(
            "encoding", arity: 3, keys: .range(2, 2, 1), group: .generic, since: "2.2.3",
            complexity: "O(1)", summary: "How the value lies in memory.", .read(encoding)),
        Command(
            "freq", arity: 3, keys: .range(2, 2, 1), group: .generic, since: "4.0.0",
            complexity: "O(1)", summary: "How often the value is used, under an LFU policy.", .read(freq)),
        Command(
            "idletime", arity: 3, keys: .range(2, 2, 1), group: .generic, since: "2.2.3",
            complexity: "O(1)", summary: "Seconds since the value was last used.", .read(idletime)),
        Command(
            "refcount", arity: 3, keys: .range(2, 2, 1), group: .generic, since: "2.2.3",
            complexity: "O(1)", summary: "How many references to the value there are.", .read(refcount)),
        Command(
            "help", arity: 2, flags: [.loading, .stale], keys: .none, group: .generic, since: "6.2.0",
            complexity: "O(1)", summary: "Tells what the subcommands do.", .connection(help)),
    ]

    private static func encoding(_ c: ReadContext) throws(CommandError) {
        guard let entry = c.db.inspect(c.args[2]) else { return c.reply.null() }
        c.reply.bulk(Bytes(entry.encodingName))
    }

    private static func freq(_ c: ReadContext) throws(CommandError) {
        guard let entry = c.db.inspect(c.args[2]) else { return c.reply.null() }
        if c.db.accessTracking == .recency {
            throw wrongPolicy("An LFU maxmemory policy is not selected, access frequency not tracked.")
        }
        c.reply.integer(c.db.frequency(of: entry))
    }

    private static func idletime(_ c: ReadContext) throws(CommandError) {
        guard let entry = c.db.inspect(c.args[2]) else { return c.reply.null() }
        if c.db.accessTracking != .recency {
            throw wrongPolicy("An LFU maxmemory policy is selected, idle time not tracked.")
        }
        c.reply.integer(c.db.idleSeconds(of: entry))
    }

    private static func wrongPolicy(_ text: String) -> CommandError {
        CommandError(
            "ERR \(text) Please note that when switching between policies at runtime LRU and LFU data will take some "
                + "time to adjust.")
    }

    private static func refcount(_ c: ReadContext) throws(CommandError) {
        guard let entry = c.db.inspect(c.args[2]) else { return c.reply.null() }
        // Redis shares one object for each small integer, and answers this for them; nothing is shared here.
        let isSmallInteger = entry.integer.map { (0..<10000).contains($0) } ?? false
        c.reply.integer(isSmallInteger ? Int64(Int32.max) : 1)
    }

    private static func help(_ c: ConnectionContext) throws(CommandError) {
        c.reply.help(
            "OBJECT",
            [
                "ENCODING <key>", "    How the value of <key> lies in memory.", "FREQ <key>",
                "    How often <key> is used, on a logarithmic scale. Needs an LFU policy.", "IDLETIME <key>",
                "    Seconds since <key> was last used.", "REFCOUNT <key>",
                "    How many references to the value of <key> there are.",
            ])
    }
}
