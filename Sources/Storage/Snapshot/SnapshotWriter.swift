import schema

/// What `SnapshotWriter.commit` has to tell after the snapshot is durable. None of it undoes the commit.
public struct SnapshotCommit: Sendable {
    /// Rows in all tables.
    public var rows: Int64
    /// The size of the -wal file in bytes: 0, unless another program's reader held it.
    public let walBytes: Int64
    /// Another program's reader kept the WAL from being emptied; the next commit tries again, and it grows meanwhile.
    public let isWALHeld: Bool
    /// Tidying up failed after the commit.
    public var warning: StorageError?
}

/// Writes checkpoints: one transaction each, on one connection, which alone writes and checkpoints the WAL (two that do
/// could meet SQLite's WAL-reset bug). Used by one thread at a time.
///
/// What arrives in one transaction is applied in this order: flushes and swaps, removals, rows. Within a batch they may
/// stand in any order. Across batches, flushes and swaps come before all else, and the removal of an owner before its
/// new rows: the other order throws, as what was written is no longer told from what was there before.
public final class SnapshotWriter {
    public let path: String
    let connection: SQLiteConnection
    private let isScratch: Bool
    /// What the file held when it was opened, and holds since the last commit; nil before the first one.
    private(set) var identity: SnapshotIdentity?
    /// SQLite's mark for what other connections have committed, taken before `meta` was read.
    private(set) var versionAtOpening: Int64 = 0
    /// By table's raw number.
    private var tables: [TableWriter] = []
    private var before: [TableWriter.State] = []

    private var pending = PendingRows()
    /// By type's raw number: strings and owners that this transaction has rows of.
    private var written = [IDSet](repeating: IDSet(), count: Int(ValueType.stream.rawValue) + 1)
    private var hasRows = false
    private let texts = EntryTexts()

    /// Opens the snapshot; makes it, with its tables, where it is missing or empty, unless `create` is false. `recount`
    /// counts all rows instead of trusting meta: for a snapshot whose counts did not hold and that was accepted anyway.
    /// `isScratch`: the file is nobody else's yet, is thrown away on any failure, and is synced by the caller once it is
    /// closed; then SQLite need not write everything twice. `counts`: the rows that are there, where meta cannot say.
    /// Throws for a file that is not a snapshot, is newer than this code, damaged or being written elsewhere.
    public init(
        path: String, create: Bool = true, recount: Bool = false, isScratch: Bool = false, counts: RowCounts? = nil,
        files: any FileSystem = Host.real.files
    ) throws(StorageError) {
        self.path = path
        self.isScratch = isScratch
        connection = try SQLiteConnection(path: path, mode: create ? .create : .write, files)
        let isBlank = try Snapshot.isBlank(connection)
        if isBlank {
            guard create else { throw connection.error("the snapshot is empty") }
            try connection.execute(named: "create.settings")
        } else {
            try Snapshot.checkIdentity(connection)
        }
        if isScratch {
            try connection.execute(named: "writer.scratch")
        } else {
            let mode = try connection.string(named: "writer.wal")
            guard mode == "wal" else {
                throw connection.error("cannot switch the snapshot to write-ahead logging: another program has it open")
            }
            try connection.execute(named: "writer.settings")
        }
        if isBlank { try createTables() } else if !isScratch { try updateViews() }

        versionAtOpening = try connection.integer(named: "data_version")
        // A file that is not whole yet has rows and no meta.
        let meta = counts == nil ? try Meta.read(connection) : nil
        identity = meta?.identity
        for table in SnapshotTable.allCases {
            let count = recount ? nil : (counts ?? meta?.rowCounts)?[table] ?? 0
            tables.append(try TableWriter(table, count: count, connection))
        }
    }

    /// Rows per table, with what the open transaction has applied so far.
    public var rowCounts: RowCounts {
        var counts = RowCounts()
        for table in tables { counts[table.table] = table.state.count }
        return counts
    }

    /// Takes over the rows of `batch`, which may be emptied and used again afterwards; begins a transaction where none
    /// is open. After a throw, only `rollback` makes sense.
    public func apply(_ batch: RowBatch) throws(StorageError) {
        try begin()
        if batch.barrierCount > 0 {
            if hasRows {
                throw connection.error("a flush or swap of databases came after rows of the same checkpoint")
            }
            try batch.forEach { (row) throws(StorageError) in try applyBarrier(row) }
        }
        if batch.removalCount > 0 { try take(batch, removals: true) }
        try take(batch, removals: false)
        hasRows = hasRows || batch.count > batch.barrierCount
    }

