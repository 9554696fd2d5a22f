// Invariant of this file: every read is bounded by the run that is given; offsets never exceed 2^33, so that their sums
// cannot overflow.

/// The flat hashes of servers before Redis 2.6. Only read, never written.
///
/// Format (https://rdb.fnordig.de/file_format.html#zipmap-encoding): number of pairs in a byte (254 and more: count
/// them), pairs, 0xFF. A pair is a length and the field, a length, a byte that tells how many unused bytes follow the
/// value, the value, the unused bytes. A length is a byte below 254, or 254 and a little-endian u32.
public enum Zipmap {
    private static let endByte: UInt8 = 0xFF
    /// Opens a length of four more bytes; in the first byte of all, it and what is above: too many to tell.
    private static let wideLength: UInt8 = 254

    /// Calls `body` for each field and value in order, until it returns false. Both lie within `bytes`.
    /// Returns the offset of the first damage; nil where there is none, or `body` ended the walk. Pairs before the
    /// damage, and all of them where only the count is wrong, are handed out all the same. Safe on any input. O(n).
    public static func forEach(_ bytes: Bytes, _ body: (_ field: Bytes, _ value: Bytes) -> Bool) -> Int? {
        let end = bytes.count - 1
        guard end >= 1, bytes[end] == endByte else { return max(end, 0) }
        var at = 1
        var count = 0
        while at < end {
            guard let field = text(bytes[0..<end], at, freeBytes: false),
                let value = text(bytes[0..<end], field.next, freeBytes: true)
            else { return at }
            if !body(field.text, value.text) { return nil }
            at = value.next
            count += 1
        }
        return bytes[0] < wideLength && Int(bytes[0]) != count ? 0 : nil
    }

    /// The length and text at `at`, and where what follows them begins; nil where they do not fit.
    private static func text(_ bytes: Bytes, _ at: Int, freeBytes: Bool) -> (text: Bytes, next: Int)? {
        guard at < bytes.count, bytes[at] != endByte else { return nil }
        var length = Int(bytes[at])
        var start = at + 1
        if bytes[at] == wideLength {
            guard let wide = bytes.littleEndian(at: start, as: UInt32.self) else { return nil }
            length = Int(wide)
            start += 4
        }
        var unused = 0
        if freeBytes {
            guard start < bytes.count else { return nil }
            unused = Int(bytes[start])
            start += 1
        }
        guard length + unused <= bytes.count - start else { return nil }
        return (bytes[start..<start + length], start + length + unused)
    }
}
