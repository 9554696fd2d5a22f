/// Marks keys as changed that count as unchanged, in slices between commands: those that a failed checkpoint handed over, or
/// all, when the snapshot's file turns out not to hold them. What is written meanwhile is marked by its own change.
final class ChangeMarking {
    private struct Walk {
        let contents: Contents
        /// As of `EntryTable.scan`.
        var cursor: UInt64 = 0
    }
    private struct HandedOver {
        let contents: Contents
        let hashes: [UInt32]
        var next = 0
    }

    private var walks: [Walk] = []
    private var handedOver: [HandedOver] = []
    /// Large collections whose rows are to be written whole.
    private var values: [LargeValue] = []
    private var hashes: [UInt64] = []

    func add(_ values: [LargeValue], _ walked: [Contents]) {
        self.values += values
        for contents in walked where !contents.isOrphan {
            handedOver.append(HandedOver(contents: contents, hashes: contents.handedOver))
        }
    }
    /// Every key of the databases as they are now.
    func addAll(_ databases: [Database]) { walks = databases.map { Walk(contents: $0.contents) } }

    /// Marks with `flag` until `goOn` says stop. True when all is marked.
    func step(_ flag: Entry.Flags, while goOn: () -> Bool) -> Bool {
        while let value = values.popLast() {
            value.rewriteAll = true
            if !goOn() { return false }
        }
        while !handedOver.isEmpty {
            let last = handedOver.count - 1
            let (contents, next) = (handedOver[last].contents, handedOver[last].next)
            // Freed by another thread once they are no database's any more.
            if contents.isOrphan || next == handedOver[last].hashes.count {
                handedOver.removeLast()
                continue
            }
            let hash = handedOver[last].hashes[next]
            handedOver[last].next += 1
            contents.table.forEachInBucket(hash) { $0.flags.insert(flag) }
            contents.table.markChanged(UInt64(hash))
            if !goOn() { return false }
        }
        while let walk = walks.last {
            if walk.contents.isOrphan {
                walks.removeLast()
                continue
            }
            hashes.removeAll(keepingCapacity: true)
            let cursor = walk.contents.table.scan(walk.cursor) { entry in
                entry.flags.insert(flag)
                entry.largeValue?.rewriteAll = true
                hashes.append(Hashing.hash(entry.key))
            }
            for hash in hashes { walk.contents.table.markChanged(hash) }
            walks[walks.count - 1].cursor = cursor
            if cursor == 0 { walks.removeLast() }
            if !goOn() { return false }
        }
        return true
    }
}

extension Keyspace {
    /// A checkpoint failed that had handed over these collections, and keys of these contents.
    func markAgain(_ values: [LargeValue], _ walked: [Contents]) {
        let marking = marking ?? ChangeMarking()
        marking.add(values, walked)
        self.marking = marking
    }

    /// Rows below which a snapshot is not worth a second thought.
    private static var fewRows: Int64 { Int64(StructureSizes.size(100_000, small: 10)) }

    /// Whether so much has changed since the last checkpoint that a new file is written sooner than the old one changed. A
    /// key is known to have changed, and how many changes there were: a few fields of each of many hashes are not most of
    /// the rows, nor are many changes of a few keys. O(buckets / 64).
    var isMostlyChanged: Bool {
        if snapshot == nil || isAllMarked || snapshotRows < Keyspace.fewRows { return false }
        if Int64(writes - writesAtSnapshot) < snapshotRows / 2 { return false }
        let tables = databases.map(\.contents.table)
        return tables.reduce(0) { $0 + $1.changedBucketCount } * 2 > tables.reduce(0) { $0 + $1.bucketCount }
    }

    /// The next checkpoint is to write every key.
    func markAll() {
        isAllMarked = true
        let marking = marking ?? ChangeMarking()
        marking.addAll(databases)
        self.marking = marking
    }

    /// Goes on marking for about `budgetNanoseconds`. True while there is more to do.
    func mark(budgetNanoseconds: UInt64) -> Bool {
        guard let marking else { return false }
        let start = monotonicNanoseconds()
        var work = 0
        let isDone = marking.step(currentFlag) {
            work += 1
            return work & 15 != 0 || monotonicNanoseconds() - start < budgetNanoseconds
        }
        if isDone { self.marking = nil }
        return !isDone
    }
}
