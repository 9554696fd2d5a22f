import Foundation
import Synchronization
import Testing

@testable import Storage

@Suite struct LogTests {
    static let server = "01234567-89ab-cdef-0123-456789abcdef"

    final class Directory {
        let path: String
        init() throws {
            path = FileManager.default.temporaryDirectory.appendingPathComponent("log-\(UUID())").path
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        deinit { try? FileManager.default.removeItem(atPath: path) }
        func segment(_ n: Int64) -> URL { URL(fileURLWithPath: path + "/" + LogFormat.fileName("aof", n)) }
    }

    func writer(
        _ directory: Directory, _ policy: FsyncPolicy = .everysec, files: (any FileSystem)? = nil
    ) throws -> LogWriter {
        let writer = LogWriter(
            directory: directory.path, baseName: "aof", server: LogTests.server, policy: policy,
            host: files.map { Host(files: $0, threads: RealThreads()) } ?? .real,
            onProgress: {})
        try writer.openSegment(1)
        return writer
    }
    func command(_ words: String...) -> Text {
        Text("*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined())
    }
    /// Commands as words, or the error.
    func read(_ directory: Directory, from first: Int64 = 1) throws -> [[String]] {
        var all: [[String]] = []
        let reader = LogReader(directory: directory.path, baseName: "aof", server: LogTests.server, warn: { _ in })
        _ = try reader.recover(from: first) { all.append($0.map(\.string)) }
        return all
    }

    @Test(arguments: [FsyncPolicy.always, .everysec, .no])
    func whatIsWrittenIsReadOverSegments(policy: FsyncPolicy) throws {
        let directory = try Directory()
        let log = try writer(directory, policy)
        var expected = [["SELECT", "0"]]
        for i in 0..<100 {
            for j in 0..<(i % 4) {
                log.append(database: 0, command("SET", "k\(i)", "v\(j)").bytes)
                expected.append(["SET", "k\(i)", "v\(j)"])
            }
            log.endTurn()
            if i % 30 == 29 {
                _ = try log.cut()
                expected.append(["SELECT", "0"])
            }
        }
        log.append(database: 3, command("DEL", "x").bytes)
        expected += [["SELECT", "3"], ["DEL", "x"]]
        try log.flush()
        #expect(log.acknowledgedOffset >= log.offset)
        #expect(try read(directory) == expected)
        #expect(try read(directory, from: 4).count < expected.count)
        let before = try read(directory)
        log.removeSegments(through: 2)
        while FileManager.default.fileExists(atPath: directory.segment(2).path) { usleep(100) }
        #expect(throws: StorageError.self) { try read(directory) }
        #expect(before.count == expected.count)
    }

    /// Ten batches of a few commands, and where each ends.
    func sample(_ directory: Directory) throws -> (bytes: Data, prefixes: [[[String]]]) {
        let log = try writer(directory)
        var prefixes = [[["SELECT", "0"]]]
        for i in 0..<10 {
            for j in 0...(i % 3) { log.append(database: 0, command("SET", "key:\(i)", "value \(j)").bytes) }
            log.endTurn()
            prefixes.append(prefixes[i] + (0...(i % 3)).map { ["SET", "key:\(i)", "value \($0)"] })
        }
        try log.flush()
        return (try Data(contentsOf: directory.segment(1)), prefixes)
    }

    @Test func everyTruncationIsAPrefix() throws {
        let directory = try Directory()
        let (bytes, prefixes) = try sample(directory)
        for length in 0..<bytes.count {
            for padding in [0, 700] {
                try (bytes.prefix(length) + Data(count: padding)).write(to: directory.segment(1))
                // Less than the header is an unfinished segment: refused, as it is the first.
                guard let found = try? read(directory) else {
                    #expect(length < LogFormat.headerSize, "refused when cut at \(length)")
                    continue
                }
                #expect(prefixes.contains(found), "cut at \(length)")
                #expect(try read(directory) == found)
            }
        }
    }

    @Test func everyFlippedByteIsRefusedOrHarmless() throws {
        let directory = try Directory()
        let (bytes, prefixes) = try sample(directory)
        for at in 0..<bytes.count {
            for mask: UInt8 in [1, 0x20, 0xff] {
                var damaged = bytes
                damaged[at] ^= mask
                try damaged.write(to: directory.segment(1))
                if let found = try? read(directory) {
                    // Only damage to the very last check record can look like a torn tail.
                    #expect(found == prefixes[10] || at >= bytes.count - LogFormat.checkSize, "byte \(at)")
                    #expect(prefixes.contains(found))
                }
            }
        }
    }

    @Test func foreignAndMissingSegmentsAreRefused() throws {
        let directory = try Directory()
        let log = try writer(directory)
        for i in 0..<3 {
            log.append(database: 0, command("SET", "a", "\(i)").bytes)
            log.endTurn()
            _ = try log.cut()
        }
        try log.flush()
        #expect(try read(directory).count == 7)
        #expect(throws: StorageError.self) {
            _ = try LogReader(directory: directory.path, baseName: "aof", server: "another", warn: { _ in })
                .recover(from: 1) { _ in }
        }
        // An older end of the segment before.
        let second = try Data(contentsOf: directory.segment(2))
        try second.prefix(LogFormat.headerSize + 10).write(to: directory.segment(2))
        #expect(throws: StorageError.self) { try read(directory) }
        try FileManager.default.removeItem(at: directory.segment(2))
        #expect(throws: StorageError.self) { try read(directory) }
    }

