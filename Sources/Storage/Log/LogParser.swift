/// Reads RESP commands one after the other, in place. Any input is safe.
struct LogParser {
    let bytes: Bytes
    /// Behind the last command.
    private(set) var offset = 0
    /// After `.damaged`: the first byte that cannot be right, at most a few bytes behind it.
    private(set) var damage = 0
    /// Of the last command.
    private(set) var arguments: [Bytes] = []

    init(bytes: Bytes) { self.bytes = bytes }

    enum Step { case command, end, damaged }

    mutating func next() -> Step {
        if offset == bytes.count { return .end }
        var at = offset
        guard let count = number(after: 42, &at), count > 0, count <= 1 << 20 else { return damaged(at) }
        arguments.removeAll(keepingCapacity: true)
        for _ in 0..<count {
            guard let size = number(after: 36, &at), size <= bytes.count - at - 2 else { return damaged(at) }
            if bytes[at + size] != 13 || bytes[at + size + 1] != 10 { return damaged(at + size) }
            arguments.append(bytes[at..<at + size])
            at += size + 2
        }
        offset = at
        return .command
    }
    private mutating func damaged(_ at: Int) -> Step {
        damage = at
        return .damaged
    }

    /// `marker`, digits, CR LF. `at` stays on a byte that is none of them.
    @inline(__always) private func number(after marker: UInt8, _ at: inout Int) -> Int? {
        guard at < bytes.count, bytes[at] == marker else { return nil }
        at += 1
        var value = 0
        var digits = 0
        while at < bytes.count {
            let c = bytes[at]
            if c == 13 {
                guard digits > 0, at + 1 < bytes.count, bytes[at + 1] == 10 else { return nil }
                at += 2
                return value
            }
            if c < 48 || c > 57 || digits == 10 { return nil }
            value = value * 10 + Int(c - 48)
            digits += 1
            at += 1
        }
        return nil
    }
}
