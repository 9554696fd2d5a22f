import CSQLite

// Invariant of this file: the watch is alive while its connection is, to which it is known by address; what SQLite passes to
// `authorize` is C strings that live for the call.

/// What a query is watched by while SQLite prepares and executes it: time, cancellation, and what it may do. Used by the
/// query's thread alone.
final class QueryWatch {
    private let deadline: UInt64
    private let isCancelled: @Sendable () -> Bool
    private var sliceEnd: UInt64
    /// Why the query was ended.
    private(set) var end: QueryFailure?

    init(_ limits: QueryLimits, isCancelled: @escaping @Sendable () -> Bool) {
        let now = monotonicNanoseconds()
        let (sum, isTooLong) = now.addingReportingOverflow(limits.nanoseconds)
        deadline = isTooLong ? .max : sum
        sliceEnd = now &+ QueryLimits.slice
        self.isCancelled = isCancelled
    }

    /// Has SQLite call it, from here on for what others have written.
    func attach(to connection: OpaquePointer) {
        let watch = Unmanaged.passUnretained(self).toOpaque()
        sqlite3_progress_handler(
            connection, QueryLimits.instructionsBetweenLooks,
            { watch in
                guard let watch else { return 1 }
                return Unmanaged<QueryWatch>.fromOpaque(watch)._withUnsafeGuaranteedRef { $0.mayGoOn() } ? 0 : 1
            }, watch)
        sqlite3_set_authorizer(
            connection,
            { watch, action, first, second, _, _ in
                guard let watch else { return SQLITE_DENY }
                return Unmanaged<QueryWatch>.fromOpaque(watch)._withUnsafeGuaranteedRef {
                    $0.authorize(action, first, second)
                }
            }, watch)
    }

    /// False ends the query. The loop goes first each 0.1 ms.
    func mayGoOn() -> Bool {
        if end != nil { return false }
        let now = monotonicNanoseconds()
        if now >= deadline {
            end = .timeLimit
        } else if isCancelled() {
            end = .cancelled
        } else if now >= sliceEnd {
            giveWay()
            sliceEnd = monotonicNanoseconds() &+ QueryLimits.slice
        }
        return end == nil
    }

    /// A statement may read tables and call functions that do nothing else. Asked for each of them while a statement is prepared,
    /// which can take long too: views in views multiply.
    private func authorize(
        _ action: Int32, _ first: UnsafePointer<CChar>?, _ second: UnsafePointer<CChar>?
    ) -> Int32 {
        if !mayGoOn() { return SQLITE_DENY }
        switch action {
        case SQLITE_SELECT, SQLITE_READ, SQLITE_RECURSIVE: return SQLITE_OK
        case SQLITE_FUNCTION:
            let name = second.map { String(cString: $0).lowercased() } ?? ""
            if QueryRights.functions.contains(name) { return SQLITE_OK }
            return deny("the function \(name) is not allowed")
        case SQLITE_PRAGMA:
            let name = first.map { String(cString: $0).lowercased() } ?? ""
            if QueryRights.allows(pragma: name, hasArgument: second != nil) { return SQLITE_OK }
            return deny("the pragma \(name)\(second == nil ? "" : " with a value") is not allowed")
        default:
            return deny("only statements that read are allowed: SELECT, WITH, VALUES, EXPLAIN")
        }
    }

    private func deny(_ reason: String) -> Int32 {
        end = .refused(reason)
        return SQLITE_DENY
    }
}

/// What a query may do.
enum QueryRights {
    /// All that SQLite has but for those that load code, look into SQLite, or take far longer than their arguments are long.
    static let functions: Set<String> = [
        // Scalar
        "abs", "char", "coalesce", "concat", "concat_ws", "format", "glob", "hex", "ifnull", "iif", "if", "instr",
        "length", "like", "likelihood", "likely", "lower", "ltrim", "max", "min", "nullif", "octet_length", "printf",
        "quote", "random", "randomblob", "replace", "round", "rtrim", "sign", "soundex", "sqlite_version", "substr",
        "substring", "trim", "typeof", "unhex", "unicode", "unlikely", "upper", "zeroblob",
        // Aggregates and windows
        "avg", "count", "group_concat", "string_agg", "sum", "total", "cume_dist", "dense_rank", "first_value", "lag",
        "last_value", "lead", "nth_value", "ntile", "percent_rank", "rank", "row_number",
        // Time
        "current_date", "current_time", "current_timestamp", "date", "datetime", "julianday", "strftime", "time",
        "timediff", "unixepoch",
        // JSON
        "json", "json_array", "json_array_length", "json_extract", "->", "->>", "json_group_array",
        "json_group_object", "json_insert", "json_object", "json_quote", "json_remove", "json_replace", "json_set",
        "json_type", "json_valid",
        // Numbers
        "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "ceiling", "cos", "cosh", "degrees", "exp",
        "floor", "ln", "log", "log10", "log2", "mod", "pi", "pow", "power", "radians", "sin", "sinh", "sqrt", "tan",
        "tanh", "trunc",
    ]

    /// Those that tell of tables, and have a table's name as argument.
    private static let pragmas: Set<String> = [
        "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo",
    ]
    /// Those that a value would change.
    private static let values: Set<String> = ["application_id", "user_version", "page_count", "page_size", "encoding"]

    static func allows(pragma name: String, hasArgument: Bool) -> Bool {
        pragmas.contains(name) || !hasArgument && values.contains(name)
    }
}
