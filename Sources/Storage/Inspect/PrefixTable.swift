/// Sums by prefix, of no more than `capacity` prefixes at a time: where there are more, the half with the fewest bytes is
/// given up, and counts as others from then on.
struct PrefixTable {
    /// A prefix takes some 200 bytes.
    private static let usualCapacity = 32_768
    /// Longer prefixes are cut here.
    private static let longest = 256

    private let separator: [UInt8]
    private let depth: Int
    private let capacity: Int
    private var tallies: [[UInt8]: Statistics.Tally] = [:]
    private var without = Statistics.Tally()
    private var others = Statistics.Tally()
    private var isExact = true
    /// The last prefix: keys that lie together mostly have the same.
    private var last: [UInt8] = []
    private var pending = Statistics.Tally()

    init(separator: [UInt8], depth: Int, capacity: Int = usualCapacity) {
        self.separator = separator
        self.depth = depth
        self.capacity = capacity
    }

    /// Amortised O(1).
    mutating func add(_ key: Bytes, _ tally: Statistics.Tally) {
        let length = prefixLength(of: key)
        if length == 0 {
            without.add(tally)
            return
        }
        let prefix = key[0..<length]
        if !last.lend({ $0 == prefix }) {
            flush()
            last = prefix.array
        }
        pending.add(tally)
    }

    private mutating func flush() {
        if pending.keys == 0 { return }
        tallies[last, default: Statistics.Tally()].add(pending)
        pending = Statistics.Tally()
        if tallies.count > capacity { giveUp() }
    }

    /// Up to and with the last of `depth` separators; 0 where there is none.
    private func prefixLength(of key: Bytes) -> Int {
        guard let first = separator.first else { return 0 }
        var end = 0
        var found = 0
        var at = 0
        let limit = min(key.count, PrefixTable.longest)
        while found < depth, at + separator.count <= limit {
            if key[at] == first, separator.lend({ $0 == key[at..<at + separator.count] }) {
                at += separator.count
                end = at
                found += 1
            } else {
                at += 1
            }
        }
        return end
    }

    private mutating func giveUp() {
        isExact = false
        let sizes = tallies.values.map(\.bytes).sorted()
        let middle = sizes[sizes.count / 2]
        for (name, tally) in tallies where tally.bytes <= middle {
            others.add(tally)
            tallies[name] = nil
        }
    }

    mutating func finish(top: Int, into found: inout Statistics) {
        flush()
        let sorted = tallies.sorted {
            $0.value.bytes != $1.value.bytes
                ? $0.value.bytes > $1.value.bytes : $0.key.lexicographicallyPrecedes($1.key)
        }
        found.prefixes = sorted.prefix(top).map { ($0.key, $0.value) }
        for (_, tally) in sorted.dropFirst(top) { others.add(tally) }
        found.withoutPrefix = without
        found.otherPrefixes = others
        found.hasExactPrefixes = isExact
    }
}
