/// Row ids, for each type from 1 on: given when a key is first handed to a checkpoint, so that keys that live briefly
/// take none. Ids of removed rows are given again, which keeps the tables dense and ids within their bits, whatever ids a
/// snapshot that was loaded had.
struct RowIDs {
    private struct Pool {
        var next: Int64 = 1
        /// As they were given back, whole lists at a time.
        var free: [[Int64]] = []
        /// Ids that rows skipped, as a flush leaves them.
        var gaps: [Range<Int64>] = []
    }
    private var pools = [Pool](repeating: Pool(), count: Int(ValueType.allCases.map(\.rawValue).max() ?? 0) + 1)

    /// O(1). Beyond the range once all of it is taken: the checkpoint that writes such a row fails.
    mutating func take(_ type: ValueType) -> Int64 {
        let index = Int(type.rawValue)
        while !pools[index].free.isEmpty {
            if let id = pools[index].free[pools[index].free.count - 1].popLast() { return id }
            pools[index].free.removeLast()
        }
        if let gap = pools[index].gaps.last {
            let rest = gap.dropFirst()
            if rest.isEmpty {
                pools[index].gaps.removeLast()
            } else {
                pools[index].gaps[pools[index].gaps.count - 1] = rest
            }
            return gap.lowerBound
        }
        let id = pools[index].next
        if id <= RowID.range(type).upperBound { pools[index].next += 1 }
        return id
    }
    /// The rows of these ids are gone from the snapshot. O(1).
    mutating func give(_ type: ValueType, _ ids: [Int64]) {
        if !ids.isEmpty { pools[Int(type.rawValue)].free.append(ids) }
    }

    /// While loading, ids of the type's range come in ascending order: those that are skipped are free.
    mutating func loaded(_ type: ValueType, _ id: Int64) {
        let index = Int(type.rawValue)
        let next = pools[index].next
        if id > next {
            pools[index].gaps.append(next..<id)
        }
        pools[index].next = max(next, id + 1)
    }
}
