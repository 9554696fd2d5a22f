import Storage

/// Strings as a whole. Counters, bits and LCS have files of their own.
enum StringCommands {
    static var table: [Command] {
        CommandGroup.string.rows([
            .read("get", 2, .fast, [.key(.roAccess)], "1.0.0", "key", "Returns the string at a key.", get),
            .write(
                "set", -3, [.denyoom, .relativeTimes],
                [
                    .key(
                        [.rwAccessUpdate, .variableFlags],
                        note: "RW and access because of `GET`, `IFEQ` and `IFNE`, which look at the previous value.")
                ], "1.0.0",
                """
                key value [condition(NX|XX|IFEQ ifeq-value@8.4.0|IFNE ifne-value@8.4.0)@2.6.12] [GET@6.2.0] [expiration(EX seconds:i@2.6.12|\
                PX milliseconds:i@2.6.12|EXAT unix-time-seconds:t@6.2.0|\
                PXAT unix-time-milliseconds:t@6.2.0|KEEPTTL@6.0.0)]
                """, "Sets the string at a key, replacing a value of any type.", set
            ).history(
                ("2.6.12", "Accepts `EX`, `PX`, `NX` and `XX`."), ("6.0.0", "Accepts `KEEPTTL`."),
                ("6.2.0", "Accepts `GET`, `EXAT` and `PXAT`."), ("7.0.0", "Allows `GET` with `NX`."),
                ("8.4.0", "Accepts `IFEQ` and `IFNE`.")
            ).findingKeys(setKeys),
            .write(
                "setnx", 3, [.denyoom, .fast], [.key(.owInsert)], "1.0.0", "key value",
                "Sets the string at a key that does not exist.", setnx),
            .write(
                "setex", 4, [.denyoom, .relativeTimes], [.key(.owUpdate)], "2.0.0", "key seconds:i value",
                "Sets a string that expires after some seconds.", setex),
            .write(
                "psetex", 4, [.denyoom, .relativeTimes], [.key(.owUpdate)], "2.6.0", "key milliseconds:i value",
                "Sets a string that expires after some milliseconds.", psetex),
            .write(
                "getset", 3, [.denyoom, .fast], [.key(.rwAccessUpdate)], "1.0.0", "key value",
                "Sets the string at a key and returns the previous one.", getset
            ).deprecated("6.2.0", "`SET` with `GET`"),
            .write(
                "getdel", 2, .fast, [.key(.rwAccessDelete)], "6.2.0", "key",
                "Returns the string at a key and deletes the key.", getdel),
            .write(
                "getex", -2, [.fast, .relativeTimes],
                [.key(.rwAccessUpdate, note: "RW and update because the expiry may change.")],
                "6.2.0",
                """
                key [expiration(EX seconds:i|PX milliseconds:i|EXAT unix-time-seconds:t|\
                PXAT unix-time-milliseconds:t|PERSIST)]
                """, "Returns the string at a key, and sets or removes its expiry.", getex),
            .write(
                "append", 3, [.denyoom, .fast], [.key(.rwInsert)], "2.0.0", "key value",
                "Appends bytes to a string; a missing key counts as empty.", append
            ).complexity("O(1) amortised, for short tails"),
            .read("strlen", 2, .fast, [.key(.ro)], "2.2.0", "key", "Returns the length of a string in bytes.", strlen),
            .write(
                "setrange", 4, .denyoom, [.key(.rwUpdate)], "2.2.0", "key offset:i value",
                "Overwrites part of a string; a gap is filled with zero bytes.", setrange
            ).complexity("O(N) for N bytes written"),
            .read(
                "getrange", 4, [], [.key(.roAccess)], "2.4.0", "key start:i end:i", "Returns part of a string.",
                getrange
            ).complexity("O(N) for N bytes returned"),
            .read(
                "substr", 4, [], [.key(.roAccess)], "1.0.0", "key start:i end:i",
                "Returns part of a string, as GETRANGE does.", getrange
            ).complexity("O(N) for N bytes returned").deprecated("2.0.0", "`GETRANGE`"),
            .read(
                "mget", -2, .fast, [.keys(.roAccess)], "1.0.0", "key...", "Returns the strings at several keys.", mget
            ).complexity("O(N) for N keys").tips("request_policy:multi_shard"),
            .write(
                "mset", -3, .denyoom, [.keys(.owUpdate, step: 2)], "1.0.1", "key_value{key value}...",
                "Sets several strings in one step.", mset
            ).complexity("O(N) for N keys").tips("request_policy:multi_shard response_policy:all_succeeded"),
            .write(
                "msetnx", -3, .denyoom, [.keys(.owInsert, step: 2)], "1.0.1", "key_value{key value}...",
                "Sets several strings in one step, unless one of the keys exists.", msetnx
            ).complexity("O(N) for N keys").tips("request_policy:multi_shard response_policy:agg_min"),
        ])
    }

