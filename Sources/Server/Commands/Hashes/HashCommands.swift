import Storage

// Invariant of this file: the scratch for an integer's digits has the 20 bytes that `decimalDigits` asks for.

enum HashCommands {
    static var table: [Command] {
        CommandGroup.hash.rows([
            .write(
                "hset", -4, [.denyoom, .fast], [.key(.rwUpdate)], "2.0.0", "key field_value{field value}...",
                "Sets fields of a hash and counts the new ones.", hset
            ).complexity("O(N) for N fields").history(("4.0.0", "Accepts several pairs of field and value.")),
            .write(
                "hsetnx", 4, [.denyoom, .fast], [.key(.rwInsert)], "2.0.0", "key field value",
                "Sets a field of a hash that does not exist.", hsetnx),
            .write(
                "hmset", -4, [.denyoom, .fast], [.key(.rwUpdate)], "2.0.0", "key field_value{field value}...",
                "Sets fields of a hash.", hmset
            ).complexity("O(N) for N fields").deprecated("4.0.0", "`HSET`"),
            .read("hget", 3, .fast, [.key(.roAccess)], "2.0.0", "key field", "Returns the value of a field.", hget),
            .read(
                "hmget", -3, .fast, [.key(.roAccess)], "2.0.0", "key field...", "Returns the values of several fields.",
                hmget
            ).complexity("O(N) for N fields"),
            .read(
                "hgetall", 2, [], [.key(.roAccess)], "2.0.0", "key", "Returns all fields of a hash with their values.",
                hgetall
            ).complexity("O(N) for a hash of N fields").tips("nondeterministic_output_order"),
            .write(
                "hdel", -3, [.fast, .frees], [.key(.rwDelete)], "2.0.0", "key field...",
                "Removes fields of a hash; the last one removes the hash.", hdel
            ).complexity("O(N) for N fields").history(("2.4.0", "Accepts several fields.")),
            .read("hexists", 3, .fast, [.key(.ro)], "2.0.0", "key field", "Tells whether a field exists.", hexists),
            .write(
                "hincrby", 4, [.denyoom, .fast], [.key(.rwAccessUpdate)], "2.0.0", "key field increment:i",
                "Adds to an integer in a field; a missing field counts as 0.", hincrby),
            .write(
                "hincrbyfloat", 4, [.denyoom, .fast], [.key(.rwAccessUpdate)], "2.6.0", "key field increment:d",
                "Adds to a number with a fraction in a field; a missing field counts as 0.", hincrbyfloat),
            .read("hkeys", 2, [], [.key(.roAccess)], "2.0.0", "key", "Returns all fields of a hash.", hkeys).complexity(
                "O(N) for a hash of N fields"
            ).tips("nondeterministic_output_order"),
            .read("hvals", 2, [], [.key(.roAccess)], "2.0.0", "key", "Returns all values of a hash.", hvals).complexity(
                "O(N) for a hash of N fields"
            ).tips("nondeterministic_output_order"),
            .read("hlen", 2, .fast, [.key(.ro)], "2.0.0", "key", "Returns the number of fields of a hash.", hlen),
            .read(
                "hstrlen", 3, .fast, [.key(.ro)], "3.2.0", "key field",
                "Returns the length of a field's value in bytes.", hstrlen),
            .read(
                "hrandfield", -2, [], [.key(.roAccess)], "6.2.0", "key [options{count:i [WITHVALUES]}]",
                "Returns random fields of a hash.", hrandfield
            ).complexity("O(N) for N fields returned").tips("nondeterministic_output"),
            .read(
                "hscan", -3, [], [.key(.roAccess)], "2.8.0", "key cursor:i [MATCH pattern:p] [COUNT count:i]",
                "Iterates over the fields of a hash.", hscan
            ).complexity("O(1) a call, O(N) for a whole pass").tips("nondeterministic_output"),
        ])
    }

    // MARK: - Writing

    private static func hset(_ c: WriteContext) throws(CommandError) {
        if let added = try setFields(c, "hset") { c.reply.integer(added) }
    }

    private static func hmset(_ c: WriteContext) throws(CommandError) {
        if try setFields(c, "hmset") != nil { c.reply.ok() }
    }

    /// How many of the fields are new.
    private static func setFields(_ c: WriteContext, _ command: String) throws(CommandError) -> Int? {
        guard c.args.count % 2 == 0 else { throw .wrongArity(command) }
        let fields = stride(from: 2, to: c.args.count, by: 2)
        guard let hash = try c.editHash(c.args[1], create: true, fields: fields) else { return nil }
        var added = 0
        var i = 2
        while i < c.args.count {
            if hash.set(c.args[i], c.args[i + 1]) { added += 1 }
            i += 2
        }
        c.changed(c.args[1], .hash, "hset")
        return added
    }

