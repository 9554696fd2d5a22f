import Storage

/// DUMP and RESTORE: values as bytes that other servers understand.
enum DumpCommands {
    static var table: [Command] {
        CommandGroup.generic.rows([
            .read("dump", 2, [], [.key(.roAccess)], "2.6.0", "key", "Serializes a value for RESTORE.", dump).complexity(
                "O(N) for a value of N elements or bytes"
            ).tips("nondeterministic_output"),
            .write(
                "restore", -4, [.denyoom, .relativeTimes], [.key(.owUpdate)], "2.6.0",
                """
                key ttl:i serialized-value [REPLACE@3.0.0] [ABSTTL@5.0.0] [IDLETIME seconds:i@5.0.0] \
                [FREQ frequency:i@5.0.0]
                """, "Creates a key from a value that DUMP serialized.", restore
            ).complexity("O(N) for a value of N elements or bytes").history(
                ("3.0.0", "Accepts `REPLACE`."), ("5.0.0", "Accepts `ABSTTL`."),
                ("5.0.0", "Accepts `IDLETIME` and `FREQ`.")
            ).categories(.dangerous),
            .write(
                "restore-asking", -4, [.denyoom, .asking], [.key(.owUpdate)], "3.0.0",
                """
                key ttl:i serialized-value [REPLACE@3.0.0] [ABSTTL@5.0.0] [IDLETIME seconds:i@5.0.0] \
                [FREQ frequency:i@5.0.0]
                """, "Creates a key from a serialized value while a cluster moves its slot.", restore
            ).complexity("O(N) for a value of N elements or bytes").history(
                ("3.0.0", "Accepts `REPLACE`."), ("5.0.0", "Accepts `ABSTTL`."),
                ("5.0.0", "Accepts `IDLETIME` and `FREQ`.")
            ).systemCommand().categories([.keyspace, .dangerous]).group(.server),
        ])
    }

    private static func dump(_ c: ReadContext) throws(CommandError) {
        guard let entry = c.db.find(c.args[1]) else { return c.reply.null() }
        DumpPayload.of(entry, compresses: c.settings.rdbCompression) { c.reply.bulk($0) }
    }

    private struct Options {
        var replaces = false
        var isAbsolute = false
        var idle: Int64?
        var frequency: Int64?

        init(_ args: Arguments) throws(CommandError) {
            var i = 4
            while i < args.count {
                let more = i + 1 < args.count
                if args[i].equals(ignoringCase: "replace") {
                    replaces = true
                } else if args[i].equals(ignoringCase: "absttl") {
                    isAbsolute = true
                } else if args[i].equals(ignoringCase: "idletime"), more, frequency == nil {
                    i += 1
                    let seconds = try args.integer(i)
                    if seconds < 0 { throw CommandError("ERR Invalid IDLETIME value, must be >= 0") }
                    idle = seconds
                } else if args[i].equals(ignoringCase: "freq"), more, idle == nil {
                    i += 1
                    let value = try args.integer(i)
                    if value < 0 || value > 255 {
                        throw CommandError("ERR Invalid FREQ value, must be >= 0 and <= 255")
                    }
                    frequency = value
                } else {
                    throw .syntax
                }
                i += 1
            }
        }
    }

    private static func restore(_ c: WriteContext) throws(CommandError) {
        let options = try Options(c.args)
        let key = c.args[1]
        if !options.replaces && c.db.find(key) != nil { throw .keyExists }
        let ttl = try c.args.integer(2)
        if ttl < 0 { throw CommandError("ERR Invalid TTL value, must be >= 0") }
        var expiry: Int64?
        if ttl > 0 {
            let (sum, overflow) = ttl.addingReportingOverflow(options.isAbsolute ? 0 : c.now)
            expiry = overflow ? .max : sum
        }
        let entry = try read(c, key, expiry)
        if let expiry, c.isDue(expiry) {
            c.db.discard(entry)
            if c.db.find(key) != nil { c.removeAsExpired(key) }
            return c.reply.ok()
        }
        c.db.restore(entry)
        c.changed(key, .generic, "restore")
        c.count(as: 1)
        if let idle = options.idle { c.db.setIdleSeconds(Int(clamping: idle), of: entry) }
        if let frequency = options.frequency { c.db.setFrequency(Int(frequency), of: entry) }
        if let expiry, !options.isAbsolute { propagate(c, expiry) }
        c.reply.ok()
    }

    private static func read(_ c: WriteContext, _ key: Bytes, _ expiry: Int64?) throws(CommandError) -> Entry {
        do throws(DumpPayload.Failure) {
            return try DumpPayload.read(
                c.args[3], key: key, expiresMs: expiry, limits: c.limits,
                longest: max(c.settings.maxBulkLength, c.args[3].count),
                checksum: c.checksPayloads)
        } catch {
            switch error {
            case .foreign: throw CommandError("ERR DUMP payload version or checksum are wrong")
            case .damaged: throw CommandError("ERR Bad data format")
            }
        }
    }

    /// The command with the time at which the key expires, instead of how long it lives.
    private static func propagate(_ c: WriteContext, _ expiry: Int64) {
        withDecimal(expiry) { when in
            var args: [Bytes] = []
            for i in 0..<c.args.count { args.append(i == 2 ? when : c.args[i]) }
            c.propagate(args + [Bytes("ABSTTL")])
        }
    }
}
