import Foundation
import TestSupport
import Testing

@testable import Storage

/// Whatever a hand or another program puts into a snapshot: it is refused with a StorageError, or what is loaded survives
/// writes, a checkpoint and another start.
@Suite struct SnapshotTrustTests {
    let directory = TemporaryDirectory()
    var path: String { directory.snapshot }

    private static let boundaries: [Int64] = [
        0, 1, -1, 1 << 31 - 1, 1 << 31, -(1 << 31), 1 << 32, 1 << 32 - 1, 1 << 40, 1 << 40 - 1, 1 << 62, -(1 << 62),
        .max,
        .min,
    ]

    /// A snapshot with rows in every table: chance may leave a type out, and then has another try.
    private func make(_ seed: UInt64) throws {
        for attempt in 0..<50 as Range<UInt64> {
            try makeOnce(seed &+ attempt)
            let isFull = try SnapshotTable.allCases.allSatisfy {
                try query(path, "SELECT count(*) FROM \($0.name)") != ["0"]
            }
            if isFull { return }
            for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
        }
        Issue.record("no seed from \(seed) on gives rows to every table")
    }
    private func makeOnce(_ seed: UInt64) throws {
        var writer = RandomWriter(random: SeededRandom(seed), keyspace: Keyspace(databases: 2))
        writer.keyspace.limits = CheckpointTests.limits
        writer.isCalm = true
        for _ in 0..<6000 { try writer.write(keys: 12, elements: 60) }
        // Rows that chance may have left out.
        let key = Text("groups")
        let stream = try #require(try writer.keyspace.databases[0].editStream(key.bytes, create: true))
        let pair = [Text("field"), Text("value")]
        let id = StreamID(ms: 5, seq: 1)
        withExtendedLifetime(pair) { pair.map(\.bytes).withUnsafeBufferPointer { stream.append(id, $0) } }
        let group = try #require(stream.addGroup(key.bytes, lastID: id, entriesRead: 1))
        stream.deliver(
            id, group, to: stream.consumer(key.bytes, in: group, now: 7), deliveredMs: 8, deliveries: 2)
        let checkpointer = Checkpointer(keyspace: writer.keyspace, path: path, wake: {})
        checkpointer.begin(CheckpointTests.meta(1))
        _ = try #require(checkpointer.finishNow()).result.get()
    }
    private func edit(_ sql: String) throws {
        try SQLiteConnection(path: path, mode: .write, Host.real.files).execute(sql)
    }
    private func load() throws -> Keyspace {
        let keyspace = Keyspace(databases: 2)
        keyspace.limits = CheckpointTests.limits
        _ = try SnapshotLoading.load(path, into: keyspace)
        return keyspace
    }

    /// Loads, writes, saves and loads again. False where it is refused at the first load.
    private func survives(_ seed: UInt64, _ what: String) throws -> Bool {
        let keyspace: Keyspace
        do {
            keyspace = try load()
        } catch {
            #expect(error is StorageError, "\(what): \(error)")
            return false
        }
        // As clients may at any time.
        var writer = RandomWriter(random: SeededRandom(seed), keyspace: keyspace)
        for _ in 0..<300 { try writer.write(keys: 12, elements: 60) }
        let checkpointer = Checkpointer(keyspace: keyspace, path: path, wake: {})
        for number in 2...3 as ClosedRange<Int64> {
            checkpointer.begin(CheckpointTests.meta(number))
            _ = try #require(checkpointer.finishNow(), "\(what)").result.get()
            #expect(difference(dump(try load()), dump(keyspace)) == [], "\(what), checkpoint \(number)")
            for _ in 0..<100 { try writer.write(keys: 12, elements: 60) }
        }
        return true
    }

    @Test func everyIntegerColumnAtItsBoundaries() throws {
        let seed = testSeed()
        try make(seed)
        let original = try #require(FileManager.default.contents(atPath: path))
        var refused = 0
        var loaded = 0
        var tables = 0
        func restore() {
            for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
            #expect(FileManager.default.createFile(atPath: path, contents: original))
        }
        for table in SnapshotTable.allCases {
            restore()
            let columns = try query(path, "SELECT name FROM pragma_table_info('\(table.name)') WHERE type = 'INTEGER'")
            let count = Int(try query(path, "SELECT count(*) FROM \(table.name)")[0]) ?? 0
            if count > 0 { tables += 1 }
            for column in columns where count > 0 {
                for value in SnapshotTrustTests.boundaries {
                    restore()
                    let row = Int(truncatingIfNeeded: seed) & .max % count
                    let what = "seed \(seed): \(table.name).\(column) = \(value) in row \(row)"
                    do {
                        try edit(
                            """
                            UPDATE OR REPLACE \(table.name) SET \(column) = \(value)
                                WHERE id = (SELECT id FROM \(table.name) LIMIT 1 OFFSET \(row));
                            UPDATE meta SET value = (SELECT count(*) FROM \(table.name)) WHERE name = 'rows:\(table.name)';
                            """)
                    } catch { continue }
                    if try survives(seed, what) { loaded += 1 } else { refused += 1 }
                }
            }
        }
        print("\(tables) tables, \(refused) refused, \(loaded) loaded")
        #expect(tables == SnapshotTable.allCases.count && refused > 100 && loaded > 50)
    }

