/// Tells a snapshot's rows, as `SnapshotReader` delivers them, to the writer of an RDB file: every owner directly before its
/// elements.
final class RDBRowWriter {
    private let writer: RDBKeyWriter
    private let source: String
    private let fieldExpiries: FieldExpiries
    /// The collection in hand.
    private var isOpen = false
    private var type = ValueType.list

    /// `source` is for messages. `counter`: as of `RDBKeyWriter`.
    init(
        _ writer: RDBWriter, source: String, fieldExpiries: FieldExpiries, options: RDBKeyWriter.Options,
        counter: RDBKeyWriter.Counter? = nil
    ) {
        self.source = source
        self.fieldExpiries = fieldExpiries
        self.writer = RDBKeyWriter(writer, source: source, options: options, counter: counter)
    }

    var keys: Int { writer.keys }
    var elements: Int { writer.elements }
    var functions: Int { writer.functions }
    var losses: RDBSink.Losses { writer.losses }

    func write(function name: Bytes, _ code: Bytes) throws(StorageError) { try writer.function(name, code) }

    func write(_ batch: RowBatch) throws(StorageError) {
        try batch.forEach { (row: Row) throws(StorageError) in
            switch row {
            case .string(_, let db, let key, let value, let expiresMs):
                try finishOwner()
                try writer.string(VisitedKey(database: db, key: key, expiresMs: expiresMs), value)
            case .owner(let type, let id, let db, let key, let expiresMs):
                try finishOwner()
                isOpen = true
                writer.owner = id
                self.type = type
                let earliest = type == .hash ? try fieldExpiries.earliest(of: id) : nil
                let key = VisitedKey(database: db, key: key, expiresMs: expiresMs, earliestFieldExpiry: earliest)
                try writer.begin(type, key, sizeHint: 0)
            case .element(_, _, let slot, let first, let second, let score, let expiresMs):
                switch self.type {
                case .list, .set: try writer.element(first)
                case .hash: try writer.pair(first, second, expiresMs: expiresMs)
                case .zset: try writer.scored(first, score)
                case .stream:
                    guard let id = StreamID(bytes: first) else { throw damage("a stream's entry has no id") }
                    try writer.streamEntry(id, second, slot: slot)
                case .string: throw damage("a string has elements")
                }
            case .stream(_, let row): try writer.streamRow(row)
            case .removeString, .removeOwner, .removeElements, .flushAll, .flushDatabase, .swapDatabases:
                throw damage("a snapshot holds rows only")
            }
        }
    }

    /// Call after the last batch.
    func finish() throws(StorageError) {
        try finishOwner()
        try writer.finish()
    }

    private func finishOwner() throws(StorageError) {
        if !isOpen { return }
        isOpen = false
        try writer.end()
    }

    private func damage(_ message: String) -> StorageError { StorageError(file: source, message: message) }
}
