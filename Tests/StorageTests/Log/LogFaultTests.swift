import Foundation
import Synchronization
import Testing

@testable import Storage

/// What the disk does wrong, and damage that must not be taken for a crash.
@Suite struct LogFaultTests {
    let base = LogTests()

    /// System calls that fail when told to.
    final class FaultyDisk: Sendable {
        /// errno for the next calls; 0: they succeed.
        let writeError = Atomic<Int32>(0)
        let truncateError = Atomic<Int32>(0)
        /// How many bytes a write that fails leaves all the same.
        let room = Atomic<Int>(0)
        /// So many syncs fail with EIO.
        let failingSyncs = Atomic<Int>(0)
        let syncs = Atomic<Int>(0)
        /// Syncs wait while it is set.
        let isGated = Atomic<Bool>(false)

        var files: HookedFileSystem {
            let real = HookedFileSystem.real
            return HookedFileSystem(
                append: { [self] (file, bytes) throws(FileError) in
                    let code = writeError.load(ordering: .acquiring)
                    if code == 0 { return try real.append(file, bytes) }
                    let room = min(room.exchange(0, ordering: .acquiringAndReleasing), bytes.count)
                    if room > 0 { return try real.append(file, bytes[0..<room]) }
                    throw FileError(code)
                },
                sync: { [self] (file) throws(FileError) in
                    while isGated.load(ordering: .acquiring) { usleep(200) }
                    syncs.add(1, ordering: .acquiringAndReleasing)
                    if failingSyncs.load(ordering: .acquiring) == 0 { return try real.sync(file, .data) }
                    failingSyncs.subtract(1, ordering: .acquiringAndReleasing)
                    throw FileError(EIO)
                },
                truncate: { [self] (file, length) throws(FileError) in
                    let code = truncateError.load(ordering: .acquiring)
                    if code == 0 { return try real.truncate(file, to: length) }
                    throw FileError(code)
                })
        }
    }

    /// Waits for at most five seconds; whether `condition` came true.
    func eventually(_ condition: () -> Bool) -> Bool {
        for _ in 0..<5000 {
            if condition() { return true }
            usleep(1000)
        }
        return false
    }
    func set(_ log: LogWriter, _ value: String) {
        log.append(database: 0, base.command("SET", "key", value).bytes)
        log.endTurn()
    }

    // MARK: Syncs

    @Test(arguments: [FsyncPolicy.always, .everysec])
    func syncThatFailsInACutIsNotForgotten(policy: FsyncPolicy) throws {
        let directory = try LogTests.Directory()
        let disk = FaultyDisk()
        let log = try base.writer(directory, policy, files: disk.files)
        set(log, "a")
        try log.flush()
        let safe = log.acknowledgedOffset
        disk.isGated.store(true, ordering: .releasing)
        disk.failingSyncs.store(1, ordering: .releasing)
        log.append(database: 0, base.command("SET", "key", "b").bytes)
        let segment = try log.cut()
        disk.isGated.store(false, ordering: .releasing)
        #expect(
            eventually {
                log.endTurn(); return !log.isRotating
            })
        #expect(log.state == .poisoned(EIO))
        if policy == .always { #expect(log.acknowledgedOffset == safe) }
        set(log, "b2")
        #expect(log.state == .poisoned(EIO))
        // The snapshot holds what the old segment may have lost.
        log.removeSegments(through: segment - 1)
        #expect(log.state == .ok)
        set(log, "c")
        try log.flush()
        #expect(log.acknowledgedOffset == log.offset)
        #expect(try base.read(directory, from: segment).last == ["SET", "key", "c"])
    }

    @Test func repliesWaitForTheirOwnSync() throws {
        let directory = try LogTests.Directory()
        let disk = FaultyDisk()
        let log = try base.writer(directory, .always, files: disk.files)
        try log.flush()
        disk.isGated.store(true, ordering: .releasing)
        set(log, "a")
        let first = log.offset
        usleep(20_000)
        #expect(log.acknowledgedOffset < first)
        set(log, "b")
        set(log, "c")
        let before = disk.syncs.load(ordering: .acquiring)
        disk.isGated.store(false, ordering: .releasing)
        #expect(eventually { log.acknowledgedOffset == log.offset })
        #expect(disk.syncs.load(ordering: .acquiring) - before <= 2)
    }

