import Storage

/// Strings as numbers.
enum CounterCommands {
    static var table: [Command] {
        CommandGroup.string.rows(
            [.denyoom, .fast],
            [
                .write(
                    "incr", 2, [], [.key(.rwAccessUpdate)], "1.0.0", "key",
                    "Adds one to an integer; a missing key counts as 0.", { c throws(CommandError) in try add(c, 1) }),
                .write(
                    "decr", 2, [], [.key(.rwAccessUpdate)], "1.0.0", "key",
                    "Subtracts one from an integer; a missing key counts as 0.",
                    { c throws(CommandError) in try add(c, -1) }),
                .write(
                    "incrby", 3, [], [.key(.rwAccessUpdate)], "1.0.0", "key increment:i",
                    "Adds to an integer; a missing key counts as 0.", incrby),
                .write(
                    "decrby", 3, [], [.key(.rwAccessUpdate)], "1.0.0", "key decrement:i",
                    "Subtracts from an integer; a missing key counts as 0.", decrby),
                .write(
                    "incrbyfloat", 3, [], [.key(.rwAccessUpdate)], "2.6.0", "key increment:d",
                    "Adds to a number with a fraction; a missing key counts as 0.", incrbyfloat),
            ])
    }

    private static func incrby(_ c: WriteContext) throws(CommandError) {
        try add(c, c.args.integer(2))
    }

    private static func decrby(_ c: WriteContext) throws(CommandError) {
        let amount = try c.args.integer(2)
        if amount == .min { throw CommandError("ERR decrement would overflow") }
        try add(c, -amount)
    }

    private static func add(_ c: WriteContext, _ delta: Int64) throws(CommandError) {
        let key = c.args[1]
        let sum: Int64
        if let entry = c.db.find(key) {
            let stored = if let integer = entry.integer { integer } else { try c.string(key)?.integer }
            guard let old = stored else { throw .notInteger }
            let (total, overflow) = old.addingReportingOverflow(delta)
            if overflow { throw .incrementOverflows }
            sum = total
        } else {
            sum = delta
        }
        c.db.setInteger(key, sum, expiry: .keep)
        c.changed(key, .string, "incrby")
        c.reply.integer(sum)
    }

    private static func incrbyfloat(_ c: WriteContext) throws(CommandError) {
        let key = c.args[1]
        var old: LongDouble.Value = 0
        if let text = try c.string(key) {
            guard let number = LongDouble.parse(text) else { throw .notFloat }
            old = number
        }
        guard let delta = LongDouble.parse(c.args[2]) else { throw .notFloat }
        let sum = old + delta
        if sum.isNaN || sum.isInfinite { throw CommandError("ERR increment would produce NaN or Infinity") }
        let text = OutputBuffer(capacity: 64)
        LongDouble.append(sum, to: text)
        c.db.setString(key, text.bytes, expiry: .keep)
        c.changed(key, .string, "incrbyfloat")
        c.reply.bulk(text.bytes)
        // The result, not the sum: another machine might add otherwise.
        c.propagate(Bytes("SET"), key, text.bytes, Bytes("KEEPTTL"))
    }
}