    /// Removes all rows of keys, before anything is applied: the transaction writes them anew. Libraries of functions stay.
    public func clear() throws(StorageError) {
        try begin()
        for table in tables { try table.clear() }
    }

    /// Removes all libraries of functions.
    func clearFunctions() throws(StorageError) {
        try begin()
        try connection.execute(named: "functions.clear")
    }

    /// Keeps a library of functions; one of that name is replaced.
    public func put(function name: Bytes, _ code: Bytes) throws(StorageError) {
        try begin()
        let statement = try connection.prepare(named: "functions.write")
        statement.bind(1, name)
        statement.bind(2, code)
        try statement.run()
    }

    /// Writes `meta` with the row counts, and commits: when this returns, the snapshot is durable and is the new state.
    /// Then moves the WAL into the database, and gives pages back to the file system when more than a quarter are free.
    /// After a throw the old state holds; call `rollback`.
    @discardableResult
    public func commit(_ meta: Meta) throws(StorageError) -> SnapshotCommit {
        try begin()
        try drain()
        var meta = meta
        meta.rowCounts = rowCounts
        try meta.write(connection)
        try connection.execute(named: "commit")
        identity = meta.identity
        forgetTransaction()
        return isScratch
            ? SnapshotCommit(rows: rowCounts.total, walBytes: 0, isWALHeld: false, warning: nil) : tidy()
    }

    /// Drops the open transaction: the file, and what this object knows of it, are as before the first `apply`.
    public func rollback() {
        if connection.isInTransaction {
            // SQLite has no way to fail here but to have rolled back already.
            try? connection.execute(named: "rollback")
        }
        for (table, state) in zip(tables, before) { table.restore(state) }
        forgetTransaction()
    }
}

// MARK: - The transaction

extension SnapshotWriter {
    /// How long `commit` waits for readers of other programs before it leaves the WAL to the next commit, in ms.
    private static let readerTimeout: Int32 = 200
    /// Free pages are given back when there are more than one in this many, and more than `fewPages`.
    private static let freePagesDivisor: Int64 = 4
    private static let fewPages: Int64 = 256

    private func createTables() throws(StorageError) {
        try connection.execute(named: "begin.write")
        try connection.execute(Schema.create)
        try connection.execute(named: "commit")
        // The new name in the directory must survive a power cut as the data in it does.
        try connection.files.syncNames(beside: path)
    }

    /// Does without where another program writes just now, or reads what the transaction cannot wait for: older views do.
    private func updateViews() throws(StorageError) {
        do throws(StorageError) {
            try SnapshotViews.update(connection)
            _ = try connection.checkpoint(timeout: SnapshotWriter.readerTimeout)
        } catch {
            if error.reason != .busy { throw error }
        }
    }

    private func begin() throws(StorageError) {
        if !before.isEmpty { return }
        // `SnapshotGuard` holds a transaction open between checkpoints.
        if !connection.isInTransaction { try connection.execute(named: "begin.write") }
        before = tables.map(\.state)
    }

    private func forgetTransaction() {
        before = []
        pending.removeAll()
        for index in written.indices { written[index].removeAll() }
        hasRows = false
    }

    private func tidy() -> SnapshotCommit {
        var warning: StorageError?
        var isHeld = false
        do throws(StorageError) {
            let free = try connection.integer(named: "freelist_count")
            let pages = try connection.integer(named: "page_count")
            if free > SnapshotWriter.fewPages && free > pages / SnapshotWriter.freePagesDivisor {
                try connection.execute(named: "incremental_vacuum")
            }
        } catch {
            warning = error
        }
        do throws(StorageError) {
            isHeld = try !connection.checkpoint(timeout: SnapshotWriter.readerTimeout)
        } catch {
            warning = error
        }
        return SnapshotCommit(
            rows: rowCounts.total, walBytes: connection.files.size(path + "-wal") ?? 0, isWALHeld: isHeld,
            warning: warning)
    }
}

// MARK: - Rows

extension SnapshotWriter {
    func table(_ table: SnapshotTable) -> TableWriter { tables[table.rawValue] }

