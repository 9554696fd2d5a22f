import Storage

/// When keys expire.
enum ExpiryCommands {
    static let table: [Command] = [
        Command(
            "expire", arity: -3, flags: [.fast], group: .generic, since: "1.0.0", complexity: "O(log(N))",
            summary: "Lets a key expire after some seconds.", .write(expire)),
        Command(
            "pexpire", arity: -3, flags: [.fast], group: .generic, since: "2.6.0", complexity: "O(log(N))",
            summary: "Lets a key expire after some milliseconds.", .write(pexpire)),
        Command(
            "expireat", arity: -3, flags: [.fast], group: .generic, since: "1.2.0", complexity: "O(log(N))",
            summary: "Lets a key expire at a time in seconds since 1970.", .write(expireat)),
        Command(
            "pexpireat", arity: -3, flags: [.fast], group: .generic, since: "2.6.0", complexity: "O(log(N))",
            summary: "Lets a key expire at a time in milliseconds since 1970.", .write(pexpireat)),
        Command(
            "persist", arity: 2, flags: [.fast], group: .generic, since: "2.2.0", complexity: "O(log(N))",
            summary: "Takes a key's expiry away.", .write(persist)),
        Command(
            "ttl", arity: 2, flags: [.fast], group: .generic, since: "1.0.0", complexity: "O(1)",
            summary: "Seconds until a key expires.", .read(ttl)),
        Command(
            "pttl", arity: 2, flags: [.fast], group: .generic, since: "2.6.0", complexity: "O(1)",
            summary: "Milliseconds until a key expires.", .read(pttl)),
        Command(
            "expiretime", arity: 2, flags: [.fast], group: .generic, since: "7.0.0", complexity: "O(1)",
            summary: "The time in seconds since 1970 at which a key expires.", .read(expiretime)),
        Command(
            "pexpiretime", arity: 2, flags: [.fast], group: .generic, since: "7.0.0", complexity: "O(1)",
            summary: "The time in milliseconds since 1970 at which a key expires.", .read(pexpiretime)),
    ]

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
        if when <= c.now {
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
