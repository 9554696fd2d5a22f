import CSQLite
import CShims
import schema

// Invariant of this file: the connection and its statement are used by the thread that calls `run`, and closed before it
// returns. Parameters are not copied: they live until then. A row's bytes live until the next one.

/// A value of a row.
public enum QueryValue {
    case null
    case integer(Int64)
    case real(Double)
    case text(Bytes)
    case blob(Bytes)
}

/// Takes the rows of a query.
public protocol QueryConsumer: AnyObject {
    /// Once, before the first row. Names are distinct.
    func begin(columns: [String]) throws(QueryFailure)
    func take(_ row: QueryRow) throws(QueryFailure)
}

/// A row, until the next one is asked for.
public struct QueryRow {
    fileprivate let statement: OpaquePointer
    public let columnCount: Int

    public subscript(_ column: Int) -> QueryValue {
        let column = Int32(column)
        switch sqlite3_column_type(statement, column) {
        case SQLITE_INTEGER: return .integer(sqlite3_column_int64(statement, column))
        case SQLITE_FLOAT: return .real(sqlite3_column_double(statement, column))
        case SQLITE_TEXT: return .text(bytes(column))
        case SQLITE_BLOB: return .blob(bytes(column))
        default: return .null
        }
    }
    private func bytes(_ column: Int32) -> Bytes {
        guard let base = sqlite3_column_blob(statement, column) else { return Bytes() }
        return Bytes(base, Int(sqlite3_column_bytes(statement, column)))
    }
}

/// One statement of somebody who is not trusted, on the last checkpoint: it reads, and does nothing else, within limits of time
/// and memory.
///
/// Each has a connection of its own, so that it sees the file that has the snapshot's name by now, and keeps nothing: what was
/// read into SQLite's cache, temporary tables and sorting are in memory, under the limit, as a file would be written without
/// one and beside the log. SQLite's modules for virtual tables are gone but for JSON's.
public struct SnapshotQuery: Sendable {
    let path: String
    let limits: QueryLimits
    let files: any FileSystem

    /// Lists tables and views with their columns.
    public static let schema = Schema.statement("query.schema") ?? ""

    public init(path: String, limits: QueryLimits, files: any FileSystem = Host.real.files) {
        self.path = path
        self.limits = limits
        self.files = files
    }

