import Storage

/// When fields of hashes expire, as Redis 7.4 documents it.
enum HashExpiryCommands {
    static var table: [Command] {
        CommandGroup.hash.rows(
            .fast,
            [
                .write(
                    "hexpire", -6, [.denyoom, .relativeTimes], [.key(.rwUpdate)], "7.4.0",
                    "key seconds:i [condition(NX|XX|GT|LT)] FIELDS fields{numfields:i field...}",
                    "Sets the expiry of fields in seconds from now.", hexpire
                ).complexity("O(N*log(N)) for N fields"),
                .write(
                    "hpexpire", -6, [.denyoom, .relativeTimes], [.key(.rwUpdate)], "7.4.0",
                    "key milliseconds:i [condition(NX|XX|GT|LT)] FIELDS fields{numfields:i field...}",
                    "Sets the expiry of fields in milliseconds from now.", hpexpire
                ).complexity("O(N*log(N)) for N fields"),
                .write(
                    "hexpireat", -6, .denyoom, [.key(.rwUpdate)], "7.4.0",
                    "key unix-time-seconds:t [condition(NX|XX|GT|LT)] FIELDS fields{numfields:i field...}",
                    "Sets the expiry of fields as a Unix time in seconds.", hexpireat
                ).complexity("O(N*log(N)) for N fields"),
                .write(
                    "hpexpireat", -6, .denyoom, [.key(.rwUpdate)], "7.4.0",
                    "key unix-time-milliseconds:t [condition(NX|XX|GT|LT)] FIELDS fields{numfields:i field...}",
                    "Sets the expiry of fields as a Unix time in milliseconds.", hpexpireat
                ).complexity("O(N*log(N)) for N fields"),
                .write(
                    "hpersist", -5, [], [.key(.rwUpdate)], "7.4.0", "key FIELDS fields{numfields:i field...}",
                    "Removes the expiry of fields.", hpersist
                ).complexity("O(N*log(N)) for N fields"),
                .read(
                    "httl", -5, [], [.key(.roAccess)], "7.4.0", "key FIELDS fields{numfields:i field...}",
                    "Returns the seconds until fields expire.", httl
                ).complexity("O(N) for N fields"),
                .read(
                    "hpttl", -5, [], [.key(.roAccess)], "7.4.0", "key FIELDS fields{numfields:i field...}",
                    "Returns the milliseconds until fields expire.", hpttl
                ).complexity("O(N) for N fields"),
                .read(
                    "hexpiretime", -5, [], [.key(.roAccess)], "7.4.0", "key FIELDS fields{numfields:i field...}",
                    "Returns the Unix times in seconds at which fields expire.", hexpiretime
                ).complexity("O(N) for N fields"),
                .read(
                    "hpexpiretime", -5, [], [.key(.roAccess)], "7.4.0", "key FIELDS fields{numfields:i field...}",
                    "Returns the Unix times in milliseconds at which fields expire.", hpexpiretime
                ).complexity("O(N) for N fields"),
            ])
    }

    /// What the commands answer for a field.
    private enum Answer {
        static let noField: Int64 = -2
        static let noExpiry: Int64 = -1
        static let refused: Int64 = 0
        static let done: Int64 = 1
        /// The time is not in the future.
        static let removed: Int64 = 2
    }

    /// The latest time that a field can expire at: some two thousand years from now.
    private static let maximumTime: Int64 = 0xffff_ffff_fffe >> 2

    private static let notPositive = CommandError("ERR Parameter `numFields` should be greater than 0")

    /// The fields behind `FIELDS numfields`, which stands at `index`.
    static func fields(
        _ args: Arguments, at index: Int, notPositive: CommandError = notPositive
    ) throws(CommandError) -> Range<Int> {
        guard args[index].equals(ignoringCase: "fields") else {
            throw CommandError("ERR Mandatory argument FIELDS is missing or not at the right position")
        }
        guard index + 1 < args.count, let count = args[index + 1].integer, count > 0 else {
            throw notPositive
        }
        guard count == Int64(args.count - index - 2) else {
            throw CommandError("ERR The `numfields` parameter must match the number of arguments")
        }
        return index + 2..<args.count
    }

    /// The time at `index` in ms since 1970.
    static func time(
        _ c: WriteContext, _ index: Int, _ unit: ExpiryUnit, _ command: StaticString
    ) throws(CommandError) -> Int64 {
        let time = try c.args.integer(index)
        if time < 0 { throw CommandError("ERR invalid expire time, must be >= 0") }
        let when = try unit.absolute(time, now: c.now, positive: false, command: command)
        if when > maximumTime { throw CommandError("ERR invalid expire time in '\(command)' command") }
        return when
    }

    // MARK: - Setting

    private enum Condition {
        case nx, xx, gt, lt

        init?(_ word: Bytes) {
            if word.equals(ignoringCase: "nx") {
                self = .nx
            } else if word.equals(ignoringCase: "xx") {
                self = .xx
            } else if word.equals(ignoringCase: "gt") {
                self = .gt
            } else if word.equals(ignoringCase: "lt") {
                self = .lt
            } else {
                return nil
            }
        }

