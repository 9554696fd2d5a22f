import Storage

/// OBJECT: how a value is kept.
enum ObjectCommands {
    static var table: [Command] {
        [
            .read(
                "encoding", 3, [], [.key(.ro, at: 2)], "2.2.3", "key", "Returns the internal encoding of a value.",
                encoding
            ).tips("nondeterministic_output"),
            .read(
                "freq", 3, [], [.key(.ro, at: 2)], "4.0.0", "key",
                "Returns the logarithmic access frequency of a key; needs an LFU policy.", freq
            ).tips("nondeterministic_output"),
            .read(
                "idletime", 3, [], [.key(.ro, at: 2)], "2.2.3", "key", "Returns the seconds since a key was last used.",
                idletime
            ).tips("nondeterministic_output"),
            .read(
                "refcount", 3, [], [.key(.ro, at: 2)], "2.2.3", "key", "Returns the number of references to a value.",
                refcount
            ).tips("nondeterministic_output"),
            .help("6.2.0"),
        ]
    }

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
        // Redis shares one object for each small integer, unless eviction wants to know when each was used, and answers this
        // for them; nothing is shared here.
        let isSmallInteger = entry.integer.map { (0..<10000).contains($0) } ?? false
        let isShared = isSmallInteger && (c.settings.maxMemory == 0 || !c.settings.maxMemoryPolicy.looksAtUse)
        c.reply.integer(isShared ? Int64(Int32.max) : 1)
    }
}
