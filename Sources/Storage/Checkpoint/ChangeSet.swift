/// What changed since the last cut and is not a flag on an entry: rows of keys that are gone, databases that were
/// emptied or exchanged.
struct ChangeSet {
    private enum Operation {
        case flushAll
        case flush(Int32)
        case swap(Int32, Int32)
    }
    private var operations: [Operation] = []
    private var removedStrings: [Int64] = []
    private var removedOwners: [(ValueType, Int64)] = []

    var isEmpty: Bool { operations.isEmpty && removedStrings.isEmpty && removedOwners.isEmpty }
    /// Ids whose rows go with this set: free for new keys once it is committed.
    var removedIDs: [(ValueType, Int64)] { removedStrings.map { (.string, $0) } + removedOwners }
    /// Every row goes, so that ids start over.
    var flushesAll: Bool {
        operations.contains {
            if case .flushAll = $0 { true } else { false }
        }
    }

    /// A key that had a row is gone or has another type now.
    @inline(__always) mutating func removed(_ entry: Entry) {
        let id = entry.id
        if id == 0 { return }
        if entry.type == .string { removedStrings.append(id) } else { removedOwners.append((entry.type, id)) }
    }
    mutating func flushAll() {
        // All rows go: what was to happen to them before does not matter.
        self = ChangeSet()
        operations = [.flushAll]
    }
    mutating func flush(_ database: Int32) { operations.append(.flush(database)) }
    mutating func swap(_ a: Int32, _ b: Int32) { operations.append(.swap(a, b)) }

    /// This set happened before `later`.
    mutating func merge(_ later: ChangeSet) {
        if later.flushesAll {
            self = later
            return
        }
        operations += later.operations
        removedStrings += later.removedStrings
        removedOwners += later.removedOwners
    }

    func append(to sink: RowSink) {
        for operation in operations {
            switch operation {
            case .flushAll: sink.batch.appendFlushAll()
            case .flush(let database): sink.batch.appendFlushDatabase(database)
            case .swap(let a, let b): sink.batch.appendSwapDatabases(a, b)
            }
        }
        for id in removedStrings {
            sink.batch.appendRemoveString(id: id)
            sink.sendIfFull()
        }
        for (type, id) in removedOwners {
            sink.batch.appendRemoveOwner(type: type, id: id)
            sink.sendIfFull()
        }
    }
}
