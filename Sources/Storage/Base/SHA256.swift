import CCrypto

// Invariant of this file: the digest is written to an array of its size.

/// SHA-256 (FIPS 180-4) of whole runs of bytes: the form in which Redis's files keep passwords.
public enum SHA256 {
    /// The digest's 64 hexadecimal digits, in lower case, as ASCII. O(count).
    public static func hexadecimal(of data: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
        CCrypto.SHA256(data, data.count, &digest)
        let digits = Array("0123456789abcdef".utf8)
        return digest.flatMap { byte in [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
    }
}