    private static func hsetnx(_ c: WriteContext) throws(CommandError) {
        guard let hash = try c.editHash(c.args[1], create: true, fields: 2..<3) else { return }
        if hash.view.contains(c.args[2]) {
            c.reply.integer(0)
        } else {
            hash.set(c.args[2], c.args[3])
            c.changed(c.args[1], .hash, "hset")
            c.reply.integer(1)
        }
    }

    private static func hdel(_ c: WriteContext) throws(CommandError) {
        guard let hash = try c.editHash(c.args[1], create: false) else { return c.reply.integer(0) }
        var removed = 0
        for i in 2..<c.args.count where hash.remove(c.args[i]) {
            removed += 1
            if hash.view.count == 0 { break }
        }
        if removed > 0 { c.changed(c.args[1], .hash, "hdel") }
        c.removeIfEmpty(hash.entry)
        c.reply.integer(removed)
    }

    private static func hincrby(_ c: WriteContext) throws(CommandError) {
        guard let increment = c.args[3].integer else { throw .notInteger }
        // Making a missing key first is safe: nothing below can fail for one.
        guard let hash = try c.editHash(c.args[1], create: true, fields: 2..<3) else { return }
        var value: Int64 = 0
        if let old = hash.view.get(c.args[2]) {
            guard let number = old.integer else { throw CommandError("ERR hash value is not an integer") }
            value = number
        }
        let (sum, overflow) = value.addingReportingOverflow(increment)
        if overflow { throw .incrementOverflows }
        withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { text in
            guard let digits = text.baseAddress else { return }
            let value = Bytes(digits, decimalDigits(of: sum, into: digits))
            _ = hash.set(c.args[2], value, keepingExpiry: true)
        }
        c.changed(c.args[1], .hash, "hincrby")
        c.reply.integer(sum)
    }

    /// Logged as the value it came to, since another machine's long double might come to another.
    private static func hincrbyfloat(_ c: WriteContext) throws(CommandError) {
        guard let increment = LongDouble.parse(c.args[3]) else { throw .notFloat }
        guard increment.isFinite else { throw CommandError("ERR value is NaN or Infinity") }
        guard let hash = try c.editHash(c.args[1], create: true, fields: 2..<3) else { return }
        var value: LongDouble.Value = 0
        if let old = hash.view.get(c.args[2]) {
            guard let number = LongDouble.parse(old) else { throw CommandError("ERR hash value is not a float") }
            value = number
        }
        value += increment
        guard value.isFinite else { throw CommandError("ERR increment would produce NaN or Infinity") }
        let text = OutputBuffer(capacity: 64)
        LongDouble.append(value, to: text)
        let when = hash.view.expiry(of: c.args[2])
        hash.set(c.args[2], text.bytes, keepingExpiry: true)
        c.changed(c.args[1], .hash, "hincrbyfloat")
        c.propagate(Bytes("HSET"), c.args[1], c.args[2], text.bytes)
        // HSET takes the expiry away, where it is replayed.
        if let when {
            withDecimal(when) {
                c.propagate(Bytes("HPEXPIREAT"), c.args[1], $0, Bytes("FIELDS"), Bytes("1"), c.args[2])
            }
        }
        c.reply.bulk(text.bytes)
    }

    // MARK: - Reading

    private static func hget(_ c: ReadContext) throws(CommandError) {
        writeValue(try c.hash(c.args[1], fields: 2..<3)?.get(c.args[2]), c.reply)
    }

    private static func hmget(_ c: ReadContext) throws(CommandError) {
        let hash = try c.hash(c.args[1], fields: 2..<c.args.count)
        c.reply.array(c.args.count - 2)
        for i in 2..<c.args.count { writeValue(hash?.get(c.args[i]), c.reply) }
    }

    private static func writeValue(_ value: Bytes?, _ reply: ReplyWriter) {
        if let value { reply.bulk(value) } else { reply.null() }
    }

    private static func hexists(_ c: ReadContext) throws(CommandError) {
        c.reply.integer(try c.hash(c.args[1], fields: 2..<3)?.contains(c.args[2]) == true ? 1 : 0)
    }

    private static func hlen(_ c: ReadContext) throws(CommandError) {
        c.reply.integer(try c.hash(c.args[1])?.count ?? 0)
    }

