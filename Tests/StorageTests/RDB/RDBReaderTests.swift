import TestSupport
import Testing

@testable import Storage

/// What files of other servers hold: keys and elements of each type as redis-server 7.0.15 counted them after loading
/// (for RDB 11 and 12, which it does not read: as the server that wrote the file did). A string's elements are its
/// bytes.
struct RDBExpectation: CustomTestStringConvertible, Sendable {
    let file: String
    var string = CountingVisitor.Count()
    var list = CountingVisitor.Count()
    var set = CountingVisitor.Count()
    var zset = CountingVisitor.Count()
    var hash = CountingVisitor.Count()
    var stream = CountingVisitor.Count()
    var expired = 0
    var empty = 0
    var skipped: [RDBUnsupported: Int] = [:]
    var testDescription: String { file }

    static func of(_ keys: Int, _ elements: Int) -> CountingVisitor.Count { .init(keys: keys, elements: elements) }

    static let all = [
        RDBExpectation(
            file: "small_v11.rdb", string: of(65, 135670), list: of(3, 206), set: of(6, 413), zset: of(4, 211),
            hash: of(3, 204), stream: of(3, 50)),
        RDBExpectation(
            file: "small_v12.rdb", string: of(64, 16144), list: of(3, 206), set: of(6, 413), zset: of(4, 211),
            hash: of(4, 207), stream: of(4, 348)),
        RDBExpectation(file: "corrupt_empty_keys.rdb", empty: 9),
        RDBExpectation(file: "dictionary.rdb", hash: of(1, 1000)),
        RDBExpectation(file: "easily_compressible_string_key.rdb", string: of(1, 37)),
        RDBExpectation(file: "empty_database.rdb"),
        RDBExpectation(
            file: "encodings.rdb", string: of(3, 150), list: of(2, 32), set: of(4, 22), zset: of(2, 15), hash: of(2, 14)
        ),
        RDBExpectation(file: "hash_as_ziplist.rdb", hash: of(1, 3)),
        RDBExpectation(file: "integer_keys.rdb", string: of(6, 136)),
        RDBExpectation(file: "intset_16.rdb", set: of(1, 3)),
        RDBExpectation(file: "intset_32.rdb", set: of(1, 3)),
        RDBExpectation(file: "intset_64.rdb", set: of(1, 3)),
        RDBExpectation(file: "keys_with_expiry.rdb", expired: 1),
        RDBExpectation(file: "linkedlist.rdb", list: of(1, 1000)),
        RDBExpectation(file: "multiple_databases.rdb", string: of(2, 10)),
        RDBExpectation(file: "non_ascii_values.rdb", string: of(6, 73)),
        RDBExpectation(
            file: "parser_filters.rdb", string: of(18, 638), list: of(12, 33), set: of(6, 24), zset: of(4, 10),
            hash: of(3, 7)),
        RDBExpectation(file: "rdb-preamble.aof", string: of(2, 4)),
        RDBExpectation(file: "rdb_version_5_with_checksum.rdb", string: of(6, 59)),
        RDBExpectation(file: "rdb_version_8_with_64b_length_and_scores.rdb", string: of(1, 3), zset: of(1, 1000)),
        RDBExpectation(file: "redis_40_with_module.rdb", string: of(1, 7), skipped: [.module: 1]),
        RDBExpectation(
            file: "redis_50_with_streams.rdb", string: of(3, 150), list: of(2, 32), set: of(4, 22), zset: of(2, 15),
            hash: of(2, 14), stream: of(1, 4)),
        RDBExpectation(file: "redis_60_with_module_aux.rdb", skipped: [.moduleAuxiliary: 1]),
        RDBExpectation(file: "regular_set.rdb", set: of(1, 6)),
        RDBExpectation(file: "regular_sorted_set.rdb", zset: of(1, 500)),
        RDBExpectation(file: "scriptbackup.rdb"),
        RDBExpectation(file: "sorted_set_as_ziplist.rdb", zset: of(1, 3)),
        RDBExpectation(file: "uncompressible_string_keys.rdb", string: of(3, 118)),
        RDBExpectation(file: "ziplist_that_compresses_easily.rdb", list: of(1, 6)),
        RDBExpectation(file: "ziplist_that_doesnt_compress.rdb", list: of(1, 2)),
        RDBExpectation(file: "ziplist_with_integers.rdb", list: of(1, 24)),
        RDBExpectation(file: "zipmap_that_compresses_easily.rdb", hash: of(1, 3)),
        RDBExpectation(file: "zipmap_that_doesnt_compress.rdb", hash: of(1, 2)),
        RDBExpectation(file: "zipmap_with_big_values.rdb", hash: of(1, 5)),
    ]
}

