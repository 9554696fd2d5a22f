import CSQLite
import schema

// Invariant of this file: a connection and its statements are used by one thread at a time (NOMUTEX); a statement keeps
// its connection alive, so that finalize comes before close. Bytes that are bound are not copied: they stay valid until
// `step` or `run` has returned, and every statement is reset before its caller returns. Bytes from a column are valid
// until the next step.
//
// The database file is opened and closed by SQLite alone: a close() of ours would drop its POSIX locks.

/// One connection of ours to a database. Thin on purpose: hot loops bind and step with no arrays and no Strings.
final class SQLiteConnection {
    /// Bytes that all connections of the process have allocated. Takes a short lock.
    static var memoryInUse: Int { Int(sqlite3_memory_used()) }

    enum Mode {
        case read, write, create

        fileprivate var flags: Int32 {
            switch self {
            case .read: SQLITE_OPEN_READONLY
            case .write: SQLITE_OPEN_READWRITE
            case .create: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
            }
        }
    }

    /// How long to wait for another program's lock, in ms. SAVE waits for as long.
    static let busyTimeout: Int32 = 1_000

    let path: String
    let files: any FileSystem
    fileprivate let handle: OpaquePointer

    init(path: String, mode: Mode, _ files: any FileSystem) throws(StorageError) {
        var opened: OpaquePointer?
        var name = path
        var flags = mode.flags
        if mode != .create, try SQLiteConnection.isFixed(path, files) {
            name = SQLiteConnection.fixedURI(path)
            flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
        }
        let status = sqlite3_open_v2(name, &opened, flags | SQLITE_OPEN_NOMUTEX, files.sqliteVFS)
        guard status == SQLITE_OK, let opened else {
            let reason = String(cString: sqlite3_errstr(status))
            sqlite3_close_v2(opened)
            throw StorageError(file: path, message: "cannot open the snapshot: \(reason)")
        }
        self.path = path
        self.files = files
        handle = opened
        sqlite3_extended_result_codes(handle, 1)
        sqlite3_busy_timeout(handle, SQLiteConnection.busyTimeout)
    }
    deinit { sqlite3_close_v2(handle) }

    /// Whether the file lies where nothing can be written and nobody has it open. SQLite, which makes a WAL index beside
    /// every WAL database that it opens, then has to be told that the file does not change. Throws where a WAL would have
    /// to be recovered first.
    private static func isFixed(_ path: String, _ files: any FileSystem) throws(StorageError) -> Bool {
        if files.isWritable(parentDirectory(of: path)) || files.facts(path) == nil || files.facts(path + "-shm") != nil
        {
            return false
        }
        if files.size(path + "-wal") ?? 0 > 0 {
            throw StorageError(
                file: path + "-wal",
                message:
                    "the directory cannot be written, and the end of the last save is in this file: open the snapshot "
                    + "once where it can be written")
        }
        return true
    }

    private static func fixedURI(_ path: String) -> String {
        let escaped = path.utf8.map { byte in
            byte >= 128 || "?#%".utf8.contains(byte) ? "%" + String(byte, radix: 16) : String(UnicodeScalar(byte))
        }
        return "file:\(escaped.joined())?immutable=1"
    }

    /// The error for SQLite's last failure on this connection.
    func failure(_ what: String) -> StorageError {
        let code = sqlite3_extended_errcode(handle)
        let advice =
            switch code & 0xff {
            case SQLITE_CORRUPT, SQLITE_NOTADB: "; " + FileForm.fault(path, files)
            case SQLITE_BUSY, SQLITE_LOCKED: "; another program is writing to it: open it read-only (mode=ro) there"
            case SQLITE_FULL: "; make room on the disk"
            case SQLITE_TOOBIG: "; a row holds at most 1,000,000,000 bytes"
            default: ""
            }
        let kind: StorageError.Reason =
            switch code & 0xff {
            case SQLITE_CORRUPT, SQLITE_NOTADB: .unusable
            case SQLITE_BUSY, SQLITE_LOCKED: .busy
            default: .other
            }
        let reason = String(cString: sqlite3_errmsg(handle))
        return StorageError(
            file: path, message: "\(what): \(reason) (SQLite code \(code))\(advice)", reason: kind)
    }
    func error(_ message: String) -> StorageError { StorageError(file: path, message: message) }
    /// The error for what stands in the file and cannot be used.
    func unusable(_ message: String) -> StorageError {
        StorageError(file: path, message: message, reason: .unusable)
    }

