import Storage

/// When keys expire.
enum ExpiryCommands {
    static var table: [Command] {
        CommandGroup.generic.rows(
            .fast,
            [
                .write(
                    "expire", -3, .relativeTimes, [.key(.rwUpdate)], "1.0.0",
                    "key seconds:i [condition(NX|XX|GT|LT)@7.0.0]",
                    "Sets a key's expiry in seconds from now.", expire
                ).complexity("O(log(N))").history(("7.0.0", "Accepts `NX`, `XX`, `GT` and `LT`.")),
                .write(
                    "pexpire", -3, .relativeTimes, [.key(.rwUpdate)], "2.6.0",
                    "key milliseconds:i [condition(NX|XX|GT|LT)@7.0.0]",
                    "Sets a key's expiry in milliseconds from now.", pexpire
                ).complexity("O(log(N))").history(("7.0.0", "Accepts `NX`, `XX`, `GT` and `LT`.")),
                .write(
                    "expireat", -3, [], [.key(.rwUpdate)], "1.2.0",
                    "key unix-time-seconds:t [condition(NX|XX|GT|LT)@7.0.0]",
                    "Sets a key's expiry as a Unix time in seconds.", expireat
                ).complexity("O(log(N))").history(("7.0.0", "Accepts `NX`, `XX`, `GT` and `LT`.")),
                .write(
                    "pexpireat", -3, [], [.key(.rwUpdate)], "2.6.0",
                    "key unix-time-milliseconds:t [condition(NX|XX|GT|LT)@7.0.0]",
                    "Sets a key's expiry as a Unix time in milliseconds.", pexpireat
                ).complexity("O(log(N))").history(("7.0.0", "Accepts `NX`, `XX`, `GT` and `LT`.")),
                .write("persist", 2, [], [.key(.rwUpdate)], "2.2.0", "key", "Removes a key's expiry.", persist)
                    .complexity("O(log(N))"),
                .read("ttl", 2, [], [.key(.roAccess)], "1.0.0", "key", "Returns the seconds until a key expires.", ttl)
                    .tips("nondeterministic_output").history(("2.8.0", "Returns -2 for a missing key.")),
                .read(
                    "pttl", 2, [], [.key(.roAccess)], "2.6.0", "key", "Returns the milliseconds until a key expires.",
                    pttl
                ).tips("nondeterministic_output").history(("2.8.0", "Returns -2 for a missing key.")),
                .read(
                    "expiretime", 2, [], [.key(.roAccess)], "7.0.0", "key",
                    "Returns the Unix time in seconds at which a key expires.", expiretime),
                .read(
                    "pexpiretime", 2, [], [.key(.roAccess)], "7.0.0", "key",
                    "Returns the Unix time in milliseconds at which a key expires.", pexpiretime),
            ])
    }

    // MARK: - Setting

    private static func expire(_ c: WriteContext) throws(CommandError) { try expire(c, .ex, "expire") }
    private static func pexpire(_ c: WriteContext) throws(CommandError) { try expire(c, .px, "pexpire") }
    private static func expireat(_ c: WriteContext) throws(CommandError) { try expire(c, .exat, "expireat") }
    private static func pexpireat(_ c: WriteContext) throws(CommandError) { try expire(c, .pxat, "pexpireat") }

    /// NX, XX, GT and LT: which expiry may be replaced.
    private struct Condition {
        private var nx = false
        private var xx = false
        private var gt = false
        private var lt = false

        init(_ args: Arguments) throws(CommandError) {
            for i in min(3, args.count)..<args.count {
                if args[i].equals(ignoringCase: "nx") {
                    nx = true
                } else if args[i].equals(ignoringCase: "xx") {
                    xx = true
                } else if args[i].equals(ignoringCase: "gt") {
                    gt = true
                } else if args[i].equals(ignoringCase: "lt") {
                    lt = true
                } else {
                    throw CommandError(parts: Bytes("ERR Unsupported option "), args[i])
                }
            }
            if nx && (xx || gt || lt) {
                throw CommandError("ERR NX and XX, GT or LT options at the same time are not compatible")
            }
            if gt && lt { throw CommandError("ERR GT and LT options at the same time are not compatible") }
        }

        func allows(_ new: Int64, insteadOf old: Int64?) -> Bool {
            guard let old else { return !xx && !gt }
            return !(nx || gt && new <= old || lt && new >= old)
        }
    }

    private static func expire(
        _ c: WriteContext, _ unit: ExpiryUnit, _ command: StaticString
    ) throws(CommandError) {
        let condition = try Condition(c.args)
        let when = try unit.absolute(c.args.integer(2), now: c.now, positive: false, command: command)
        let key = c.args[1]
        guard let entry = c.db.find(key), condition.allows(when, insteadOf: c.db.expiry(of: entry)) else {
            return c.reply.integer(0)
        }
        if c.isDue(when) {
            c.removeAsExpired(key)
        } else {
            c.db.setExpiry(when, of: key)
            c.changed(key, .generic, "expire")
            withDecimal(when) { c.propagate(Bytes("PEXPIREAT"), key, $0) }
        }
        c.reply.integer(1)
    }

    private static func persist(_ c: WriteContext) throws(CommandError) {
        guard let entry = c.db.find(c.args[1]), c.db.expiry(of: entry) != nil else { return c.reply.integer(0) }
        c.db.setExpiry(nil, of: c.args[1])
        c.changed(c.args[1], .generic, "persist")
        c.reply.integer(1)
    }

    // MARK: - Asking

    private static func ttl(_ c: ReadContext) throws(CommandError) { answer(c, relative: true, seconds: true) }
    private static func pttl(_ c: ReadContext) throws(CommandError) { answer(c, relative: true, seconds: false) }
    private static func expiretime(_ c: ReadContext) throws(CommandError) {
        answer(c, relative: false, seconds: true)
    }
    private static func pexpiretime(_ c: ReadContext) throws(CommandError) {
        answer(c, relative: false, seconds: false)
    }

    /// -2 where there is no such key, -1 where it does not expire.
    private static func answer(_ c: ReadContext, relative: Bool, seconds: Bool) {
        guard let entry = c.db.peek(c.args[1]) else { return c.reply.integer(-2) }
        guard let when = c.db.expiry(of: entry) else { return c.reply.integer(-1) }
        let milliseconds = relative ? max(0, when &- c.now) : when
        // Rounded to the nearest second, as Redis does.
        c.reply.integer(seconds ? milliseconds / 1000 + (milliseconds % 1000 >= 500 ? 1 : 0) : milliseconds)
    }
}
