import Foundation
import Testing

@testable import Storage

/// What a data directory does to the disk, in the order in which it does it, as lines in Tests/Fixtures/traces: a row of
/// docs/durability.md each. A change of that order is a change of what survives a crash, and is to be seen in a diff.
///
/// `SWIFTLET_TRACES=write` writes the files anew.
@Suite struct TraceTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures/traces")

    /// A directory on a disk in memory whose calls are written down.
    private final class Traced {
        let disk: MemoryFileSystem
        let threads = SteppedThreads(seed: 1)
        let store = SimulatedStore()
        let data: DataDirectory
        private(set) var lines: [String] = []
        /// Throws what a call is to fail with.
        var fault: ((FileCall) throws(FileError) -> Void)?

        init(
            _ disk: MemoryFileSystem = MemoryFileSystem(), fsync: FsyncPolicy = .everysec, keepsLog: Bool = true,
            client: (any DataDirectoryClient)? = nil
        ) {
            self.disk = disk
            let options = DataDirectory.Options(
                directory: MemoryFileSystem.directory, keepsLog: keepsLog, fsync: fsync)
            data = DataDirectory(
                options, keyspace: store.keyspace, client: client ?? store, host: Host(files: disk, threads: threads),
                wake: {})
            disk.onCall = { [unowned self] (call) throws(FileError) in
                do throws(FileError) {
                    try fault?(call)
                } catch {
                    record(call, " -> \(String(cString: strerror(error.code)))")
                    throw error
                }
                record(call, "")
            }
        }
        deinit { disk.onCall = nil }

        /// What changes nothing is left out, and so is in which pieces SQLite writes.
        private func record(_ call: FileCall, _ outcome: String) {
            if case .open(_, .read) = call { return }
            var line = "\(call)"
            if case .write(let path, _, _) = call, path.contains("dump.sqlite") {
                line = line.split(separator: " ").prefix(2).joined(separator: " ")
            }
            line = line.replacingOccurrences(of: ".\(getpid())", with: ".PID") + outcome
            if lines.last != line { lines.append(line) }
        }
        /// A heading for what follows.
        func note(_ text: String) {
            threads.settle()
            lines.append("# " + text)
        }
        func forget() {
            threads.settle()
            lines = []
        }
        var text: String {
            threads.settle()
            return lines.joined(separator: "\n") + "\n"
        }

        func open() throws { _ = try data.open() }
        /// A turn with one command, of 31 bytes behind the first.
        func set(_ value: Int) {
            store.set("key", value)
            data.endTurn(store.output.bytes, upTo: data.stream.offset + store.output.count)
            store.output.removeAll(keepingAtMost: 1 << 16)
        }
        func idle() { data.endTurn(Bytes(), upTo: data.stream.offset) }
        /// A checkpoint, step by step as between commands. Returns what came of it.
        @discardableResult func checkpoint() -> DataDirectory.Outcome? {
            var outcome: DataDirectory.Outcome?
            store.onEnd = { outcome = $0 }
            data.request(.save, mayFollow: false)
            for _ in 0..<100 where outcome == nil {
                _ = data.advance(budgetNanoseconds: 1 << 40)
                threads.settle()
                idle()
            }
            return outcome
        }
        /// The process ends here.
        func kill() -> MemoryFileSystem {
            disk.onCall = nil
            threads.abandon()
            return disk.crash(.kill, seed: 1)
        }
    }

    private func compare(_ name: String, _ traced: Traced) throws {
        let file = TraceTests.folder.appendingPathComponent(name + ".txt")
        let text = traced.text
        if ProcessInfo.processInfo.environment["SWIFTLET_TRACES"] == "write" {
            try FileManager.default.createDirectory(at: TraceTests.folder, withIntermediateDirectories: true)
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        let expected = try String(contentsOf: file, encoding: .utf8)
        #expect(text == expected, "the trace \(name) differs:\n\(text)")
    }

    /// With two turns and a checkpoint behind it.
    private func settled(_ fsync: FsyncPolicy = .everysec) throws -> Traced {
        let traced = Traced(fsync: fsync)
        try traced.open()
        traced.set(1)
        traced.checkpoint()
        traced.set(2)
        traced.forget()
        return traced
    }

    @Test func firstStart() throws {
        let traced = Traced()
        try traced.open()
        try compare("first-start", traced)
    }

    @Test func append() throws {
        for (policy, name) in [(FsyncPolicy.always, "always"), (.everysec, "everysec"), (.no, "no")] {
            let traced = try settled(policy)
            for value in 10..<13 {
                traced.set(value)
                traced.threads.settle()
            }
            traced.note("a second later")
            traced.threads.advance(milliseconds: 1001)
            traced.idle()
            try compare("append-\(name)", traced)
        }
    }

    @Test func cutCommitAndTruncate() throws {
        let traced = try settled()
        traced.data.request(.save, mayFollow: false)
        traced.note("the next segment is made")
        _ = traced.data.advance(budgetNanoseconds: 1 << 40)
        traced.note("cut")
        _ = traced.data.advance(budgetNanoseconds: 1 << 40)
        traced.note("hand over and commit")
        for _ in 0..<3 {
            traced.set(3)
            _ = traced.data.advance(budgetNanoseconds: 1 << 40)
            traced.threads.settle()
        }
        #expect(traced.data.checkpoint == .idle)
        traced.note("the directory's record")
        traced.idle()
        try compare("cut-commit-truncate", traced)
    }

    @Test func replacement() throws {
        let traced = try settled()
        traced.note("rows come")
        let rows = try traced.data.beginReplacement()
        let pipe = BytePipe(name: "the master")
        RDBBuilder.manyStrings(1).withBytes { _ = pipe.send($0) }
        pipe.finish()
        _ = try rows.receive(from: pipe)
        traced.set(3)
        traced.note("all have come: the next segment is made")
        traced.data.commitReplacement(DataDirectory.Stream(id: DataDirectory.makeStreamID(), offset: 5, db: 1))
        _ = traced.data.advance(budgetNanoseconds: 1 << 40)
        traced.note("cut")
        _ = traced.data.advance(budgetNanoseconds: 1 << 40)
        traced.note("commit")
        for _ in 0..<3 {
            traced.idle()
            _ = traced.data.advance(budgetNanoseconds: 1 << 40)
            traced.threads.settle()
        }
        #expect(traced.data.checkpoint == .replaced)
        try compare("replacement", traced)
    }

    @Test func firstCheckpoint() throws {
        let traced = Traced()
        try traced.open()
        traced.set(1)
        traced.forget()
        traced.checkpoint()
        try compare("first-checkpoint", traced)
    }

    @Test func failedCheckpoint() throws {
        let traced = try settled()
        traced.fault = { (call) throws(FileError) in
            if case .sync(let path, _) = call, path.hasSuffix("-wal") { throw FileError(EIO) }
        }
        guard case .failure? = traced.checkpoint()?.result else { return #expect(Bool(false), "it did not fail") }
        traced.fault = nil
        traced.note("the next attempt")
        guard case .success? = traced.checkpoint()?.result else { return #expect(Bool(false), "it failed again") }
        try compare("failed-checkpoint", traced)
    }

    @Test func tornTail() throws {
        let before = try settled()
        before.set(3)
        let disk = before.kill()
        let path = MemoryFileSystem.directory + "/" + LogWriter.fileName("appendonly.aof", 2)
        let file = try disk.open(path, .write)
        try disk.truncate(file, to: try disk.facts(file).size - 7)
        disk.close(file)
        let traced = Traced(disk)
        try traced.open()
        #expect(traced.store.warnings.count == 1)
        try compare("torn-tail", traced)
    }

    /// A crash between making a segment and the cut.
    @Test func unfinishedSegment() throws {
        let before = try settled()
        _ = try before.data.log?.prepareCut()
        before.threads.settle()
        let traced = Traced(before.kill())
        try traced.open()
        try compare("unfinished-segment", traced)
    }

    /// A crash between the commit and the deletion of what it made history.
    @Test func segmentsBehindTheCommit() throws {
        let before = try settled()
        var after: MemoryFileSystem?
        before.fault = { [unowned disk = before.disk] (call) throws(FileError) in
            if case .unlink(let path) = call, path.contains(".aof."), after == nil {
                after = disk.crash(.kill, seed: 1)
            }
        }
        before.checkpoint()
        let traced = Traced(try #require(after))
        try traced.open()
        try compare("segments-behind-the-commit", traced)
        withExtendedLifetime(before) {}
    }

    @Test func failedSync() throws {
        let traced = try settled()
        traced.fault = { (call) throws(FileError) in
            if case .sync(let path, _) = call, path.contains(".aof.") { throw FileError(EIO) }
        }
        traced.threads.advance(milliseconds: 1001)
        traced.set(3)
        traced.threads.settle()
        #expect(traced.data.log?.state == .poisoned(EIO))
        traced.fault = nil
        traced.note("the checkpoint that makes up for it")
        traced.set(4)
        traced.checkpoint()
        traced.idle()
        #expect(traced.data.log?.state == .ok)
        try compare("failed-sync", traced)
    }

    @Test func diskFull() throws {
        let traced = try settled()
        var isFull = true
        traced.fault = { (call) throws(FileError) in
            switch call {
            case .write(let path, _, _) where path.contains(".aof.") && isFull: throw FileError(ENOSPC)
            case .allocate(let path, _, _) where path.contains("reserve") && isFull: throw FileError(ENOSPC)
            // The reserve's blocks are the log's now.
            case .unlink(let path) where path.contains("reserve"): isFull = false
            default: break
            }
        }
        traced.set(3)
        traced.threads.settle()
        traced.note("the next turn")
        isFull = false
        traced.idle()
        traced.threads.settle()
        traced.note("there is room for a reserve again")
        traced.threads.advance(milliseconds: 200)
        traced.idle()
        traced.threads.settle()
        traced.idle()
        #expect(traced.data.log?.state == .ok)
        try compare("disk-full", traced)
    }

    @Test func cleanStop() throws {
        let traced = try settled()
        _ = try traced.data.save().get()
        traced.data.removeOldSegments()
        try traced.data.close()
        try compare("clean-stop", traced)
    }

    @Test func withoutALog() throws {
        let traced = Traced(keepsLog: false)
        try traced.open()
        traced.set(1)
        traced.checkpoint()
        traced.note("the second checkpoint")
        traced.set(2)
        traced.checkpoint()
        try compare("without-a-log", traced)
    }

    // MARK: Imports

    private final class Importing: DataDirectoryClient {
        unowned var traced: Traced!
        func importData() throws(StorageError) -> Meta? {
            let (disk, data) = (traced.disk, traced.data)
            return try NewSnapshot.make(data.snapshotPath, overwrite: true, files: disk) {
                (temporary) throws(StorageError) in
                _ = try RDBImporter.build(
                    from: MemoryFileSystem.directory + "/dump.rdb", at: temporary, RDBImporter.Options(), files: disk)
                return try data.loadSnapshot(from: temporary)
            }
        }
        func replay(_ arguments: UnsafeBufferPointer<Bytes>) throws(StorageError) {}
        func warn(_ message: String) {}
        var warnFromAnyThread: @Sendable (String) -> Void { { _ in } }
    }

    @Test func importOfAnRDBFile() throws {
        let disk = MemoryFileSystem()
        // Version 11, one string, no checksum.
        let bytes =
            Array("REDIS0011".utf8) + [0xfe, 0, 0, 3] + Array("key".utf8) + [5] + Array("value".utf8)
            + [0xff, 0, 0, 0, 0, 0, 0, 0, 0]
        let file = try disk.open(MemoryFileSystem.directory + "/dump.rdb", .create)
        try with(bytes) { try disk.writeAll(file, $0, at: 0) }
        disk.close(file)
        let client = Importing()
        let traced = Traced(disk, client: client)
        client.traced = traced
        try traced.open()
        #expect(traced.store.keyspace.count == 1)
        try compare("import", traced)
    }
}
