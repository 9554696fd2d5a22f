import Foundation
import TestSupport
import Testing
import schema

@testable import Storage

@Suite struct SnapshotFileTests {
    let directory = TemporaryDirectory()
    var path: String { directory.snapshot }

    private func make(_ rows: [OwnedRow] = [string(1, "a", "0"), string(2, "b", "1")]) throws {
        try checkpoint(try SnapshotWriter(path: path), rows)
    }
    private func edit(_ sql: String) throws {
        try SQLiteConnection(path: path, mode: .write, Host.real.files).execute(sql)
    }

    @Test func everyStatementIsValidAndTheSettingsHold() throws {
        let writer = try SnapshotWriter(path: path)
        let connection = try SQLiteConnection(path: path, mode: .write, Host.real.files)
        let comparison = try SQLiteConnection(path: "", mode: .create, Host.real.files)
        try comparison.execute(named: "comparison.create")
        for name in Schema.statementNames where !name.hasPrefix("create.") {
            _ = try (name.hasPrefix("comparison.") ? comparison : connection).prepare(named: name)
        }
        #expect(try query(path, "PRAGMA application_id") == ["\(Schema.applicationID)"])
        #expect(try query(path, "PRAGMA user_version") == ["\(Schema.version)"])
        #expect(try query(path, "PRAGMA page_size") == ["2048"])
        #expect(try query(path, "PRAGMA auto_vacuum") == ["2"])
        #expect(try query(path, "PRAGMA journal_mode") == ["wal"])
        #expect(refusal { _ = try connection.prepare(named: "nonsense") }.contains("nonsense"))
        try writer.commit(meta())
    }

    @Test func statesOfAFile() throws {
        #expect(try Snapshot.state(path: path) == .missing)
        #expect(refusal { _ = try SnapshotReader(path: path) }.contains("missing"))
        #expect(refusal { _ = try SnapshotWriter(path: path, create: false) }.contains("cannot open"))
        _ = FileManager.default.createFile(atPath: path, contents: Data())
        #expect(try Snapshot.state(path: path) == .empty)
        #expect(refusal { _ = try SnapshotReader(path: path) }.contains("not a Swiftlet snapshot"))
        #expect(refusal { _ = try SnapshotWriter(path: path, create: false) }.contains("empty"))
        let writer = try SnapshotWriter(path: path)
        #expect(try Snapshot.state(path: path) == .empty)
        #expect(refusal { _ = try SnapshotReader(path: path) }.contains("no checkpoint"))
        try writer.commit(meta(3))
        #expect(try Snapshot.state(path: path) == .ready)
        #expect(try SnapshotReader(path: path).meta.checkpoint == 3)
    }

    @Test func refusesForeignAndNewerFiles() throws {
        let foreign = try SQLiteConnection(path: path, mode: .create, Host.real.files)
        try foreign.execute("CREATE TABLE t(x)")
        for open in [
            { _ = try Snapshot.state(path: path) }, { _ = try SnapshotWriter(path: path) },
            { _ = try SnapshotReader(path: path) },
        ] {
            #expect(refusal(open).contains("not a Swiftlet snapshot"))
        }
        #expect(try query(path, "SELECT name FROM sqlite_schema") == ["t"])

        let other = TemporaryDirectory()
        try checkpoint(try SnapshotWriter(path: other.snapshot), [])
        try SQLiteConnection(path: other.snapshot, mode: .write, Host.real.files).execute("PRAGMA user_version = 3")
        for open in [
            { _ = try Snapshot.state(path: other.snapshot) }, { _ = try SnapshotWriter(path: other.snapshot) },
            { _ = try SnapshotReader(path: other.snapshot) },
        ] {
            #expect(refusal(open).contains("schema version 3"))
        }
        let text = directory.path + "/text"
        try "not a database, but long enough to look at: \(String(repeating: "x", count: 5000))"
            .write(toFile: text, atomically: true, encoding: .utf8)
        #expect(refusal { _ = try SnapshotReader(path: text) }.contains("is no SQLite database"))
        #expect(refusal { _ = try SnapshotWriter(path: text) }.contains("is no SQLite database"))
        #expect(refusal { _ = try SnapshotWriter(path: directory.path + "/none/x") }.contains("cannot open"))
    }

