import Foundation
import Glibc
import TestSupport

@testable import Storage

/// What the tests of the flat formats share.
enum FlatFormat {
    /// Memory that ends at a page which cannot be touched, so that a read past the end ends the test run.
    final class GuardedMemory {
        private let base: UnsafeMutableRawPointer
        private let capacity: Int
        private static let page = 4096

        init(capacity: Int) {
            let rounded = (capacity + GuardedMemory.page - 1) / GuardedMemory.page * GuardedMemory.page
            self.capacity = rounded
            base = mmap(
                nil, rounded + GuardedMemory.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            precondition(base != MAP_FAILED && mprotect(base + rounded, GuardedMemory.page, PROT_NONE) == 0)
        }
        deinit { munmap(base, capacity + GuardedMemory.page) }

        /// `bytes`, the last of them just before the guard; valid until the next call.
        func hold(_ bytes: [UInt8]) -> Bytes {
            precondition(bytes.count <= capacity)
            let start = base + (capacity - bytes.count)
            bytes.withUnsafeBytes {
                start.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(start), byteCount: $0.count)
            }
            return Bytes(start, bytes.count)
        }
    }

    /// The boundaries of every integer encoding, of both flat formats.
    static let integers: [Int64] = [
        0, 1, 12, 13, 127, -1, 128, 4095, -4096, 4096, -4097, 32767, -32768, 32768, -32769, 8_388_607, -8_388_608,
        8_388_608, -8_388_609, 2_147_483_647, -2_147_483_648, 2_147_483_648, -2_147_483_649, .max, .min,
    ]

    static func bytes(_ hex: String) -> [UInt8] {
        var out: [UInt8] = []
        var rest = Substring(hex)
        while rest.count >= 2 {
            out.append(UInt8(rest.prefix(2), radix: 16) ?? 0)
            rest = rest.dropFirst(2)
        }
        return out
    }

    /// `bytes` with a few bytes, or its length, changed.
    static func damaged(_ bytes: [UInt8], _ random: inout SeededRandom) -> [UInt8] {
        var out = bytes
        for _ in 0...random.below(3) where !out.isEmpty {
            let i = random.below(out.count)
            switch random.below(8) {
            case 0: out.remove(at: i)
            case 1: out.insert(UInt8(random.below(256)), at: i)
            case 2: out.removeLast(random.below(min(out.count, 12)))
            case 3: out[i] = random.pick([0x00, 0x7F, 0x80, 0xC0, 0xE0, 0xF0, 0xF1, 0xF2, 0xF4, 0xFE, 0xFF])
            case 4: out[i] ^= 1 << UInt8(random.below(8))
            default: out[i] = UInt8(random.below(256))
            }
        }
        // Half of them with a right total length, so that the damage is looked for further in.
        if random.below(2) == 0 && out.count >= 4 {
            for i in 0..<4 { out[i] = UInt8(truncatingIfNeeded: out.count >> (8 * i)) }
        }
        return out
    }
}

/// Calls `body` with `text` as borrowed bytes.
func withBytes<R>(_ text: [UInt8], _ body: (Bytes) throws -> R) rethrows -> R {
    try text.withUnsafeBytes { try body($0.baseAddress.map { Bytes($0, text.count) } ?? Bytes()) }
}
