import Synchronization
import TestSupport
import Testing

@testable import Storage

/// RDB as a stream: out of a snapshot for replicas, and in from a master.
@Suite struct RDBStreamTests {
    private func snapshot(_ bytes: [UInt8], _ directory: TemporaryDirectory) throws -> String {
        let path = directory.path + "/dump.sqlite"
        _ = try RDBImporter.run(from: directory.write(bytes), to: path)
        return path
    }

    /// Reads `bytes` through a pipe of its own, in pieces of random sizes, on another thread. `ending`: what comes after them.
    private func read(
        _ bytes: [UInt8], options: RDBOptions = RDBOptions(),
        ending: @escaping @Sendable (BytePipe) -> Void = { $0.finish() }
    ) throws -> RDBReader<RecordingVisitor> {
        let pipe = BytePipe(name: "the stream", capacity: 1000)
        let seed = testSeed()
        startThread(named: "test") {
            var random = SplitMix64(seed: seed)
            var at = 0
            while at < bytes.count {
                if pipe.isFull {
                    sleepMicroseconds(50)
                    continue
                }
                let end = min(bytes.count, at + 1 + Int(random.next() % 700))
                Array(bytes[at..<end]).withBytes { _ = pipe.send($0) }
                at = end
            }
            ending(pipe)
        }
        let reader = try RDBReader(pipe: pipe, options: options, visitor: RecordingVisitor())
        defer { pipe.close() }
        try reader.read()
        return reader
    }

    @Test(arguments: [10, 11, 12], [true, false])
    func whatIsSentIsWhatAFileWouldHold(version: Int, compresses: Bool) throws {
        let directory = TemporaryDirectory()
        let path = try snapshot(RDBWriterTests.rich(fieldExpiries: version == 12), directory)
        var options = RDBExporter.Options()
        options.version = version
        options.compresses = compresses
        var sent: [UInt8] = []
        var largest = 0
        var began: Meta?
        let summary = try RDBExporter.stream(
            from: path, options: options,
            began: { (meta) throws(StorageError) in
                #expect(sent.isEmpty)
                began = meta
            },
            send: { (bytes) throws(StorageError) in
                sent += bytes.array
                largest = max(largest, bytes.count)
            })
        #expect(largest <= RDBOutput.chunkSize)
        #expect(sent.count == Int(summary.bytes))
        _ = try RDBExporter.run(from: path, to: directory.path + "/file.rdb", options: options)
        let file = try Verification.run(directory.path + "/file.rdb")
        let streamed = try Verification.run(directory.write(sent, to: "stream.rdb"))
        #expect(streamed.holdsTheSame(as: file))
        #expect(streamed.keys == file.keys && streamed.elements == file.elements && streamed.functions == 1)

        let reader = try read(sent)
        let meta = try #require(began)
        #expect(meta == (try SnapshotReader(path: path).meta))
        #expect(reader.summary.keys == file.keys)
        #expect(reader.summary.replicationID == meta.replicationID)
        #expect(reader.summary.replicationOffset == meta.replicationOffset)
        #expect(reader.summary.streamDatabase == 0)
        let plain = try RDBReader(path: directory.path + "/file.rdb", visitor: RecordingVisitor())
        try plain.read()
        #expect(plain.summary.replicationID == nil && plain.summary.streamDatabase == nil)
        #expect(reader.visitor.values == plain.visitor.values)
    }

