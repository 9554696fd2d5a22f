import Storage

// Invariant of this file: a text's bytes are read only within its count.

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
        func word(_ index: Int) -> UInt64? {
            Self.value(of: UInt64(littleEndian: text.base.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)))
        }
        guard let first = word(0), let second = word(1), let third = word(2), let fourth = word(3), let fifth = word(4)
        else { return nil }
        a = first << 32 | second
        b = third << 32 | fourth
        c = UInt32(truncatingIfNeeded: fifth)
    }

    /// The 32 bits that eight hexadecimal digits say, the first of which is the lowest byte; nil where they are none. All eight
    /// at once: for seven-bit bytes, adding moves those past 0x80 that are at least a certain one.
    private static func value(of digits: UInt64) -> UInt64? {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs = ones &* 0x80
        let lower = digits | ones &* 0x20
        let numerals = (digits &+ ones &* (0x80 - 0x30)) & ~(digits &+ ones &* (0x80 - 0x3a)) & highs
        let letters = (lower &+ ones &* (0x80 - 0x61)) & ~(lower &+ ones &* (0x80 - 0x67)) & highs
        guard digits & highs == 0, numerals | letters == highs else { return nil }
        var value = ((digits & (ones &* 0x0f)) &+ (letters >> 7) &* 9).byteSwapped
        value = (value | value >> 4) & 0x00ff_00ff_00ff_00ff
        value = (value | value >> 8) & 0x0000_ffff_0000_ffff
        return (value | value >> 16) & 0xffff_ffff
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