    private static func hstrlen(_ c: ReadContext) throws(CommandError) {
        c.reply.integer(try c.hash(c.args[1], fields: 2..<3)?.get(c.args[2])?.count ?? 0)
    }

    private static func hgetall(_ c: ReadContext) throws(CommandError) {
        guard let hash = try c.hash(c.args[1]) else { return c.reply.map(0) }
        let reply = c.reply
        if hash.hasDueFields {
            let mark = reply.deferredArray()
            return reply.fillMap(mark, writeLive(hash, reply, fields: true, values: true))
        }
        reply.map(hash.count)
        writeLive(hash, reply, fields: true, values: true)
    }

    private static func hkeys(_ c: ReadContext) throws(CommandError) {
        guard let hash = try c.hash(c.args[1]) else { return c.reply.array(0) }
        let reply = c.reply
        writeArray(hash, reply, fields: true, values: false)
    }

    private static func writeArray(_ hash: HashView, _ reply: ReplyWriter, fields: Bool, values: Bool) {
        if hash.hasDueFields {
            let mark = reply.deferredArray()
            return reply.fill(mark, writeLive(hash, reply, fields: fields, values: values))
        }
        reply.array(hash.count)
        writeLive(hash, reply, fields: fields, values: values)
    }

    /// Returns the number of fields, which is less than the hash's count where the time of some has come.
    @discardableResult private static func writeLive(
        _ hash: HashView, _ reply: ReplyWriter, fields: Bool, values: Bool
    ) -> Int {
        var count = 0
        hash.forEach { field, value in
            if fields { reply.bulk(field) }
            if values { reply.bulk(value) }
            count += 1
            return true
        }
        return count
    }

    private static func hvals(_ c: ReadContext) throws(CommandError) {
        guard let hash = try c.hash(c.args[1]) else { return c.reply.array(0) }
        let reply = c.reply
        writeArray(hash, reply, fields: false, values: true)
    }

    private static func hrandfield(_ c: ReadContext) throws(CommandError) {
        let request = try RandomRequest(c.args, valuesWord: "withvalues")
        let reply = c.reply
        var found = try c.hash(c.args[1])
        if let hash = found, hash.hasDueFields {
            // Picks are by index: what must not be picked has to go.
            c.db.expireDueFields(of: c.args[1])
            found = c.db.hashAgain(c.args[1])
        }
        guard let hash = found, hash.count > 0 else {
            return request.count == nil ? reply.null() : reply.array(0)
        }
        if hash.hasDueFields { return hrandfield(hash.liveFields, request, reply) }
        guard let count = request.count else {
            var random = SplitMix64()
            return reply.bulk(hash.at(Int.random(in: 0..<hash.count, using: &random)).0)
        }
        let length = RandomRequest.answerLength(count: count, size: hash.count)
        reply.array(request.withValues && !reply.resp3 ? length * 2 : length)
        RandomRequest.forEachIndex(count: count, size: hash.count) { index in
            let (field, value) = hash.at(index)
            if request.withValues, reply.resp3 { reply.array(2) }
            reply.bulk(field)
            if request.withValues { reply.bulk(value) }
        }
    }

    /// Where due fields stay, as another server says when they go. O(fields).
    private static func hrandfield(
        _ fields: [(field: Bytes, value: Bytes)], _ request: RandomRequest, _ reply: ReplyWriter
    ) {
        guard let count = request.count else {
            var random = SplitMix64()
            return fields.randomElement(using: &random).map { reply.bulk($0.field) } ?? reply.null()
        }
        let length = fields.isEmpty ? 0 : RandomRequest.answerLength(count: count, size: fields.count)
        reply.array(request.withValues && !reply.resp3 ? length * 2 : length)
        if length == 0 { return }
        RandomRequest.forEachIndex(count: count, size: fields.count) { index in
            if request.withValues, reply.resp3 { reply.array(2) }
            reply.bulk(fields[index].field)
            if request.withValues { reply.bulk(fields[index].value) }
        }
    }

    private static func hscan(_ c: ReadContext) throws(CommandError) {
        var scan = try ElementScan(c.args)
        guard let hash = try c.hash(c.args[1]) else { return scan.write(next: 0, to: c.reply) }
        try scan.readOptions()
        let next = hash.scan(cursor: scan.cursor, count: scan.count) { field, value in
            guard scan.accepts(field) else { return }
            scan.found.append(field)
            scan.found.append(value)
        }
        scan.write(next: next, to: c.reply)
    }
}
