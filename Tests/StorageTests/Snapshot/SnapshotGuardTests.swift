import Foundation
import TestSupport
import Testing

@testable import Storage

/// The snapshot's file may stop being the one that was loaded, and other programs may want to write to it.
@Suite struct SnapshotGuardTests {
    let directory = TemporaryDirectory()
    var path: String { directory.snapshot }
    let keyspace = Keyspace(databases: 2)

    private func fill(_ count: Int, _ value: String = "v") throws {
        for i in 0..<count {
            keyspace.databases[0].setString(Text("k\(i)").bytes, Text(value).bytes, expiry: .clear)
        }
        let list = try #require(try keyspace.databases[1].editList(Text("list").bytes, create: true))
        for i in 0..<200 { list.push(Text("\(value) \(i) \(String(repeating: "x", count: 100))").bytes, .tail) }
    }
    /// The results of a checkpoint and, where its file is not what it should be, of the next, which writes everything.
    @discardableResult
    private func save(_ checkpointer: Checkpointer, _ number: Int64) throws -> [StorageError.Reason?] {
        var reasons: [StorageError.Reason?] = []
        for attempt in 0..<2 {
            checkpointer.begin(CheckpointTests.meta(number * 2 + Int64(attempt)))
            switch try #require(checkpointer.finishNow()).result {
            case .success:
                reasons.append(nil)
                return reasons
            case .failure(let error):
                reasons.append(error.reason)
                if error.reason != .replaced { return reasons }
            }
        }
        return reasons
    }
    private func loaded() throws -> [String: String] {
        let other = Keyspace(databases: 2)
        _ = try SnapshotLoading.load(path, into: other)
        return dump(other)
    }
    private func makeCheckpointer() -> Checkpointer { Checkpointer(keyspace: keyspace, path: path, wake: {}) }
    private var files: [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()) ?? []
    }
    private func asides() -> [String] { files.filter { $0.contains(".replaced-") && !$0.hasSuffix("-wal") } }

    enum Change: String, CaseIterable {
        case moved, removed, emptied, cut, replaced, olderCopy, overwrittenInPlace, touched, directoryRenamed
    }

    @Test(arguments: Change.allCases) func aFileThatIsNotTheOneIsWrittenAnew(change: Change) throws {
        let manager = FileManager.default
        let copy = directory.path + "/copy"
        try fill(300)
        let checkpointer = makeCheckpointer()
        #expect(try save(checkpointer, 1) == [nil])
        try manager.copyItem(atPath: path, toPath: copy)
        try fill(10, "w")
        #expect(try save(checkpointer, 2) == [nil])
        let foreign = directory.path + "/foreign"
        try checkpoint(try SnapshotWriter(path: foreign), [string(1, "theirs", "v")])
        #expect(try query(foreign, "PRAGMA wal_checkpoint(TRUNCATE)") == ["0|0|0"])
        var stays: [String]?
        switch change {
        case .moved: try manager.moveItem(atPath: path, toPath: directory.path + "/away")
        case .removed: try manager.removeItem(atPath: path)
        case .emptied: #expect(truncate(path, 0) == 0)
        case .cut: #expect(truncate(path, 8192) == 0)
        case .replaced: #expect(rename(foreign, path) == 0)
        case .olderCopy: #expect(rename(copy, path) == 0)
        case .overwrittenInPlace:
            let data = try #require(manager.contents(atPath: copy))
            try #require(FileHandle(forWritingAtPath: path)).write(contentsOf: data)
            #expect(truncate(path, off_t(data.count)) == 0)
        case .touched:
            try manager.removeItem(atPath: path)
            #expect(manager.createFile(atPath: path, contents: Data()))
        case .directoryRenamed:
            #expect(rename(directory.path, directory.path + "-away") == 0)
            stays = try save(checkpointer, 3).map { "\($0.map { "\($0)" } ?? "nil")" }
            #expect(rename(directory.path + "-away", directory.path) == 0)
        }
        // It cannot be written where there is no directory, and goes on when it is back.
        if let stays { #expect(stays.last != "nil") }
        try fill(20, "x")
        let reasons = try save(checkpointer, 4)
        #expect(reasons.last == .some(nil))
        if change != .directoryRenamed { #expect(reasons == [.replaced, nil]) }
        #expect(try loaded() == dump(keyspace))
        // What was somebody's is still there.
        let expectsAside = [.cut, .replaced, .olderCopy, .overwrittenInPlace].contains(change)
        #expect(asides().count == (expectsAside ? 1 : 0), "\(files)")
        if change == .replaced {
            #expect(try contents(directory.path + "/" + asides()[0]) == [string(1, "theirs", "v")])
        }
        try fill(5, "y")
        #expect(try save(checkpointer, 5) == [nil])
        #expect(try loaded() == dump(keyspace))
    }

    @Test func readersReadAndWritersAreRefused() throws {
        try fill(300)
        let checkpointer = makeCheckpointer()
        try save(checkpointer, 1)
        let other = try SQLiteConnection(path: path, mode: .write, Host.real.files)
        for sql in [
            "BEGIN IMMEDIATE", "VACUUM", "DELETE FROM raw_strings",
            "CREATE TRIGGER t INSERT ON raw_strings BEGIN SELECT 1; END",
        ] {
            let refused = refusal { try other.withBusyTimeout(0) { () throws(StorageError) in try other.execute(sql) } }
            #expect(refused.contains("locked"), "\(sql): \(refused)")
        }
        #expect(try query(path, "SELECT count(*) FROM raw_strings") == ["300"])
        let copy = directory.path + "/copy"
        try other.execute("VACUUM INTO '\(copy)'")
        #expect(try query(copy, "SELECT count(*) FROM raw_strings") == ["300"])
        #expect(try Snapshot.state(path: path) == .ready)
        try fill(10, "w")
        #expect(try save(checkpointer, 2) == [nil])
    }

    /// Before the first checkpoint of a server that was started on a snapshot.
    @Test func theLockIsTakenBeforeLoading() throws {
        try fill(100)
        do { try save(makeCheckpointer(), 1) }
        let checkpointer = makeCheckpointer()
        let stranger = try SQLiteConnection(path: path, mode: .write, Host.real.files)
        // The thread of the one before may not have ended.
        try stranger.withBusyTimeout(5000) { () throws(StorageError) in try stranger.execute("BEGIN IMMEDIATE") }
        let refused = refusal { try checkpointer.lock() }
        #expect(refused.contains("another program holds the write lock"), "\(refused)")
        try stranger.execute("ROLLBACK")
        try checkpointer.lock()
        #expect(
            refusal {
                try stranger.withBusyTimeout(0) { () throws(StorageError) in try stranger.execute("BEGIN IMMEDIATE") }
            }
            .contains("locked"))
        try fill(10, "w")
        #expect(try save(checkpointer, 2) == [nil])
        #expect(try loaded() == dump(keyspace))
    }

    /// The guard is without the lock after a failed attempt: what others wrote then is noticed.
    @Test func editsWhileTheLockWasLostAreNoticed() throws {
        let identity = CheckpointTests.meta(1).identity
        try checkpoint(try SnapshotWriter(path: path), [string(1, "a", "1"), string(2, "b", "1")])
        let file = SnapshotGuard(path: path)
        try file.lock()
        let known = SnapshotIdentity(server: meta().server, checkpoint: meta().checkpoint)
        #expect(known != identity)
        try file.begin(known, whole: false)
        let stranger = try SQLiteConnection(path: path, mode: .write, Host.real.files)
        // As when the disk fails while another program waits for the lock.
        file.writer?.rollback()
        try stranger.execute("BEGIN IMMEDIATE")
        file.failed(StorageError(file: path, message: "an error"))
        let busy = StorageErrorReason { try file.begin(known, whole: false) }
        #expect(busy == .busy)
        file.failed(StorageError(file: path, message: "an error", reason: .busy))
        try stranger.execute("UPDATE raw_strings SET value = 'theirs' WHERE id = 1; COMMIT")
        #expect(StorageErrorReason { try file.begin(known, whole: false) } == .replaced)
        try file.begin(known, whole: true)
        try file.apply(batch([string(1, "a", "1"), string(3, "c", "1")]))
        _ = try file.commit(meta(2))
        #expect(try contents(path) == [string(1, "a", "1"), string(3, "c", "1")])
        // Ours, so that it is emptied and not put aside.
        #expect(asides() == [])
    }

    /// Keys that are written, removed and moved while the rest is being marked.
    @Test func markingGoesOnBetweenCommands() throws {
        let seed = testSeed()
        var writer = RandomWriter(random: SeededRandom(seed), keyspace: keyspace)
        keyspace.limits = CheckpointTests.limits
        let checkpointer = makeCheckpointer()
        for round in 1...12 {
            for _ in 0..<3000 { try writer.write(keys: 12, elements: 100) }
            try FileManager.default.contentsOfDirectory(atPath: directory.path).forEach {
                if round % 2 == 0 { try FileManager.default.removeItem(atPath: directory.path + "/" + $0) }
            }
            checkpointer.begin(CheckpointTests.meta(Int64(round * 2)))
            var result = try #require(checkpointer.finishNow()).result
            #expect(((try? result.get()) == nil) == (round % 2 == 0))
            if round % 2 == 0 {
                while checkpointer.mark(budgetNanoseconds: 0) {
                    for _ in 0..<3 { try writer.write(keys: 12, elements: 100) }
                }
                checkpointer.begin(CheckpointTests.meta(Int64(round * 2 + 1)))
                result = try #require(checkpointer.finishNow()).result
            }
            _ = try result.get()
            #expect(try loaded() == dump(keyspace), "seed \(seed) round \(round)")
        }
    }
}