@Suite struct RDBReaderTests {
    @Test(arguments: RDBExpectation.all)
    func filesOfOtherServers(expected: RDBExpectation) throws {
        var options = RDBOptions()
        options.skipUnsupported = true
        options.allowTail = true
        options.dropExpiredAt = 1_700_000_000_000
        let reader = try RDBReader(
            path: RDBFiles.path(expected.file), options: options, visitor: CountingVisitor())
        let summary = try reader.read()
        let counts = reader.visitor.counts
        #expect(counts[.string] ?? .init() == expected.string)
        #expect(counts[.list] ?? .init() == expected.list)
        #expect(counts[.set] ?? .init() == expected.set)
        #expect(counts[.zset] ?? .init() == expected.zset)
        #expect(counts[.hash] ?? .init() == expected.hash)
        #expect(counts[.stream] ?? .init() == expected.stream)
        #expect(summary.keys == counts.values.reduce(0) { $0 + $1.keys })
        #expect(summary.expired == expected.expired)
        #expect(summary.empty == expected.empty)
        #expect(summary.skipped == expected.skipped)
        #expect(reader.visitor.fieldExpiries == (expected.file == "small_v12.rdb" ? 2 : 0))
    }

    @Test(
        arguments: [
            ("redis_40_with_module.rdb", "\"foo\" in database 0 holds a module's value", 190),
            ("redis_60_with_module_aux.rdb", "auxiliary data of the module test__rdb", 89),
            ("corrupt_ziplist.rdb", "\"key:000000000091\"", 488),
            ("rdb-preamble.aof", "append-only file", 117),
        ])
    func refusals(file: String, text: String, offset: Int64) throws {
        let reader = try RDBReader(path: RDBFiles.path(file), visitor: CountingVisitor())
        let error = #expect(throws: StorageError.self) { try reader.read() }
        #expect(error?.message.contains(text) == true)
        #expect(error?.offset == offset)
    }

    @Test func fieldExpiries() throws {
        var options = RDBOptions()
        options.skipUnsupported = true
        let reader = try RDBReader(
            path: RDBFiles.path("small_v12.rdb"), options: options, visitor: RecordingVisitor())
        try reader.read()
        let small = reader.visitor.values["0:hash:ttl:small"]?.content ?? []
        #expect(small.sorted() == ["a=1@4102444800000", "b=2@4102444800777", "c=3"])
    }

    // MARK: - Files made here

    private func read(_ bytes: [UInt8], _ options: RDBOptions = RDBOptions()) throws -> RecordingVisitor {
        let directory = TemporaryDirectory()
        let reader = try RDBReader(path: directory.write(bytes), options: options, visitor: RecordingVisitor())
        try reader.read()
        return reader.visitor
    }

    @Test func everyNewForm() throws {
        let found = try read(RDBSample.everyNewForm)
        #expect(found.notes == ["redis-ver": "7.4.1"])
        #expect(found.values == RDBSample.everyNewFormHolds)
    }

    @Test func expiredKeysAndFieldsAreDropped() throws {
        var options = RDBOptions()
        options.dropExpiredAt = 1000
        var file = RDBBuilder()
        for (name, expiry) in [("before", UInt64(999)), ("now", 1000), ("after", 1001)] {
            file.raw([252])
            file.fixed64(expiry)
            file.key(1, name)
            file.raw([1, 1, 65])
        }
        file.key(0, "none")
        file.string("v")
        file.raw([253, 1, 0, 0, 0])
        file.key(0, "seconds")
        file.string("v")
        file.key(25, "fields")
        file.fixed64(1000)
        file.string(RDBBuilder.listpack(["a", "1", "1000", "b", "2", "1001", "c", "3", "0"]))
        let found = try read(file.finished(), options)
        #expect(Set(found.values.keys) == ["0:after", "0:none", "0:fields"])
        #expect(found.values["0:after"]?.expiresMs == 1001)
        #expect(found.values["0:fields"]?.content == ["b=2@1001", "c=3"])
    }