    @Test func refusesWhatDoesNotCount() throws {
        try make()
        try edit("DELETE FROM raw_strings WHERE id = 2")
        #expect(refusal { _ = try contents(path) }.contains("raw_strings has 1 rows where its last checkpoint wrote 2"))
        try edit("INSERT INTO raw_strings VALUES(-7, 0, 'k', 'v', NULL)")
        #expect(refusal { _ = try contents(path) }.contains("the row with id -7 of raw_strings"))
        try edit("DELETE FROM raw_strings WHERE id < 0; INSERT INTO raw_set_members VALUES(4294967296, 'm')")
        #expect(refusal { _ = try contents(path) }.contains("belongs to no row of raw_sets"))
        try edit("DELETE FROM raw_set_members; INSERT INTO raw_strings VALUES(5, 1 << 40, 'k', 'v', NULL)")
        #expect(refusal { _ = try contents(path) }.contains("is of database"))
        try edit("UPDATE raw_strings SET db = 1 WHERE id = 5")
        #expect(try contents(path).count == 2)
        try edit("DELETE FROM raw_strings WHERE id = 5")
        // Accepted by hand: a writer that recounts sets it right.
        try SnapshotWriter(path: path, recount: true).commit(meta())
        #expect(try contents(path) == [string(1, "a", "0")])
        // A number written by hand reads as its text.
        try edit("UPDATE raw_strings SET value = 12")
        #expect(try contents(path) == [string(1, "a", "12")])
        try edit("DELETE FROM meta WHERE name = 'segment'")
        #expect(refusal { _ = try SnapshotReader(path: path) }.contains("no valid row segment"))
    }

