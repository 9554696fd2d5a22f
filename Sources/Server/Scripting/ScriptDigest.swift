import Storage

/// The SHA-1 of a script, by which clients call it.
struct ScriptDigest: Hashable {
    private let a: UInt64
    private let b: UInt64
    private let c: UInt32

    /// O(count).
    init(of code: Bytes) {
        let words = SHA1(of: code).words
        a = UInt64(words.0) << 32 | UInt64(words.1)
        b = UInt64(words.2) << 32 | UInt64(words.3)
        c = words.4
    }

    /// 40 hexadecimal digits, in any case; nil for anything else.
    init?(_ text: Bytes) {
        if text.count != 40 { return nil }
        var words: (UInt64, UInt64, UInt64) = (0, 0, 0)
        for i in 0..<40 {
            let digit: UInt8
            switch text[i] {
            case 48...57: digit = text[i] - 48
            case 65...70: digit = text[i] - 55
            case 97...102: digit = text[i] - 87
            default: return nil
            }
            if i < 16 {
                words.0 = words.0 << 4 | UInt64(digit)
            } else if i < 32 {
                words.1 = words.1 << 4 | UInt64(digit)
            } else {
                words.2 = words.2 << 4 | UInt64(digit)
            }
        }
        a = words.0
        b = words.1
        c = UInt32(truncatingIfNeeded: words.2)
    }

    /// A digest is as good as random.
    func hash(into hasher: inout Hasher) { hasher.combine(a) }

    /// 40 lower-case hexadecimal digits.
    var hex: [UInt8] {
        (0..<40).map { i in
            let word =
                i < 16 ? a >> UInt64(60 - 4 * i) : i < 32 ? b >> UInt64(124 - 4 * i) : UInt64(c) >> UInt64(156 - 4 * i)
            let digit = UInt8(word & 15)
            return digit < 10 ? 48 + digit : 87 + digit
        }
    }
}
