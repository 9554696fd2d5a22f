// Invariant of this file: what is written to `out` is at most the 20 bytes (41 for an id) that its owner left for it.

/// The id of a stream's entry: milliseconds since 1970 and a number within that millisecond.
public struct StreamID: Hashable, Comparable, Sendable {
    public var ms: UInt64
    public var seq: UInt64

    public init(ms: UInt64, seq: UInt64) {
        self.ms = ms
        self.seq = seq
    }

    public static let zero = StreamID(ms: 0, seq: 0)
    public static let max = StreamID(ms: .max, seq: .max)

    @inlinable public static func < (a: StreamID, b: StreamID) -> Bool { a.ms != b.ms ? a.ms < b.ms : a.seq < b.seq }

    /// The id after this one; nil after the greatest.
    public var next: StreamID? {
        if seq != .max { return StreamID(ms: ms, seq: seq + 1) }
        return ms != .max ? StreamID(ms: ms + 1, seq: 0) : nil
    }
    /// The id before this one; nil before 0-0.
    public var previous: StreamID? {
        if seq != 0 { return StreamID(ms: ms, seq: seq - 1) }
        return ms != 0 ? StreamID(ms: ms - 1, seq: .max) : nil
    }

    /// The most bytes that `text` writes.
    public static let textLimit = 41
    /// `ms-seq` in decimal, written to `out`, which has room for `textLimit` bytes.
    public func text(into out: UnsafeMutableRawPointer, separator: UInt8 = UInt8(ascii: "-")) -> Bytes {
        var length = decimalDigits(of: ms, into: out)
        out.storeBytes(of: separator, toByteOffset: length, as: UInt8.self)
        length += 1
        length += decimalDigits(of: seq, into: out + length)
        return Bytes(out, length)
    }
}

/// Writes the decimal form of `value` to `out`, which has room for 20 bytes. Returns the length.
func decimalDigits(of value: UInt64, into out: UnsafeMutableRawPointer) -> Int {
    if let signed = Int64(exactly: value) { return decimalDigits(of: signed, into: out) }
    let length = decimalDigits(of: Int64(value / 10), into: out)
    out.storeBytes(of: UInt8(48 + value % 10), toByteOffset: length, as: UInt8.self)
    return length + 1
}
