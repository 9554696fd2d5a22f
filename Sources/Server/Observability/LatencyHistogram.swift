/// How long the calls of a command took: counted by the power of two of their microseconds, which is as fine as
/// LATENCY HISTOGRAM shows. Adding costs an increment.
struct LatencyHistogram {
    /// [i] counts calls of at most 2^i microseconds and more than the bucket before.
    private(set) var buckets: InlineArray<32, UInt32> = .init(repeating: 0)

    mutating func add(nanoseconds: UInt64) {
        let microseconds = nanoseconds / 1000
        let bucket = microseconds <= 1 ? 0 : UInt64.bitWidth - (microseconds - 1).leadingZeroBitCount
        buckets[min(31, bucket)] &+= 1
    }

    /// Microseconds within which `percent` of the calls ended: the upper bound of a bucket. 0 without calls.
    func microseconds(percent: Double) -> Double {
        var total = 0
        for i in buckets.indices { total += Int(buckets[i]) }
        let wanted = Double(total) * percent / 100
        var seen = 0
        for i in buckets.indices {
            seen += Int(buckets[i])
            if seen > 0 && Double(seen) >= wanted { return Double(UInt64(1) << UInt64(i)) }
        }
        return 0
    }

    /// Upper bounds in microseconds, with how many calls took at most that: only the buckets that hold any.
    func forEachUsed(_ body: (_ microseconds: Int64, _ calls: Int64) -> Void) {
        var total: Int64 = 0
        for i in buckets.indices where buckets[i] > 0 {
            total += Int64(buckets[i])
            body(Int64(1) << Int64(i), total)
        }
    }
    var usedCount: Int { buckets.indices.reduce(0) { $0 + (buckets[$1] > 0 ? 1 : 0) } }
}
