import CSQLite
import TestSupport
import Testing

@testable import Storage

/// Statements of somebody who is not trusted. What is refused, and limits under load, are in Tests/clients.
@Suite struct SnapshotQueryTests {
    let directory = TemporaryDirectory()

    /// Rows as text, values in `quote`'s form.
    private final class Rows: QueryConsumer {
        var columns: [String] = []
        var rows: [[String]] = []
        func begin(columns: [String]) { self.columns = columns }
        func take(_ row: QueryRow) {
            rows.append((0..<row.columnCount).map { Self.text(row[$0]) })
        }
        static func text(_ value: QueryValue) -> String {
            switch value {
            case .null: "NULL"
            case .integer(let value): "\(value)"
            case .real(let value): "\(value)"
            case .text(let bytes): "'\(bytes.string)'"
            case .blob(let bytes): "X'" + bytes.array.map { String($0, radix: 16) }.joined(separator: " ") + "'"
            }
        }
    }

    private static let limits = QueryLimits(nanoseconds: 20_000_000_000, memory: 64 << 20, rows: 1000)

    private func run(
        _ sql: String, _ parameters: [[UInt8]] = [], limits: QueryLimits = Self.limits,
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> Rows {
        if Host.real.files.facts(directory.snapshot) == nil { try makeSnapshot() }
        let rows = Rows()
        try SnapshotQuery(path: directory.snapshot, limits: limits)
            .run(Array(sql.utf8), parameters, into: rows, isCancelled: isCancelled)
        return rows
    }
    private func makeSnapshot() throws {
        let keyspace = Keyspace(databases: 1)
        let checkpointer = Checkpointer(keyspace: keyspace, path: directory.snapshot, wake: {})
        checkpointer.begin(CheckpointTests.meta(1))
        _ = try #require(checkpointer.finishNow()).result.get()
    }
    private func failure(_ sql: String, _ limits: QueryLimits = Self.limits) -> QueryFailure? {
        do {
            _ = try run(sql, limits: limits)
            return nil
        } catch {
            return error as? QueryFailure
        }
    }

    @Test func valuesHaveTheirTypesAndColumnsDistinctNames() throws {
        let rows = try run("SELECT 1 AS a, 1.5 AS a, 'x' AS \"a:2\", x'ff00', NULL AS a, ?", [Array("é".utf8)])
        #expect(rows.columns == ["a", "a:2", "a:2:2", "x'ff00'", "a:3", "?"])
        #expect(rows.rows == [["1", "1.5", "'x'", "X'ff 0'", "NULL", "'é'"]])
    }

    @Test func parametersAreTextOrBlob() throws {
        let rows = try run("SELECT typeof(?1), typeof(?2), ?1 = '7'", [Array("7".utf8), [0xff]])
        #expect(rows.rows == [["'text'", "'blob'", "1"]])
        #expect(throws: QueryFailure.self) { try run("SELECT ?", []) }
        #expect(throws: QueryFailure.self) { try run("SELECT 1", [[1]]) }
    }

    @Test func limitsEndAQuery() throws {
        var limits = Self.limits
        limits.rows = 3
        #expect(failure("VALUES (1), (2), (3)", limits) == nil)
        #expect(failure("VALUES (1), (2), (3), (4)", limits) == .rowLimit)
        limits.nanoseconds = 1_000_000
        let endless = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t"
        #expect(failure(endless, limits) == .timeLimit)
        #expect(throws: QueryFailure.cancelled) { try run(endless, isCancelled: { true }) }
        #expect(failure("SELECT length(zeroblob(16 << 20))") == nil)
        #expect(failure("SELECT length(zeroblob((16 << 20) + 1))") == .valueLimit)
        let values = Array(repeating: "hex(zeroblob(8000000))", count: 5).joined(separator: ", ")
        #expect(failure("SELECT " + values) == .memoryLimit)
    }

    /// The limit is the query's thread's, and ends with the query.
    @Test func memoryOfOthersIsNotLimited() throws {
        _ = try run("SELECT 1", limits: QueryLimits(nanoseconds: 1_000_000_000, memory: 4 << 20, rows: 1))
        let memory = try #require(sqlite3_malloc64(100 << 20))
        sqlite3_free(memory)
    }

    @Test func aMissingSnapshotIsSaid() throws {
        let query = SnapshotQuery(path: directory.path + "/none", limits: Self.limits)
        #expect(throws: QueryFailure.missing) { try query.run(Array("SELECT 1".utf8), [], into: Rows()) }
        #expect(directory.contents == [])
    }

    @Test func aFileThatIsNoDatabaseIsSaid() throws {
        let path = try directory.write(Array(repeating: 7, count: 5000), to: "dump.sqlite")
        let query = SnapshotQuery(path: path, limits: Self.limits)
        #expect(throws: QueryFailure.unreadable("file is not a database")) {
            try query.run(Array("SELECT 1".utf8), [], into: Rows())
        }
    }

