import CCrypto

// Invariant of this file: the digest is written to 20 bytes on the stack.

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
        words = (0, 0, 0, 0, 0)
        withUnsafeMutableBytes(of: &words) { digest in
            guard let base = digest.baseAddress else { return }
            ccrypto_sha1(data.base, data.count, base.assumingMemoryBound(to: UInt8.self))
        }
        words = (
            words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian, words.4.bigEndian
        )
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

private func hexDigit(_ nibble: UInt8) -> Unicode.Scalar { Unicode.Scalar(nibble < 10 ? 48 + nibble : 87 + nibble) }
