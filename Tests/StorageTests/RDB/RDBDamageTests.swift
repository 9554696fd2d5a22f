import Foundation
import TestSupport
import Testing

@testable import Storage

/// Files that are damaged in every way we could think of: each is refused with a place in the file, none traps,
/// hangs or takes memory for what is not there.
@Suite struct RDBDamageTests {
    private func error(_ bytes: [UInt8], skip: Bool = false) throws -> StorageError? {
        let directory = TemporaryDirectory()
        var options = RDBOptions()
        options.skipUnsupported = skip
        let reader = try RDBReader(path: directory.write(bytes), options: options, visitor: CountingVisitor())
        do throws(StorageError) {
            try reader.read()
            return nil
        } catch {
            return error
        }
    }

    @Test func everyTruncation() throws {
        var old = RDBBuilder(version: "0003")
        old.key(2, "set")
        old.raw([2, 1, 65, 1, 66])
        old.key(3, "zset")
        old.raw([1, 1, 65, 3, 49, 46, 53, 255])
        for whole in [RDBSample.everyNewForm, old.bytes] {
            #expect(try error(whole) == nil)
            for length in 0..<whole.count {
                let found = try error(Array(whole[..<length]))
                #expect(found?.offset != nil, "cut to \(length) bytes")
                if let offset = found?.offset { #expect(offset <= length) }
            }
        }
    }

    @Test func everyTruncationOfAStream() throws {
        let whole = try RDBFiles.bytes("redis_50_with_streams.rdb")
        for length in 0..<whole.count {
            #expect(try error(Array(whole[..<length]), skip: true)?.offset != nil, "cut to \(length) bytes")
        }
    }

    @Test func checksum() throws {
        var file = RDBSample.everyNewForm
        file[file.count - 1] ^= 1
        #expect(try error(file)?.message.contains("checksum") == true)
        #expect(try error(file)?.offset == Int64(file.count - 8))
        file.replaceSubrange((file.count - 8)..., with: repeatElement(0, count: 8))
        #expect(try error(file) == nil)
    }

    @Test(arguments: [
        "", "REDI", "REDIS000", "REDIS0000", "REDIS0013", "REDIS9999", "REDIS00x1", "SQLite format 3",
        "*1\r\n$4\r\nPING\r\n",
    ])
    func notAnRDB(text: String) throws {
        #expect(try error(Array(text.utf8)) != nil)
    }

    /// A name, and what follows the header.
    static let damaged: [(String, [UInt8])] = {
        var cases: [(String, [UInt8])] = []
        func add(_ name: String, _ build: (inout RDBBuilder) -> Void) {
            var file = RDBBuilder(version: "0011")
            build(&file)
            cases.append((name, file.finished()))
        }
        let huge: [UInt8] = [0x81, 0x7F, 255, 255, 255, 255, 255, 255, 255]
        let top: [UInt8] = [0x81, 255, 255, 255, 255, 255, 255, 255, 255]
        for (name, length) in [("huge", huge), ("top", top)] {
            add("a \(name) key") { $0.raw([0] + length) }
            add("a \(name) string") { $0.raw([0, 1, 65] + length) }
            add("a \(name) compressed length") { $0.raw([0, 1, 65, 0xC3] + length + [1, 0, 65]) }
            add("a \(name) uncompressed length") { $0.raw([0, 1, 65, 0xC3, 2] + length + [0, 65]) }
            for type in [1, 2, 3, 4, 5, 14, 18, 22] as [UInt8] {
                add("\(name) count of type \(type)") { $0.raw([type, 1, 65] + length + [1, 65]) }
            }
            add("\(name) database") { $0.raw([254] + length) }
        }
        add("an unknown type") { $0.raw([8, 1, 65]) }
        add("an unknown record") { $0.raw([200, 1, 65]) }
        add("an unknown length") { $0.raw([0, 0x82, 1]) }
        add("an unknown string encoding") { $0.raw([0, 1, 65, 0xC4]) }
        add("an encoding for a count") { $0.raw([1, 1, 65, 0xC0, 1]) }
        add("LZF of nothing") { $0.raw([0, 1, 65, 0xC3, 1, 0, 0]) }
        add("LZF that refers before its start") { $0.raw([0, 1, 65, 0xC3, 4, 10, 0, 65, 0xC0, 9]) }
        add("LZF of another length") { $0.raw([0, 1, 65, 0xC3, 2, 5, 0, 65]) }
        add("a member twice") { $0.raw([2, 1, 65, 2, 1, 66, 1, 66]) }
        add("a field without value") {
            $0.key(16, "k")
            $0.string(RDBBuilder.listpack(["a", "1", "b"]))
        }
        add("a field without expiry") {
            $0.key(25, "k")
            $0.fixed64(0)
            $0.string(RDBBuilder.listpack(["a", "1"]))
        }
        add("a field that expires at noon") {
            $0.key(25, "k")
            $0.fixed64(0)
            $0.string(RDBBuilder.listpack(["a", "1", "noon"]))
        }
        add("a field's expiry out of range") {
            $0.key(24, "k")
            $0.fixed64(1 << 62)
            $0.raw([1, 0x81, 0x7F, 255, 255, 255, 255, 255, 255, 255, 1, 65, 1, 66])
        }
        add("a score that is no number") {
            $0.key(17, "k")
            $0.string(RDBBuilder.listpack(["a", "x"]))
        }
        add("a score of NaN, old") { $0.raw([3, 1, 65, 1, 1, 66, 253]) }
        add("a score of NaN, text") { $0.raw([3, 1, 65, 1, 1, 66, 3, 110, 97, 110]) }
        add("a score of NaN, binary") {
            $0.raw([5, 1, 65, 1, 1, 66])
            $0.fixed64(Double.nan.bitPattern)
        }
        add("a list's node of no container") { $0.raw([18, 1, 65, 1, 3, 1, 65]) }
        add("a listpack of another size") {
            var pack = RDBBuilder.listpack(["a"])
            pack[0] += 1
            $0.key(20, "k")
            $0.string(pack)
        }
        add("an intset out of order") {
            $0.key(11, "k")
            $0.string([2, 0, 0, 0, 2, 0, 0, 0, 5, 0, 4, 0])
        }
        add("an intset of odd width") {
            $0.key(11, "k")
            $0.string([3, 0, 0, 0, 1, 0, 0, 0, 5, 0, 4])
        }
        add("an empty intset") {
            $0.key(11, "k")
            $0.string([2, 0, 0, 0, 0, 0, 0, 0])
        }
        add("an empty zipmap") {
            $0.key(9, "k")
            $0.string([0, 255])
        }
        add("no zipmap") {
            $0.key(9, "k")
            $0.string([1, 200, 1])
        }
        add("no ziplist") {
            $0.key(10, "k")
            $0.string([11, 0, 0, 0, 10, 0, 0, 0, 1, 0, 255])
        }
        return cases
    }()

    @Test(arguments: damaged)
    func damage(name: String, bytes: [UInt8]) throws {
        let found = try error(bytes)
        #expect(found?.offset != nil)
        #expect(found?.message.contains("checksum") == false)
    }

    @Test func aModuleInTheOldFormCannotBeSkipped() throws {
        var file = RDBBuilder()
        file.raw([6, 1, 65, 0])
        #expect(try error(file.finished(), skip: true)?.message.contains("cannot even be skipped") == true)
    }

    /// Whatever bytes are changed to, what is imported can be loaded.
    @Test func whatIsImportedIsLoaded() throws {
        var random = SeededRandom()
        let files = try ["redis_50_with_streams.rdb", "small_v12.rdb", "encodings.rdb"].map(RDBFiles.bytes)
        let directory = TemporaryDirectory()
        var options = RDBImporter.Options()
        options.overwrite = true
        options.reading.databases = 16
        var imported = 0
        for _ in 0..<400 {
            var bytes = files[Int.random(in: 0..<files.count, using: &random)]
            // Version 4 has no checksum.
            bytes.replaceSubrange(5..<9, with: Array("0004".utf8))
            for _ in 0..<2 {
                bytes[Int.random(in: 9..<bytes.count - 9, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            let path = try directory.write(bytes)
            let snapshot = directory.path + "/x.sqlite"
            guard (try? RDBImporter.run(from: path, to: snapshot, options: options)) != nil else { continue }
            imported += 1
            _ = try SnapshotLoading.load(snapshot, into: Keyspace(databases: 16))
            _ = try Verification.run(snapshot)
        }
        #expect(imported > 20)
    }
}
