import Storage

/// Values of fields together with when they expire, or with their end: HGETEX, HSETEX, HGETDEL. Replies, errors and events
/// are those of Redis 8; what is propagated are commands that older servers know, as far as there are any.
enum HashExpiringValueCommands {
    static var table: [Command] {
        CommandGroup.hash.rows(
            .fast,
            [
                .write(
                    "hgetex", -5, .relativeTimes,
                    [.key(.rwAccessUpdate, note: "RW and update because expiries may change.")], "8.0.0",
                    """
                    key [expiration(EX seconds:i|PX milliseconds:i|EXAT unix-time-seconds:t|\
                    PXAT unix-time-milliseconds:t|PERSIST)] FIELDS fields{numfields:i field...}
                    """, "Returns the values of fields, and sets or removes their expiry.", hgetex
                ).complexity("O(N) for N fields"),
                .write(
                    "hsetex", -6, [.denyoom, .relativeTimes], [.key(.rwUpdate)], "8.0.0",
                    """
                    key [condition(FNX|FXX)] [expiration(EX seconds:i|PX milliseconds:i|EXAT unix-time-seconds:t|\
                    PXAT unix-time-milliseconds:t|KEEPTTL)] FIELDS fields{numfields:i data{field value}...}
                    """, "Sets fields of a hash, and when they expire.", hsetex
                ).complexity("O(N) for N fields"),
                .write(
                    "hgetdel", -5, .frees, [.key(.rwAccessDelete)], "8.0.0",
                    "key FIELDS fields{numfields:i field...}", "Returns the values of fields and removes them.", hgetdel
                ).complexity("O(N) for N fields"),
            ])
    }

    private static let notPositive = CommandError("ERR Number of fields must be a positive integer")

    private static func writeValue(_ value: Bytes?, _ reply: ReplyWriter) {
        if let value { reply.bulk(value) } else { reply.null() }
    }

    private static func propagate(_ c: WriteContext, _ command: StaticString, _ fields: [Bytes]) {
        if !fields.isEmpty { c.propagate([Bytes(command), c.args[1]] + fields) }
    }

    // MARK: - HGETEX

    private static func hgetex(_ c: WriteContext) throws(CommandError) {
        let key = c.args[1]
        _ = try c.hash(key)
        let persists = c.args[2].equals(ignoringCase: "persist")
        let unit = ExpiryUnit(c.args[2])
        let when = try unit.map { unit throws(CommandError) in try HashExpiryCommands.time(c, 3, unit, "hgetex") }
        let fields = try HashExpiryCommands.fields(
            c.args, at: unit != nil ? 4 : persists ? 3 : 2, notPositive: notPositive)
        guard let hash = c.reading.counted(try c.editHash(key, create: false, fields: fields), key) else {
            c.reply.array(fields.count)
            for _ in fields { c.reply.null() }
            return
        }
        c.reply.array(fields.count)
        let isPast = when.map(c.isDue) ?? false
        var changed: [Bytes] = []
        for i in fields {
            let value = hash.view.get(c.args[i])
            writeValue(value, c.reply)
            if value == nil { continue }
            if isPast {
                hash.remove(c.args[i])
                changed.append(c.args[i])
            } else if let when {
                hash.setExpiry(of: c.args[i], when)
                changed.append(c.args[i])
            } else if persists, hash.view.expiry(of: c.args[i]) != nil {
                hash.setExpiry(of: c.args[i], nil)
                changed.append(c.args[i])
            }
        }
        if changed.isEmpty { return }
        c.count(as: changed.count)
        c.changed(key, .hash, isPast ? "hdel" : persists ? "hpersist" : "hexpire")
        c.removeIfEmpty(hash.entry)
        if isPast { return propagate(c, "HDEL", changed) }
        guard let when else { return HashExpiryCommands.propagate(c, "HPERSIST", nil, changed) }
        HashExpiryCommands.propagate(c, "HPEXPIREAT", when, changed)
    }

    // MARK: - HSETEX

    /// What stands between the key and the fields.
    private struct Options {
        enum Condition {
            case none, allMissing, allThere

            init?(_ word: Bytes) {
                if word.equals(ignoringCase: "fnx") {
                    self = .allMissing
                } else if word.equals(ignoringCase: "fxx") {
                    self = .allThere
                } else {
                    return nil
                }
            }
        }
        var condition = Condition.none
        var keepsExpiry = false
        var when: Int64?
        /// The first field.
        var first = 0