    /// Executes the statement with its parameters, bound as TEXT, or as BLOB where they are not text. Blocks for as long as the
    /// limits say, and for the rest of a function's call that was begun before. `isCancelled` is asked all the while.
    public func run(
        _ sql: [UInt8], _ parameters: [[UInt8]], into consumer: any QueryConsumer,
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws(QueryFailure) {
        if files.facts(path) == nil { throw .missing }
        cshims_sqlite_limit_memory(Int64(limits.memory))
        defer { cshims_sqlite_limit_memory(0) }
        let watch = QueryWatch(limits, isCancelled: isCancelled)
        let connection = try open(watch)
        defer { sqlite3_close_v2(connection) }
        let execution = Execution(connection: connection, watch: watch, limits: limits)
        try execution.run(sql, parameters, consumer)
    }

    // MARK: - Opening

    /// While a new file takes the place of another, it has no WAL yet, and who reads it would keep it from getting one: such a
    /// file is left alone for a while.
    private func open(_ watch: QueryWatch) throws(QueryFailure) -> OpaquePointer {
        var milliseconds = 0
        while true {
            let connection = try openOnce()
            do throws(QueryFailure) {
                let isPatient = milliseconds < QueryLimits.replacement && watch.mayGoOn()
                if try isSetUp(connection, watch, needsWAL: isPatient) { return connection }
            } catch {
                sqlite3_close_v2(connection)
                throw error
            }
            sqlite3_close_v2(connection)
            sleepMicroseconds(1000)
            milliseconds += 1
        }
    }

    private func openOnce() throws(QueryFailure) -> OpaquePointer {
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE
        let status = sqlite3_open_v2(path, &opened, flags, files.sqliteVFS)
        guard status == SQLITE_OK, let opened else {
            sqlite3_close_v2(opened)
            throw .unreadable(String(cString: sqlite3_errstr(status)))
        }
        return opened
    }

    /// False: it has no WAL.
    private func isSetUp(
        _ connection: OpaquePointer, _ watch: QueryWatch, needsWAL: Bool
    ) throws(QueryFailure) -> Bool {
        let execution = Execution(connection: connection, watch: watch, limits: limits)
        sqlite3_extended_result_codes(connection, 1)
        sqlite3_busy_timeout(connection, SQLiteConnection.busyTimeout)
        guard cshims_sqlite_distrust(UnsafeMutableRawPointer(connection)) == SQLITE_OK else {
            throw .unreadable("this SQLite cannot be made to refuse what statements must not do")
        }
        try execution.check(sqlite3_exec(connection, Schema.statement("query.settings"), nil, nil, nil))
        if needsWAL {
            let mode = try execution.text("query.journal_mode")
            if mode != "wal" { return false }
        }
        setLimits(connection)
        dropModules(connection)
        // A virtual table is declared by a statement that is one of those which are refused from here on.
        try execution.check(sqlite3_exec(connection, Schema.statement("query.virtual_tables"), nil, nil, nil))
        guard QueryFunctions.install(on: connection, watch) else { throw execution.failure() }
        watch.attach(to: connection)
        return true
    }

    /// No virtual tables but JSON's, and what tells of tables: others look into SQLite and the file, or write.
    private func dropModules(_ connection: OpaquePointer) {
        "json_each".withCString { each in
            "json_tree".withCString { tree in
                var kept: [UnsafePointer<CChar>?] = [each, tree, nil]
                sqlite3_drop_modules(connection, &kept)
            }
        }
    }

    private func setLimits(_ connection: OpaquePointer) {
        let rows: [(Int32, Int32)] = [
            (SQLITE_LIMIT_LENGTH, Int32(clamping: limits.value)), (SQLITE_LIMIT_SQL_LENGTH, QueryLimits.statement),
            (SQLITE_LIMIT_COLUMN, QueryLimits.columns), (SQLITE_LIMIT_EXPR_DEPTH, QueryLimits.expressionDepth),
            (SQLITE_LIMIT_COMPOUND_SELECT, QueryLimits.compounds),
            (SQLITE_LIMIT_FUNCTION_ARG, QueryLimits.arguments), (SQLITE_LIMIT_ATTACHED, 0),
            (SQLITE_LIMIT_VARIABLE_NUMBER, QueryLimits.parameters), (SQLITE_LIMIT_TRIGGER_DEPTH, 0),
            (SQLITE_LIMIT_WORKER_THREADS, 0),
        ]
        for (limit, value) in rows { sqlite3_limit(connection, limit, value) }
    }
}

/// A statement on a connection that is set up.
private struct Execution {
    let connection: OpaquePointer
    let watch: QueryWatch
    let limits: QueryLimits

    func run(_ sql: [UInt8], _ parameters: [[UInt8]], _ consumer: any QueryConsumer) throws(QueryFailure) {
        let statement = try prepare(sql)
        defer { sqlite3_finalize(statement) }
        let columnCount = Int(sqlite3_column_count(statement))
        guard sqlite3_stmt_readonly(statement) != 0, columnCount > 0 else {
            throw .refused("only statements that read are allowed: SELECT, WITH, VALUES, EXPLAIN")
        }
        let wanted = Int(sqlite3_bind_parameter_count(statement))
        guard wanted == parameters.count else {
            throw .refused("parameters in the statement: \(wanted), values given for them: \(parameters.count)")
        }
        for (index, parameter) in parameters.enumerated() { try bind(statement, Int32(index + 1), parameter) }
        try consumer.begin(columns: columnNames(statement, columnCount))
        var rows = 0
        while true {
            let status = sqlite3_step(statement)
            if status == SQLITE_DONE { return }
            try check(status, SQLITE_ROW)
            if rows == limits.rows { throw .rowLimit }
            rows += 1
            try consumer.take(QueryRow(statement: statement, columnCount: columnCount))
            // A program of few instructions a row is not looked at otherwise.
            if !watch.mayGoOn() { throw failure() }
        }
    }