    @Test func aReceiverEndsTheStream() throws {
        let directory = TemporaryDirectory()
        let path = try snapshot(RDBBuilder.manyStrings(20_000), directory)
        var calls = 0
        let error = #expect(throws: StorageError.self) {
            _ = try RDBExporter.stream(from: path, began: { _ in }) { (_) throws(StorageError) in
                calls += 1
                if calls == 2 { throw StorageError(file: "", message: "the replica is gone") }
            }
        }
        #expect(error?.message == "the replica is gone")
        #expect(calls == 2)
    }

    @Test func commitsGoOnWhileAStreamIsRead() throws {
        let directory = TemporaryDirectory()
        let path = directory.path + "/dump.sqlite"
        let writer = try SnapshotWriter(path: path)
        try checkpoint(writer, (1...30_000).map { string($0, "key \($0)", "value") })
        var commits: Int64 = 1
        var sent: [UInt8] = []
        _ = try RDBExporter.stream(from: path, began: { _ in }) { (bytes) throws(StorageError) in
            sent += bytes.array
            if commits > 3 { return }
            commits += 1
            try writer.apply(batch([string(1, "key 1", "changed \(commits)")]))
            try writer.commit(meta(commits))
        }
        #expect(commits > 1)
        let reader = try read(sent)
        #expect(reader.visitor.values["0:key 1"]?.content == ["value"])
        #expect(reader.summary.replicationOffset == 99)
    }

    // MARK: - Reading

    @Test func aStreamThatIsCutOrFailsOrGoesOnIsRefused() throws {
        let bytes = RDBWriterTests.rich(fieldExpiries: true)
        let cut = #expect(throws: StorageError.self) { _ = try read(Array(bytes.dropLast(20))) }
        #expect(cut?.message.contains("incomplete") == true)
        let failed = #expect(throws: StorageError.self) {
            _ = try read(Array(bytes.dropLast(20))) { $0.fail(StorageError(file: "", message: "timed out")) }
        }
        #expect(failed?.message == "timed out")
        let longer = #expect(throws: StorageError.self) { _ = try read(bytes + [0]) }
        #expect(longer?.message.contains("goes on behind the end") == true)
        var flipped = bytes
        flipped[bytes.count / 2] ^= 1
        #expect(throws: StorageError.self) { _ = try read(flipped) }
        #expect(try read(bytes).summary.keys > 100)
    }

    @Test func memoryIsTakenForWhatArrivedAlone() throws {
        for announced in [1 << 31, 1 << 40, UInt64(Int64.max)] {
            let pipe = BytePipe(name: "the stream")
            Array("short".utf8).withBytes { _ = pipe.send($0) }
            pipe.finish()
            let out = OutputBuffer()
            let input = try RDBInput(pipe)
            #expect(throws: StorageError.self) { try input.bytes(announced, into: out) }
            #expect(out.bytes == Bytes("short") && out.capacity < 1 << 16)
        }
        // The same in each place where a number stands.
        for type in [0, 1, 2, 3, 4, 5, 10, 14, 15, 18, 19, 21, 22, 24] as [UInt8] {
            for length in [[0x80, 0x7f, 0xff, 0xff, 0xff], [0x81, 0x7f] + [UInt8](repeating: 0xff, count: 7)]
                as [[UInt8]]
            {
                var file = RDBBuilder()
                file.key(type, "k")
                if type == 24 { file.fixed64(1) }
                #expect(throws: StorageError.self) { _ = try read(file.bytes + length + [1, 1, 1]) }
            }
        }
        var packed = RDBBuilder()
        packed.key(0, "k")
        #expect(throws: StorageError.self) {
            _ = try read(packed.bytes + [0xC3, 0x81, 0x7f] + [UInt8](repeating: 0xff, count: 7) + [1, 1, 1])
        }
    }

    @Test func filesOfOtherServersComeThroughAPipe() throws {
        for name in ["redis_50_with_streams.rdb", "small_v11.rdb", "small_v12.rdb", "zipmap_with_big_values.rdb"] {
            let plain = try RDBReader(path: RDBFiles.path(name), visitor: RecordingVisitor())
            try plain.read()
            #expect(try read(RDBFiles.bytes(name)).visitor.values == plain.visitor.values, "\(name)")
        }
    }

    @Test func notesThatAreNoneAreNotBelieved() throws {
        var file = RDBBuilder()
        for (name, value) in [("repl-id", "short"), ("repl-offset", "-7"), ("repl-stream-db", "99999999999")] {
            file.raw([250])
            file.string(name)
            file.string(value)
        }
        let summary = try read(file.finished()).summary
        #expect(summary.replicationID == nil && summary.replicationOffset == nil && summary.streamDatabase == nil)
    }

    // MARK: - The pipe

    @Test func aFullPipeTellsWhenThereIsRoom() throws {
        let rooms = Atomic<Int>(0)
        let pipe = BytePipe(name: "p", capacity: 100) { rooms.add(1, ordering: .relaxed) }
        let piece = [UInt8](repeating: 7, count: 40)
        #expect(piece.withBytes { pipe.send($0) } == 40)
        #expect(!pipe.isFull)
        _ = piece.withBytes { pipe.send($0) }
        #expect(piece.withBytes { pipe.send($0) } == 120)
        #expect(pipe.isFull)
        #expect(try take(64, from: pipe) == 40)
        #expect(rooms.load(ordering: .relaxed) == 0 && pipe.pendingBytes == 80)
        #expect(try take(30, from: pipe) == 30)
        #expect(rooms.load(ordering: .relaxed) == 1)
        #expect(try take(30, from: pipe) == 10)
        #expect(try take(64, from: pipe) == 40)
        #expect(rooms.load(ordering: .relaxed) == 1)
        pipe.finish()
        #expect(try take(64, from: pipe) == 0)
        #expect(piece.withBytes { pipe.send($0) } == 0)
    }
    private func take(_ count: Int, from pipe: BytePipe) throws -> Int {
        try withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) {
            try pipe.read(into: $0.baseAddress.unsafelyUnwrapped, count)
        }
    }

    @Test func aPipeThatFailsWakesItsReader() throws {
        let pipe = BytePipe(name: "p")
        startThread(named: "test") {
            sleepMicroseconds(20_000)
            pipe.fail(StorageError(file: "", message: "the link is down"))
        }
        let error = #expect(throws: StorageError.self) {
            _ = try RDBReader(pipe: pipe, visitor: RecordingVisitor()).read()
        }
        #expect(error?.message == "the link is down")
    }
}
