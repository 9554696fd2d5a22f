import Foundation
import TestSupport
import Testing

@testable import Storage

/// Mutated RDB files, append-only files and DUMP payloads: each is read, or refused with a place in it; none traps, takes
/// long, or takes memory for what is not there. `make fuzz` tries many.
@Suite struct MutationTests {
    /// How many of each kind, and how long one may take.
    static let count = ProcessInfo.processInfo.environment["SWIFTLET_MUTATIONS"].flatMap(Int.init) ?? 6_000
    static let slowest = Duration.seconds(5)
    /// Of an LZF string: what a byte of it stands for at most.
    static let expansion = 264
    /// Blocks that are read at once, and the scratch of a reader.
    static let fixedMemory = 4 << 20

    struct Tally {
        var read = 0
        var refused = 0
    }

    /// Runs `body` and checks time and memory. `content` is what the input may stand for.
    private func watched(_ content: Int, _ what: @autoclosure () -> String, _ body: () throws -> Void) rethrows {
        _ = MemoryStatistics.command("thread.peak.reset")
        let before = MemoryStatistics.control("thread.peak.read") ?? 0
        let start = ContinuousClock.now
        try body()
        #expect(ContinuousClock.now - start < MutationTests.slowest, "\(what())")
        // nil under a sanitizer, which has an allocator of its own.
        let peak = (MemoryStatistics.control("thread.peak.read") ?? 0) - before
        #expect(peak <= 2 * content + MutationTests.fixedMemory, "\(what()): \(peak) bytes for \(content)")
    }

    @Test(.timeLimit(.minutes(5 + count / 10_000))) func rdb() throws {
        let names = [
            "encodings.rdb", "redis_50_with_streams.rdb", "corrupt_empty_keys.rdb", "parser_filters.rdb",
            "redis_40_with_module.rdb", "redis_60_with_module_aux.rdb", "zipmap_that_doesnt_compress.rdb",
            "ziplist_with_integers.rdb", "sorted_set_as_ziplist.rdb", "intset_64.rdb", "hash_as_ziplist.rdb",
            "keys_with_expiry.rdb", "easily_compressible_string_key.rdb", "ziplist_that_compresses_easily.rdb",
        ]
        let files = try names.map(RDBFiles.bytes) + [RDBSample.everyNewForm]
        let directory = TemporaryDirectory()
        var options = RDBOptions()
        options.skipUnsupported = true
        let starts = try files.map { bytes in
            let reader = try RDBReader(path: directory.write(bytes), options: options, visitor: BoundaryVisitor())
            try reader.read()
            return [9] + reader.visitor.offsets
        }
        var mutator = Mutator(SeededRandom(), files)
        var tally = Tally()
        for i in 0..<Self.count {
            let index = mutator.pick(files.count)
            let bytes = mutator.mutated(files[index], starts: starts[index])
            let path = try directory.write(bytes)
            watched(bytes.count * Self.expansion, "file \(index), mutation \(i)") {
                do throws(StorageError) {
                    try RDBReader(path: path, options: options, visitor: CountingVisitor()).read()
                    tally.read += 1
                } catch {
                    tally.refused += 1
                    #expect(error.offset.map { $0 >= 0 && $0 <= Int64(bytes.count) } == true, "\(error)")
                }
            }
        }
        print("RDB: \(tally)")
        #expect(tally.read > 0 && tally.refused > 0)
    }

