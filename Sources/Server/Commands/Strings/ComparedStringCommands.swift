import Storage

/// What Redis 8.4 and Valkey 9 have added for strings: deleting one if it is as expected, and several with one expiry.
enum ComparedStringCommands {
    static var table: [Command] {
        CommandGroup.string.rows([
            .write(
                "delex", -2, [.fast, .frees], [.key([.rw, .delete, .variableFlags])], "8.4.0",
                "key [condition(IFEQ ifeq-value|IFNE ifne-value)]",
                "Deletes a key, if a string there is, or is not, the one that is given.", delex
            ).findingKeys(delexKeys),
            .write(
                "delifeq", 3, [.fast, .frees], [.key(.rmDelete)], "8.4.0", "key value",
                "Deletes a key if it holds this string.", delifeq),
            .write(
                "msetex", -4, [.denyoom, .relativeTimes], [.counted(.owUpdate, step: 2)], "8.4.0",
                """
                numkeys:i data{key value}... [condition(NX|XX)] [expiration(EX seconds:i|PX milliseconds:i|\
                EXAT unix-time-seconds:t|PXAT unix-time-milliseconds:t|KEEPTTL)]
                """, "Sets several strings, and when they expire, in one step.", msetex
            ).complexity("O(N) for N keys").tips("request_policy:multi_shard response_policy:all_succeeded"),
        ])
    }

    // MARK: - DELEX, DELIFEQ

    /// The key; a condition makes DELEX read it.
    private static let delexKeys: KeyFinder = { args, body in
        body(1, args.count > 2 ? .rwAccessDelete : .rmDelete)
        return true
    }

    private static func delex(_ c: WriteContext) throws(CommandError) {
        if c.args.count == 2 { return remove(c, c.db.find(c.args[1]) != nil) }
        if c.args.count != 4 { throw .wrongArity("delex") }
        let wantsEqual = c.args[2].equals(ignoringCase: "ifeq")
        guard wantsEqual || c.args[2].equals(ignoringCase: "ifne") else { throw .syntax }
        let old = try c.string(c.args[1])
        remove(c, old.map { ($0 == c.args[3]) == wantsEqual } ?? false)
    }

    private static func delifeq(_ c: WriteContext) throws(CommandError) {
        let old = try c.string(c.args[1])
        remove(c, old.map { $0 == c.args[2] } ?? false)
    }

    /// Propagated as DEL, which all servers know.
    private static func remove(_ c: WriteContext, _ goes: Bool) {
        if goes {
            c.remove(c.args[1])
            c.propagate(Bytes("DEL"), c.args[1])
        }
        c.reply.integer(goes ? 1 : 0)
    }

    // MARK: - MSETEX

    private static func msetex(_ c: WriteContext) throws(CommandError) {
        guard let count = c.args[1].integer, (1...Int64(Int32.max)).contains(count) else {
            throw CommandError("ERR invalid numkeys value or out of range")
        }
        let end = 2 + 2 * Int(count)
        if end > c.args.count { throw .syntax }
        let options = try StringOptions(c.args, from: end, allowed: .msetex)
        let when = try options.expiry(c.args, now: c.now, command: "msetex")
        let keys = stride(from: 2, to: end, by: 2)
        for i in keys where !options.allows(nil, exists: c.db.find(c.args[i]) != nil, c.args) {
            return c.reply.integer(0)
        }
        let keeps = options.words.contains(.keepTTL)
        let change: ExpiryChange = if let when { .at(when) } else if keeps { .keep } else { .clear }
        for i in keys {
            c.db.setString(c.args[i], c.args[i + 1], expiry: change)
            c.changed(c.args[i], .string, "set")
            if when != nil { c.changed(c.args[i], .generic, "expire") }
        }
        c.reply.integer(1)
        propagate(c, keys, when, keeps)
    }

    /// As MSET, or as a SET for each key where there are expiries.
    private static func propagate(_ c: WriteContext, _ keys: StrideTo<Int>, _ when: Int64?, _ keeps: Bool) {
        if when == nil, !keeps {
            return c.propagate([Bytes("MSET")] + keys.flatMap { [c.args[$0], c.args[$0 + 1]] })
        }
        withDecimal(when ?? 0) { time in
            for i in keys {
                if keeps {
                    c.propagate(Bytes("SET"), c.args[i], c.args[i + 1], Bytes("KEEPTTL"))
                } else {
                    c.propagate(Bytes("SET"), c.args[i], c.args[i + 1], Bytes("PXAT"), time)
                }
            }
        }
    }
}