    /// Functions and operators in the place of SQLite's, compared with those.
    @Test func functionsAreSQLites() throws {
        var random = SeededRandom()
        let own = try SQLiteConnection(path: ":memory:", mode: .create, Host.real.files)
        let calls = [
            "instr(?1, ?2)", "replace(?1, ?2, ?3)", "trim(?1, ?2)", "ltrim(?1, ?2)", "rtrim(?1, ?2)", "?1 LIKE ?2",
            "?1 GLOB ?2", "?1 LIKE ?2 ESCAPE 'x'", "?1 LIKE ?2 ESCAPE '%'", "?1 NOT LIKE ?3", "like(?2, ?1)",
            "instr(CAST(?1 AS BLOB), CAST(?2 AS BLOB))", "instr(CAST(?1 AS BLOB), ?2)", "CAST(?1 AS BLOB) LIKE ?2",
            "instr(NULL, ?2)", "replace(?1, NULL, ?3)", "trim(?1, NULL)", "NULL LIKE ?2", "?1 GLOB NULL", "?1 LIKE 1",
            "replace(?1, '', ?3)", "trim(?1, '')", "instr(?1, '')", "?1 LIKE ''", "hex(replace(?1, char(0), ?2))",
            "12345 LIKE '%3%'", "instr(12345, 34)", "replace(1.5, 5, 6)", "?1 || char(0) || 'b' LIKE ?2",
        ].joined(separator: ", ")
        let letters = ["a", "A", "b", "%", "_", "*", "?", "[", "]", "^", "-", "x", "é", "Ä", "🙂", "€", "\\"]
        for _ in 0..<250 {
            let parameters = (0..<3).map { _ in
                (0..<random.below(7)).map { _ in random.pick(letters) }.joined()
            }
            let statement = try own.prepare("SELECT " + calls + ", ?3")
            let bytes = parameters.map { Array($0.utf8) }
            var expected: [String] = []
            try bytes[0].lend { first in
                try bytes[1].lend { second in
                    try bytes[2].lend { third in
                        for (index, value) in [first, second, third].enumerated() {
                            statement.bind(Int32(index + 1), value)
                        }
                        _ = try statement.step()
                        expected = (0..<statement.columnCount).map {
                            statement.isNull($0) ? "NULL" : statement.bytes($0).string
                        }
                        statement.reset()
                    }
                }
            }
            let got = try run("SELECT " + calls + ", ?3", bytes).rows[0].map {
                $0.hasPrefix("'") ? String($0.dropFirst().dropLast()) : $0
            }
            #expect(got == expected, "\(parameters)")
            if got != expected { return }
        }
    }

    /// A statement is refused by each of the means against it, also where the others would let it pass.
    @Test func namesOfFunctionsAreThoseOfSQLite() throws {
        let connection = try SQLiteConnection(path: ":memory:", mode: .create, Host.real.files)
        let rows = try connection.prepare("SELECT DISTINCT lower(name) FROM pragma_function_list")
        var names: Set<String> = []
        while try rows.step() { names.insert(rows.bytes(0).string) }
        // Those of later versions of SQLite.
        let later: Set<String> = [
            "concat", "concat_ws", "if", "octet_length", "string_agg", "timediff", "unhex",
        ]
        #expect(QueryRights.functions.subtracting(names).subtracting(later) == [])
    }
}