    /// Runs SQL of one or more statements and drops what they answer.
    func execute(_ sql: String) throws(StorageError) {
        guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw failure("cannot run SQL") }
    }
    /// Executes what has this name in statements.sql.
    func execute(named name: String) throws(StorageError) { try execute(text(name)) }

    func prepare(_ sql: String) throws(StorageError) -> SQLiteStatement {
        var statement: OpaquePointer?
        let flags = UInt32(SQLITE_PREPARE_PERSISTENT)
        guard sqlite3_prepare_v3(handle, sql, -1, flags, &statement, nil) == SQLITE_OK, let statement else {
            throw failure("cannot prepare a statement")
        }
        return SQLiteStatement(self, statement)
    }
    func prepare(named name: String) throws(StorageError) -> SQLiteStatement { try prepare(text(name)) }

    /// What has this name in statements.sql.
    func text(_ name: String) throws(StorageError) -> String {
        guard let sql = Schema.statement(name) else { throw error("no SQL statement is named \(name)") }
        return sql
    }

    /// The first column of the first row, as a number; 0 when there is no row.
    func integer(named name: String) throws(StorageError) -> Int64 {
        let statement = try prepare(named: name)
        guard try statement.step() else { return 0 }
        let found = statement.integer(0)
        try statement.run()
        return found
    }
    /// The first column of the first row, as text; empty when there is no row.
    func string(named name: String) throws(StorageError) -> String {
        let statement = try prepare(named: name)
        guard try statement.step() else { return "" }
        let found = statement.bytes(0).string
        // A pragma that changes the file answers first and commits behind that, which may fail.
        try statement.run()
        return found
    }

    var changes: Int64 { sqlite3_changes64(handle) }
    var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Runs `body` with another time to wait for locks, in ms.
    func withBusyTimeout<R>(_ timeout: Int32, _ body: () throws(StorageError) -> R) throws(StorageError) -> R {
        sqlite3_busy_timeout(handle, timeout)
        defer { sqlite3_busy_timeout(handle, SQLiteConnection.busyTimeout) }
        return try body()
    }

    /// Whether the name leads to another file than the one that is open, or to none.
    var hasMoved: Bool {
        var moved: Int32 = 0
        return sqlite3_file_control(handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0
    }

    /// Bytes of the database file as they stand on the disk, past SQLite's cache and without the WAL; nil where there are
    /// fewer or they cannot be read.
    func fileBytes(at offset: Int64, count: Int) -> [UInt8]? {
        var file: UnsafeMutablePointer<sqlite3_file>?
        guard sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK, let file,
            let read = file.pointee.pMethods?.pointee.xRead, let count32 = Int32(exactly: count)
        else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        return read(file, &bytes, count32, offset) == SQLITE_OK ? bytes : nil
    }
    /// The database file's size in bytes.
    var fileSize: Int64? {
        var file: UnsafeMutablePointer<sqlite3_file>?
        var size: Int64 = 0
        guard sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK, let file,
            let ask = file.pointee.pMethods?.pointee.xFileSize, ask(file, &size) == SQLITE_OK
        else { return nil }
        return size
    }

    /// Copies all pages into the database that `target` has open, which is empty, as of this connection's transaction; that
    /// one has to have begun to read. `progress` is told how many pages are copied, and of how many, and ends it with false.
    /// O(pages).
    func copy(to target: SQLiteConnection, progress: (_ done: Int, _ all: Int) -> Bool) throws(StorageError) {
        guard let copy = sqlite3_backup_init(target.handle, "main", handle, "main") else {
            throw target.failure("cannot be written")
        }
        var status = SQLITE_OK
        var isEnded = false
        while status == SQLITE_OK && !isEnded {
            status = sqlite3_backup_step(copy, SQLiteConnection.pagesAtOnce)
            let all = Int(sqlite3_backup_pagecount(copy))
            isEnded = !progress(all - Int(sqlite3_backup_remaining(copy)), all)
        }
        let end = sqlite3_backup_finish(copy)
        if end != SQLITE_OK || status != SQLITE_DONE && !isEnded { throw target.failure("cannot be copied to") }
        if isEnded && status != SQLITE_DONE { throw target.error("the copy was given up") }
    }
    private static let pagesAtOnce: Int32 = 128

    /// Copies the WAL into the database and truncates it. False when a reader or writer elsewhere kept it from ending:
    /// then nothing is lost, and the WAL stays. Waits for others up to `timeout` ms.
    func checkpoint(timeout: Int32) throws(StorageError) -> Bool {
        sqlite3_busy_timeout(handle, timeout)
        defer { sqlite3_busy_timeout(handle, SQLiteConnection.busyTimeout) }
        let status = sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
        if status & 0xff == SQLITE_BUSY || status & 0xff == SQLITE_LOCKED { return false }
        guard status == SQLITE_OK else { throw failure("cannot move the WAL into the snapshot") }
        return true
    }
}

