/// What changed since the last cut and is not a flag on an entry: rows of keys that are gone, databases that were
/// emptied or exchanged.
struct ChangeSet {
    private enum Operation {
        case flushAll
        case flush(Int32)
        case swap(Int32, Int32)
    }
    private var operations: [Operation] = []
    /// Ids whose rows go with this set, by the type's raw number: free for new keys once it is committed.
    private var removed = [[Int64]](repeating: [], count: ChangeSet.types)
    /// How many of them are handed over.
    private var handedOver = 0

    private static let types = Int(ValueType.allCases.map(\.rawValue).max() ?? 0) + 1

    var isEmpty: Bool { operations.isEmpty && removed.allSatisfy(\.isEmpty) }
    func removedIDs(_ type: ValueType) -> [Int64] { removed[Int(type.rawValue)] }
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
        removed[Int(entry.type.rawValue)].append(id)
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
        for type in removed.indices { removed[type] += later.removed[type] }
        handedOver = 0
    }

    /// Hands over what happened to whole databases, which comes before all rows.
    func appendOperations(to sink: RowSink) {
        for operation in operations {
            switch operation {
            case .flushAll: sink.batch.appendFlushAll()
            case .flush(let database): sink.batch.appendFlushDatabase(database)
            case .swap(let a, let b): sink.batch.appendSwapDatabases(a, b)
            }
        }
    }

    /// Hands over removals until `goOn` says stop; true when none is left. No row of the same checkpoint has an id of
    /// theirs, so that they may come between rows.
    mutating func drain(to sink: RowSink, while goOn: () -> Bool) -> Bool {
        var before = 0
        for type in ValueType.allCases {
            let ids = removed[Int(type.rawValue)]
            while handedOver - before < ids.count {
                let id = ids[handedOver - before]
                if type == .string {
                    sink.batch.appendRemoveString(id: id)
                } else {
                    sink.batch.appendRemoveOwner(type: type, id: id)
                }
                handedOver += 1
                sink.sendIfFull()
                if !goOn() { return false }
            }
            before += ids.count
        }
        return true
    }
}
