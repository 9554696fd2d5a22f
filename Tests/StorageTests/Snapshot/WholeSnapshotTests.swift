import Foundation
import TestSupport
import Testing

@testable import Storage

/// Snapshots that are written past SQLite are what SQLite itself would have made of the same rows.
struct WholeSnapshotTests {
    private let directory = TemporaryDirectory()
    private var path: String { directory.path + "/whole.sqlite" }
    private var other: String { directory.path + "/rows.sqlite" }

    /// All columns of all tables with their storage classes.
    private func dump(_ path: String) throws -> [String] {
        try SnapshotTable.allCases.flatMap { table in
            let columns = try query(path, "SELECT name FROM pragma_table_info('\(table.name)')")
            let shown = columns.map { "typeof(\($0)) || ':' || hex(CAST(\($0) AS BLOB))" }.joined(separator: ", ")
            return try query(path, "SELECT '\(table.name)', \(shown) FROM \(table.name) ORDER BY id")
        }
    }

    /// Writes the batches both ways and compares; returns how many pages the file has.
    @discardableResult private func compare(_ batches: [RowBatch]) throws -> Int {
        let whole = try WholeSnapshotWriter(path: path)
        let writer = try SnapshotWriter(path: other)
        for batch in batches {
            try whole.apply(batch)
            try writer.apply(batch)
        }
        try whole.finish(meta())
        try writer.commit(meta())
        #expect(try query(path, "PRAGMA integrity_check") == ["ok"])
        #expect(try dump(path) == dump(other))
        #expect(try SnapshotReader(path: path).meta == SnapshotReader(path: other).meta)
        return Int(try query(path, "PRAGMA page_count")[0]) ?? 0
    }

    @Test func anEmptyOne() throws {
        try compare([])
        try compare([RowBatch()])
    }

    @Test func rowsOfEveryKind() throws {
        let rows = batch([
            string(1, "a", "x"), string(2, "", "", db: 3), string(9, "é", "1", expiresMs: 1_790_000_000_000),
            owner(.list, 1, "l"), item(1, 1 << 31, "i"), item(1, 1 << 31 | 1, ""), owner(.list, 2, "m", db: 1),
            owner(.hash, 1, "h", expiresMs: 5), field(1, 0, "f", "v"), field(1, 1, "g", "w", expiresMs: .max),
            owner(.set, 7, "s"), member(7, 0, "m"), member(7, .max, "n"),
            owner(.zset, 1, "z"), scored(1, 0, "a", -0.0), scored(1, 1, "b", .infinity), scored(1, 2, "c", 3),
            scored(1, 3, "d", 0.1), scored(1, 4, "e", 0),
        ])
        with([0, 255]) { rows.appendString(id: 10, db: 0, key: $0, value: $0, expiresMs: -1) }
        rows.appendOwner(type: .stream, id: 3, db: 0, key: Bytes("x"), expiresMs: nil)
        var state = StreamState()
        state.lastID = StreamID(ms: .max, seq: 1 << 63)
        state.entriesAdded = 1 << 40
        rows.appendStream(owner: 3, .state(state))
        let fields = OutputBuffer()
        for text in ["name", "a \"quoted\"\n"] {
            fields.append(raw: UInt32(text.utf8.count))
            fields.append(text: text)
        }
        rows.appendStreamEntry(owner: 3, slot: 0, id: StreamID(ms: 1, seq: 2), fields: fields.bytes)
        rows.appendStream(
            owner: 3, .group(slot: 0, name: Bytes("g"), lastID: StreamID(ms: 1, seq: 0), entriesRead: nil))
        rows.appendStream(owner: 3, .consumer(slot: 0, group: 0, name: Bytes("c"), seenMs: 1, activeMs: nil))
        rows.appendStream(
            owner: 3,
            .pending(slot: 0, group: 0, consumer: 0, id: StreamID(ms: 1, seq: 2), deliveredMs: 256, deliveries: 1))
        // One without entries, whose state comes later.
        rows.appendOwner(type: .stream, id: 4, db: 0, key: Bytes("y"), expiresMs: nil)
        let later = batch([string(11, "z", "z")])
        later.appendStream(owner: 4, .state(state))
        try compare([rows, later])
    }