    // MARK: Writes

    @Test func failedWriteIsForgottenOnceACutHasWrittenIt() throws {
        let directory = try LogTests.Directory()
        let disk = FaultyDisk()
        let log = try base.writer(directory, .everysec, files: disk.files)
        disk.writeError.store(ENOSPC, ordering: .releasing)
        set(log, "a")
        #expect(log.state == .writeFailed(ENOSPC))
        disk.writeError.store(0, ordering: .releasing)
        _ = try log.cut()
        #expect(
            eventually {
                log.endTurn(); return !log.isRotating
            })
        #expect(log.state == .ok)
        #expect(try base.read(directory).contains(["SET", "key", "a"]))
    }

    /// Half a batch that could not be cut away must not get a whole one behind it.
    @Test func remainderIsCutAwayBeforeTheNextWrite() throws {
        let directory = try LogTests.Directory()
        let disk = FaultyDisk()
        let log = try base.writer(directory, .everysec, files: disk.files)
        set(log, "a")
        disk.room.store(10, ordering: .releasing)
        disk.writeError.store(ENOSPC, ordering: .releasing)
        disk.truncateError.store(EIO, ordering: .releasing)
        set(log, "b")
        disk.writeError.store(0, ordering: .releasing)
        #expect(
            eventually {
                log.endTurn()
                return log.state == .writeFailed(EIO)
            })
        #expect(log.acknowledgedOffset < log.offset)
        disk.truncateError.store(0, ordering: .releasing)
        #expect(
            eventually {
                log.endTurn()
                return log.state == .ok
            })
        try log.flush()
        #expect(try base.read(directory).map(\.last) == ["0", "a", "b"])
    }

    @Test func fileThatSomeoneCutIsNotPaddedWithZeros() throws {
        let directory = try LogTests.Directory()
        let log = try base.writer(directory)
        set(log, "a")
        truncate(directory.segment(1).path, 190)
        set(log, "b")
        #expect(log.state == .writeFailed(EIO))
        #expect(try Data(contentsOf: directory.segment(1)).count == 190)
    }

    /// A file given up after a failed sync gets nothing behind a batch that it could not take; the cut ends it.
    @Test func nothingFollowsABatchThatWasGivenUp() throws {
        let directory = try LogTests.Directory()
        let disk = FaultyDisk()
        let log = try base.writer(directory, .always, files: disk.files)
        set(log, "a")
        try log.flush()
        let safe = log.acknowledgedOffset
        disk.failingSyncs.store(1, ordering: .releasing)
        set(log, "b")
        #expect(eventually { log.state == .poisoned(EIO) })
        disk.writeError.store(EIO, ordering: .releasing)
        set(log, "c")
        usleep(50_000)
        disk.writeError.store(0, ordering: .releasing)
        set(log, "d")
        let segment = try log.cut()
        #expect(
            eventually {
                log.endTurn(); return !log.isRotating
            })
        #expect(log.acknowledgedOffset == safe)
        let given = try Data(contentsOf: directory.segment(1))
        #expect(given.range(of: Data("$1\r\nb\r\n".utf8)) != nil)
        #expect(given.range(of: Data("$1\r\nd\r\n".utf8)) == nil)
        // Until a snapshot takes their place, the segments refuse to pass for whole.
        #expect(throws: StorageError.self) { try base.read(directory) }
        log.removeSegments(through: segment - 1)
        set(log, "e")
        try log.flush()
        #expect(log.state == .ok && log.acknowledgedOffset == log.offset)
        #expect(try base.read(directory, from: segment).map(\.last) == ["0", "e"])
    }

    /// A checkpoint that was cut before the sync failed does not hold what the segment may have lost.
    @Test func olderCheckpointDoesNotMakeUpForAFailedSync() throws {
        let directory = try LogTests.Directory()
        let disk = FaultyDisk()
        let log = try base.writer(directory, .always, files: disk.files)
        set(log, "a")
        let segment = try log.cut()
        #expect(
            eventually {
                log.endTurn(); return !log.isRotating
            })
        disk.failingSyncs.store(1, ordering: .releasing)
        set(log, "b")
        #expect(eventually { log.state == .poisoned(EIO) })
        log.removeSegments(through: segment - 1)
        #expect(log.state == .poisoned(EIO) && log.acknowledgedOffset < log.offset)
    }

    @Test func goesOnAfterARestartAndAChangeOfPolicy() throws {
        let directory = try LogTests.Directory()
        var log: LogWriter? = try base.writer(directory, .no)
        for value in ["a", "b"] { if let log { set(log, value) } }
        try log?.setPolicy(.always)
        #expect(log?.acknowledgedOffset == log?.offset)
        if let log { set(log, "c") }
        try log?.setPolicy(.everysec)
        if let log { set(log, "d") }
        try log?.flush()
        log = nil
        let reader = LogReader(directory: directory.path, baseName: "aof", server: LogTests.server, warn: { _ in })
        let recovered = try reader.recover(from: 1) { _ in }
        #expect(recovered.commands == 5)
        let disk = FaultyDisk()
        let next = LogWriter(
            directory: directory.path, baseName: "aof", server: LogTests.server, policy: .always,
            host: Host(files: disk.files, threads: RealThreads()), onProgress: {})
        disk.failingSyncs.store(1, ordering: .releasing)
        #expect(throws: StorageError.self) { try next.resume(recovered) }
        try next.resume(recovered)
        set(next, "e")
        _ = try next.cut()
        set(next, "f")
        try next.flush()
        let values = try base.read(directory).filter { $0[0] == "SET" }.map(\.last)
        #expect(values == ["a", "b", "c", "d", "e", "f"])
    }

    // MARK: Damage

    /// A cut, then one small batch: the last segment is hardly longer than its header.
    func twoSegments(_ directory: LogTests.Directory) throws -> Data {
        let log = try base.writer(directory)
        set(log, "a")
        _ = try log.cut()
        log.append(database: 0, base.command("DEL", "k").bytes)
        try log.flush()
        return try Data(contentsOf: directory.segment(2))
    }

    @Test func flippedByteInAShortLastSegmentLosesNothing() throws {
        let directory = try LogTests.Directory()
        let bytes = try twoSegments(directory)
        let whole = try base.read(directory)
        var losses: [Int] = []
        for at in 0..<bytes.count {
            for mask: UInt8 in [1, 0x20, 0xff] {
                var damaged = bytes
                damaged[at] ^= mask
                try damaged.write(to: directory.segment(2))
                guard let found = try? base.read(directory) else { continue }
                if found != whole && at < bytes.count - LogFormat.checkSize { losses.append(at) }
            }
        }
        #expect(losses == [])
    }

    @Test func segmentCutShortAtEveryLengthIsAPrefix() throws {
        let directory = try LogTests.Directory()
        let bytes = try twoSegments(directory)
        let whole = try base.read(directory)
        for length in 0..<bytes.count {
            try bytes.prefix(length).write(to: directory.segment(2))
            let found = try base.read(directory)
            if !whole.starts(with: found) || found.count < 2 { Issue.record("cut at \(length)") }
        }
    }

    @Test func damagedFirstHeaderIsNoEmptyLog() throws {
        let directory = try LogTests.Directory()
        let (bytes, _) = try base.sample(directory)
        var losses: [Int] = []
        for at in 0..<130 {
            var damaged = bytes
            damaged[at] ^= 0xff
            try damaged.write(to: directory.segment(1))
            // nil would mean that there is no log, and a server would start empty.
            do { if try LogReader.owner(directory: directory.path, baseName: "aof") == nil { losses.append(at) } } catch
            {}
        }
        #expect(losses == [])
        // What a crash in the very first start leaves is none.
        for length in [0, 1, 50, 100, 189] {
            try bytes.prefix(length).write(to: directory.segment(1))
            _ = try LogReader.owner(directory: directory.path, baseName: "aof")
        }
    }

    /// Zeros in a value are no page that a power cut lost.
    @Test func zerosInAValueDoNotHideDamage() throws {
        let directory = try LogTests.Directory()
        let log = try base.writer(directory)
        set(log, "a")
        let safe = Int(log.segmentSize)
        set(log, "b")
        let middle = Int(log.segmentSize)
        set(log, String(repeating: "\0", count: 2000))
        try log.flush()
        let bytes = try Data(contentsOf: directory.segment(1))
        let whole = try base.read(directory)
        var losses: [Int] = []
        for at in safe..<middle {
            var damaged = bytes
            damaged[at] ^= 0xff
            try damaged.write(to: directory.segment(1))
            if let found = try? base.read(directory), found != whole { losses.append(at) }
        }
        #expect(losses == [])
    }

    /// Behind the last sync a page may be missing and later ones there: cut where one batch is at stake.
    @Test func pageThatAPowerCutLostIsATornTail() throws {
        for (value, isPlain) in [(String(repeating: "x", count: 20_000), true), ("short", false)] {
            let directory = try LogTests.Directory()
            let log = try base.writer(directory)
            set(log, "a")
            let safe = Int(log.segmentSize)
            for i in 0..<(isPlain ? 1 : 400) {
                log.append(database: 0, base.command("SET", "key:\(i)", value).bytes)
            }
            log.endTurn()
            let end = Int(log.segmentSize)
            set(log, "z")
            try log.flush()
            let bytes = try Data(contentsOf: directory.segment(1))
            for lost in [safe..<4096, 4096..<8192, 512..<1024, 8192..<end] {
                var damaged = bytes.prefix(end)
                damaged.replaceSubrange(lost, with: Data(count: lost.count))
                try damaged.write(to: directory.segment(1))
                #expect(try base.read(directory).count == 2, "\(lost)")
                // With another batch's end behind it, it may be a hole in what was acknowledged.
                if lost.upperBound == end { continue }
                damaged = bytes
                damaged.replaceSubrange(lost, with: Data(count: lost.count))
                try damaged.write(to: directory.segment(1))
                #expect(throws: StorageError.self, "\(lost)") { try base.read(directory) }
            }
        }
    }

    @Test func headerIsAsLongAsTheFormatSays() throws {
        let directory = try LogTests.Directory()
        let log = try base.writer(directory)
        #expect(log.segmentSize == Int64(LogFormat.headerSize))
        let foreign = LogWriter(
            directory: directory.path, baseName: "other", server: "short", policy: .no, onProgress: {})
        #expect(throws: StorageError.self) { try foreign.openSegment(1) }
    }

    @Test func tornTailsAreKeptAside() throws {
        let directory = try LogTests.Directory()
        let (bytes, prefixes) = try base.sample(directory)
        let garbage = Data((0..<900).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 3) })
        for tail in [Data("*3\r\n$3\r\nSET\r\n$1".utf8), Data(count: 5000), garbage] {
            try (bytes + tail).write(to: directory.segment(1))
            #expect(try base.read(directory) == prefixes[10])
            #expect(try Data(contentsOf: directory.segment(1)) == bytes)
            #expect(try Data(contentsOf: URL(fileURLWithPath: directory.segment(1).path + ".torn")) == tail)
        }
    }

    @Test func lockIsForOne() throws {
        let directory = try LogTests.Directory()
        var first: DirectoryLock? = try DirectoryLock(directory: directory.path)
        #expect(throws: StorageError.self) { _ = try DirectoryLock(directory: directory.path) }
        withExtendedLifetime(first) {}
        first = nil
        _ = try DirectoryLock(directory: directory.path)
    }
}
