/// What takes the columns of a row: a statement that SQLite runs, or a record that is built for a new file. Columns are
/// numbered as in the table, from 1, which is the row's id.
protocol ColumnSink: AnyObject {
    func bind(_ index: Int32, _ value: Int64)
    func bind(_ index: Int32, _ value: Int64?)
    func bind(_ index: Int32, _ value: Double)
    /// As TEXT or BLOB, as `Bytes.isText` decides. Borrowed until the row is written.
    func bind(_ index: Int32, _ value: Bytes)
}

extension SQLiteStatement: ColumnSink {}

/// The row of a table that an operation writes.
struct RowPlace {
    let table: SnapshotTable
    /// The owner of an element, else -1.
    let owner: Int64
    /// The table's row id.
    let id: Int64

    fileprivate init(_ table: SnapshotTable, id: Int64) {
        self.table = table
        owner = -1
        self.id = id
    }
    @inline(__always) fileprivate init(_ table: SnapshotTable, owner: Int64, slot: UInt32) {
        self.table = table
        self.owner = owner
        id = RowID.element(owner, Int64(slot))
    }
}

/// Scratch for the text of stream entries.
final class EntryTexts {
    private var pairs: [Bytes] = []
    private let text = OutputBuffer(capacity: 1024)

    /// The column for packed fields; valid until the next call.
    func column(_ packed: Bytes) -> Bytes {
        // One huge entry does not keep its memory.
        text.removeAll(keepingAtMost: 1 << 20)
        EntryText.write(packed, &pairs, into: text)
        return text.bytes
    }
}

extension Row {
    /// Where the operation puts a whole row; nil for removals, flushes and swaps, and for a stream's state, which changes
    /// the row of its owner.
    @inline(__always) var place: RowPlace? {
        switch self {
        case .string(let id, _, _, _, _): RowPlace(.strings, id: id)
        case .owner(let type, let id, _, _, _): CollectionTables.of(type).map { RowPlace($0.owners, id: id) }
        case .element(let type, let owner, let slot, _, _, _, _):
            CollectionTables.of(type).map { RowPlace($0.elements, owner: owner, slot: slot) }
        case .stream(let owner, let row):
            switch row {
            case .group(let slot, _, _, _): RowPlace(.streamGroups, owner: owner, slot: slot)
            case .consumer(let slot, _, _, _, _): RowPlace(.streamConsumers, owner: owner, slot: slot)
            case .pending(let slot, _, _, _, _, _): RowPlace(.streamPending, owner: owner, slot: slot)
            case .state, .remove: nil
            }
        case .removeString, .removeOwner, .removeElements, .flushAll, .flushDatabase, .swapDatabases: nil
        }
    }

    /// The string or owner that the operation is about; nil for flushes and swaps.
    @inline(__always) var subject: (type: ValueType, id: Int64)? {
        switch self {
        case .string(let id, _, _, _, _), .removeString(let id): (.string, id)
        case .owner(let type, let id, _, _, _), .removeOwner(let type, let id),
            .element(let type, let id, _, _, _, _, _), .removeElements(let type, let id, _):
            (type, id)
        case .stream(let id, _): (.stream, id)
        case .flushAll, .flushDatabase, .swapDatabases: nil
        }
    }
    @inline(__always) var isRemovalOfKey: Bool {
        switch self {
        case .removeString, .removeOwner: true
        case .string, .owner, .element, .stream, .removeElements, .flushAll, .flushDatabase, .swapDatabases: false
        }
    }

    /// Why the tables cannot hold the row; nil where they can. An id out of bounds would run into another owner's rows.
    @inline(__always) var problem: String? {
        guard let (type, id) = subject else { return nil }
        if type == .string {
            return SnapshotTable.strings.ids.contains(id) ? nil : "the snapshot cannot hold a string with id \(id)"
        }
        if CollectionTables.of(type) == nil || !RowID.owners.contains(id) {
            return "the snapshot cannot hold a \(type.name) with id \(id)"
        }
        if case .element(.zset, _, _, _, _, let score, _) = self, score.isNaN {
            return "a sorted set's score is not a number"
        }
        return nil
    }

    /// Binds all columns but the id, for a row that has a `place`; those of a stream's state are not among them.
    @inline(__always) func bindColumns<Sink: ColumnSink>(to sink: Sink, _ texts: EntryTexts) {
        switch self {
        case .string(_, let db, let key, let value, let expiresMs):
            sink.bind(2, Int64(db))
            sink.bind(3, key)
            sink.bind(4, value)
            sink.bind(5, expiresMs)
        case .owner(_, _, let db, let key, let expiresMs):
            sink.bind(2, Int64(db))
            sink.bind(3, key)
            sink.bind(4, expiresMs)
        case .element(let type, _, _, let first, let second, let score, let expiresMs):
            switch type {
            case .list, .set: sink.bind(2, first)
            case .hash:
                sink.bind(2, first)
                sink.bind(3, second)
                sink.bind(4, expiresMs)
            case .zset:
                sink.bind(2, first)
                sink.bind(3, score)
                sink.bind(4, score == 0 && score.sign == .minus ? 1 : nil)
            case .stream:
                let words = StreamID(bytes: first)?.words ?? (0, 0)
                sink.bind(2, words.0)
                sink.bind(3, words.1)
                sink.bind(4, texts.column(second))
            case .string: break
            }
        case .stream(_, let row):
            switch row {
            case .group(_, let name, let lastID, let entriesRead):
                sink.bind(2, name)
                sink.bind(3, lastID.words.0)
                sink.bind(4, lastID.words.1)
                sink.bind(5, entriesRead)
            case .consumer(_, let group, let name, let seenMs, let activeMs):
                sink.bind(2, Int64(group))
                sink.bind(3, name)
                sink.bind(4, seenMs)
                sink.bind(5, activeMs)
            case .pending(_, let group, let consumer, let id, let deliveredMs, let deliveries):
                sink.bind(2, Int64(group))
                sink.bind(3, Int64(consumer))
                sink.bind(4, id.words.0)
                sink.bind(5, id.words.1)
                sink.bind(6, deliveredMs)
                sink.bind(7, deliveries)
            case .state, .remove: break
            }
        case .removeString, .removeOwner, .removeElements, .flushAll, .flushDatabase, .swapDatabases: break
        }
    }
}

extension StreamPart {
    var table: SnapshotTable {
        switch self {
        case .groups: .streamGroups
        case .consumers: .streamConsumers
        case .pending: .streamPending
        }
    }
}

extension StreamState {
    /// Of the state's columns in the row of the owner.
    static let firstColumn: Int32 = 5

    /// Binds the state's columns, from `first` on.
    func bindColumns<Sink: ColumnSink>(to sink: Sink, from first: Int32) {
        sink.bind(first, lastID.words.0)
        sink.bind(first + 1, lastID.words.1)
        sink.bind(first + 2, maxDeletedID.words.0)
        sink.bind(first + 3, maxDeletedID.words.1)
        sink.bind(first + 4, entriesAdded)
    }
}