    @Test func stringEncodings() throws {
        var file = RDBBuilder(version: "0009")
        let encoded: [(String, [UInt8])] = [
            ("8", [0xC0, 0x80]), ("16", [0xC1, 0, 0x80]), ("32", [0xC2, 0, 0, 0, 0x80]),
            ("lzf", [0xC3, 5, 20, 1, 97, 97, 0xE0, 0x09, 0]), ("14", [0x40, 1, 98]),
            ("64", [0x81, 0, 0, 0, 0, 0, 0, 0, 1, 99]),
        ]
        for (name, bytes) in encoded {
            file.key(0, name)
            file.raw(name == "lzf" ? [0xC3, 6, 20, 1, 97, 97, 0xE0, 0x09, 0] : bytes)
        }
        let found = try read(file.finished())
        #expect(found.values["0:8"]?.content == ["-128"])
        #expect(found.values["0:16"]?.content == ["-32768"])
        #expect(found.values["0:32"]?.content == ["-2147483648"])
        #expect(found.values["0:14"]?.content == ["b"])
        #expect(found.values["0:64"]?.content == ["c"])
        #expect(found.values["0:lzf"]?.content == [String(repeating: "a", count: 20)])
    }

    @Test func oldScores() throws {
        var file = RDBBuilder(version: "0001")
        file.key(3, "z")
        file.length(4)
        for (member, score) in [
            ("a", [255]), ("b", [254]), ("c", [3] + Array("1.5".utf8)), ("d", [2] + Array("-2".utf8)),
        ]
            as [(String, [UInt8])]
        {
            file.string(member)
            file.raw(score)
        }
        let found = try read(file.bytes + [255])
        #expect(found.values["0:z"]?.content == ["a=-inf", "b=inf", "c=1.5", "d=-2.0"])
    }

    @Test func databasesBeyondTheLimit() throws {
        var options = RDBOptions()
        options.databases = 16
        var file = RDBBuilder()
        file.raw([254, 16])
        #expect(throws: StorageError.self) { try read(file.finished(), options) }
        options.databases = 17
        #expect(throws: Never.self) { try read(file.finished(), options) }
    }

    @Test func bytesAfterTheEnd() throws {
        let file = RDBBuilder().finished()
        #expect(throws: Never.self) { try read(file + Array("6ce932509f83".utf8)) }
        #expect(throws: StorageError.self) { try read(file + Array("*1\r\n".utf8)) }
    }
}

/// A file with the forms of value that are in no file of the directory above, or in large ones only.
enum RDBSample {
    static let everyNewForm: [UInt8] = {
        var file = RDBBuilder()
        file.raw([250])
        file.string("redis-ver")
        file.string("7.4.1")
        file.raw([254, 0, 251, 10, 2, 244, 1, 2, 0])
        file.raw([248, 5])
        file.key(18, "list")
        file.length(2)
        file.raw([1])
        file.string("plain")
        file.raw([2])
        file.string(RDBBuilder.listpack(["a", "-5", "100"]))
        file.raw([249, 7])
        file.key(16, "hash")
        file.string(RDBBuilder.listpack(["f", "1", "g", "two"]))
        file.key(17, "zset")
        file.string(RDBBuilder.listpack(["m", "1", "n", "2.5"]))
        file.key(20, "set")
        file.string(RDBBuilder.listpack(["a", "b", "99999"]))
        file.key(24, "ttl")
        file.fixed64(5000)
        file.length(2)
        file.raw([0])
        file.string("f")
        file.string("v")
        file.raw([3])
        file.string("g")
        file.string("w")
        file.key(22, "ttl22")
        file.length(1)
        file.raw([42])
        file.string("f")
        file.string("v")
        file.key(23, "ttl23")
        file.string(RDBBuilder.listpack(["f", "v", "77777"]))
        file.key(5, "zset2")
        file.length(1)
        file.string("m")
        file.fixed64((-0.5).bitPattern)
        file.raw([254, 9, 252])
        file.fixed64(12345)
        file.key(0, "string")
        file.string("value")
        return file.finished()
    }()

    static let everyNewFormHolds: [String: RecordingVisitor.Value] = [
        "0:list": .init(type: .list, content: ["plain", "a", "-5", "100"]),
        "0:hash": .init(type: .hash, content: ["f=1", "g=two"]),
        "0:zset": .init(type: .zset, content: ["m=1.0", "n=2.5"]),
        "0:set": .init(type: .set, content: ["a", "b", "99999"]),
        "0:ttl": .init(type: .hash, content: ["f=v", "g=w@5002"]),
        "0:ttl22": .init(type: .hash, content: ["f=v@42"]),
        "0:ttl23": .init(type: .hash, content: ["f=v@77777"]),
        "0:zset2": .init(type: .zset, content: ["m=-0.5"]),
        "9:string": .init(type: .string, expiresMs: 12345, content: ["value"]),
    ]
}
