import Glibc

// Invariant of this file: a block is read from 64 bytes that exist: either inside the caller's `Bytes`, or in the
// 128-byte scratch of `hash`.

/// SHA-1 (FIPS 180-4) of whole runs of bytes. For digests that Redis defines as SHA-1 (DEBUG DIGEST, script names);
/// not for anything that must withstand an attacker.
public struct SHA1: Equatable, Sendable {
    /// The five words of the digest; their big-endian bytes in order are the 20 bytes of the digest.
    public private(set) var words: (UInt32, UInt32, UInt32, UInt32, UInt32)

    /// Twenty zero bytes: where DEBUG DIGEST starts.
    public static let zero = SHA1(words: (0, 0, 0, 0, 0))

    private init(words: (UInt32, UInt32, UInt32, UInt32, UInt32)) { self.words = words }

    /// The digest of `data`. O(count), no allocation.
    public init(of data: Bytes) {
        words = (0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0)
        let whole = data.count & ~63
        var offset = 0
        while offset < whole {
            mix(block: data.base + offset)
            offset += 64
        }
        let rest = data.count - whole
        withUnsafeTemporaryAllocation(byteCount: 128, alignment: 8) { tail in
            guard let p = tail.baseAddress else { return }
            memset(p, 0, 128)
            memcpy(p, data.base + whole, rest)
            p.storeBytes(of: 0x80, toByteOffset: rest, as: UInt8.self)
            let length = rest < 56 ? 64 : 128
            p.storeBytes(of: (UInt64(data.count) &* 8).bigEndian, toByteOffset: length - 8, as: UInt64.self)
            mix(block: p)
            if length == 128 { mix(block: p + 64) }
        }
    }

    private mutating func mix(block: UnsafeRawPointer) {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 80) { schedule in
            guard let w = schedule.baseAddress else { return }
            for i in 0..<16 {
                w[i] = UInt32(bigEndian: block.loadUnaligned(fromByteOffset: i * 4, as: UInt32.self))
            }
            for i in 16..<80 { w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1) }
            var (a, b, c, d, e) = words
            @inline(__always) func round(_ f: UInt32, _ k: UInt32, _ i: Int) {
                let next = rotate(a, 5) &+ f &+ e &+ k &+ w[i]
                e = d
                d = c
                c = rotate(b, 30)
                b = a
                a = next
            }
            for i in 0..<20 { round((b & c) | (~b & d), 0x5A82_7999, i) }
            for i in 20..<40 { round(b ^ c ^ d, 0x6ED9_EBA1, i) }
            for i in 40..<60 { round((b & c) | (b & d) | (c & d), 0x8F1B_BCDC, i) }
            for i in 60..<80 { round(b ^ c ^ d, 0xCA62_C1D6, i) }
            words.0 &+= a
            words.1 &+= b
            words.2 &+= c
            words.3 &+= d
            words.4 &+= e
        }
    }

    public static func == (a: SHA1, b: SHA1) -> Bool { a.words == b.words }

    public static func ^= (a: inout SHA1, b: SHA1) {
        a.words.0 ^= b.words.0
        a.words.1 ^= b.words.1
        a.words.2 ^= b.words.2
        a.words.3 ^= b.words.3
        a.words.4 ^= b.words.4
    }

    /// Calls `body` with the 20 bytes.
    public func withBytes<Result>(_ body: (Bytes) -> Result) -> Result {
        var big = (
            words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian, words.4.bigEndian
        )
        return withUnsafeBytes(of: &big) { raw in
            raw.baseAddress.map { body(Bytes($0, 20)) } ?? body(Bytes())
        }
    }

    /// 40 lower-case hexadecimal digits.
    public var hex: String {
        withBytes { bytes in
            var text = ""
            text.reserveCapacity(40)
            for byte in bytes.buffer {
                text.unicodeScalars.append(hexDigit(byte >> 4))
                text.unicodeScalars.append(hexDigit(byte & 15))
            }
            return text
        }
    }
}

@inline(__always) private func rotate(_ x: UInt32, _ n: UInt32) -> UInt32 { (x << n) | (x >> (32 - n)) }

private func hexDigit(_ nibble: UInt8) -> Unicode.Scalar { Unicode.Scalar(nibble < 10 ? 48 + nibble : 87 + nibble) }