/// nil where nothing is thrown.
private func StorageErrorReason(_ body: () throws -> Void) -> StorageError.Reason? {
    do {
        try body()
        return nil
    } catch {
        return (error as? StorageError)?.reason
    }
}

extension SnapshotGuardTests {
    /// A checkpoint of most rows makes a new file, but not where that would lose what others put into the old one.
    @Test(arguments: [false, true]) func whatTheUserAddedStays(hasOthers: Bool) throws {
        do {
            let first = SnapshotGuard(path: path)
            try first.begin(nil, whole: true)
            try first.apply(batch([string(1, "a", "1")]))
            _ = try first.commit(meta())
        }
        if hasOthers { _ = try query(path, "CREATE TABLE mine(x)") }
        let file = SnapshotGuard(path: path)
        try file.lock()
        let known = SnapshotIdentity(server: meta().server, checkpoint: meta().checkpoint)
        let old = try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int
        try file.begin(known, whole: true)
        try file.apply(batch([string(1, "b", "2")]))
        _ = try file.commit(meta(2))
        let new = try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int
        #expect((old == new) == hasOthers)
        #expect(try contents(path) == [string(1, "b", "2")])
        #expect(try query(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'mine'") == [hasOthers ? "1" : "0"])
        #expect(try query(path, "PRAGMA integrity_check") == ["ok"])
    }

    /// Libraries of functions are those that are in memory where all is written; else they stay unless they have changed.
    @Test(arguments: [false, true]) func functionsAreThoseInMemory(isWhole: Bool) throws {
        try checkpoint(try SnapshotWriter(path: path), [string(1, "a", "1")])
        let file = SnapshotGuard(path: path)
        try file.lock()
        func save(_ checkpoint: Int64, whole: Bool, _ functions: [FunctionLibrary.Text]?) throws -> [String] {
            let known = SnapshotIdentity(server: meta().server, checkpoint: checkpoint - 1)
            try file.begin(known, whole: whole, functions: functions)
            _ = try file.commit(meta(checkpoint))
            return try query(path, "SELECT name || code FROM functions ORDER BY name")
        }
        let both: [FunctionLibrary.Text] = ["a", "b"].map { (Array($0.utf8), Array("#!lua name=\($0)".utf8)) }
        #expect(try save(2, whole: isWhole, both) == ["a#!lua name=a", "b#!lua name=b"])
        #expect(try save(3, whole: false, nil) == ["a#!lua name=a", "b#!lua name=b"])
        #expect(try save(4, whole: isWhole, [both[1]]) == ["b#!lua name=b"])
        #expect(try save(5, whole: true, []) == [])
    }
}
