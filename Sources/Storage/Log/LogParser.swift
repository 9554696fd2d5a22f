/// Reads RESP commands one after the other, in place: whatever the network's parser takes and the log's writer encodes.
/// Any input is safe.
struct LogParser {
    let bytes: Bytes
    /// Behind the last command.
    private(set) var offset: Int
    /// After `.damaged`: the first byte that cannot be right, at most a few bytes behind it.
    private(set) var damage = 0
    /// After `.damaged`: nothing is wrong but that the bytes end within a command.
    private(set) var isCutShort = false
    /// Of the last command.
    private(set) var arguments: [Bytes] = []

    init(bytes: Bytes, offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }

    enum Step { case command, end, damaged }

    mutating func next() -> Step {
        if offset == bytes.count { return .end }
        var at = offset
        isCutShort = false
        guard let count = number(after: 42, &at), count > 0, count <= Int(Int32.max) else { return damaged(at) }
        arguments.removeAll(keepingCapacity: arguments.count <= 1024)
        for _ in 0..<count {
            guard let bulk = bulk(&at) else { return damaged(at) }
            arguments.append(bytes[bulk])
        }
        offset = at
        return .command
    }

    /// Skips `count` bulk strings, as the rest of a command whose beginning is known. False when they are not there.
    mutating func skipBulks(_ count: Int) -> Bool {
        var at = offset
        for _ in 0..<count where bulk(&at) == nil { return false }
        offset = at
        return true
    }

    @inline(__always) private mutating func bulk(_ at: inout Int) -> Range<Int>? {
        guard let size = number(after: 36, &at) else { return nil }
        guard size <= bytes.count - at - 2 else {
            isCutShort = true
            return nil
        }
        if bytes[at + size] != 13 || bytes[at + size + 1] != 10 {
            at += size
            return nil
        }
        defer { at += size + 2 }
        return at..<at + size
    }
    private mutating func damaged(_ at: Int) -> Step {
        damage = at
        return .damaged
    }

    /// `marker`, digits, CR LF. `at` stays on a byte that does not belong there.
    @inline(__always) private mutating func number(after marker: UInt8, _ at: inout Int) -> Int? {
        guard at < bytes.count else {
            isCutShort = true
            return nil
        }
        guard bytes[at] == marker else { return nil }
        at += 1
        var value = 0
        var digits = 0
        while at < bytes.count {
            let c = bytes[at]
            if c == 13 {
                guard digits > 0 else { return nil }
                guard at + 1 < bytes.count else { break }
                guard bytes[at + 1] == 10 else { return nil }
                at += 2
                return value
            }
            if c < 48 || c > 57 || digits == LogParser.maximumDigits { return nil }
            value = value * 10 + Int(c - 48)
            digits += 1
            at += 1
        }
        isCutShort = true
        return nil
    }
    /// As many as a length of any file has, and no overflow.
    private static let maximumDigits = 18
}
