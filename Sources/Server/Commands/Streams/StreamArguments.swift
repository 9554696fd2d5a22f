import Storage

/// Look-ups of streams that answer WRONGTYPE, and ids as arguments.
extension ReadDatabase {
    func streamOrRefuse(_ key: Bytes) throws(CommandError) -> StreamView? {
        do { return try stream(key) } catch { throw .wrongType }
    }
}

extension ReadContext {
    func stream(_ key: Bytes) throws(CommandError) -> StreamView? { try db.streamOrRefuse(key) }
}

extension WriteContext {
    /// nil where the key is missing and `create` is false.
    func editStream(_ key: Bytes, create: Bool) throws(CommandError) -> StreamEditor? {
        do { return try db.editStream(key, create: create) } catch { throw .wrongType }
    }
    /// A stream that the command reads, though what it finds there may change groups: hits and misses count.
    func readStream(_ key: Bytes) throws(CommandError) -> StreamEditor? {
        reading.counted(try editStream(key, create: false), key)
    }
    /// The consumer of this name, and whether there was none, so that it was made.
    func consumer(
        _ name: Bytes, of group: StreamGroup, in stream: StreamEditor
    ) -> (StreamConsumer, isNew: Bool) {
        if let consumer = group.consumer(name) { return (consumer, false) }
        let consumer = stream.consumer(name, in: group, now: clock)
        changed(stream.entry.key, .stream, "xgroup-createconsumer")
        return (consumer, true)
    }
    /// Wall clock in ms since 1970; while the log is replayed, the time of the replay.
    var clock: Int64 { now != 0 ? now : wallClockMilliseconds() }
    /// The command comes from the log or from the master: what was done there is done again.
    var isRepeated: Bool { session.flags.contains(.master) || session.flags.contains(.internal) && now == 0 }
}

extension CommandError {
    static let invalidStreamID = CommandError("ERR Invalid stream ID specified as stream command argument")
    static let invalidIntervalStart = CommandError("ERR invalid start ID for the interval")
    static let invalidIntervalEnd = CommandError("ERR invalid end ID for the interval")

    static func noGroup(_ key: Bytes, _ group: Bytes, _ context: StaticString = "") -> CommandError {
        CommandError(
            parts: Bytes("NOGROUP No such key '"), key, Bytes("' or consumer group '"), group, Bytes("'"),
            Bytes(context))
    }
    static func noGroup(_ group: Bytes, inKey key: Bytes) -> CommandError {
        CommandError(
            parts: Bytes("NOGROUP No such consumer group '"), group, Bytes("' for key name '"), key, Bytes("'"))
    }
}

/// How an id that a client wrote is to be read.
extension StreamID {
    /// An id as an argument, `ms-seq` or `ms` alone; nil for what is none. `seq`: what a missing second part means.
    /// The second part is nil where it is `*`, which only XADD knows.
    static func parse(_ bytes: Bytes, seq missing: UInt64) -> (ms: UInt64, seq: UInt64?)? {
        if bytes.count > 127 { return nil }
        // To Redis the argument is a C string: it ends at the first NUL.
        var end = 0
        var dash: Int?
        while end < bytes.count, bytes[end] != 0 {
            if dash == nil, bytes[end] == UInt8(ascii: "-") { dash = end }
            end += 1
        }
        guard let dash else { return number(bytes[0..<end]).map { ($0, missing) } }
        guard let ms = number(bytes[0..<dash]) else { return nil }
        let rest = bytes[dash + 1..<end]
        if rest == Bytes("*") { return (ms, nil) }
        return number(rest).map { (ms, $0) }
    }

    /// As strtoull reads it, which takes leading spaces, a plus sign and zeros, too.
    private static func number(_ bytes: Bytes) -> UInt64? {
        if let integer = bytes.integer { return UInt64(exactly: integer) }
        var i = 0
        while i < bytes.count, bytes[i] == 32 || (9...13).contains(bytes[i]) { i += 1 }
        var isNegative = false
        if i < bytes.count, bytes[i] == 43 || bytes[i] == 45 {
            isNegative = bytes[i] == 45
            i += 1
        }
        if i == bytes.count { return nil }
        var value: UInt64 = 0
        while i < bytes.count {
            let digit = bytes[i] &- 48
            let (product, o1) = value.multipliedReportingOverflow(by: 10)
            let (sum, o2) = product.addingReportingOverflow(UInt64(digit))
            if digit > 9 || o1 || o2 { return nil }
            value = sum
            i += 1
        }
        return isNegative ? 0 &- value : value
    }
}

extension Arguments {
    /// An id, `ms-seq` or `ms`.
    func streamID(_ index: Int, seq missing: UInt64 = 0) throws(CommandError) -> StreamID {
        guard let (ms, seq) = StreamID.parse(self[index], seq: missing), let seq else { throw .invalidStreamID }
        return StreamID(ms: ms, seq: seq)
    }
    /// Parses an id, or `-` and `+` for the least and the greatest.
    func streamIDOrEnd(_ index: Int, seq missing: UInt64 = 0) throws(CommandError) -> StreamID {
        if self[index] == Bytes("-") { return .zero }
        if self[index] == Bytes("+") { return .max }
        return try streamID(index, seq: missing)
    }

    /// The first id of a range; `(` in front leaves out the id itself.
    func intervalStart(_ index: Int) throws(CommandError) -> StreamID {
        guard let id = try exclusive(index, seq: 0) else { return try streamIDOrEnd(index) }
        guard let next = id.next else { throw .invalidIntervalStart }
        return next
    }
    /// The last id of a range.
    func intervalEnd(_ index: Int) throws(CommandError) -> StreamID {
        guard let id = try exclusive(index, seq: .max) else { return try streamIDOrEnd(index, seq: .max) }
        guard let previous = id.previous else { throw .invalidIntervalEnd }
        return previous
    }
    private func exclusive(_ index: Int, seq missing: UInt64) throws(CommandError) -> StreamID? {
        let text = self[index]
        guard text.count > 1, text[0] == UInt8(ascii: "(") else { return nil }
        guard let (ms, seq) = StreamID.parse(text[1..<text.count], seq: missing), let seq else {
            throw .invalidStreamID
        }
        return StreamID(ms: ms, seq: seq)
    }
}

extension ReplyWriter {
    func bulk(_ id: StreamID) { id.withText { bulk($0) } }

    /// An entry: its id, and fields and values in one array.
    func entry(_ id: StreamID, _ fields: StreamFields) {
        array(2)
        bulk(id)
        array(fields.count * 2)
        fields.forEach { field, value in
            bulk(field)
            bulk(value)
        }
    }
}

extension StreamID {
    /// Calls `body` with `ms-seq` in decimal.
    func withText(_ body: (Bytes) -> Void) {
        withUnsafeTemporaryAllocation(byteCount: StreamID.textLimit, alignment: 1) { text in
            guard let base = text.baseAddress else { return }
            body(self.text(into: base))
        }
    }
}