    /// Cut short anywhere, or with a page overwritten: a StorageError or the right rows, never a trap. What overwrites
    /// but a part of a value cannot be told: then at least no row is missing.
    @Test func damagedFilesAreRefused() throws {
        let rows = (1...400).map { string($0, "key \($0)", String(repeating: "v", count: 100)) }
        try make(rows + [owner(.hash, 1, "h")] + (0..<200).map { field(1, $0, "f\($0)", "v") })
        let whole = try contents(path)
        guard let data = FileManager.default.contents(atPath: path) else { return }
        let copy = directory.path + "/copy"
        var refused = 0
        func tryOut(_ data: Data, mayChangeValues: Bool = false) throws {
            for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: copy + suffix) }
            _ = FileManager.default.createFile(atPath: copy, contents: data)
            do {
                let found = try contents(copy)
                #expect(found.count == whole.count)
                if !mayChangeValues { #expect(found == whole) }
            } catch {
                #expect(error is StorageError, "\(error)")
                refused += 1
            }
            _ = refusal {
                try checkpoint(try SnapshotWriter(path: copy), [string(5, "x", "y"), string(9999, "x", "y")])
            }
        }
        for length in stride(from: 0, to: data.count - 1, by: 1500) {
            let before = refused
            try tryOut(data.prefix(length))
            #expect(refused == before + 1, "cut to \(length)")
        }
        for page in 0..<(data.count / 2048) {
            for filling in [0, 0xFF, 0x5A] as [UInt8] {
                var damaged = data
                damaged.replaceSubrange(page * 2048..<(page + 1) * 2048, with: repeatElement(filling, count: 2048))
                try tryOut(damaged)
                damaged = data
                damaged.replaceSubrange(page * 2048 + 90..<page * 2048 + 140, with: repeatElement(filling, count: 50))
                try tryOut(damaged, mayChangeValues: true)
            }
        }
        #expect(refused > 100)
    }

    @Test func aReaderThatStaysKeepsTheWAL() throws {
        try make()
        let writer = try SnapshotWriter(path: path)
        var reader: SnapshotReader? = try SnapshotReader(path: path)
        try writer.apply(batch([string(3, "c", "2")]))
        let held = try writer.commit(meta(2))
        #expect(held.isWALHeld && held.walBytes > 0 && held.warning == nil)
        // The reader is still at the old state; a copy of both files, made by another process, has the new one.
        #expect(reader?.meta.checkpoint == 1)
        let copy = directory.path + "/copy.sqlite"
        let shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        shell.arguments = ["-c", "cp '\(path)' '\(copy)' && cp '\(path)-wal' '\(copy)-wal'"]
        try shell.run()
        shell.waitUntilExit()
        #expect(try contents(copy).count == 3)
        #expect(try SnapshotReader(path: copy).meta.checkpoint == 2)
        #expect(try Snapshot.state(path: copy) == .ready)
        #expect(try contents(copy).count == 3)

        reader = nil
        try writer.apply(batch([string(4, "d", "2")]))
        let free = try writer.commit(meta(3))
        #expect(!free.isWALHeld && free.walBytes == 0)
        #expect(try contents(path).count == 4)
    }

    @Test func freePagesAreGivenBack() throws {
        let writer = try SnapshotWriter(path: path)
        try checkpoint(writer, (1...20_000).map { string($0, "key \($0)", String(repeating: "v", count: 100)) })
        let full = Snapshot.size(path: path) ?? 0
        let rows = RowBatch()
        for id in Int64(101)...20_000 { rows.appendRemoveString(id: id) }
        try writer.apply(rows)
        let commit = try writer.commit(meta())
        #expect(commit.warning == nil)
        #expect((Snapshot.size(path: path) ?? 0) * 10 < full)
        #expect(try contents(path).count == 100)
    }

    @Test func chunksLargerThanTheLimitAreStillInOrder() throws {
        let writer = try SnapshotWriter(path: path)
        let value = [UInt8](repeating: 120, count: 1 << 20)
        let rows = RowBatch()
        for id in (0..<150 as Range<Int64>).reversed() {
            OwnedRow.string(id % 100 + 1, db: 0, utf8("\(id)"), value, nil).append(to: rows)
            try writer.apply(rows)
            rows.removeAll()
        }
        rows.appendRemoveString(id: 4)
        try writer.apply(rows)
        try writer.commit(meta())
        // Of two rows of one id the later holds: 149…100 came before 49…0.
        let keys = try query(path, "SELECT key FROM raw_strings ORDER BY id")
        #expect(keys == (0..<100).map(String.init))
    }

    @Test func recipesAndStepsAreWhole() throws {
        let connection = try SQLiteConnection(path: ":memory:", mode: .create, Host.real.files)
        try connection.execute(Schema.create)
        #expect(Set(Schema.recipes.map(\.name)).count == Schema.recipes.count && Schema.recipes.count >= 14)
        for recipe in Schema.recipes {
            #expect(!recipe.title.isEmpty && recipe.sql.hasSuffix(";\n"), "\(recipe.name)")
            // Needs a second snapshot.
            if recipe.name != "compare-snapshots" { _ = try connection.prepare(recipe.sql) }
        }
        #expect(Schema.recipes.first { $0.name == "memory-by-prefix" }?.about.hasPrefix("A prefix is") == true)
        for step in Schema.indexing where step.name != "copy" { #expect(!step.title.isEmpty, "\(step.name)") }
    }

    @Test func viewsShowWhatPeopleExpect() throws {
        let binary: [UInt8] = [0, 255]
        try make([
            string(1, "greeting", "hello", expiresMs: 1_800_000_000_123), .string(2, db: 3, binary, binary, nil),
            string(3, "far", "x", expiresMs: .max),
            owner(.list, 1, "queue"), item(1, 5, "a"), item(1, 9, "b"), owner(.list, 2, "other"), item(2, 0, "c"),
            owner(.hash, 1, "user", expiresMs: 1_800_000_000_000), field(1, 0, "name", "Ada"),
            .element(.hash, 1, 1, utf8("raw"), binary, 0, 1_800_000_000_000),
            owner(.set, 1, "tags"), member(1, 0, "x"), owner(.zset, 1, "board"), scored(1, 0, "p", 1.5),
        ])
        func rows(_ sql: String) throws -> [String] { try query(path, sql) }
        #expect(
            try rows("SELECT * FROM strings") == [
                "0|greeting|hello|2027-01-15 08:00:00", "3|X'00FF'|X'00FF'|-", "0|far|x|\(Int64.max)",
            ])
        #expect(try rows("SELECT * FROM lists") == ["0|queue|0|a|-", "0|queue|1|b|-", "0|other|0|c|-"])
        #expect(
            try rows("SELECT * FROM hashes") == [
                "0|user|name|Ada|2027-01-15 08:00:00|-",
                "0|user|raw|X'00FF'|2027-01-15 08:00:00|2027-01-15 08:00:00",
            ])
        #expect(try rows("SELECT * FROM sets") == ["0|tags|x|-"])
        #expect(try rows("SELECT * FROM zsets") == ["0|board|p|1.5|-"])
        #expect(try rows("SELECT * FROM streams") == [])
        #expect(
            try rows("SELECT * FROM keys ORDER BY type, db, key DESC") == [
                "0|user|hash|2|16|2027-01-15 08:00:00", "0|queue|list|2|7|-", "0|other|list|1|6|-",
                "0|tags|set|1|5|-", "0|greeting|string|5|13|2027-01-15 08:00:00", "0|far|string|1|4|\(Int64.max)",
                "3|X'00FF'|string|2|4|-", "0|board|zset|1|6|-",
            ])
    }
}
