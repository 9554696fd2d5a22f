import TestSupport
import Testing

@testable import Storage

@Suite struct RDBImporterTests {
    private func rows(_ path: String) throws -> [String] {
        var found: [String] = []
        try SnapshotReader(path: path).read { batch in
            batch.forEach { row in
                switch row {
                case .string(let id, let db, let key, let value, let expiry):
                    found.append("string \(id) \(db) \(key.string) \(value.string) \(expiry ?? 0)")
                case .owner(let type, let id, let db, let key, let expiry):
                    found.append("\(type.name) \(id) \(db) \(key.string) \(expiry ?? 0)")
                case .element(let type, let owner, let slot, let first, let second, let score, let expiry):
                    found.append(
                        "\(type.name) \(owner) \(slot) \(first.string) \(second.string) \(score) \(expiry ?? 0)")
                default: Issue.record("a snapshot holds no such row")
                }
            }
        }
        return found
    }

    private static let file: [UInt8] = {
        var file = RDBBuilder()
        file.raw([254, 2])
        for name in ["l1", "l2"] {
            file.key(1, name)
            file.raw([2, 1, 97, 1, 98])
        }
        file.key(4, "h")
        file.raw([1, 1, 102, 1, 118])
        file.key(0, "s1")
        file.string("one")
        file.raw([252])
        file.fixed64(4_102_444_800_000)
        file.key(0, "s2")
        file.string("two")
        return file.finished()
    }()

    @Test func rowsOfASmallFile() throws {
        let directory = TemporaryDirectory()
        let output = directory.path + "/dump.sqlite"
        let summary = try RDBImporter.run(from: directory.write(Self.file), to: output)
        #expect(summary.keys == 5)
        #expect(Set(directory.contents) == ["dump.sqlite", "test.rdb"])
        #expect(
            try rows(output).sorted() == [
                "hash 1 0 f v 0.0 0", "hash 1 2 h 0", "list 1 2 l1 0", "list 1 2147483648 a  0.0 0",
                "list 1 2147483649 b  0.0 0", "list 2 2 l2 0", "list 2 2147483648 a  0.0 0",
                "list 2 2147483649 b  0.0 0", "string 1 2 s1 one 0", "string 2 2 s2 two 4102444800000",
            ])
        let meta = try SnapshotReader(path: output).meta
        #expect(meta.checkpoint == 1 && meta.segment == 0 && meta.segmentOffset == 0)
        #expect(meta.server.count == 36 && meta.replicationID.count == 40)
    }

    @Test func failureLeavesNothing() throws {
        let directory = TemporaryDirectory()
        let output = directory.path + "/dump.sqlite"
        let input = try directory.write(Array(Self.file.dropLast(1)))
        #expect(throws: StorageError.self) { try RDBImporter.run(from: input, to: output) }
        #expect(directory.contents == ["test.rdb"])
    }

    @Test func anExistingSnapshotIsReplacedOnlyWhenForced() throws {
        let directory = TemporaryDirectory()
        let input = try directory.write(Self.file)
        let output = try directory.write(Array("precious".utf8), to: "dump.sqlite")
        #expect(throws: StorageError.self) { try RDBImporter.run(from: input, to: output) }
        var options = RDBImporter.Options()
        options.overwrite = true
        #expect(try RDBImporter.run(from: input, to: output, options: options).keys == 5)
        #expect(Set(directory.contents) == ["dump.sqlite", "test.rdb"])
        #expect(try rows(output).count == 10)
    }

    @Test func aLogOfSQLitesBesideTheNameIsNotOverrun() throws {
        let directory = TemporaryDirectory()
        let input = try directory.write(Self.file)
        _ = try directory.write([1], to: "dump.sqlite-wal")
        var options = RDBImporter.Options()
        options.overwrite = true
        #expect(throws: StorageError.self) {
            try RDBImporter.run(from: input, to: directory.path + "/dump.sqlite", options: options)
        }
    }

    @Test func anInterruptionLeavesNothing() throws {
        let directory = TemporaryDirectory()
        let input = try directory.write(RDBBuilder.manyStrings(3000))
        var options = RDBImporter.Options()
        options.progress = { _ in false }
        #expect(throws: StorageError.self) {
            try RDBImporter.run(from: input, to: directory.path + "/dump.sqlite", options: options)
        }
        #expect(directory.contents == ["test.rdb"])
    }
}

extension RDBBuilder {
    static func manyStrings(_ count: Int) -> [UInt8] {
        var file = RDBBuilder()
        for i in 0..<count {
            file.key(0, "key:\(i)")
            file.string("value")
        }
        return file.finished()
    }
}
