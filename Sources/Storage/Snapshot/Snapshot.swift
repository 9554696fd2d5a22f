import schema

/// What holds for the file as a whole, for whoever opens it.
public enum Snapshot {
    /// Bytes that writing and reading snapshots takes now: rows on their way, and SQLite's own memory.
    public static var memoryInUse: Int { SnapshotBuffers.inUse + SQLiteConnection.memoryInUse }

    public enum State: Equatable, Sendable {
        /// No such file.
        case missing
        /// Made, but no checkpoint was ever committed: a crash hit the first one.
        case empty
        /// A checkpoint is in it.
        case ready
    }

    /// Looks at the file before a reader or writer is opened, and lets SQLite repair what a crash left beside it.
    /// Throws for a file that is no snapshot of ours, was made by a newer version, or is damaged.
    public static func state(path: String, files: any FileSystem = Host.real.files) throws(StorageError) -> State {
        guard files.facts(path) != nil else { return .missing }
        let connection = try SQLiteConnection(path: path, mode: .write, files)
        if try isBlank(connection) { return .empty }
        try checkIdentity(connection)
        return try Meta.read(connection) == nil ? .empty : .ready
    }

    /// A reader that is the only one leaves an empty WAL behind, which SQLite removes when a writer closes. Call when
    /// the reader is gone. Does no harm where a server is running.
    static func removeEmptyWAL(path: String, _ files: any FileSystem) {
        if files.size(path + "-wal") == 0 { _ = try? state(path: path, files: files) }
    }

    /// The file's size in bytes; nil when there is none. Opening it ourselves would drop SQLite's locks.
    public static func size(path: String, files: any FileSystem = Host.real.files) -> Int64? { files.size(path) }

    /// True for a database with nothing in it, as a crash before the tables were made leaves it.
    static func isBlank(_ connection: SQLiteConnection) throws(StorageError) -> Bool {
        if try connection.integer(named: "objects") != 0 { return false }
        let application = try connection.integer(named: "application_id")
        let version = try connection.integer(named: "user_version")
        return application == 0 && version == 0
    }

    /// Refuses what is not ours, what is newer than this code, and tables that are not as this code makes them.
    static func checkIdentity(_ connection: SQLiteConnection) throws(StorageError) {
        let application = try connection.integer(named: "application_id")
        if application == Schema.analysisID {
            throw connection.unusable(
                "this is an analysis copy, made by `redis-migrate index`, and no snapshot: use the snapshot that it was "
                    + "made from, or make a copy with --snapshot")
        }
        guard application == Schema.applicationID else {
            throw connection.unusable(
                "this SQLite database is not a Swiftlet snapshot (application_id \(application)): "
                    + "choose another snapshotfilename or dir, or move the file away")
        }
        let version = try connection.integer(named: "user_version")
        guard version == Schema.version else {
            throw connection.unusable(
                "the snapshot has schema version \(version), this program knows version \(Schema.version): "
                    + "use the version of Swiftlet that wrote it, or a newer one")
        }
        let encoding = try connection.string(named: "encoding")
        guard encoding == "UTF-8" else {
            throw connection.unusable(
                "the snapshot's text encoding is \(encoding), not UTF-8: it was rewritten by hand")
        }
        try SnapshotSchema.check(connection)
    }
}

extension SQLiteConnection {
    /// The libraries of functions, by name. The bytes are valid in `body` only.
    func forEachFunction(_ body: (_ name: Bytes, _ code: Bytes) throws(StorageError) -> Void) throws(StorageError) {
        let rows = try prepare(named: "functions.read")
        while try rows.step() { try body(rows.bytes(0), rows.bytes(1)) }
    }

    /// The greatest or least id of a table; nil where it is empty. O(log n).
    func lastID(_ table: SnapshotTable) throws(StorageError) -> Int64? { try edge(table, ".last") }
    func firstID(_ table: SnapshotTable) throws(StorageError) -> Int64? { try edge(table, ".read") }
    private func edge(_ table: SnapshotTable, _ statement: String) throws(StorageError) -> Int64? {
        let rows = try prepare(named: table.name + statement)
        rows.bind(1, Int64.min)
        rows.bind(2, Int64.max)
        defer { rows.reset() }
        return try rows.step() ? rows.optionalInteger(0) : nil
    }
}
