import TestSupport

/// Damages files and payloads the way their formats invite: lengths and counts, types, headers, whole ranges.
struct Mutator {
    /// Bytes that begin a length, an encoding, an opcode or an end in one of the formats.
    private static let bytes: [UInt8] = [
        0, 1, 2, 10, 13, 36, 42, 48, 57, 63, 0x40, 0x7F, 0x80, 0x81, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xE0, 0xF0, 0xF1,
        0xF4,
        0xFE, 0xFF,
    ]
    private static let numbers: [UInt64] = [
        0, 1, 2, 63, 64, 127, 128, 255, 256, 16383, 16384, 65535, 65536, 1 << 24, 1 << 31 - 1, 1 << 31, 1 << 32 - 1,
        1 << 32, 1 << 62, 1 << 63 - 1, 1 << 63, .max - 1, .max,
    ]
    private var random: SeededRandom
    private let others: [[UInt8]]

    /// `others`: what parts are taken from.
    init(_ random: SeededRandom, _ others: [[UInt8]]) {
        self.random = random
        self.others = others
    }

    mutating func pick(_ count: Int) -> Int { random.below(count) }

    /// `bytes`, damaged once or a few times; most often in the bytes behind one of `starts`, where types, lengths, counts and
    /// headers stand.
    mutating func mutated(_ bytes: [UInt8], starts: [Int]) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<(random.below(4) == 0 ? 1 + random.below(4) : 1) {
            if bytes.isEmpty { break }
            var at = random.below(bytes.count)
            if !starts.isEmpty, random.below(4) != 0 {
                at = min(random.pick(starts) + random.below(28), bytes.count - 1)
            }
            mutate(&bytes, at)
        }
        return bytes
    }

    private mutating func mutate(_ bytes: inout [UInt8], _ at: Int) {
        switch random.below(14) {
        case 0, 1: bytes[at] = random.byte()
        case 2, 3: bytes[at] = random.pick(Mutator.bytes)
        case 4: bytes[at] &+= 1
        case 5: bytes[at] &-= 1
        case 6: bytes[at] ^= 1 << UInt8(random.below(8))
        case 7, 8: overwrite(&bytes, at, width: random.pick([2, 4, 8]))
        case 9: bytes.removeSubrange(at..<min(at + 1 + random.below(9), bytes.count))
        case 10: bytes.insert(contentsOf: (0...random.below(9)).map { _ in random.pick(Mutator.bytes) }, at: at)
        case 11: bytes.removeSubrange(at...)
        case 12:
            let end = min(at + 1 + random.below(40), bytes.count)
            bytes.insert(contentsOf: bytes[at..<end], at: random.below(bytes.count))
        default:
            let other = random.pick(others)
            if other.isEmpty { return }
            let from = random.below(other.count)
            bytes.replaceSubrange(
                at..<min(at + random.below(20), bytes.count),
                with: other[from..<min(from + 1 + random.below(60), other.count)])
        }
    }

    /// A number in either order of bytes, behind the byte that announces a length of this width now and then.
    private mutating func overwrite(_ bytes: inout [UInt8], _ at: Int, width: Int) {
        var number = random.pick(Mutator.numbers)
        if random.below(3) == 0 { number = UInt64(bytes.count) &+ UInt64(random.below(3)) &- 1 }
        var digits = (0..<width).map { UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) }
        if random.below(2) == 0 {
            digits.reverse()
            if width > 2, random.below(2) == 0 { digits.insert(width == 4 ? 0x80 : 0x81, at: 0) }
        }
        for (i, digit) in digits.enumerated() where at + i < bytes.count { bytes[at + i] = digit }
    }
}