        init(_ c: WriteContext) throws(CommandError) {
            let args = c.args
            var i = 2
            while i < args.count {
                if args[i].equals(ignoringCase: "fields") {
                    guard i + 1 < args.count else { throw .wrongArity("hsetex") }
                    guard let count = args[i + 1].integer, (1...Int64(Int32.max)).contains(count) else {
                        throw CommandError("ERR invalid number of fields")
                    }
                    guard count * 2 == Int64(args.count - i - 2) else { throw .wrongArity("hsetex") }
                    first = i + 2
                    return
                }
                if let found = Condition(args[i]) {
                    if condition != .none {
                        throw CommandError("ERR Only one of FXX or FNX arguments can be specified")
                    }
                    condition = found
                } else if ExpiryUnit(args[i]) != nil || args[i].equals(ignoringCase: "keepttl") {
                    if when != nil || keepsExpiry {
                        throw CommandError(
                            "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified")
                    }
                    if let unit = ExpiryUnit(args[i]) {
                        i += 1
                        if i == args.count { throw .wrongArity("hsetex") }
                        when = try HashExpiryCommands.time(c, i, unit, "hsetex")
                    } else {
                        keepsExpiry = true
                    }
                } else {
                    throw CommandError(parts: Bytes("ERR unknown argument: "), args[i])
                }
                i += 1
            }
            throw .wrongArity("hsetex")
        }
    }

    private static func hsetex(_ c: WriteContext) throws(CommandError) {
        let options = try Options(c)
        let (key, when) = (c.args[1], options.when)
        let fields = stride(from: options.first, to: c.args.count, by: 2)
        let isThere = try c.editHash(key, create: false, fields: fields).map { hash in
            fields.map { hash.view.contains(c.args[$0]) }
        }
        switch options.condition {
        case .none: break
        case .allMissing: if isThere?.contains(true) == true { return c.reply.integer(0) }
        case .allThere: if isThere?.contains(false) != false { return c.reply.integer(0) }
        }
        guard let hash = try c.editHash(key, create: true) else { return }
        c.changed(key, .hash, "hset")
        if let when, c.isDue(when) {
            removeAll(c, hash, fields)
        } else {
            setAll(c, hash, fields, when, keepsExpiry: options.keepsExpiry)
            if when != nil { c.changed(key, .hash, "hexpire") }
        }
        c.count(as: (c.args.count - options.first) / 2)
        c.reply.integer(1)
    }

    /// Those that are not there count as set, and gone at once.
    private static func removeAll(_ c: WriteContext, _ hash: HashEditor, _ fields: StrideTo<Int>) {
        var removed: [Bytes] = []
        for i in fields where hash.remove(c.args[i]) { removed.append(c.args[i]) }
        c.changed(c.args[1], .hash, "hdel")
        c.removeIfEmpty(hash.entry)
        if removed.isEmpty { c.propagateNothing() } else { propagate(c, "HDEL", removed) }
    }

    /// Propagated as HSET, which takes expiries away, and HPEXPIREAT for those that there are then.
    private static func setAll(
        _ c: WriteContext, _ hash: HashEditor, _ fields: StrideTo<Int>, _ when: Int64?, keepsExpiry: Bool
    ) {
        var expiring: [Int64: [Bytes]] = [:]
        for i in fields {
            if keepsExpiry, let old = hash.view.expiry(of: c.args[i]) { expiring[old, default: []].append(c.args[i]) }
            hash.set(c.args[i], c.args[i + 1], keepingExpiry: keepsExpiry)
            if let when { hash.setExpiry(of: c.args[i], when) }
        }
        if let when { expiring[when] = fields.map { c.args[$0] } }
        propagate(c, "HSET", fields.flatMap { [c.args[$0], c.args[$0 + 1]] })
        for (when, fields) in expiring.sorted(by: { $0.key < $1.key }) {
            HashExpiryCommands.propagate(c, "HPEXPIREAT", when, fields)
        }
    }

    // MARK: - HGETDEL

    private static func hgetdel(_ c: WriteContext) throws(CommandError) {
        _ = try c.hash(c.args[1])
        let fields = try HashExpiryCommands.fields(c.args, at: 2, notPositive: notPositive)
        let hash = try c.editHash(c.args[1], create: false, fields: fields)
        c.reply.array(fields.count)
        guard let hash else {
            for _ in fields { c.reply.null() }
            return
        }
        var removed: [Bytes] = []
        for i in fields {
            writeValue(hash.view.get(c.args[i]), c.reply)
            if hash.remove(c.args[i]) { removed.append(c.args[i]) }
        }
        if removed.isEmpty { return }
        c.count(as: removed.count)
        c.changed(c.args[1], .hash, "hdel")
        c.removeIfEmpty(hash.entry)
        propagate(c, "HDEL", removed)
    }
}
