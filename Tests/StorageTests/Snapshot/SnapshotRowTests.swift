import TestSupport
import Testing

@testable import Storage

@Suite struct SnapshotRowTests {
    let directory = TemporaryDirectory()
    var path: String { directory.snapshot }

    @Test func batchKeepsEveryOperation() {
        let rows = batch([string(1, "k", "v", expiresMs: -5), owner(.zset, 2, "z"), scored(2, 9, "m", -0.0)])
        rows.appendRemoveString(id: 3)
        rows.appendRemoveOwner(type: .hash, id: 4)
        rows.appendRemoveElements(type: .list, owner: 5, slots: 7..<(1 << 32))
        rows.appendRemoveElements(type: .list, owner: 5, slots: 7..<7)
        rows.appendFlushAll()
        rows.appendFlushDatabase(15)
        rows.appendSwapDatabases(3, 9)
        var seen: [OwnedRow] = []
        rows.forEach { seen.append(OwnedRow($0)) }
        #expect(
            seen == [
                string(1, "k", "v", expiresMs: -5), owner(.zset, 2, "z"), scored(2, 9, "m", -0.0),
                .other("remove string 3"), .other("remove hash 4"), .other("remove list 5 7..<4294967296"),
                .other("flush all"), .other("flush 15"), .other("swap 3 9"),
            ])
        #expect(rows.count == 9)
        rows.removeAll()
        #expect(rows.isEmpty && rows.byteCount == 0)
    }

    @Test func everyRowComesBack() throws {
        let binary: [UInt8] = [0, 255, 1, 0xC0, 0x80, 0]
        let big = [UInt8](repeating: 0, count: 3 << 20).enumerated().map { UInt8(truncatingIfNeeded: $0.offset &* 31) }
        let huge = [UInt8](repeating: 97, count: 17 << 20)
        let rows: [OwnedRow] = [
            string(1, "plain", "value", db: 15, expiresMs: 1_800_000_000_123),
            .string(2, db: 0, binary, binary, nil), .string(3, db: 0, utf8("häß\u{1F600}"), big, 1),
            string(4, "a\0b", "12345", expiresMs: .max), string(5, "", ""),
            .string(1 << 40 - 1, db: 1, utf8("huge"), huge, nil),
            owner(.list, 1, "l", expiresMs: 5), item(1, 0, ""), item(1, 1 << 31, "x"), item(1, .max, "y"),
            owner(.list, 1 << 31 - 1, "last", db: 2), item(1 << 31 - 1, 0, "1"), item(1 << 31 - 1, .max, "2"),
            owner(.hash, 1, "h"), field(1, 0, "f", "v"), field(1, 1, "", "", expiresMs: 77),
            .element(.hash, 1, 2, binary, big, 0, nil),
            .owner(.set, 3, db: 0, binary, nil), member(3, 0, "m"), .element(.set, 3, 1, binary, [], 0, nil),
            owner(.zset, 1, "z"), scored(1, 0, "minus zero", -0.0), scored(1, 1, "zero", 0),
            scored(1, 2, "inf", .infinity), scored(1, 3, "-inf", -.infinity),
            scored(1, 4, "tiny", .leastNonzeroMagnitude),
            scored(1, 5, "big", 1.797_693_134_862_315_7e308), scored(1, 6, "third", 1.0 / 3), scored(1, 7, "int", -3),
        ]
        let writer = try SnapshotWriter(path: path)
        let given = batch(rows)
        try writer.apply(given)
        given.removeAll()
        let commit = try writer.commit(meta())
        #expect(commit.walBytes == 0 && !commit.isWALHeld && commit.warning == nil)
        #expect(try contents(path) == rows)

        var expected = meta()
        expected.rowCounts = writer.rowCounts
        #expect(try SnapshotReader(path: path).meta == expected)
        #expect(expected.rowCounts[.strings] == 6 && expected.rowCounts[.zsetMembers] == 8)
        #expect(
            try query(path, "SELECT typeof(value) FROM raw_strings ORDER BY id") == [
                "text", "blob", "blob", "text", "text", "text",
            ])
    }

    @Test func changesAndRemovals() throws {
        let writer = try SnapshotWriter(path: path)
        try checkpoint(
            writer,
            (1...100).map { string($0, "k\($0)", "v") } + [
                owner(.list, 1, "l"), item(1, 10, "a"), item(1, 11, "b"), item(1, 12, "c"),
                owner(.hash, 1, "h"), field(1, 0, "f", "v"), owner(.hash, 2, "h2"), field(2, 0, "f", "v"),
                owner(.set, 4, "s"), member(4, 0, "m"),
            ])
        // Out of order, an id taken over by a new key, a new owner between old ones, elements cut at both ends.
        let rows = batch([string(50, "k50", "new"), string(3, "other", "x"), string(101, "k101", "v")])
        rows.appendRemoveElements(type: .list, owner: 1, slots: 0..<11)
        rows.appendRemoveElements(type: .list, owner: 1, slots: 12..<(1 << 32))
        for row in [item(1, 12, "C"), item(1, 9, "head"), owner(.hash, 1, "h", expiresMs: 9), field(1, 3, "g", "w")] {
            row.append(to: rows)
        }
        for row in [owner(.set, 2, "s2"), member(2, 0, "a"), member(2, 1, "b"), member(2, 2, "c")] {
            row.append(to: rows)
        }
        for id in Int64(4)..<50 { rows.appendRemoveString(id: id) }
        rows.appendRemoveString(id: 3)
        rows.appendRemoveOwner(type: .hash, id: 2)
        try writer.apply(rows)
        let late = RowBatch()
        late.appendRemoveString(id: 101)
        for id in Int64(51)..<98 { late.appendRemoveString(id: id) }
        try writer.apply(late)
        try writer.commit(meta())
        #expect(
            try contents(path) == [
                string(1, "k1", "v"), string(2, "k2", "v"), string(3, "other", "x"),
                string(50, "k50", "new"), string(98, "k98", "v"), string(99, "k99", "v"), string(100, "k100", "v"),
                string(101, "k101", "v"),
                owner(.list, 1, "l"), item(1, 9, "head"), item(1, 11, "b"), item(1, 12, "C"),
                owner(.hash, 1, "h", expiresMs: 9), field(1, 0, "f", "v"), field(1, 3, "g", "w"),
                owner(.set, 2, "s2"), member(2, 0, "a"), member(2, 1, "b"), member(2, 2, "c"),
                owner(.set, 4, "s"), member(4, 0, "m"),
            ])
    }

    @Test func ownerRemovedAndItsIDReused() throws {
        let writer = try SnapshotWriter(path: path)
        try checkpoint(writer, [owner(.set, 1, "s"), member(1, 0, "a"), member(1, 1, "b"), member(1, 2, "c")])
        try checkpoint(writer, [owner(.set, 1, "t"), member(1, 0, "z")]) { $0.appendRemoveOwner(type: .set, id: 1) }
        #expect(try contents(path) == [owner(.set, 1, "t"), member(1, 0, "z")])

        try writer.apply(batch([owner(.set, 1, "u")]))
        let late = RowBatch()
        late.appendRemoveOwner(type: .set, id: 1)
        #expect(refusal { try writer.apply(late) }.contains("came after its rows"))
        writer.rollback()
        try writer.apply(late)
        try writer.commit(meta())
        #expect(try contents(path) == [])
    }

    @Test func flushAndSwap() throws {
        let writer = try SnapshotWriter(path: path)
        let all: [OwnedRow] = [
            string(1, "a", "0"), string(2, "b", "1", db: 1), owner(.list, 1, "l"), item(1, 0, "x"),
            owner(.list, 2, "m", db: 1), item(2, 0, "y"), item(2, 1, "z"), owner(.zset, 7, "z", db: 2),
            scored(7, 0, "q", 1),
        ]
        try checkpoint(writer, all)
        // Swapped first, then flushed: what was in 0 goes.
        try checkpoint(writer, [string(3, "new", "n", db: 1)]) {
            $0.appendSwapDatabases(0, 1)
            $0.appendFlushDatabase(1)
        }
        let left: [OwnedRow] = [
            string(2, "b", "1", db: 0), string(3, "new", "n", db: 1), owner(.list, 2, "m", db: 0), item(2, 0, "y"),
            item(2, 1, "z"), owner(.zset, 7, "z", db: 2), scored(7, 0, "q", 1),
        ]
        #expect(try contents(path) == left)

        try writer.apply(batch([string(9, "z", "z")]))
        let flush = RowBatch()
        flush.appendFlushAll()
        #expect(refusal { try writer.apply(flush) }.contains("came after rows"))
        writer.rollback()
        #expect(try contents(path) == left)

        try checkpoint(writer, [string(1, "only", "1")]) { $0.appendFlushAll() }
        #expect(try contents(path) == [string(1, "only", "1")])
    }

    @Test func rollbackLeavesTheOldState() throws {
        let old = [string(1, "a", "0"), owner(.set, 1, "s"), member(1, 0, "m")]
        let writer = try SnapshotWriter(path: path)
        try checkpoint(writer, old)
        let counts = writer.rowCounts
        let rows = RowBatch()
        rows.appendFlushAll()
        try writer.apply(rows)
        try writer.apply(batch([string(1, "b", "1"), string(2, "c", "1")]))
        writer.rollback()
        #expect(writer.rowCounts == counts)
        #expect(try contents(path) == old)
        // A row that cannot be stored fails the checkpoint, not the process; the next one goes on.
        let bad = [owner(.zset, 1, "z"), scored(1, 0, "nan", .nan)]
        #expect(refusal { try checkpoint(writer, bad) }.contains("not a number"))
        writer.rollback()
        for id in [-1, 1 << 31] as [Int64] {
            #expect(refusal { try checkpoint(writer, [owner(.set, id, "s")]) }.contains("cannot hold"))
            writer.rollback()
        }
        writer.rollback()
        try checkpoint(writer, [string(2, "b", "1")])
        #expect(try contents(path) == [old[0], string(2, "b", "1"), old[1], old[2]])
    }

    /// Random checkpoints against a plain dictionary: counts, ids taken over and order.
    @Test(arguments: [1, 2, 3] as [UInt64]) func randomCheckpointsMatchAModel(seed: UInt64) throws {
        var random = seed &* 0x9E37_79B9_7F4A_7C15
        func next(_ bound: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(random >> 33) % bound
        }
        var strings: [Int64: String] = [:]
        var hashes: [Int64: [UInt32: String]] = [:]
        var writer = try SnapshotWriter(path: path)
        for round in 0..<12 {
            let rows = RowBatch()
            for _ in 0..<next(60) {
                let id = Int64(next(80)) + 1
                if next(4) == 0 {
                    rows.appendRemoveString(id: id)
                    strings[id] = nil
                }
            }
            for _ in 0..<next(10) {
                let id = Int64(next(12)) + 1
                rows.appendRemoveOwner(type: .hash, id: id)
                hashes[id] = nil
            }
            for _ in 0..<next(60) {
                let id = Int64(next(80)) + 1
                strings[id] = "r\(round)"
                string(id, "k\(id)", "r\(round)").append(to: rows)
            }
            for _ in 0..<next(8) {
                let id = Int64(next(12)) + 1
                owner(.hash, id, "h\(id)").append(to: rows)
                let cut = UInt64(next(30))
                rows.appendRemoveElements(type: .hash, owner: id, slots: cut..<(cut + 5))
                hashes[id] = (hashes[id] ?? [:]).filter { !(cut..<(cut + 5)).contains(UInt64($0.key)) }
                for _ in 0..<next(20) + 1 {
                    let slot = UInt32(next(40))
                    field(id, slot, "f\(slot)", "r\(round)").append(to: rows)
                    hashes[id, default: [:]][slot] = "r\(round)"
                }
            }
            try writer.apply(rows)
            if next(3) == 0 { try writer.apply(RowBatch()) }
            try writer.commit(meta())
            if next(3) == 0 { writer = try SnapshotWriter(path: path, recount: next(2) == 0) }

            var expected = strings.sorted { $0.key < $1.key }.map { string($0.key, "k\($0.key)", $0.value) }
            for (id, fields) in hashes.sorted(by: { $0.key < $1.key }) {
                expected.append(owner(.hash, id, "h\(id)"))
                expected += fields.sorted { $0.key < $1.key }.map { field(id, $0.key, "f\($0.key)", $0.value) }
            }
            #expect(try contents(path) == expected)
        }
    }

    @Test func readersShareTheWork() throws {
        let writer = try SnapshotWriter(path: path)
        let rows =
            (1...2000).map { string($0, "key \($0)", String(repeating: "v", count: 500)) }
            + (1...50).flatMap { id in [owner(.set, id, "s\(id)")] + (0..<3).map { member(id, $0, "m\($0)") } }
        try checkpoint(writer, rows)
        let first = try SnapshotReader(path: path)
        let second = try SnapshotReader(path: path)
        var seen: [OwnedRow] = []
        var batches = 0
        let keep: (RowBatch) -> RowBatch = { batch in
            batches += 1
            batch.forEach { seen.append(OwnedRow($0)) }
            return RowBatch()
        }
        var counts = try first.read(.string, ids: 0..<777, exchanging: keep)
        counts.add(try second.read(.string, ids: 777..<Int64.max, exchanging: keep))
        counts.add(try second.read(.set, ids: 0..<11, exchanging: keep))
        #expect(
            refusal { try first.verify(counts) }.contains("raw_sets has 10 rows where its last checkpoint wrote 50"))
        counts.add(try first.read(.set, ids: 11..<Int64.max, exchanging: keep))
        try first.verify(counts)
        #expect(seen == rows)
        #expect(batches > 4)
    }

    @Test func textOrBlob() {
        let valid = ["", "a", "12345678", "1234567é", "\u{7FF}\u{800}\u{FFFF}\u{10000}\u{10FFFF}", "\u{D7FF}\u{E000}"]
        for text in valid { #expect(with(utf8(text)) { $0.isText }) }
        let invalid: [[UInt8]] = [
            [0], [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC2], [0xE0, 0x9F, 0xBF], [0xED, 0xA0, 0x80], [0xE2, 0x82],
            [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF], [0xC2, 0x41],
        ]
        for bytes in invalid {
            for padding in 0..<10 {
                let padded = [UInt8](repeating: 97, count: padding) + bytes
                #expect(with(padded) { !$0.isText })
                #expect(with(padded + [97, 97, 97, 97]) { !$0.isText })
            }
        }
        // The standard library's validation as oracle.
        var random: UInt64 = 88_172_645_463_325_252
        let alphabet: [UInt8] = [
            0, 1, 0x41, 0x7F, 0x80, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5,
        ]
        for _ in 0..<20_000 {
            var bytes: [UInt8] = []
            for _ in 0..<Int(random % 12) {
                random ^= random << 13
                random ^= random >> 7
                random ^= random << 17
                bytes.append(alphabet[Int(random % UInt64(alphabet.count))])
            }
            random ^= random << 13
            random ^= random >> 7
            random ^= random << 17
            let expected = !bytes.contains(0) && String(validating: bytes, as: UTF8.self) != nil
            #expect(with(bytes) { $0.isText } == expected, "\(bytes)")
        }
    }
}
