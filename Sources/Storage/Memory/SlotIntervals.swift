/// A set of list slots as sorted, disjoint, non-adjacent intervals. What happens to lists is pushes and pops at the ends,
/// so that one or two intervals say it all; scattered changes are coalesced beyond `limit`, which only makes a
/// checkpoint write some unchanged rows.
struct SlotIntervals {
    private(set) var intervals: [Range<Int64>] = []
    private static var limit: Int { StructureSizes.size(256, small: 3) }

    var isEmpty: Bool { intervals.isEmpty }
    var first: Range<Int64>? { intervals.first }

    /// Index of the first interval that ends at or after `slot`.
    private func search(_ slot: Int64) -> Int {
        var low = 0
        var high = intervals.count
        while low < high {
            let middle = (low + high) / 2
            if intervals[middle].upperBound < slot { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// O(log n), and O(1) where there is one interval that contains the range or that it continues.
    @inline(__always) mutating func insert(_ range: Range<Int64>) {
        if intervals.count == 1 {
            let only = intervals[0]
            if range.lowerBound >= only.lowerBound && range.upperBound <= only.upperBound { return }
            if range.upperBound == only.lowerBound {
                intervals[0] = range.lowerBound..<only.upperBound
                return
            }
            if range.lowerBound == only.upperBound {
                intervals[0] = only.lowerBound..<range.upperBound
                return
            }
        }
        insertAnywhere(range)
    }
    @inline(never) private mutating func insertAnywhere(_ range: Range<Int64>) {
        if range.isEmpty { return }
        let index = search(range.lowerBound)
        if index < intervals.count, intervals[index].lowerBound <= range.lowerBound,
            intervals[index].upperBound >= range.upperBound
        {
            return
        }
        var merged = range
        var end = index
        while end < intervals.count, intervals[end].lowerBound <= merged.upperBound {
            merged =
                min(merged.lowerBound, intervals[end].lowerBound)..<max(merged.upperBound, intervals[end].upperBound)
            end += 1
        }
        if end == index + 1 {
            intervals[index] = merged
        } else {
            intervals.replaceSubrange(index..<end, with: CollectionOfOne(merged))
        }
        if intervals.count > SlotIntervals.limit { coalesce() }
    }

    /// Joins the two neighbours with the smallest gap.
    private mutating func coalesce() {
        var best = 1
        for i in 1..<intervals.count
        where intervals[i].lowerBound - intervals[i - 1].upperBound
            < intervals[best].lowerBound - intervals[best - 1].upperBound
        {
            best = i
        }
        intervals[best - 1] = intervals[best - 1].lowerBound..<intervals[best].upperBound
        intervals.remove(at: best)
    }

    /// Takes `range` out and calls `body` with each piece of it that was there.
    mutating func subtract(_ range: Range<Int64>, _ body: (Range<Int64>) -> Void) {
        if range.isEmpty { return }
        var index = search(range.lowerBound)
        while index < intervals.count, intervals[index].lowerBound < range.upperBound {
            let interval = intervals[index]
            let piece = interval.clamped(to: range)
            if piece.isEmpty {
                index += 1
                continue
            }
            let before = interval.lowerBound..<piece.lowerBound
            let after = piece.upperBound..<interval.upperBound
            switch (before.isEmpty, after.isEmpty) {
            case (true, true): intervals.remove(at: index)
            case (false, true):
                intervals[index] = before
                index += 1
            case (true, false):
                intervals[index] = after
                index += 1
            case (false, false):
                intervals[index] = before
                intervals.insert(after, at: index + 1)
                index += 2
            }
            body(piece)
        }
    }

    mutating func removeAll() { intervals.removeAll() }
}

extension SlotIntervals {
    /// O(n).
    func checkInvariants() throws(BrokenInvariant) {
        for (i, interval) in intervals.enumerated() {
            try invariant(!interval.isEmpty, "intervals: \(interval) is empty")
            try invariant(
                i == 0 || intervals[i - 1].upperBound < interval.lowerBound,
                "intervals: \(interval) does not lie apart from the one before")
        }
    }
}
