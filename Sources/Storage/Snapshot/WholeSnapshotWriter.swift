/// Writes a snapshot as a whole into a new file of its own: the first one, an imported one, one that takes the place of a
/// file that was lost. Each row is written once, and most of them past SQLite: a b-tree of ascending rows is a run of full
/// pages, which takes a fifth of the time of inserting them. Used by one thread at a time.
///
/// Rows that come out of order wait until the others are in place, and go through SQLite.
final class WholeSnapshotWriter {
    let path: String
    private let files: any FileSystem
    private var file: BulkFile?
    private var tables: [BulkTable] = []
    private let record = RecordBuilder()
    private let texts = EntryTexts()
    /// Rows below the last one of their table, and states of streams.
    private let late: LateRows
    private var functions: [(name: OutputBuffer, code: OutputBuffer)] = []
    /// The row of the stream that came last, until its state is there.
    private var stream: StreamOwner?
    private struct StreamOwner {
        let id: Int64
        let db: Int32
        let key: OutputBuffer
        let expiresMs: Int64?
    }

    /// Makes the file, which must not exist, with its tables. Throws when the disk refuses.
    init(path: String, _ files: any FileSystem = Host.real.files) throws(StorageError) {
        self.path = path
        self.files = files
        late = LateRows(path: path + OutputFile.lateSuffix, files)
        let roots = try WholeSnapshotWriter.makeTables(path, files)
        let file = try BulkFile(path: path, files)
        for table in SnapshotTable.allCases {
            guard let (root, columns) = roots[table.name] else {
                throw StorageError(file: path, message: "the new snapshot has no table \(table.name)")
            }
            tables.append(BulkTable(file, root: root, columns: columns))
        }
        self.file = file
    }

    /// Closes the database again: nothing of it may be in SQLite's cache when pages are written past it.
    private static func makeTables(
        _ path: String, _ files: any FileSystem
    ) throws(StorageError) -> [String: (UInt32, Int)] {
        let connection = try SnapshotWriter(path: path, isScratch: true, files: files).connection
        let rows = try connection.prepare(named: "roots")
        var roots: [String: (UInt32, Int)] = [:]
        while try rows.step() {
            roots[rows.bytes(0).string] = (UInt32(clamping: rows.integer(1)), Int(rows.integer(2)))
        }
        return roots
    }

    /// Takes over the rows of `batch`, which may be emptied and used again afterwards. The file began empty: removals,
    /// flushes and swaps of what was before mean nothing to it, and no row comes twice.
    func apply(_ batch: RowBatch) throws(StorageError) {
        var offset = 0
        while offset < batch.byteCount {
            let start = offset
            let isOrdered = batch.isOrdered(at: start)
            let row = batch.decode(at: &offset)
            if try !append(row, isOrdered) { try late.append(batch.encoded(start..<offset)) }
        }
    }

    func put(function name: Bytes, _ code: Bytes) {
        functions.append((OutputBuffer(copying: name), OutputBuffer(copying: code)))
    }

    /// False for a row that must wait.
    private func append(_ row: Row, _ isOrdered: Bool) throws(StorageError) -> Bool {
        if let problem = row.problem { throw StorageError(file: path, message: problem) }
        if case .owner(.stream, let id, let db, let key, let expiresMs) = row {
            try writeStream(StreamState())
            guard id > tables[SnapshotTable.streams.rawValue].lastID else { return false }
            stream = StreamOwner(id: id, db: db, key: OutputBuffer(copying: key), expiresMs: expiresMs)
            return true
        }
        if case .stream(let owner, .state(let state)) = row {
            guard owner == stream?.id else { return false }
            try writeStream(state)
            return true
        }
        guard let place = row.place else { return true }
        let table = tables[place.table.rawValue]
        // An element ahead of others that are to come would make all of those late.
        guard place.id > table.lastID, isOrdered || place.owner < 0 else { return false }
        record.begin(columns: table.columns)
        row.bindColumns(to: record, texts)
        try table.append(place.id, record)
        return true
    }

    private func writeStream(_ state: StreamState) throws(StorageError) {
        guard let owner = stream else { return }
        stream = nil
        let table = tables[SnapshotTable.streams.rawValue]
        let row = Row.owner(
            type: .stream, id: owner.id, db: owner.db, key: owner.key.bytes, expiresMs: owner.expiresMs)
        record.begin(columns: table.columns)
        row.bindColumns(to: record, texts)
        state.bindColumns(to: record, from: StreamState.firstColumn)
        try table.append(owner.id, record)
    }

    /// Writes the rest and `meta`, and closes the database, which is durable then, but for its name, unless nobody wants it to
    /// be. Returns the number of rows.
    @discardableResult func finish(_ meta: Meta, isDurable: Bool = true) throws(StorageError) -> Int64 {
        let rows = try finishWithSQLite(meta)
        if isDurable { try OutputFile.sync(path, files) }
        return rows
    }

    /// Ends the tables and lets SQLite write what came late, and what is in no table of rows.
    private func finishWithSQLite(_ meta: Meta) throws(StorageError) -> Int64 {
        try writeStream(StreamState())
        var counts = RowCounts()
        for table in SnapshotTable.allCases {
            try tables[table.rawValue].finish()
            counts[table] = tables[table.rawValue].count
        }
        try file?.finish()
        tables = []
        file = nil
        let writer = try SnapshotWriter(path: path, isScratch: true, counts: counts, files: files)
        try late.drain { (rows) throws(StorageError) in try writer.apply(rows) }
        for (name, code) in functions { try writer.put(function: name.bytes, code.bytes) }
        return try writer.commit(meta).rows
    }
}