    @Test func metaThatNoCheckpointWrites() throws {
        try make(1)
        let original = try #require(FileManager.default.contents(atPath: path))
        for name in try query(path, "SELECT name FROM meta") {
            for value in ["-1", "\(Int64.max)", "\(1 << 60 as Int64)", "1.5", "'x y'", "x'00ff'", "NULL", "''"] {
                // Any word will do for a name; counts are compared with what is there.
                for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
                #expect(FileManager.default.createFile(atPath: path, contents: original))
                try edit("UPDATE meta SET value = \(value) WHERE name = '\(name)'")
                let isName = ["server", "replication_id", "second_replication_id"].contains(name)
                if isName && !["'x y'", "x'00ff'"].contains(value)
                    && !(name == "server" && ["NULL", "''"].contains(value))
                {
                    continue
                }
                #expect(refusal { _ = try load() }.contains("no valid row \(name)"), "\(name) = \(value)")
                #expect(refusal { _ = try Snapshot.state(path: path) }.contains("no valid row \(name)"))
                #expect(refusal { _ = try SnapshotWriter(path: path) }.contains("no valid row \(name)"))
            }
        }
        #expect(FileManager.default.createFile(atPath: path, contents: original))
        try edit("DELETE FROM meta")
        #expect(refusal { _ = try Snapshot.state(path: path) }.contains("meta is empty, though"))
        #expect(refusal { _ = try SnapshotWriter(path: path) }.contains("meta is empty, though"))
    }

    /// What would run in the server's own writes, or make them fail.
    @Test func tablesThatAreNotOurs() throws {
        try make(2)
        let original = try #require(FileManager.default.contents(atPath: path))
        func refusals(_ sql: String) throws -> [String] {
            for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
            #expect(FileManager.default.createFile(atPath: path, contents: original))
            try edit(sql)
            return [
                refusal { _ = try Snapshot.state(path: path) }, refusal { _ = try load() },
                refusal { _ = try SnapshotWriter(path: path) },
            ]
        }
        let harmful: [(String, String)] = [
            ("CREATE TRIGGER spy AFTER INSERT ON raw_strings BEGIN DELETE FROM raw_sets; END", "'spy' on raw_strings"),
            ("CREATE TRIGGER spy BEFORE UPDATE ON meta BEGIN SELECT RAISE(ABORT, 'no'); END", "'spy' on meta"),
            ("CREATE UNIQUE INDEX one ON raw_strings(id, key)", "'one' on raw_strings"),
            ("CREATE INDEX some ON raw_strings(key) WHERE abs(db) > 1", "'some' on raw_strings"),
            ("CREATE INDEX json ON raw_list_items(length(value))", "'json' on raw_list_items"),
            ("ALTER TABLE raw_sets ADD COLUMN note TEXT", "table raw_sets is not defined"),
            (
                "ALTER TABLE raw_hash_fields ADD COLUMN n INTEGER GENERATED ALWAYS AS (length(value)) VIRTUAL",
                "raw_hash_fields"
            ),
            ("ALTER TABLE raw_sets RENAME TO sets_of_old", "no table raw_sets"),
            ("DROP TABLE functions", "no table functions"),
            (
                "DROP TABLE raw_zsets; CREATE TABLE raw_zsets(id INTEGER PRIMARY KEY, db, key, expires_ms)",
                "raw_zsets is not"
            ),
            ("PRAGMA user_version = 3", "schema version 3"), ("PRAGMA application_id = 1", "not a Swiftlet snapshot"),
        ]
        for (sql, words) in harmful {
            for answer in try refusals(sql) { #expect(answer.contains(words), "\(sql): \(answer)") }
        }
        for sql in [
            "CREATE INDEX plain ON raw_strings(key, db)", "CREATE TABLE notes(a, b UNIQUE)",
            "CREATE VIEW mine AS SELECT 1",
            "DROP VIEW keys", "ANALYZE", "CREATE TABLE n(a); CREATE TRIGGER t INSERT ON n BEGIN SELECT 1; END",
        ] {
            #expect(try refusals(sql) == ["", "", ""], "\(sql)")
            #expect(try survives(7, sql))
        }
    }

    @Test func databasesThatAreNotThere() throws {
        try checkpoint(try SnapshotWriter(path: path), [string(1, "key", "v", db: 9)])
        let words = refusal { _ = try load() }
        #expect(
            words.contains("database 9 ('key', for one)") && words.contains("set `databases` to 10 or more"), "\(words)"
        )
    }

    /// Ids at their limits leave those below free.
    @Test func idsAtTheirLimitsAreNotCountedOn() throws {
        var ids = RowIDs()
        let last = RowID.range(.list).upperBound
        for id in [2, 5, 6, last] as [Int64] { ids.loaded(.list, id) }
        var taken = (0..<6).map { _ in ids.take(.list) }
        #expect(taken.sorted() == [1, 7, 8, 9, 10, 11] || Set(taken).isDisjoint(with: [2, 5, 6, last]))
        taken += (0..<1000).map { _ in ids.take(.list) }
        #expect(Set(taken).count == taken.count && taken.allSatisfy { RowID.range(.list).contains($0) })
        #expect(Set(taken).isDisjoint(with: [2, 5, 6, last]))
        #expect(ids.take(.set) == 1)
    }
}