    @Test func transactionWithoutItsEndIsRefusedInsideABatch() throws {
        let directory = try Directory()
        let log = try writer(directory)
        log.append(database: 0, command("MULTI").bytes)
        log.append(database: 0, command("SET", "a", "1").bytes)
        log.append(database: 0, command("EXEC").bytes)
        try log.flush()
        #expect(try read(directory).map(\.[0]) == ["SELECT", "MULTI", "SET", "EXEC"])
        let whole = try Data(contentsOf: directory.segment(1))
        try whole.dropLast(45).write(to: directory.segment(1))
        #expect(try read(directory).map(\.[0]) == ["SELECT"])
    }

    @Test func failedWriteIsCutBackAndTriedAgain() throws {
        let directory = try Directory()
        let room = Atomic<Int>(Int.max)
        let shared = UnsafeShared(room)
        let files = HookedFileSystem(append: { (file, bytes) throws(FileError) in
            let room = shared.room.load(ordering: .relaxed)
            if room == 0 { throw FileError(ENOSPC) }
            shared.room.store(room - min(bytes.count, room), ordering: .relaxed)
            return try HookedFileSystem.real.append(file, bytes[0..<min(bytes.count, room)])
        })
        let log = try writer(directory, .everysec, files: files)
        log.append(database: 0, command("SET", "a", "1").bytes)
        log.endTurn()
        shared.room.store(10, ordering: .relaxed)
        log.append(database: 0, command("SET", "b", "2").bytes)
        log.endTurn()
        #expect(log.state == .writeFailed(ENOSPC))
        #expect(log.acknowledgedOffset < log.offset)
        #expect(try read(directory).count == 2)
        shared.room.store(.max, ordering: .relaxed)
        // The reserve is set aside again first.
        #expect(
            LogFaultTests().eventually {
                log.endTurn()
                return log.state == .ok
            })
        #expect(log.acknowledgedOffset == log.offset)
        #expect(try read(directory).count == 3)
    }

    final class UnsafeShared: Sendable {
        let room: Atomic<Int>
        init(_ room: borrowing Atomic<Int>) { self.room = Atomic(room.load(ordering: .relaxed)) }
    }

    @Test func failedSyncPoisonsAndAcknowledgesNothing() throws {
        let directory = try Directory()
        let opened = UnsafeShared(Atomic(0))
        let files = HookedFileSystem(sync: { (file) throws(FileError) in
            if opened.room.exchange(1, ordering: .relaxed) != 0 { throw FileError(EIO) }
            try HookedFileSystem.real.sync(file, .data)
        })
        let log = try writer(directory, .always, files: files)
        log.append(database: 0, command("SET", "a", "1").bytes)
        log.endTurn()
        while log.state == .ok { usleep(100) }
        #expect(log.state == .poisoned(EIO))
        #expect(log.acknowledgedOffset == 0)
        #expect(throws: StorageError.self) { try log.flush() }
    }

    @Test func alwaysAcknowledgesOnlyWhatIsSynced() throws {
        let directory = try Directory()
        let syncs = UnsafeShared(Atomic(0))
        let mayGoOn = UnsafeShared(Atomic(1))
        let files = HookedFileSystem(sync: { (file) throws(FileError) in
            while mayGoOn.room.load(ordering: .acquiring) == 0 { usleep(200) }
            try HookedFileSystem.real.sync(file, .data)
            syncs.room.add(1, ordering: .relaxed)
        })
        let log = try writer(directory, .always, files: files)
        // The disk is slower than all of the turns, however slow the machine.
        mayGoOn.room.store(0, ordering: .releasing)
        for i in 0..<200 {
            log.append(database: 0, command("SET", "a", "\(i)").bytes)
            log.endTurn()
            #expect(log.acknowledgedOffset <= log.offset)
        }
        mayGoOn.room.store(1, ordering: .releasing)
        try log.flush()
        // Group commit: many batches share a sync.
        #expect(syncs.room.load(ordering: .relaxed) < 10)
        #expect(try read(directory).count == 201)
    }
}
