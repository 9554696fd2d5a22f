// Invariant of this file: `counts` is nil or points to `slots` initialised counters, which this value alone frees
// (`deallocate`): whoever holds one keeps a single copy of it, and calls nothing after that.

/// How long the calls of one command took: a counter for each range of nanoseconds, of which none is wider than a
/// hundredth of its values, up to a second. The layout is HdrHistogram's with two significant digits, as Redis has it, so
/// that both name the same ranges. 24 KB, allocated by the first call.
struct LatencyHistogram {
    private var counts: UnsafeMutablePointer<UInt64>?
    /// Calls recorded.
    private(set) var total: UInt64 = 0

    /// Ranges of each power of two are this many; those below 256 ns are 1 ns wide.
    private static let half = 128
    private static let halfBits = 7
    /// The first range has values up to 255, each further doubling adds `half` of them: 2^30 ns are more than a second.
    private static let slots = (30 - halfBits + 1) * half
    /// What takes longer counts as this.
    private static let longest: UInt64 = 1_000_000_000

    /// Records a call. O(1); allocates the first time.
    @inline(__always) mutating func record(nanoseconds: UInt64) {
        guard let counts else { return recordFirst(nanoseconds) }
        counts[Self.slot(of: nanoseconds)] &+= 1
        total &+= 1
    }
    @inline(never) private mutating func recordFirst(_ nanoseconds: UInt64) {
        let new = UnsafeMutablePointer<UInt64>.allocate(capacity: Self.slots)
        new.initialize(repeating: 0, count: Self.slots)
        counts = new
        record(nanoseconds: nanoseconds)
    }

    /// Forgets all calls, and keeps the memory.
    mutating func removeAll() {
        counts?.update(repeating: 0, count: Self.slots)
        total = 0
    }

    /// Frees the counters; nothing is recorded after this.
    mutating func deallocate() {
        counts?.deallocate()
        counts = nil
    }

    // MARK: Ranges

    @inline(__always) private static func slot(of nanoseconds: UInt64) -> Int {
        let value = min(max(nanoseconds, 1), longest)
        let doublings = UInt64.bitWidth - halfBits - 1 - (value | 255).leadingZeroBitCount
        return (doublings << halfBits) + Int(truncatingIfNeeded: value >> UInt64(doublings))
    }

    /// The nanoseconds that the counter stands for.
    static func range(of slot: Int) -> ClosedRange<UInt64> {
        let doublings = UInt64(max(0, slot / half - 1))
        let first = UInt64(slot) - doublings * UInt64(half)
        return first << doublings...(first + 1) << doublings - 1
    }

    /// The nanoseconds within which `percentile` of the calls ended, as the upper end of their range; its lower end for 0.
    /// 0 where there were none. O(ranges).
    func nanoseconds(percentile: Double) -> UInt64 {
        guard let counts, total > 0 else { return 0 }
        let wanted = max(1, UInt64((min(100, max(0, percentile)) / 100 * Double(total)).rounded()))
        var seen: UInt64 = 0
        for slot in 0..<Self.slots {
            seen &+= counts[slot]
            if seen < wanted { continue }
            let range = Self.range(of: slot)
            return percentile == 0 ? range.lowerBound : range.upperBound
        }
        return Self.longest
    }

    /// What LATENCY HISTOGRAM shows: for each doubling of 1024 ns up to which more calls ended than up to the one before, the
    /// end of its range in microseconds and the calls so far. O(ranges).
    func distribution() -> [(microseconds: UInt64, calls: UInt64)] {
        guard let counts, total > 0 else { return [] }
        var found: [(microseconds: UInt64, calls: UInt64)] = []
        var seen: UInt64 = 0
        var shown: UInt64 = 0
        var limit: UInt64 = 1024
        for slot in 0..<Self.slots {
            let range = Self.range(of: slot)
            seen &+= counts[slot]
            if !range.contains(limit) && slot < Self.slots - 1 { continue }
            limit <<= 1
            if seen > shown { found.append((range.upperBound / 1000, seen)) }
            shown = seen
            if seen == total { break }
        }
        return found
    }
}