    /// Copies removals, or all but them, to `pending`.
    private func take(_ batch: RowBatch, removals: Bool) throws(StorageError) {
        var offset = 0
        while offset < batch.byteCount {
            let start = offset
            let row = batch.decode(at: &offset)
            guard let (type, id) = row.subject, row.isRemovalOfKey == removals else { continue }
            if let problem = row.problem { throw connection.error(problem) }
            if removals {
                let isTaken = written[Int(type.rawValue)].contains(id)
                // A string's row of this checkpoint took the id over.
                if isTaken && type == .string { continue }
                if isTaken {
                    throw connection.error(
                        "the removal of a \(type.name) (id \(id)) came after its rows in one checkpoint")
                }
            } else {
                written[Int(type.rawValue)].insert(id)
            }
            if pending.byteCount + (offset - start) > PendingRows.limit { try drain() }
            if offset - start > PendingRows.limit / 4 {
                // A copy of such a row would cost more memory than its place in the order is worth.
                try drain()
                try write(row)
            } else {
                pending.append(type, id: id, batch.encoded(start..<offset))
            }
        }
    }

    private func drain() throws(StorageError) {
        var rows = 0
        try pending.drain { (row) throws(StorageError) in
            try write(row)
            rows &+= 1
            if rows & 127 == 0 { giveWay() }
        }
    }

    @inline(__always)
    private func write(_ row: Row) throws(StorageError) {
        if let place = row.place {
            try table(place.table).upsert(place) { row.bindColumns(to: $0, texts) }
        } else {
            try writeChange(row)
        }
    }

    /// An operation that is no whole row.
    private func writeChange(_ row: Row) throws(StorageError) {
        switch row {
        case .removeString(let id):
            try table(.strings).remove(id)
        case .removeOwner(let type, let id):
            guard let tables = CollectionTables.of(type) else { return }
            try table(tables.owners).remove(id)
            try table(tables.elements).removeElements(id, 0...RowID.lastSlot)
            if type == .stream { try removeStreamParts(id) }
        case .removeElements(let type, let owner, let slots):
            guard let tables = CollectionTables.of(type), !slots.isEmpty else { return }
            let lower = min(Int64(clamping: slots.lowerBound), RowID.lastSlot)
            let upper = min(Int64(clamping: slots.upperBound) - 1, RowID.lastSlot)
            try table(tables.elements).removeElements(owner, lower...max(lower, upper))
        case .stream(let owner, .state(let state)):
            let statement = try connection.prepare(named: "raw_streams.state")
            statement.bind(1, owner)
            state.bindColumns(to: statement, from: 2)
            try statement.run()
        case .stream(let owner, .remove(let part, let slots)):
            try table(part.table).removeElements(owner, Int64(slots.lowerBound)...Int64(slots.upperBound))
        case .string, .owner, .element, .stream, .flushAll, .flushDatabase, .swapDatabases:
            break
        }
    }

    /// All rows of a stream but its own and its entries'.
    private func removeStreamParts(_ owner: Int64) throws(StorageError) {
        for part in StreamPart.allCases { try table(part.table).removeElements(owner, 0...RowID.lastSlot) }
    }

    private func applyBarrier(_ row: Row) throws(StorageError) {
        switch row {
        case .flushAll:
            for table in tables { try table.clear() }
        case .flushDatabase(let db):
            try table(.strings).holdsOnly(database: db)
                ? table(.strings).clear() : table(.strings).clear(database: db)
            for type in CollectionTables.all { try flush(db, type) }
        case .swapDatabases(let a, let b):
            if a == b { return }
            try table(.strings).swapDatabases(a, b)
            for type in CollectionTables.all { try table(type.owners).swapDatabases(a, b) }
        case .string, .owner, .element, .stream, .removeString, .removeOwner, .removeElements:
            break
        }
    }

    private func flush(_ db: Int32, _ type: CollectionTables) throws(StorageError) {
        let owners = table(type.owners)
        let elements = table(type.elements)
        if try owners.holdsOnly(database: db) {
            try owners.clear()
            try elements.clear()
            if type.type == .stream { for part in StreamPart.allCases { try table(part.table).clear() } }
            return
        }
        for owner in try owners.ids(inDatabase: db) {
            try elements.removeElements(owner, 0...RowID.lastSlot)
            if type.type == .stream { try removeStreamParts(owner) }
        }
        try owners.clear(database: db)
    }
}
