// Invariant of this file: every read is bounded by the run that is given; offsets never exceed 2^33, so that their sums
// cannot overflow.

/// The flat lists of RDB versions 1 to 9: of hashes, lists and sorted sets. Only read, never written.
///
/// Format (https://rdb.fnordig.de/file_format.html#ziplist-encoding): u32 total bytes, u32 offset of the last entry,
/// u16 number of entries (65535: count them), entries, 0xFF. An entry is the size of the one before (a byte below 254,
/// or 254 and a u32), an encoding, its data. Integers are little-endian but the lengths of strings, which are
/// big-endian:
///
///     00xxxxxx             string of 0...63       11000000   16-bit integer    11111110   8-bit integer
///     01xxxxxx xxxxxxxx    string of 0...16383    11010000   32-bit integer    1111xxxx   x - 1, x in 1...13
///     10------ + u32       string                 11100000   64-bit integer
///                                                 11110000   24-bit integer
public enum Ziplist {
    private static let headerSize = 10
    private static let endByte: UInt8 = 0xFF
    private static let wideSize: UInt8 = 254
    private static let unknownCount = 65535

    /// Calls `body` for each element in order, until it returns false. Integers are rendered into `scratch`, which has
    /// 24 bytes; an element is valid until `body` returns.
    /// Returns the offset of the first damage; nil where there is none, or `body` ended the walk. Elements before the
    /// damage, and all of them where only the header's count or tail is wrong, are handed out all the same. Safe on any
    /// input. O(n).
    public static func forEach(
        _ bytes: Bytes, scratch: UnsafeMutableRawPointer, _ body: (Bytes) -> Bool
    ) -> Int? {
        guard let total = bytes.littleEndian(at: 0, as: UInt32.self), Int(total) == bytes.count,
            let tail = bytes.littleEndian(at: 4, as: UInt32.self),
            let told = bytes.littleEndian(at: 8, as: UInt16.self)
        else { return 0 }
        let end = bytes.count - 1
        guard end >= headerSize, bytes[end] == endByte else { return max(end, 0) }
        var at = headerSize
        var last = headerSize
        var previousSize = 0
        var count = 0
        while at < end {
            guard let entry = entry(bytes[at..<end], previousSize: previousSize) else { return at }
            let element: Bytes
            switch entry.content {
            case .integer(let value): element = Bytes(scratch, decimalDigits(of: value, into: scratch))
            case .string(let range): element = bytes[at + range.lowerBound..<at + range.upperBound]
            }
            if !body(element) { return nil }
            last = at
            previousSize = entry.size
            at += entry.size
            count += 1
        }
        if Int(tail) != last { return 4 }
        return Int(told) != unknownCount && Int(told) != count ? 8 : nil
    }

    private enum Content {
        case integer(Int64)
        /// Offsets from the start of the entry.
        case string(Range<Int>)
    }

    /// The entry that `bytes` open with; nil where it is none, does not fit or does not follow one of `previousSize`.
    private static func entry(_ bytes: Bytes, previousSize: Int) -> (content: Content, size: Int)? {
        var at = 1
        var told = Int(bytes[0])
        if bytes[0] == wideSize {
            guard let wide = bytes.littleEndian(at: 1, as: UInt32.self) else { return nil }
            told = Int(wide)
            at = 5
        }
        guard told == previousSize, at < bytes.count else { return nil }
        let head = bytes[at]
        if head < 0xC0 { return string(bytes, at, head) }
        let data = at + 1
        switch head {
        case 0xC0: return bytes.littleEndian(at: data, as: Int16.self).map { (.integer(Int64($0)), data + 2) }
        case 0xD0: return bytes.littleEndian(at: data, as: Int32.self).map { (.integer(Int64($0)), data + 4) }
        case 0xE0: return bytes.littleEndian(at: data, as: Int64.self).map { (.integer($0), data + 8) }
        case 0xF0:
            guard let low = bytes.littleEndian(at: data, as: UInt16.self),
                let high = bytes.littleEndian(at: data + 2, as: Int8.self)
            else { return nil }
            return (.integer(Int64(high) << 16 | Int64(low)), data + 3)
        case 0xF1...0xFD: return (.integer(Int64(head & 0x0F) - 1), data)
        case 0xFE: return bytes.littleEndian(at: data, as: Int8.self).map { (.integer(Int64($0)), data + 1) }
        default: return nil
        }
    }

    private static func string(_ bytes: Bytes, _ at: Int, _ head: UInt8) -> (content: Content, size: Int)? {
        let start: Int
        let length: Int
        switch head >> 6 {
        case 0:
            start = at + 1
            length = Int(head & 0x3F)
        case 1:
            guard let low = bytes.littleEndian(at: at + 1, as: UInt8.self) else { return nil }
            start = at + 2
            length = Int(head & 0x3F) << 8 | Int(low)
        default:
            guard let swapped = bytes.littleEndian(at: at + 1, as: UInt32.self) else { return nil }
            start = at + 5
            length = Int(swapped.byteSwapped)
        }
        return length <= bytes.count - start ? (.string(start..<start + length), start + length) : nil
    }
}
