import Storage

/// Strings as a whole. Counters, bits and LCS have files of their own.
enum StringCommands {
    static let table: [Command] = [
        Command(
            "get", arity: 2, flags: [.fast], group: .string, since: "1.0.0", complexity: "O(1)",
            summary: "Answers the string a key holds.", .read(get)),
        Command(
            "set", arity: -3, flags: [.denyoom], group: .string, since: "1.0.0", complexity: "O(1)",
            summary: "Makes a key hold a string, whatever it held; options add conditions and an expiry.", .write(set)),
        Command(
            "setnx", arity: 3, flags: [.denyoom, .fast], group: .string, since: "1.0.0", complexity: "O(1)",
            summary: "Sets a string where there is no such key yet.", .write(setnx)),
        Command(
            "setex", arity: 4, flags: [.denyoom], group: .string, since: "2.0.0", complexity: "O(1)",
            summary: "Sets a string that expires after some seconds.", .write(setex)),
        Command(
            "psetex", arity: 4, flags: [.denyoom], group: .string, since: "2.6.0", complexity: "O(1)",
            summary: "Sets a string that expires after some milliseconds.", .write(psetex)),
        Command(
            "getset", arity: 3, flags: [.denyoom, .fast], group: .string, since: "1.0.0", complexity: "O(1)",
            summary: "Sets a string and answers the one before.", .write(getset)),
        Command(
            "getdel", arity: 2, flags: [.fast], group: .string, since: "6.2.0", complexity: "O(1)",
            summary: "Answers a string and deletes its key.", .write(getdel)),
        Command(
            "getex", arity: -2, flags: [.fast], group: .string, since: "6.2.0", complexity: "O(1)",
            summary: "Answers a string, and changes or drops its expiry.", .write(getex)),
        Command(
            "append", arity: 3, flags: [.denyoom, .fast], group: .string, since: "2.0.0",
            complexity: "O(1) amortised, for short tails", summary: "Adds bytes to the end of a string.",
            .write(append)),
        Command(
            "strlen", arity: 2, flags: [.fast], group: .string, since: "2.2.0", complexity: "O(1)",
            summary: "How many bytes a string has.", .read(strlen)),
        Command(
            "setrange", arity: 4, flags: [.denyoom], group: .string, since: "2.2.0",
            complexity: "O(N) for N bytes written", summary: "Overwrites part of a string, filling a gap with zeros.",
            .write(setrange)),
        Command(
            "getrange", arity: 4, group: .string, since: "2.4.0",
            complexity: "O(N) for N bytes answered", summary: "Answers part of a string.", .read(getrange)),
        Command(
            "substr", arity: 4, group: .string, since: "1.0.0",
            complexity: "O(N) for N bytes answered", summary: "Answers part of a string, as GETRANGE.",
            .read(getrange)),
        Command(
            "mget", arity: -2, flags: [.fast], keys: .range(1, -1, 1), group: .string, since: "1.0.0",
            complexity: "O(N) for N keys", summary: "Answers the strings that several keys hold.", .read(mget)),
        Command(
            "mset", arity: -3, flags: [.denyoom], keys: .range(1, -1, 2), group: .string, since: "1.0.1",
            complexity: "O(N) for N keys", summary: "Sets several strings at once.", .write(mset)),
        Command(
            "msetnx", arity: -3, flags: [.denyoom], keys: .range(1, -1, 2), group: .string, since: "1.0.1",
            complexity: "O(N) for N keys", summary: "Sets several strings where none of their keys is there yet.",
            .write(msetnx)),
    ]

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
        let exists: Bool
        if options.words.contains(.get) {
            let old = try c.reading.stringOrRefuse(key)
            exists = old != nil
            if let old { c.reply.bulk(old) } else { c.reply.null() }
        } else {
            exists = c.db.find(key) != nil
        }
        if options.words.contains(.nx) && exists || options.words.contains(.xx) && !exists {
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

    /// The log and the replicas get an absolute time and no GET, whose reply nobody there would read.
    private static func propagate(_ c: WriteContext, _ options: StringOptions, _ when: Int64?) {
        if let when {
            if options.unit != .pxat { propagateSet(c, c.args[2], at: when) }
        } else if options.words.contains(.get) {
            var command: [Bytes] = []
            command.reserveCapacity(c.args.count)
            for i in 0..<c.args.count where i < 3 || !c.args[i].equals(ignoringCase: "get") {
                command.append(c.args[i])
            }
            c.propagate(command)
        }
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
            if when <= c.now {
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