    /// Integers around every width that the format has.
    @Test func integersOfEveryWidth() throws {
        let rows = RowBatch()
        var id: Int64 = 1
        for bits in 0..<64 {
            for offset in [-1, 0, 1] as [Int64] {
                for sign in [1, -1] as [Int64] {
                    let value = (Int64(bitPattern: 1 << UInt64(bits)) &+ offset) &* sign
                    rows.appendString(id: id, db: 0, key: Bytes("k"), value: Bytes("v"), expiresMs: value)
                    id += 1
                }
            }
        }
        try compare([rows])
    }

    /// Values of every size around the ends of a leaf and of the pages that a long one goes on in.
    @Test func valuesAroundThePagesEnds() throws {
        let page = 2048
        var sizes = Array(page - 60..<page + 20)
        for pages in [1, 2, 3, 9] { sizes += (pages * (page - 4) + 150..<pages * (page - 4) + 320) }
        for pages in [1, 2, 5] { sizes += (pages * (page - 4) + page - 60..<pages * (page - 4) + page + 20) }
        let rows = RowBatch()
        for (index, size) in sizes.enumerated() {
            string(Int64(index * 7 + 1), "k", String(repeating: "v", count: size)).append(to: rows)
        }
        try compare([rows])
    }

    /// Three levels of nodes, several pages of the map, and values on pages of their own between them.
    @Test(arguments: [1, 2] as [UInt64]) func largeTables(number: UInt64) throws {
        var random = SeededRandom(testSeed(number))
        var batches: [RowBatch] = []
        var id: Int64 = 1
        var slot: UInt32 = 0
        for _ in 0..<20 {
            let rows = RowBatch()
            for _ in 0..<1000 {
                let size = random.next() % 50 == 0 ? Int(random.next() % 9000) : 1000 + Int(random.next() % 900)
                string(id, "key \(id)", String(repeating: "v", count: size)).append(to: rows)
                id += 1 + Int64(random.next() % 3)
                if random.next() % 3 == 0 {
                    owner(.hash, id, "h\(id)").append(to: rows)
                    slot = UInt32(truncatingIfNeeded: random.next() % 5)
                    for _ in 0..<random.next() % 4 {
                        field(id, slot, "f\(slot)", "v").append(to: rows)
                        slot += 1 + UInt32(random.next() % 9)
                    }
                }
            }
            batches.append(rows)
        }
        let pages = try compare(batches)
        #expect(pages > 136 * 136 + 3 * 410, "too small for three levels: \(pages)")

        // What SQLite does with it afterwards: change, remove, give pages back.
        let writer = try SnapshotWriter(path: path)
        let changes = RowBatch()
        for removed in stride(from: 1, to: id, by: 1) where random.next() % 3 > 0 {
            changes.appendRemoveString(id: removed)
        }
        string(id + 5, "last", "x").append(to: changes)
        try writer.apply(changes)
        try writer.commit(meta(2))
        #expect(try query(path, "PRAGMA integrity_check") == ["ok"])
        #expect(Int(try query(path, "PRAGMA page_count")[0]) ?? 0 < pages)
    }

    /// Rows that do not ascend: some wait, many make SQLite go on.
    @Test(arguments: [10, 60_000]) func rowsOutOfOrder(count: Int) throws {
        var random = SeededRandom()
        var ids = (1...Int64(count)).map { $0 * 2 }
        ids.shuffle(using: &random)
        var batches: [RowBatch] = []
        for start in stride(from: 0, to: ids.count, by: 1000) {
            let rows = RowBatch()
            for id in ids[start..<min(ids.count, start + 1000)] {
                string(id, "key \(id)", "value \(id) of some length").append(to: rows)
                owner(.list, id, "l\(id)").append(to: rows)
                item(id, 1 << 31, "i").append(to: rows)
            }
            batches.append(rows)
        }
        try compare(batches)
    }

    @Test func refusesWhatTheTablesCannotHold() throws {
        let whole = try WholeSnapshotWriter(path: path)
        #expect(refusal { try whole.apply(batch([scored(1, 0, "m", .nan)])) }.contains("not a number"))
        #expect(refusal { try whole.apply(batch([owner(.set, 1 << 31, "s")])) }.contains("cannot hold a set"))
        #expect(refusal { try whole.apply(batch([string(-1, "s", "v")])) }.contains("cannot hold a string"))
    }
}
