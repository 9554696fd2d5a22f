/// Rows gathered in memory until there are enough to be worth sorting: written in the order of ids, each page of a
/// table is touched once a chunk (unsorted: twice the time and twice the bytes).
struct PendingRows {
    /// In bytes; then the writer empties the chunk into SQLite.
    static var limit: Int { StructureSizes.size(16 << 20, small: 2048) }

    /// Operations on one string, or consecutive ones on one owner and its elements.
    private struct Run {
        let id: Int64
        let start: Int
        var end: Int
    }
    private struct Runs {
        var list: [Run] = []
        var isAscending = true
    }

    private let batch = RowBatch()
    /// By type's raw number.
    private var runs = [Runs](repeating: Runs(), count: Int(ValueType.stream.rawValue) + 1)

    var byteCount: Int { batch.byteCount }

    /// Copies an encoded operation on the string or owner `id`. Operations on one id keep their order.
    mutating func append(_ type: ValueType, id: Int64, _ operation: Bytes) {
        let start = batch.byteCount
        batch.appendEncoded(operation)
        let index = Int(type.rawValue)
        if let last = runs[index].list.last {
            if last.id == id && last.end == start {
                runs[index].list[runs[index].list.count - 1].end = batch.byteCount
                return
            }
            if last.id >= id { runs[index].isAscending = false }
        }
        runs[index].list.append(Run(id: id, start: start, end: batch.byteCount))
    }

    /// Calls `body` with all operations, by type, then by id, then in the order of arrival; and is empty afterwards.
    /// O(n log n) unless the ids arrived ascending.
    mutating func drain(_ body: (Row) throws(StorageError) -> Void) throws(StorageError) {
        for index in runs.indices {
            if !runs[index].isAscending {
                runs[index].list.sort { $0.id != $1.id ? $0.id < $1.id : $0.start < $1.start }
            }
            for run in runs[index].list {
                var offset = run.start
                while offset < run.end { try body(batch.decode(at: &offset)) }
            }
        }
        removeAll()
    }

    mutating func removeAll() {
        batch.removeAll()
        for index in runs.indices { runs[index] = Runs() }
    }
}

extension PendingRows {
    /// O(runs).
    func checkInvariants() throws(BrokenInvariant) {
        var covered = 0
        for runs in runs {
            var isAscending = true
            for (i, run) in runs.list.enumerated() {
                try invariant(
                    run.start >= 0 && run.start < run.end && run.end <= batch.byteCount,
                    "pending rows: a run from \(run.start) to \(run.end) of \(batch.byteCount)")
                if i > 0 { isAscending = isAscending && runs.list[i - 1].id < run.id }
                covered += run.end - run.start
            }
            try invariant(!runs.isAscending || isAscending, "pending rows: ids do not ascend")
        }
        try invariant(
            covered == batch.byteCount, "pending rows: runs of \(covered) bytes in a batch of \(batch.byteCount)")
    }
}

/// A set of ids as bits, in pages that exist where an id does: the server's ids are dense, so about a bit an id.
struct IDSet {
    private static var pageBits: Int64 { Int64(StructureSizes.size(16, small: 6)) }
    private var pages: [Int64: [UInt64]] = [:]

    mutating func insert(_ id: Int64) {
        let bit = Int(id & (1 << IDSet.pageBits - 1))
        pages[id >> IDSet.pageBits, default: [UInt64](repeating: 0, count: 1 << (IDSet.pageBits - 6))][bit >> 6] |=
            1 << UInt64(bit & 63)
    }
    func contains(_ id: Int64) -> Bool {
        guard let page = pages[id >> IDSet.pageBits] else { return false }
        let bit = Int(id & (1 << IDSet.pageBits - 1))
        return page[bit >> 6] >> UInt64(bit & 63) & 1 == 1
    }
    mutating func removeAll() { pages = [:] }
}