        /// A field that does not expire counts as one that does so at the end of time.
        func allows(_ new: Int64, insteadOf old: Int64?) -> Bool {
            switch self {
            case .nx: old == nil
            case .xx: old != nil
            case .gt: old.map { new > $0 } ?? false
            case .lt: old.map { new < $0 } ?? true
            }
        }
    }

    private static func hexpire(_ c: WriteContext) throws(CommandError) { try expire(c, .ex, "hexpire") }
    private static func hpexpire(_ c: WriteContext) throws(CommandError) { try expire(c, .px, "hpexpire") }
    private static func hexpireat(_ c: WriteContext) throws(CommandError) { try expire(c, .exat, "hexpireat") }
    private static func hpexpireat(_ c: WriteContext) throws(CommandError) { try expire(c, .pxat, "hpexpireat") }

    private static func expire(
        _ c: WriteContext, _ unit: ExpiryUnit, _ command: StaticString
    ) throws(CommandError) {
        let key = c.args[1]
        _ = try c.hash(key)
        let when = try time(c, 2, unit, command)
        let condition = Condition(c.args[3])
        let fields = try fields(c.args, at: condition == nil ? 3 : 4)
        c.reply.array(fields.count)
        guard let hash = try c.editHash(key, create: false, fields: fields) else {
            for _ in fields { c.reply.integer(Answer.noField) }
            return
        }
        let isPast = c.isDue(when)
        var changed: [Bytes] = []
        var removed = 0
        for i in fields {
            // The hash itself goes with its last field, after this command.
            guard hash.view.contains(c.args[i]) else {
                c.reply.integer(Answer.noField)
                continue
            }
            if let condition, !condition.allows(when, insteadOf: hash.view.expiry(of: c.args[i])) {
                c.reply.integer(Answer.refused)
                continue
            }
            if isPast {
                hash.remove(c.args[i])
                removed += 1
                c.propagate(Bytes("HDEL"), key, c.args[i])
            } else {
                hash.setExpiry(of: c.args[i], when)
                changed.append(c.args[i])
            }
            c.reply.integer(isPast ? Answer.removed : Answer.done)
        }
        if removed > 0 { c.changed(key, .hash, "hdel") }
        if !changed.isEmpty { c.changed(key, .hash, "hexpire") }
        c.removeIfEmpty(hash.entry)
        if !changed.isEmpty { propagate(c, "HPEXPIREAT", when, changed, if: condition == nil ? nil : c.args[3]) }
    }

    /// Absolute, and with the fields that it concerned only.
    static func propagate(
        _ c: WriteContext, _ command: StaticString, _ when: Int64?, _ fields: [Bytes], if condition: Bytes? = nil
    ) {
        withDecimal(when ?? 0) { time in
            withDecimal(Int64(fields.count)) { count in
                var words = [Bytes(command), c.args[1]]
                if when != nil { words.append(time) }
                if let condition { words.append(condition) }
                c.propagate(words + [Bytes("FIELDS"), count] + fields)
            }
        }
    }

    private static func hpersist(_ c: WriteContext) throws(CommandError) {
        _ = try c.hash(c.args[1])
        let fields = try fields(c.args, at: 2)
        let hash = try c.editHash(c.args[1], create: false, fields: fields)
        c.reply.array(fields.count)
        var changes = 0
        for i in fields {
            guard let hash, hash.view.contains(c.args[i]) else {
                c.reply.integer(Answer.noField)
                continue
            }
            guard hash.view.expiry(of: c.args[i]) != nil else {
                c.reply.integer(Answer.noExpiry)
                continue
            }
            hash.setExpiry(of: c.args[i], nil)
            changes += 1
            c.reply.integer(Answer.done)
        }
        if changes > 0 { c.changed(c.args[1], .hash, "hpersist") }
    }

    // MARK: - Asking

    private static func httl(_ c: ReadContext) throws(CommandError) { try answer(c, relative: true, seconds: true) }
    private static func hpttl(_ c: ReadContext) throws(CommandError) { try answer(c, relative: true, seconds: false) }
    private static func hexpiretime(_ c: ReadContext) throws(CommandError) {
        try answer(c, relative: false, seconds: true)
    }
    private static func hpexpiretime(_ c: ReadContext) throws(CommandError) {
        try answer(c, relative: false, seconds: false)
    }

    private static func answer(_ c: ReadContext, relative: Bool, seconds: Bool) throws(CommandError) {
        let hash = try c.hash(c.args[1])
        let fields = try fields(c.args, at: 2)
        c.reply.array(fields.count)
        for i in fields {
            guard let hash, hash.contains(c.args[i]) else {
                c.reply.integer(Answer.noField)
                continue
            }
            guard let when = hash.expiry(of: c.args[i]) else {
                c.reply.integer(Answer.noExpiry)
                continue
            }
            let milliseconds = relative ? max(0, when &- c.now) : when
            // Rounded up: a field with less than a second left has one.
            c.reply.integer(seconds ? (milliseconds + 999) / 1000 : milliseconds)
        }
    }
}
