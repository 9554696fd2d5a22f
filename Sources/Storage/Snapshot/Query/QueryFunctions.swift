import CSQLite
import CShims
import Glibc

// Invariant of this file: arguments and their bytes are SQLite's, and live for the call; what is given back was allocated by
// SQLite, which frees it. The watch that functions have for their data is alive while the connection is. A pattern is kept with
// the statement, which lets go of it.

/// Functions in the place of SQLite's own, which compare at every byte of one argument up to all of another: a call with two
/// values of a few MB would take minutes, and cannot be interrupted. These take a time in proportion to their arguments, or
/// look at the clock.
enum QueryFunctions {
    typealias Values = UnsafeMutablePointer<OpaquePointer?>
    private typealias Function = @convention(c) (OpaquePointer?, Int32, Values?) -> Void

    static func install(on connection: OpaquePointer, _ watch: QueryWatch) -> Bool {
        let flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS
        let data = Unmanaged.passUnretained(watch).toOpaque()
        let rows: [(name: String, arguments: Int32, function: Function)] = [
            ("instr", 2, { context, _, values in QueryFunctions.instr(context, values) }),
            ("replace", 3, { context, _, values in QueryFunctions.replace(context, values) }),
            ("trim", 2, { context, _, values in QueryFunctions.trim(context, values, start: true, end: true) }),
            ("ltrim", 2, { context, _, values in QueryFunctions.trim(context, values, start: true, end: false) }),
            ("rtrim", 2, { context, _, values in QueryFunctions.trim(context, values, start: false, end: true) }),
            ("like", 2, { context, count, values in QueryFunctions.match(context, count, values, isGlob: false) }),
            ("like", 3, { context, count, values in QueryFunctions.match(context, count, values, isGlob: false) }),
            ("glob", 2, { context, count, values in QueryFunctions.match(context, count, values, isGlob: true) }),
        ]
        return rows.allSatisfy {
            sqlite3_create_function_v2(connection, $0.name, $0.arguments, flags, data, $0.function, nil, nil, nil)
                == SQLITE_OK
        }
    }

    /// False, with an error that ends the query, where its time is up.
    private static func mayGoOn(_ context: OpaquePointer?) -> Bool {
        guard let data = sqlite3_user_data(context) else { return true }
        if Unmanaged<QueryWatch>.fromOpaque(data)._withUnsafeGuaranteedRef({ $0.mayGoOn() }) { return true }
        sqlite3_result_error_code(context, SQLITE_INTERRUPT)
        return false
    }

    // MARK: - LIKE and GLOB

    /// Bytes of a pattern.
    private static let patternLength = 1000

    /// The first is the pattern, the third LIKE's escape. What is a BLOB does not match.
    private static func match(_ context: OpaquePointer?, _ count: Int32, _ values: Values?, isGlob: Bool) {
        guard let values, !isNull(values[0]), !isNull(values[1]) else { return sqlite3_result_null(context) }
        if sqlite3_value_type(values[0]) == SQLITE_BLOB || sqlite3_value_type(values[1]) == SQLITE_BLOB {
            return sqlite3_result_int(context, 0)
        }
        guard let text = text(values[1]) else { return sqlite3_result_error_nomem(context) }
        var made: QueryPattern?
        if sqlite3_get_auxdata(context, 0) == nil {
            made = count == 3 ? pattern(context, values, escape: values[2]) : pattern(context, values, isGlob: isGlob)
            guard let made else { return }
            keep(made, context)
        }
        let kept = sqlite3_get_auxdata(context, 0).map { Unmanaged<QueryPattern>.fromOpaque($0).takeUnretainedValue() }
        // Where there was no memory to keep it, nothing is kept.
        guard let pattern = kept ?? made else { return sqlite3_result_error_nomem(context) }
        if let matches = pattern.matches(line(text), mayGoOn: { mayGoOn(context) }) {
            sqlite3_result_int(context, matches ? 1 : 0)
        }
    }

    /// Keeps the pattern for the statement's next rows, where it does not depend on the row.
    private static func keep(_ pattern: QueryPattern, _ context: OpaquePointer?) {
        sqlite3_set_auxdata(context, 0, Unmanaged.passRetained(pattern).toOpaque()) { pattern in
            if let pattern { Unmanaged<QueryPattern>.fromOpaque(pattern).release() }
        }
    }

    /// nil, with an answer or an error.
    private static func pattern(
        _ context: OpaquePointer?, _ values: Values, isGlob: Bool = false, escape: OpaquePointer? = nil
    ) -> QueryPattern? {
        guard let pattern = text(values[0]).map(line) else {
            sqlite3_result_error_nomem(context)
            return nil
        }
        if pattern.count > patternLength {
            sqlite3_result_error(context, "LIKE or GLOB pattern too complex: at most \(patternLength) bytes", -1)
            return nil
        }
        if isGlob { return QueryPattern(glob: pattern) }
        guard let escape else { return QueryPattern(like: pattern, escape: nil) }
        if isNull(escape) {
            sqlite3_result_null(context)
            return nil
        }
        var end = 0
        guard let character = text(escape), !character.isEmpty, case let escape = QueryPattern.next(character, &end),
            end == character.count
        else {
            sqlite3_result_error(context, "ESCAPE expression must be a single character", -1)
            return nil
        }
        return QueryPattern(like: pattern, escape: escape)
    }

    /// Up to a NUL, as SQLite reads it.
    private static func line(_ text: Bytes) -> Bytes {
        guard let end = memchr(text.base, 0, text.count) else { return text }
        return text[0..<UnsafeRawPointer(end) - text.base]
    }

    // MARK: - instr

