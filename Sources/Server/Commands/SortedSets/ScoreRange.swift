import Glibc
import Storage

// Invariant of this file: text handed to strtod is copied behind which a terminator is written first.

/// Scores and the limits of ranges, as clients write them.
enum Score {
    /// What strtod makes of the whole text; nil where Redis refuses a score: none, a space in front, anything behind,
    /// NaN, or a number too large or too small for a double.
    static func parse(_ text: Bytes) -> Double? {
        // Every integer of up to 15 digits is exact, and most scores are one.
        if text.count <= 15, let integer = text.integer { return Double(integer) }
        guard let first = text.buffer.first, !isSpace(first), !text.buffer.contains(0) else { return nil }
        return convert(text) { value, rangeError in
            rangeError && (value.isInfinite || value == 0) ? nil : value
        }
    }

    /// A range's limit: read as a C string, so that nothing is 0 and a space in front is skipped.
    static func parseLimit(_ text: Bytes) -> Double? {
        if text.count <= 15, let integer = text.integer { return Double(integer) }
        let end = text.buffer.firstIndex(of: 0) ?? text.count
        return end == 0 ? 0 : convert(text[0..<end]) { value, _ in value }
    }

    /// A weight of SORT: read as a limit is, but too large or too small a number is refused.
    static func parseWeight(_ text: Bytes) -> Double? {
        if text.count <= 15, let integer = text.integer { return Double(integer) }
        let end = text.buffer.firstIndex(of: 0) ?? text.count
        return end == 0 ? 0 : convert(text[0..<end]) { value, rangeError in rangeError ? nil : value }
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (byte >= 9 && byte <= 13) }

    private static func convert(_ text: Bytes, _ accept: (Double, _ rangeError: Bool) -> Double?) -> Double? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: text.count + 1) { copy in
            guard let start = copy.baseAddress else { return nil }
            memcpy(start, text.base, text.count)
            start[text.count] = 0
            var end: UnsafeMutablePointer<CChar>?
            errno = 0
            let value = strtod(start, &end)
            guard end == start + text.count, !value.isNaN else { return nil }
            return accept(value, errno == ERANGE)
        }
    }
}

extension CommandError {
    static let scoreNaN = CommandError("ERR resulting score is not a number (NaN)")
}

/// `min max` of ZRANGEBYSCORE and its kin: numbers, infinities, `(` in front to exclude the limit itself.
struct ScoreRange {
    private let min: Double
    private let max: Double
    private let excludesMin: Bool
    private let excludesMax: Bool

    init(_ min: Bytes, _ max: Bytes) throws(CommandError) {
        (self.min, excludesMin) = try Self.limit(min)
        (self.max, excludesMax) = try Self.limit(max)
    }

    private static func limit(_ text: Bytes) throws(CommandError) -> (Double, Bool) {
        let excluded = text.count > 0 && text[0] == UInt8(ascii: "(")
        guard let value = Score.parseLimit(excluded ? text[1..<text.count] : text) else {
            throw CommandError("ERR min or max is not a float")
        }
        return (value, excluded)
    }

    /// The ascending ranks within the range. O(log n).
    func ranks(in zset: ZSetView) -> Range<Int> {
        let first = zset.firstRank(score: min, after: excludesMin)
        return first..<Swift.max(first, zset.firstRank(score: max, after: !excludesMax))
    }
}

/// `min max` of ZRANGEBYLEX and its kin: `-`, `+`, `[member` or `(member`.
struct LexRange {
    private enum Limit {
        case lowest, highest
        case including(Bytes)
        case excluding(Bytes)
    }
    private let min: Limit
    private let max: Limit

    init(_ min: Bytes, _ max: Bytes) throws(CommandError) {
        self.min = try Self.limit(min)
        self.max = try Self.limit(max)
    }

    private static func limit(_ text: Bytes) throws(CommandError) -> Limit {
        switch text.buffer.first {
        case UInt8(ascii: "-") where text.count == 1: return .lowest
        case UInt8(ascii: "+") where text.count == 1: return .highest
        case UInt8(ascii: "["): return .including(text[1..<text.count])
        case UInt8(ascii: "("): return .excluding(text[1..<text.count])
        default: throw CommandError("ERR min or max not valid string range item")
        }
    }

    /// The ascending ranks within the range, where all scores are equal; some range within the set otherwise. O(log n).
    func ranks(in zset: ZSetView) -> Range<Int> {
        let first =
            switch min {
            case .lowest: 0
            case .highest: zset.count
            case .including(let member): zset.firstRank(member: member, after: false)
            case .excluding(let member): zset.firstRank(member: member, after: true)
            }
        let end =
            switch max {
            case .lowest: 0
            case .highest: zset.count
            case .including(let member): zset.firstRank(member: member, after: true)
            case .excluding(let member): zset.firstRank(member: member, after: false)
            }
        return first..<Swift.max(first, end)
    }
}

/// `start stop` of ZRANGE and ZREMRANGEBYRANK: from 0, negative from the end.
struct RankRange {
    private let start: Int64
    private let stop: Int64

    init(_ start: Bytes, _ stop: Bytes) throws(CommandError) {
        guard let start = start.integer, let stop = stop.integer else { throw .notInteger }
        self.start = start
        self.stop = stop
    }

    /// The indexes meant in a collection of `count`, in the order that the caller counts in.
    func indexes(count: Int) -> Range<Int> {
        let count = Int64(count)
        let first = start < 0 ? Swift.max(count &+ start, 0) : start
        let last = Swift.min(stop < 0 ? count &+ stop : stop, count - 1)
        return first > last ? 0..<0 : Int(first)..<Int(last) + 1
    }
}
