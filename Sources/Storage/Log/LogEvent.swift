/// A place in a log: a segment, and an offset in its file in bytes.
public struct LogPlace: Comparable, Hashable, Sendable, CustomStringConvertible {
    public var segment: Int64
    public var offset: Int64

    public init(segment: Int64, offset: Int64 = 0) {
        self.segment = segment
        self.offset = offset
    }
    public static func < (a: LogPlace, b: LogPlace) -> Bool { (a.segment, a.offset) < (b.segment, b.offset) }
    public var description: String { "segment \(segment), byte \(offset)" }
}

/// What a reader of the log comes across, in the log's order.
enum LogEvent {
    /// A batch whose check holds, and where it ends in the segment's file.
    case batch(end: Int64)
    /// What follows was logged then, in milliseconds since 1970.
    case time(Int64)
    /// The arguments are valid during the call.
    case command(UnsafeBufferPointer<Bytes>)
    /// What follows may not be all that happened, or go on from other data.
    case rupture
}