    /// The place of the second in the first: in bytes where both are BLOBs, else in characters; from 1, 0: none.
    private static func instr(_ context: OpaquePointer?, _ values: Values?) {
        guard let values, !isNull(values[0]), !isNull(values[1]) else { return sqlite3_result_null(context) }
        let isBinary =
            sqlite3_value_type(values[0]) == SQLITE_BLOB && sqlite3_value_type(values[1]) == SQLITE_BLOB
        let text = isBinary ? blob(values[0]) : self.text(values[0])
        let sought = isBinary ? blob(values[1]) : self.text(values[1])
        guard let text, let sought else { return sqlite3_result_error_nomem(context) }
        guard let found = find(sought, in: text, from: 0) else { return sqlite3_result_int64(context, 0) }
        let before = isBinary ? found : text[0..<found].buffer.count { $0 & 0xc0 != 0x80 }
        sqlite3_result_int64(context, Int64(before) + 1)
    }

    // MARK: - replace

    /// Matches between two looks at the clock: some 100 µs.
    private static let matchesBetweenLooks = 4096

    private static func replace(_ context: OpaquePointer?, _ values: Values?) {
        guard let values, !isNull(values[0]), !isNull(values[1]), !isNull(values[2]) else {
            return sqlite3_result_null(context)
        }
        guard let text = text(values[0]), let old = self.text(values[1]), let new = self.text(values[2]) else {
            return sqlite3_result_error_nomem(context)
        }
        if old.isEmpty { return sqlite3_result_value(context, values[0]) }
        var count = 0
        var at = 0
        while let found = find(old, in: text, from: at) {
            count += 1
            at = found + old.count
            if count % matchesBetweenLooks == 0 && !mayGoOn(context) { return }
        }
        // Each of them is at most a gigabyte.
        let length = text.count + count * (new.count - old.count)
        if length > Int(sqlite3_limit(sqlite3_context_db_handle(context), SQLITE_LIMIT_LENGTH, -1)) {
            return sqlite3_result_error_toobig(context)
        }
        guard let memory = sqlite3_malloc64(UInt64(length + 1)) else { return sqlite3_result_error_nomem(context) }
        var end = memory
        at = 0
        while let found = find(old, in: text, from: at) {
            append(text[at..<found], to: &end)
            append(new, to: &end)
            at = found + old.count
            count -= 1
            if count % matchesBetweenLooks == 0 && !mayGoOn(context) { return sqlite3_free(memory) }
        }
        append(text[at..<text.count], to: &end)
        sqlite3_result_text64(
            context, memory.assumingMemoryBound(to: CChar.self), UInt64(length), { sqlite3_free($0) },
            UInt8(SQLITE_UTF8))
    }

    private static func append(_ bytes: Bytes, to end: inout UnsafeMutableRawPointer) {
        end.copyMemory(from: bytes.base, byteCount: bytes.count)
        end += bytes.count
    }

    // MARK: - trim

    /// Bytes of characters to remove, at most.
    private static let trimmedBytes = 1000

    /// Removes characters of the second from the ends of the first.
    private static func trim(_ context: OpaquePointer?, _ values: Values?, start: Bool, end: Bool) {
        guard let values, !isNull(values[0]), !isNull(values[1]) else { return sqlite3_result_null(context) }
        guard let text = text(values[0]), let removed = self.text(values[1]) else {
            return sqlite3_result_error_nomem(context)
        }
        if removed.count > trimmedBytes {
            return sqlite3_result_error(context, "trim: more than \(trimmedBytes) bytes of characters to remove", -1)
        }
        var characters: Set<UInt64> = []
        var at = 0
        while at < removed.count {
            let length = characterLength(removed, at)
            characters.insert(word(removed, at, length))
            at += length
        }
        var first = 0
        var last = text.count
        while start && first < last {
            let length = characterLength(text, first)
            if !characters.contains(word(text, first, length)) { break }
            first += length
        }
        while end && first < last {
            var length = 1
            while length < 7 && last - length > first && text[last - length] & 0xc0 == 0x80 { length += 1 }
            if !characters.contains(word(text, last - length, length)) { break }
            last -= length
        }
        let rest = text[first..<last]
        sqlite3_result_text64(
            context, rest.base.assumingMemoryBound(to: CChar.self), UInt64(rest.count),
            unsafeBitCast(-1, to: sqlite3_destructor_type.self), UInt8(SQLITE_UTF8))
    }

    /// A byte and those that continue it, seven at most: of what is no UTF-8, too.
    private static func characterLength(_ text: Bytes, _ at: Int) -> Int {
        var length = 1
        while length < 7 && at + length < text.count && text[at + length] & 0xc0 == 0x80 { length += 1 }
        return length
    }
    private static func word(_ text: Bytes, _ at: Int, _ length: Int) -> UInt64 {
        (0..<length).reduce(UInt64(length)) { $0 << 8 | UInt64(text[at + $1]) }
    }

    // MARK: - Arguments

    private static func isNull(_ value: OpaquePointer?) -> Bool { sqlite3_value_type(value) == SQLITE_NULL }
    /// nil: no memory.
    private static func text(_ value: OpaquePointer?) -> Bytes? {
        guard let base = sqlite3_value_text(value) else { return nil }
        return Bytes(base, Int(sqlite3_value_bytes(value)))
    }
    private static func blob(_ value: OpaquePointer?) -> Bytes? {
        let count = Int(sqlite3_value_bytes(value))
        if count == 0 { return Bytes() }
        return sqlite3_value_blob(value).map { Bytes($0, count) }
    }

    private static func find(_ sought: Bytes, in text: Bytes, from start: Int) -> Int? {
        guard let found = cshims_find(text.base + start, text.count - start, sought.base, sought.count) else {
            return nil
        }
        return found - text.base
    }
}