    /// The key; GET and comparisons make SET read it.
    private static let setKeys: KeyFinder = { args, body in
        let reads =
            args.count > 3
            && (3..<args.count).contains {
                args[$0].equals(ignoringCase: "get") || args[$0].equals(ignoringCase: "ifeq")
                    || args[$0].equals(ignoringCase: "ifne")
            }
        body(1, reads ? .rwAccessUpdate : .owUpdate)
        return true
    }

    // MARK: - The hot path: no allocation, no String

    private static func get(_ c: ReadContext) throws(CommandError) {
        if let value = try c.string(c.args[1]) { c.reply.bulk(value) } else { c.reply.null() }
    }

    private static func set(_ c: WriteContext) throws(CommandError) {
        if c.args.count > 3 { return try setWithOptions(c) }
        c.db.setString(c.args[1], c.args[2], expiry: .clear)
        c.changed(c.args[1], .string, "set")
        c.reply.ok()
    }

    // MARK: - Setting

    @inline(never) private static func setWithOptions(_ c: WriteContext) throws(CommandError) {
        let options = try StringOptions(c.args, from: 3, allowed: .set)
        let key = c.args[1]
        let when = try options.expiry(c.args, now: c.now, command: "set")
        var old: Bytes?
        let exists: Bool
        if options.words.contains(.get) {
            old = try c.reading.stringOrRefuse(key)
            exists = old != nil
            if let old { c.reply.bulk(old) } else { c.reply.null() }
        } else if options.comparison != nil {
            old = try c.string(key)
            exists = old != nil
        } else {
            exists = c.db.find(key) != nil
        }
        guard options.allows(old, exists: exists, c.args) else {
            if !options.words.contains(.get) { c.reply.null() }
            return
        }
        let change: ExpiryChange =
            if let when { .at(when) } else if options.words.contains(.keepTTL) { .keep } else { .clear }
        c.db.setString(key, c.args[2], expiry: change)
        c.changed(key, .string, "set")
        if when != nil { c.changed(key, .generic, "expire") }
        if !options.words.contains(.get) { c.reply.ok() }
        propagate(c, options, when)
    }

    /// The log and the replicas get an absolute time, no GET, whose reply nobody there would read, and no comparison, which
    /// has been made and which older servers do not know.
    private static func propagate(_ c: WriteContext, _ options: StringOptions, _ when: Int64?) {
        if let when {
            if options.unit != .pxat || options.comparison != nil { propagateSet(c, c.args[2], at: when) }
        } else if let comparison = options.comparison {
            propagateArguments(c) { $0 != comparison - 1 && $0 != comparison }
        } else if options.words.contains(.get) {
            propagateArguments(c) { _ in true }
        }
    }
    /// The command without GET, and with those of its options that are `kept`.
    private static func propagateArguments(_ c: WriteContext, _ kept: (Int) -> Bool) {
        var command: [Bytes] = []
        command.reserveCapacity(c.args.count)
        for i in 0..<c.args.count where i < 3 || kept(i) && !c.args[i].equals(ignoringCase: "get") {
            command.append(c.args[i])
        }
        c.propagate(command)
    }
    private static func propagateSet(_ c: WriteContext, _ value: Bytes, at when: Int64) {
        withDecimal(when) { c.propagate(Bytes("SET"), c.args[1], value, Bytes("PXAT"), $0) }
    }

    private static func setnx(_ c: WriteContext) throws(CommandError) {
        if c.db.find(c.args[1]) != nil { return c.reply.integer(0) }
        c.db.setString(c.args[1], c.args[2], expiry: .clear)
        c.changed(c.args[1], .string, "set")
        c.reply.integer(1)
    }

    private static func setex(_ c: WriteContext) throws(CommandError) {
        try set(c, expiring: .ex, command: "setex")
    }
    private static func psetex(_ c: WriteContext) throws(CommandError) {
        try set(c, expiring: .px, command: "psetex")
    }
    private static func set(
        _ c: WriteContext, expiring unit: ExpiryUnit, command: StaticString
    ) throws(CommandError) {
        let when = try unit.absolute(c.args.integer(2), now: c.now, positive: true, command: command)
        c.db.setString(c.args[1], c.args[3], expiry: .at(when))
        c.changed(c.args[1], .string, "set")
        c.changed(c.args[1], .generic, "expire")
        c.reply.ok()
        propagateSet(c, c.args[3], at: when)
    }

