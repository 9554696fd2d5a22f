/// Reads a snapshot at start, before the writer opens it. Used by one thread at a time; several readers of one file may
/// each read a part on a thread of its own.
///
/// Nothing in the file is trusted: what does not fit throws a StorageError, with the rows before it already handed out.
public final class SnapshotReader {
    public let path: String
    /// Of the last checkpoint. Its row counts say how much is to come.
    public let meta: Meta
    let connection: SQLiteConnection

    /// Opens the file read-only, at the state of its last commit. Throws where it is missing, no snapshot of ours,
    /// newer than this code, damaged, or without a checkpoint (ask `Snapshot.state` first). `check` also runs SQLite's
    /// quick_check, which reads the whole file.
    public init(
        path: String, check: Bool = false, files: any FileSystem = Host.real.files
    ) throws(StorageError) {
        guard files.facts(path) != nil else {
            throw StorageError(file: path, message: "the snapshot is missing: restore it from a backup")
        }
        self.path = path
        connection = try SQLiteConnection(path: path, mode: .read, files)
        try connection.execute(named: "reader.settings")
        try connection.execute(named: "begin.read")
        try Snapshot.checkIdentity(connection)
        if check {
            let answer = try connection.string(named: "quick_check")
            guard answer == "ok" else {
                throw connection.error("the snapshot is damaged: \(answer): restore it from a backup or a replica")
            }
        }
        guard let meta = try Meta.read(connection) else {
            throw connection.error("the snapshot holds no checkpoint")
        }
        self.meta = meta
        for table in SnapshotTable.allCases {
            for id in [try connection.firstID(table), try connection.lastID(table)] {
                if let id, !table.ids.contains(id) { throw damage(table, id, "has an id that the server gives none") }
            }
        }
    }

    /// The error for a row that cannot be.
    func damage(_ table: SnapshotTable, _ id: Int64, _ what: String) -> StorageError {
        connection.unusable(
            "the snapshot is damaged: the row with id \(id) of \(table.name) \(what): restore it from a backup or a replica"
        )
    }

    /// All rows: strings, then for each type its owners by id, each followed by its elements by slot; then verifies the
    /// row counts. `consume` gets batches of about `RowBatch.targetSize`, each valid until it returns.
    public func read(_ consume: (RowBatch) throws -> Void) throws {
        try readExchanging { batch in
            try consume(batch)
            batch.removeAll()
            return batch
        }
    }

    /// Reads for a consumer that keeps each batch, for another thread say, and returns an empty one to fill instead.
    public func readExchanging(_ exchange: (RowBatch) throws -> RowBatch) throws {
        var counts = RowCounts()
        for type in [ValueType.string, .list, .hash, .set, .zset, .stream] {
            counts.add(try read(type, ids: 0..<Int64.max, exchanging: exchange))
        }
        try verify(counts)
    }

    /// Part of the rows of one type: strings or owners whose ids lie in `ids`, these with all their elements. Returns
    /// what was read; the caller adds up all parts and calls `verify`.
    public func read(
        _ type: ValueType, ids: Range<Int64>, exchanging exchange: (RowBatch) throws -> RowBatch
    ) throws -> RowCounts {
        var pass = Pass()
        if type == .string {
            try readStrings(ids, &pass, exchange)
        } else if type == .stream {
            try readStreams(ids.clamped(to: Range(RowID.owners)), &pass, exchange)
        } else if let tables = CollectionTables.of(type) {
            try readCollections(tables, ids.clamped(to: Range(RowID.owners)), &pass, exchange)
        }
        if !pass.batch.isEmpty { pass.batch = try exchange(pass.batch) }
        return pass.counts
    }

    /// Throws unless `counts` is what the last checkpoint wrote down: a snapshot that lost rows must not pass for
    /// whole.
    public func verify(_ counts: RowCounts) throws(StorageError) {
        for table in SnapshotTable.allCases where counts[table] != meta.rowCounts[table] {
            throw connection.unusable(
                "the snapshot is damaged: \(table.name) has \(counts[table]) rows where its last checkpoint wrote "
                    + "\(meta.rowCounts[table]): restore it from a backup or a replica")
        }
    }
}

// MARK: - Functions and fields that expire

extension SnapshotReader {
    /// The libraries of functions, by name. The bytes are valid in `body` only.
    func forEachFunction(_ body: (_ name: Bytes, _ code: Bytes) throws(StorageError) -> Void) throws(StorageError) {
        try connection.forEachFunction(body)
    }
    /// As copies.
    func functions() throws(StorageError) -> [FunctionLibrary.Text] {
        var found: [FunctionLibrary.Text] = []
        try forEachFunction { (name, code) throws(StorageError) in found.append((name.array, code.array)) }
        return found
    }

    /// Elements of a list, hash, set or sorted set. O(elements).
    func elementCount(_ type: ValueType, _ owner: Int64) throws(StorageError) -> Int {
        guard let tables = CollectionTables.of(type) else { return 0 }
        let rows = try connection.prepare(named: tables.elements.name + ".count_range")
        rows.bind(1, RowID.element(owner, 0))
        rows.bind(2, RowID.element(owner, RowID.lastSlot))
        defer { rows.reset() }
        return try rows.step() ? Int(clamping: rows.integer(0)) : 0
    }

    /// A second reader, of hashes with fields that expire, to go along with `read`.
    func fieldExpiries() throws(StorageError) -> FieldExpiries {
        FieldExpiries(rows: try connection.prepare(named: "field_expiries.read"))
    }
}