/// A prepared statement. Binds are numbered from 1, columns from 0, as in SQLite.
final class SQLiteStatement {
    private let connection: SQLiteConnection
    private let handle: OpaquePointer
    /// Gathers what binds return; `step` looks at it.
    private var bindStatus: Int32 = SQLITE_OK

    fileprivate init(_ connection: SQLiteConnection, _ handle: OpaquePointer) {
        self.connection = connection
        self.handle = handle
    }
    deinit { sqlite3_finalize(handle) }

    @inline(__always) func bind(_ index: Int32, _ value: Int64) {
        bindStatus |= sqlite3_bind_int64(handle, index, value)
    }
    @inline(__always) func bind(_ index: Int32, _ value: Int64?) {
        if let value { bind(index, value) } else { bindStatus |= sqlite3_bind_null(handle, index) }
    }
    @inline(__always) func bind(_ index: Int32, _ value: Double) {
        bindStatus |= sqlite3_bind_double(handle, index, value)
    }
    /// As TEXT or BLOB, as `Bytes.isText` decides. Nothing is copied.
    @inline(__always) func bind(_ index: Int32, _ value: Bytes) {
        if value.isText {
            let text = value.base.assumingMemoryBound(to: CChar.self)
            bindStatus |= sqlite3_bind_text64(handle, index, text, UInt64(value.count), nil, UInt8(SQLITE_UTF8))
        } else {
            bindStatus |= sqlite3_bind_blob64(handle, index, value.base, UInt64(value.count), nil)
        }
    }

    /// True when there is a row. After false or an error the statement is reset, ready for the next binds.
    @inline(__always) func step() throws(StorageError) -> Bool {
        if bindStatus != SQLITE_OK { throw bindFailure() }
        let status = sqlite3_step(handle)
        if status == SQLITE_ROW { return true }
        guard status == SQLITE_DONE else { throw stepFailure() }
        sqlite3_reset(handle)
        return false
    }
    /// Steps a statement to its end; rows that it answers are dropped.
    @inline(__always) func run() throws(StorageError) {
        while try step() {}
    }
    /// Ends a statement that still has rows.
    func reset() { sqlite3_reset(handle) }

    private func bindFailure() -> StorageError {
        let status = bindStatus
        bindStatus = SQLITE_OK
        sqlite3_reset(handle)
        if status & 0xff == SQLITE_TOOBIG {
            return connection.error("a key or value is too large: a row holds at most 1,000,000,000 bytes")
        }
        return connection.error("cannot bind a value: \(String(cString: sqlite3_errstr(status)))")
    }
    private func stepFailure() -> StorageError {
        let error = connection.failure("cannot read or write the snapshot")
        sqlite3_reset(handle)
        return error
    }

    var columnCount: Int32 { sqlite3_column_count(handle) }
    @inline(__always) func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }
    @inline(__always) func double(_ column: Int32) -> Double { sqlite3_column_double(handle, column) }
    @inline(__always) func isNull(_ column: Int32) -> Bool {
        sqlite3_column_type(handle, column) == SQLITE_NULL
    }
    func isText(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_TEXT }
    @inline(__always) func optionalInteger(_ column: Int32) -> Int64? {
        isNull(column) ? nil : integer(column)
    }
    /// The bytes of a TEXT or BLOB; a number that someone wrote by hand is rendered as text.
    @inline(__always) func bytes(_ column: Int32) -> Bytes {
        guard let base = sqlite3_column_blob(handle, column) else { return Bytes() }
        return Bytes(base, Int(sqlite3_column_bytes(handle, column)))
    }
}