    private func request(_ words: [String]) -> [UInt8] {
        Array(("*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()).utf8)
    }

    @Test(.timeLimit(.minutes(5 + count / 10_000))) func appendOnlyFiles() throws {
        let commands = [
            ["SELECT", "0"], ["SET", "key", "value"], ["MULTI"], ["RPUSH", "list", "a", "*1\r\n$4\r\nPING\r\n"],
            ["EXEC"], ["HSET", "h", "f", String(repeating: "v", count: 300)], ["ZADD", "z", "1.5", ""],
        ]
        var file = Array("#TS:1600000000\r\n".utf8)
        var starts: [Int] = []
        for command in commands {
            starts.append(file.count)
            file += request(command)
        }
        let manifest = Array(
            "file \"a \\xc3\\xa4.base\" seq 1 type b\r\nfile old seq 1 type h\nfile one seq 1 type i\nfile two seq 2 type i\n"
                .utf8)
        let directory = TemporaryDirectory()
        var mutator = Mutator(SeededRandom(), [file, manifest])
        var tally = Tally()
        for i in 0..<Self.count {
            if i % 8 == 0 {
                let bytes = mutator.mutated(manifest, starts: [])
                watched(bytes.count, "manifest, mutation \(i)") {
                    let parsed = try? bytes.withBytes { try AOFManifest($0, path: "manifest") }
                    if parsed == nil { tally.refused += 1 } else { tally.read += 1 }
                }
                continue
            }
            let bytes = mutator.mutated(file, starts: starts)
            let path = try directory.write(bytes, to: "appendonly.aof")
            watched(bytes.count, "append-only file, mutation \(i)") {
                do throws(StorageError) {
                    let reader = AOFReader(path: path, isLast: i % 2 == 0, mayLeaveOutTail: i % 4 == 0) { _ in }
                    try reader.read(from: 0) { (_, _) throws(StorageError) in }
                    tally.read += 1
                } catch {
                    tally.refused += 1
                    #expect(error.offset.map { $0 >= 0 && $0 <= Int64(bytes.count) } == true, "\(error)")
                }
            }
        }
        print("append-only files: \(tally)")
        #expect(tally.read > 0 && tally.refused > 0)
    }

    @Test(.timeLimit(.minutes(5 + count / 10_000))) func payloads() throws {
        let keyspace = Keyspace(databases: 16)
        let directory = TemporaryDirectory()
        var whole: [[UInt8]] = []
        var options = RDBImporter.Options()
        options.overwrite = true
        options.reading.skipUnsupported = true
        for name in ["encodings.rdb", "redis_50_with_streams.rdb", "parser_filters.rdb", "small_v12.rdb"] {
            let snapshot = directory.path + "/x.sqlite"
            _ = try RDBImporter.run(from: RDBFiles.path(name), to: snapshot, options: options)
            _ = try SnapshotLoading.load(snapshot, into: keyspace)
            for database in keyspace.databases {
                database.forEach { entry in
                    DumpPayload.of(entry, compresses: whole.count % 2 == 0) {
                        if $0.count < 4096 { whole.append($0.array) }
                    }
                    return true
                }
            }
            keyspace.flushAll()
        }
        var mutator = Mutator(SeededRandom(), whole)
        var tally = Tally()
        let limits = keyspace.limits
        for i in 0..<Self.count {
            let index = mutator.pick(whole.count)
            var bytes = mutator.mutated(whole[index], starts: [0])
            // The footer of a version that is read.
            let footer = bytes.count - 10
            if footer >= 0, mutator.pick(8) != 0 { bytes.replaceSubrange(footer..<footer + 2, with: [10, 0]) }
            watched(bytes.count * Self.expansion, "payload \(index), mutation \(i)") {
                let entry = bytes.withBytes { payload in
                    "k".withBytes { key in
                        try? DumpPayload.read(
                            payload, key: key, expiresMs: nil, limits: limits, longest: 1 << 20, checksum: false)
                    }
                }
                if let entry {
                    tally.read += 1
                    keyspace.databases[0].restore(entry)
                } else {
                    tally.refused += 1
                }
            }
        }
        print("payloads: \(tally)")
        #expect(tally.read > 0 && tally.refused > 0)
    }
}

extension String {
    fileprivate func withBytes<R>(_ body: (Bytes) throws -> R) rethrows -> R { try Array(utf8).withBytes(body) }
}

/// Keeps where keys end.
private struct BoundaryVisitor: KeyVisitor {
    private(set) var offsets: [Int] = []

    mutating func string(_ key: VisitedKey, _ value: Bytes) {}
    mutating func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) {}
    mutating func element(_ value: Bytes) {}
    mutating func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) {}
    mutating func scored(_ member: Bytes, _ score: Double) {}
    mutating func streamEntry(_ id: StreamID, _ fields: Bytes) {}
    mutating func streamRow(_ row: StreamRow) {}
    mutating func end() {}
    mutating func reached(_ offset: Int64, of size: Int64) { offsets.append(Int(offset)) }
}