    /// The only statement in the text.
    private func prepare(_ sql: [UInt8]) throws(QueryFailure) -> OpaquePointer {
        var statement: OpaquePointer?
        var rest = 0
        if sql.contains(0) { throw .refused("the statement contains a NUL") }
        if sql.count > Int(QueryLimits.statement) {
            throw .refused("the statement is longer than \(QueryLimits.statement) bytes")
        }
        let status = sql.withUnsafeBufferPointer { buffer in
            buffer.withMemoryRebound(to: CChar.self) { buffer in
                var tail: UnsafePointer<CChar>?
                let status = sqlite3_prepare_v3(
                    connection, buffer.baseAddress, Int32(buffer.count), 0, &statement, &tail)
                if let tail, let base = buffer.baseAddress { rest = tail - base }
                return status
            }
        }
        try check(status)
        guard let statement else { throw .refused("there is no statement in it") }
        // Behind it may stand spaces and comments, which are prepared to nothing.
        var second: OpaquePointer?
        let isAlone = Array(sql[min(rest, sql.count)...] + [0]).withUnsafeBufferPointer { buffer in
            buffer.withMemoryRebound(to: CChar.self) {
                sqlite3_prepare_v3(connection, $0.baseAddress, -1, 0, &second, nil) == SQLITE_OK && second == nil
            }
        }
        sqlite3_finalize(second)
        if isAlone { return statement }
        sqlite3_finalize(statement)
        throw .refused("there is more than one statement in it")
    }

    private func bind(_ statement: OpaquePointer, _ index: Int32, _ value: [UInt8]) throws(QueryFailure) {
        let status = value.lend { value in
            if value.isText {
                let text = value.base.assumingMemoryBound(to: CChar.self)
                return sqlite3_bind_text64(statement, index, text, UInt64(value.count), nil, UInt8(SQLITE_UTF8))
            }
            return sqlite3_bind_blob64(statement, index, value.base, UInt64(value.count), nil)
        }
        try check(status)
    }

    /// A name that comes again has a number behind it, as what it is a key in has each once.
    private func columnNames(_ statement: OpaquePointer, _ count: Int) -> [String] {
        var seen: Set<String> = []
        return (0..<count).map { column in
            let name = sqlite3_column_name(statement, Int32(column)).map { String(cString: $0) } ?? ""
            var distinct = name
            var number = 1
            while !seen.insert(distinct).inserted {
                number += 1
                distinct = "\(name):\(number)"
            }
            return distinct
        }
    }

    /// The first column of the first row of one of our statements.
    func text(_ name: String) throws(QueryFailure) -> String {
        var statement: OpaquePointer?
        try check(sqlite3_prepare_v3(connection, Schema.statement(name), -1, 0, &statement, nil))
        defer { sqlite3_finalize(statement) }
        try check(sqlite3_step(statement), SQLITE_ROW)
        return sqlite3_column_text(statement, 0).map { String(cString: $0) } ?? ""
    }

    // MARK: - Failures

    func check(_ status: Int32, _ expected: Int32 = SQLITE_OK) throws(QueryFailure) {
        if status & 0xff != expected { throw failure() }
    }

    /// Why the last call failed.
    func failure() -> QueryFailure {
        if let end = watch.end { return end }
        let code = sqlite3_extended_errcode(connection) & 0xff
        let message = String(cString: sqlite3_errmsg(connection))
        switch code {
        case SQLITE_NOMEM: return .memoryLimit
        case SQLITE_TOOBIG: return message.hasPrefix("string or blob") ? .valueLimit : .refused(message)
        case SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_IOERR, SQLITE_BUSY, SQLITE_CANTOPEN: return .unreadable(message)
        default: return .refused(message)
        }
    }
}