/// Tells which hashes have fields that expire before their fields are read. O(fields) in all.
final class FieldExpiries {
    private let rows: SQLiteStatement
    private var hasRow: Bool?

    fileprivate init(rows: SQLiteStatement) { self.rows = rows }

    /// The earliest expiry of the hash's fields in ms since 1970; nil where none expires. `owner` ascends from call to
    /// call.
    func earliest(of owner: Int64) throws(StorageError) -> Int64? {
        if hasRow == nil { hasRow = try rows.step() }
        var found: Int64?
        while hasRow == true {
            let here = rows.integer(0) >> 32
            if here > owner { break }
            if here == owner { found = min(found ?? .max, max(1, rows.integer(1))) }
            hasRow = try rows.step()
        }
        return found
    }
}

// MARK: - Rows

extension SnapshotReader {
    struct Pass {
        var batch = RowBatch(capacity: RowBatch.targetSize + 4096)
        var counts = RowCounts()

        @inline(__always)
        mutating func handOverIfFull(_ exchange: (RowBatch) throws -> RowBatch) throws {
            if batch.byteCount >= RowBatch.targetSize { batch = try exchange(batch) }
        }
    }

    private func readStrings(
        _ ids: Range<Int64>, _ pass: inout Pass, _ exchange: (RowBatch) throws -> RowBatch
    ) throws {
        if ids.isEmpty { return }
        let rows = try connection.prepare(named: SnapshotTable.strings.name + ".read")
        rows.bind(1, ids.lowerBound)
        rows.bind(2, ids.upperBound - 1)
        var count: Int64 = 0
        while try rows.step() {
            pass.batch.appendString(
                id: rows.integer(0), db: try database(rows, .strings), key: rows.bytes(2), value: rows.bytes(3),
                expiresMs: rows.expiry(4))
            count &+= 1
            try pass.handOverIfFull(exchange)
        }
        pass.counts[.strings] = count
    }

    /// Merges the two tables, which both come in the order of ids.
    private func readCollections(
        _ tables: CollectionTables, _ ids: Range<Int64>, _ pass: inout Pass,
        _ exchange: (RowBatch) throws -> RowBatch
    ) throws {
        if ids.isEmpty { return }
        let owners = try connection.prepare(named: tables.owners.name + ".read")
        owners.bind(1, ids.lowerBound)
        owners.bind(2, ids.upperBound - 1)
        let elements = try connection.prepare(named: tables.elements.name + ".read")
        elements.bind(1, RowID.element(ids.lowerBound, 0))
        elements.bind(2, RowID.element(ids.upperBound - 1, RowID.lastSlot))

        var ownerCount: Int64 = 0
        var elementCount: Int64 = 0
        var hasElement = try elements.step()
        while try owners.step() {
            let id = owners.integer(0)
            pass.batch.appendOwner(
                type: tables.type, id: id, db: try database(owners, tables.owners), key: owners.bytes(2),
                expiresMs: owners.expiry(3))
            ownerCount &+= 1
            while hasElement {
                let elementID = elements.integer(0)
                let owner = elementID >> 32
                if owner > id { break }
                if owner < id { throw orphan(tables, elementID) }
                append(tables.type, owner, UInt32(truncatingIfNeeded: elementID), elements, pass.batch)
                elementCount &+= 1
                try pass.handOverIfFull(exchange)
                hasElement = try elements.step()
            }
            try pass.handOverIfFull(exchange)
        }
        if hasElement { throw orphan(tables, elements.integer(0)) }
        pass.counts[tables.owners] = ownerCount
        pass.counts[tables.elements] = elementCount
    }

    @inline(__always)
    private func append(
        _ type: ValueType, _ owner: Int64, _ slot: UInt32, _ row: SQLiteStatement, _ batch: RowBatch
    ) {
        switch type {
        case .list: batch.appendListItem(owner: owner, slot: slot, row.bytes(1))
        case .hash:
            batch.appendHashField(
                owner: owner, slot: slot, row.bytes(1), row.bytes(2), expiresMs: row.expiry(3))
        case .set: batch.appendSetMember(owner: owner, slot: slot, row.bytes(1))
        case .zset:
            let score = row.double(2)
            let isMinusZero = score == 0 && !row.isNull(3)
            batch.appendZSetMember(owner: owner, slot: slot, row.bytes(1), score: isMinusZero ? -0.0 : score)
        case .string, .stream: break
        }
    }

    /// Column 1 of strings and owners.
    @inline(__always)
    func database(_ row: SQLiteStatement, _ table: SnapshotTable) throws(StorageError) -> Int32 {
        let db = row.integer(1)
        guard db >= 0, let db = Int32(exactly: db) else {
            throw damage(table, row.integer(0), "is of database \(db)")
        }
        return db
    }

    private func orphan(_ tables: CollectionTables, _ id: Int64) -> StorageError {
        damage(tables.elements, id, "belongs to no row of \(tables.owners.name)")
    }
}

extension SQLiteStatement {
    /// In ms since 1970. What is not after it has expired like what is at its first millisecond.
    @inline(__always) func expiry(_ column: Int32) -> Int64? { optionalInteger(column).map { max(1, $0) } }
}

extension FunctionLibrary {
    /// All libraries in the snapshot `path`.
    public static func all(
        in path: String, files: any FileSystem = Host.real.files
    ) throws(StorageError) -> [Text] {
        try SnapshotReader(path: path, files: files).functions()
    }
}