    private static func mset(_ c: WriteContext) throws(CommandError) {
        if c.args.count % 2 == 0 { throw .wrongArity("mset") }
        setAll(c)
        c.reply.ok()
    }

    private static func msetnx(_ c: WriteContext) throws(CommandError) {
        if c.args.count % 2 == 0 { throw .wrongArity("msetnx") }
        for i in stride(from: 1, to: c.args.count, by: 2) where c.db.find(c.args[i]) != nil {
            return c.reply.integer(0)
        }
        setAll(c)
        c.reply.integer(1)
    }
    private static func setAll(_ c: WriteContext) {
        for i in stride(from: 1, to: c.args.count - 1, by: 2) {
            c.db.setString(c.args[i], c.args[i + 1], expiry: .clear)
            c.changed(c.args[i], .string, "set")
        }
    }

    // MARK: - Getting and changing

    private static func getset(_ c: WriteContext) throws(CommandError) {
        if let old = try c.reading.stringOrRefuse(c.args[1]) { c.reply.bulk(old) } else { c.reply.null() }
        c.db.setString(c.args[1], c.args[2], expiry: .clear)
        c.changed(c.args[1], .string, "set")
        c.propagate(Bytes("SET"), c.args[1], c.args[2])
    }

    private static func getdel(_ c: WriteContext) throws(CommandError) {
        guard let value = try c.reading.stringOrRefuse(c.args[1]) else { return c.reply.null() }
        c.reply.bulk(value)
        c.remove(c.args[1])
        c.propagate(Bytes("DEL"), c.args[1])
    }

    private static func getex(_ c: WriteContext) throws(CommandError) {
        let options = try StringOptions(c.args, from: 2, allowed: .getex)
        let key = c.args[1]
        guard let value = try c.reading.stringOrRefuse(key) else { return c.reply.null() }
        let when = try options.expiry(c.args, now: c.now, command: "getex")
        c.reply.bulk(value)
        if let when {
            if c.isDue(when) {
                c.removeAsExpired(key)
            } else {
                c.db.setExpiry(when, of: key)
                c.changed(key, .generic, "expire")
                withDecimal(when) { c.propagate(Bytes("PEXPIREAT"), key, $0) }
            }
        } else if options.words.contains(.persist), let entry = c.db.find(key), c.db.expiry(of: entry) != nil {
            c.db.setExpiry(nil, of: key)
            c.changed(key, .generic, "persist")
            c.propagate(Bytes("PERSIST"), key)
        }
    }

    private static func append(_ c: WriteContext) throws(CommandError) {
        let length = try c.string(c.args[1])?.count ?? 0
        try checkLength(c, length, c.args[2].count)
        c.reply.integer(Int64(c.db.append(c.args[1], c.args[2])))
        c.changed(c.args[1], .string, "append")
    }

    private static func setrange(_ c: WriteContext) throws(CommandError) {
        let offset = try c.args.integer(2)
        if offset < 0 { throw CommandError("ERR offset is out of range") }
        let length = try c.string(c.args[1])?.count ?? 0
        if c.args[3].isEmpty { return c.reply.integer(Int64(length)) }
        try checkLength(c, Int(offset), c.args[3].count)
        c.reply.integer(Int64(c.db.setRange(c.args[1], Int(offset), c.args[3])))
        c.changed(c.args[1], .string, "setrange")
    }

    /// What a string may grow to is what a client could send in one piece.
    private static func checkLength(_ c: WriteContext, _ length: Int, _ more: Int) throws(CommandError) {
        let (sum, overflow) = length.addingReportingOverflow(more)
        if overflow || sum > c.maximumBulkLength {
            throw .stringTooLong
        }
    }

    // MARK: - Reading

    private static func strlen(_ c: ReadContext) throws(CommandError) {
        c.reply.integer(Int64(try c.string(c.args[1])?.count ?? 0))
    }

    private static func getrange(_ c: ReadContext) throws(CommandError) {
        let start = try c.args.integer(2)
        let end = try c.args.integer(3)
        guard let value = try c.string(c.args[1]) else { return c.reply.bulk(Bytes()) }
        // From behind the end to before it: empty, though both would be moved to the first byte.
        if start < 0 && end < 0 && start > end { return c.reply.bulk(Bytes()) }
        c.reply.bulk(value[indexRange(start, end, count: value.count)])
    }

    private static func mget(_ c: ReadContext) throws(CommandError) {
        c.reply.array(c.args.count - 1)
        for i in 1..<c.args.count {
            if let value = try? c.string(c.args[i]) { c.reply.bulk(value) } else { c.reply.null() }
        }
    }
}
