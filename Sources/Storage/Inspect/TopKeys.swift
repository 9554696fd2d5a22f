/// The keys of which a measure is largest, so many of them.
struct TopKeys {
    private let limit: Int
    private let measure: (Statistics.Tally) -> Int
    /// A heap: the one behind all others comes first.
    private var heap: [Statistics.NamedKey] = []

    init(_ limit: Int, by measure: @escaping (Statistics.Tally) -> Int) {
        self.limit = limit
        self.measure = measure
    }

    /// Takes a key in where it is ahead of the last one; only then, or where they may be equal, `key` is called. O(log limit).
    mutating func offer(_ tally: Statistics.Tally, _ key: () -> Statistics.NamedKey) {
        if limit == 0 { return }
        if heap.count < limit {
            heap.append(key())
            var i = heap.count - 1
            while i > 0, isAhead(heap[(i - 1) / 2], of: heap[i]) {
                heap.swapAt(i, (i - 1) / 2)
                i = (i - 1) / 2
            }
        } else if measure(tally) >= measure(heap[0].tally) {
            let key = key()
            if !isAhead(key, of: heap[0]) { return }
            heap[0] = key
            sink()
        }
    }

    /// Larger ones are ahead, then those of lower databases and names.
    private func isAhead(_ a: Statistics.NamedKey, of b: Statistics.NamedKey) -> Bool {
        let (first, second) = (measure(a.tally), measure(b.tally))
        if first != second { return first > second }
        if a.database != b.database { return a.database < b.database }
        return a.name.lexicographicallyPrecedes(b.name)
    }

    private mutating func sink() {
        var i = 0
        while true {
            var last = i
            for child in [2 * i + 1, 2 * i + 2] where child < heap.count && isAhead(heap[last], of: heap[child]) {
                last = child
            }
            if last == i { return }
            heap.swapAt(i, last)
            i = last
        }
    }

    /// From the first on.
    var sorted: [Statistics.NamedKey] { heap.sorted { isAhead($0, of: $1) } }
}
