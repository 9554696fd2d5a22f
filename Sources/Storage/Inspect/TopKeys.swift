/// The keys of which a measure is largest, so many of them.
struct TopKeys {
    private let limit: Int
    private let measure: (Statistics.Tally) -> Int
    /// A heap: the smallest comes first.
    private var heap: [Statistics.NamedKey] = []

    init(_ limit: Int, by measure: @escaping (Statistics.Tally) -> Int) {
        self.limit = limit
        self.measure = measure
    }

    /// Takes a key in where it is larger than the smallest; only then `key` is called. O(log limit).
    mutating func offer(_ tally: Statistics.Tally, _ key: () -> Statistics.NamedKey) {
        if limit == 0 { return }
        if heap.count < limit {
            heap.append(key())
            var i = heap.count - 1
            while i > 0, size(i) < size((i - 1) / 2) {
                heap.swapAt(i, (i - 1) / 2)
                i = (i - 1) / 2
            }
        } else if measure(tally) > size(0) {
            heap[0] = key()
            sink()
        }
    }

    private func size(_ index: Int) -> Int { measure(heap[index].tally) }

    private mutating func sink() {
        var i = 0
        while true {
            var least = i
            for child in [2 * i + 1, 2 * i + 2] where child < heap.count && size(child) < size(least) { least = child }
            if least == i { return }
            heap.swapAt(i, least)
            i = least
        }
    }

    /// Descending; equal ones by database and name.
    var sorted: [Statistics.NamedKey] {
        heap.sorted { a, b in
            let (first, second) = (measure(a.tally), measure(b.tally))
            if first != second { return first > second }
            if a.database != b.database { return a.database < b.database }
            return a.name.lexicographicallyPrecedes(b.name)
        }
    }
}
