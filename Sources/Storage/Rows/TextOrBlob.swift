// Invariant of this file: every load below stays under `count`; the loops check before they advance.

extension Bytes {
    /// True for valid UTF-8 without NUL: the one place that decides whether the snapshot holds bytes as TEXT or as
    /// BLOB. The same bytes must always get the same answer, as 'a' is not x'61' to SQL. O(count), eight ASCII bytes a
    /// step.
    public var isText: Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        var i = 0
        while i < count {
            if i &+ 8 <= count {
                let word = base.loadUnaligned(fromByteOffset: i, as: UInt64.self)
                // No byte above 127, and none that is zero (the subtraction borrows from a zero byte's high bit).
                if (word | (word &- ones)) & highs == 0 {
                    i &+= 8
                    continue
                }
            }
            let length = sequenceLength(at: i)
            if length == 0 { return false }
            i &+= length
        }
        return true
    }

    /// The length of the UTF-8 sequence that begins at `i`; 0 for NUL and for what is no valid sequence. The bounds are
    /// those of Unicode's table of well-formed byte sequences.
    @inline(__always) private func sequenceLength(at i: Int) -> Int {
        let first = byte(i)
        if first < 0x80 { return first == 0 ? 0 : 1 }
        switch first {
        case 0xC2...0xDF:
            return isContinuation(i &+ 1) ? 2 : 0
        case 0xE0...0xEF:
            // No overlong forms, no surrogates.
            let low: UInt8 = first == 0xE0 ? 0xA0 : 0x80
            let high: UInt8 = first == 0xED ? 0x9F : 0xBF
            return isContinuation(i &+ 1, low, high) && isContinuation(i &+ 2) ? 3 : 0
        case 0xF0...0xF4:
            // No overlong forms, nothing above U+10FFFF.
            let low: UInt8 = first == 0xF0 ? 0x90 : 0x80
            let high: UInt8 = first == 0xF4 ? 0x8F : 0xBF
            return isContinuation(i &+ 1, low, high) && isContinuation(i &+ 2) && isContinuation(i &+ 3) ? 4 : 0
        default:
            return 0
        }
    }

    @inline(__always) private func byte(_ i: Int) -> UInt8 { base.load(fromByteOffset: i, as: UInt8.self) }
    @inline(__always) private func isContinuation(_ i: Int, _ low: UInt8 = 0x80, _ high: UInt8 = 0xBF) -> Bool {
        i < count && byte(i) >= low && byte(i) <= high
    }
}
