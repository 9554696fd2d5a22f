import Foundation
import Testing

@testable import Storage

/// Holes, repetitions and missing files: what the chain of checks and the directory's record are for.
@Suite struct LogChainTests {
    let base = LogTests()

    /// Where each batch of a segment's bytes ends, by its check record.
    func ends(_ bytes: Data) -> [Int] {
        var found: [Int] = []
        let prefix = Data("*2\r\n$4\r\nECHO\r\n$19\r\nswiftlet:b:".utf8)
        var at = 0
        while let hit = bytes.range(of: prefix, in: at..<bytes.count) {
            found.append(hit.lowerBound + LogFormat.checkSize)
            at = hit.upperBound
        }
        return found
    }
    func set(_ log: LogWriter, _ value: String) {
        log.append(database: 0, base.command("SET", "key", value).bytes)
        log.endTurn()
    }
    func recover(
        _ directory: LogTests.Directory, durable: Int64? = nil, _ warn: @escaping (String) -> Void = { _ in }
    ) throws -> (values: [String], recovered: RecoveredLog) {
        var values: [String] = []
        let reader = LogReader(
            directory: directory.path, baseName: "aof", server: LogTests.server, durable: durable, warn: warn)
        let recovered = try reader.recover(from: 1) { if $0.count == 3 { values.append($0[2].string) } }
        return (values, recovered)
    }
    /// The text of the error, "" where there is none.
    func failure(_ body: () throws -> Void) -> String {
        do {
            try body()
            return ""
        } catch {
            return "\(error)"
        }
    }

    // MARK: Batches

    @Test func noBatchCanBeTakenOutRepeatedOrMoved() throws {
        let directory = try LogTests.Directory()
        let (bytes, prefixes) = try base.sample(directory)
        let ends = ends(bytes)
        let batches = zip([0] + ends, ends).map { bytes[$0..<$1] }
        #expect(batches.count == 11)
        func isPrefixOrRefused(_ order: [Int], _ what: String) throws {
            try Data(order.flatMap { batches[$0] }).write(to: directory.segment(1))
            guard let found = try? base.read(directory) else { return }
            #expect(prefixes.contains(found), "\(what)")
        }
        for i in 1...10 {
            let rest = Array(0...10)
            try isPrefixOrRefused(rest.filter { $0 != i }, "without \(i)")
            try isPrefixOrRefused(Array(rest[...i] + rest[i...]), "\(i) twice")
            for j in 1..<i {
                var moved = rest
                moved.swapAt(i, j)
                try isPrefixOrRefused(moved, "\(i) and \(j) exchanged")
            }
        }
        // Refused, not cut: there is more behind it.
        try Data((0...10).filter { $0 != 5 }.flatMap { batches[$0] }).write(to: directory.segment(1))
        let text = failure { _ = try base.read(directory) }
        #expect(text.contains("at offset \(ends[4])") && text.contains("cut it at byte \(ends[4])"), "\(text)")
    }

    @Test func fileAppendedToItselfIsRefused() throws {
        let directory = try LogTests.Directory()
        for size in [0, 10] {
            let log = try base.writer(directory)
            for i in 0..<size { set(log, "\(i)") }
            try log.flush()
            let bytes = try Data(contentsOf: directory.segment(1))
            try (bytes + bytes).write(to: directory.segment(1))
            let text = failure { _ = try base.read(directory) }
            #expect(text.contains("offset \(bytes.count): another segment's header"), "\(text)")
        }
    }

    // MARK: Torn tails

    /// A value that holds check records, or a whole log, is no sign that more was written.
    @Test func tornTailMayHoldCheckRecords() throws {
        let directory = try LogTests.Directory()
        let (whole, prefixes) = try base.sample(directory)
        let record = "*2\r\n$4\r\nECHO\r\n$19\r\nswiftlet:b:00000000\r\n"
        for value in [record, String(repeating: record, count: 40), String(decoding: whole, as: UTF8.self)] {
            try whole.write(to: directory.segment(1))
            let reader = LogReader(directory: directory.path, baseName: "aof", server: LogTests.server, warn: { _ in })
            let log = LogWriter(
                directory: directory.path, baseName: "aof", server: LogTests.server, policy: .no, onProgress: {})
            try log.resume(try reader.recover(from: 1) { _ in })
            log.append(database: 0, base.command("SET", "key", value).bytes)
            log.append(database: 0, base.command("SET", "after", value).bytes)
            try log.flush()
            let bytes = try Data(contentsOf: directory.segment(1))
            for length in stride(from: whole.count, to: bytes.count, by: max(1, (bytes.count - whole.count) / 300)) {
                try bytes.prefix(length).write(to: directory.segment(1))
                #expect(try base.read(directory) == prefixes[10], "cut at \(length) of \(bytes.count)")
            }
        }
    }

    /// A wrong digit in a length makes the rest of the file look like one string; the batches in it are no string.
    @Test func wrongLengthIsNoTornTail() throws {
        let directory = try LogTests.Directory()
        let log = try base.writer(directory)
        for i in 0..<3 { set(log, "value \(i)") }
        try log.flush()
        let bytes = try Data(contentsOf: directory.segment(1))
        let whole = try base.read(directory)
        for at in LogFormat.headerSize..<bytes.count - LogFormat.checkSize {
            for digit in UInt8(ascii: "0")...UInt8(ascii: "9") where (48...57).contains(bytes[at]) {
                var damaged = bytes
                damaged[at] = digit
                try damaged.write(to: directory.segment(1))
                if let found = try? base.read(directory) { #expect(found == whole, "byte \(at): \(digit - 48)") }
            }
        }
    }

    // MARK: Files

    @Test func missingLastSegmentIsNoticed() throws {
        let directory = try LogTests.Directory()
        let log = try base.writer(directory)
        set(log, "a")
        _ = try log.cut()
        set(log, "b")
        try log.flush()
        #expect(
            log.durableSegment == 2
                || {
                    log.endTurn(); return log.durableSegment == 2
                }())
        let second = try Data(contentsOf: directory.segment(2))
        #expect(try recover(directory, durable: 2).values == ["a", "b"])
        for content in [nil, Data(), second.prefix(100)] {
            try FileManager.default.removeItem(at: directory.segment(2))
            try content?.write(to: directory.segment(2))
            let text = failure { _ = try recover(directory, durable: 2) }
            #expect(text.contains("aof.0000000002") && text.contains("swiftlet.lock"), "\(text)")
            if content == nil { try second.write(to: directory.segment(2)) }
        }
        // Without the record, as in a restored backup, what is there is all there was.
        #expect(try recover(directory).values == ["a"])
    }

    /// The first of them is in no chain: only its number tells that it is not there.
    @Test(arguments: [1, 2, 3] as [Int64]) func missingEarlierSegmentIsNoticed(_ missing: Int64) throws {
        let directory = try LogTests.Directory()
        let log = try base.writer(directory)
        for value in ["a", "b", "c"] {
            set(log, value)
            _ = try log.cut()
        }
        set(log, "d")
        try log.flush()
        #expect(try recover(directory).values == ["a", "b", "c", "d"])
        try FileManager.default.removeItem(at: directory.segment(missing))
        let text = failure { _ = try recover(directory) }
        #expect(text.contains("aof.000000000\(missing)") && text.contains("is missing"), "\(text)")
    }

    /// Under `everysec` and `no` the new segment may reach the disk before the end of the old one does: a power cut that
    /// takes that end must take the new segment with it, and only then.
    @Test(arguments: [true, false])
    func segmentBehindALostEndIsSetAside(isTorn: Bool) throws {
        let directory = try LogTests.Directory()
        let log = try base.writer(directory)
        set(log, "a")
        let safe = Int(log.segmentSize)
        set(log, "b")
        set(log, "c")
        _ = try log.cut()
        set(log, "d")
        try log.flush()
        let first = try Data(contentsOf: directory.segment(1))
        let second = try Data(contentsOf: directory.segment(2))
        for lost in [first.prefix(safe + (isTorn ? 10 : 0)), first.prefix(safe) + Data(count: first.count - safe)] {
            try lost.write(to: directory.segment(1))
            try second.write(to: directory.segment(2))
            // On disk, as far as anybody knows: refused.
            for durable: Int64? in [nil, 2] {
                let text = failure { _ = try recover(directory, durable: durable) }
                #expect(text.contains("bring"), "\(text)")
            }
            var warnings: [String] = []
            let found = try recover(directory, durable: 1) { warnings.append($0) }
            #expect(found.values == ["a"])
            #expect(found.recovered.segment == 1 && found.recovered.end.offset == Int64(safe))
            #expect(warnings.contains { $0.contains("aof.0000000002") })
            #expect(try Data(contentsOf: URL(fileURLWithPath: directory.segment(2).path + ".torn")) == second)
            #expect(!FileManager.default.fileExists(atPath: directory.segment(2).path))
            // It goes on from there.
            let next = LogWriter(
                directory: directory.path, baseName: "aof", server: LogTests.server, policy: .no, onProgress: {})
            try next.resume(found.recovered)
            set(next, "e")
            _ = try next.cut()
            set(next, "f")
            try next.flush()
            #expect(try recover(directory, durable: 2).values == ["a", "e", "f"])
        }
        // Damage is damage.
        var damaged = first
        damaged[safe + 20] ^= 1
        try damaged.write(to: directory.segment(1))
        try second.write(to: directory.segment(2))
        #expect(throws: StorageError.self) { try recover(directory, durable: 1) }
    }

    @Test func headerThatAPowerCutLostIsSetAside() throws {
        let directory = try LogTests.Directory()
        let log = try base.writer(directory)
        set(log, "a")
        _ = try log.cut()
        set(log, String(repeating: "x", count: 9000))
        try log.flush()
        let second = try Data(contentsOf: directory.segment(2))
        let lost = Data(count: 4096) + second[4096...]
        try lost.write(to: directory.segment(2))
        #expect(throws: StorageError.self) { try recover(directory, durable: 2) }
        #expect(throws: StorageError.self) { try recover(directory) }
        #expect(try recover(directory, durable: 1).values == ["a"])
    }

    @Test func recordIsKept() throws {
        let directory = try LogTests.Directory()
        var lock: DirectoryLock? = try DirectoryLock(directory: directory.path)
        #expect(lock?.record == nil && lock?.isUnreadable == false)
        for record in [
            DataRecord(server: LogTests.server, segment: 0), DataRecord(server: LogTests.server, segment: .max),
            DataRecord(server: LogTests.server, segment: 12),
        ] {
            try lock?.write(record)
            lock = nil
            lock = try DirectoryLock(directory: directory.path)
            #expect(lock?.record == record)
        }
        lock = nil
        try Data(count: 70).write(to: URL(fileURLWithPath: directory.path + "/swiftlet.lock"))
        lock = try DirectoryLock(directory: directory.path)
        #expect(lock?.record == nil && lock?.isUnreadable == true)
    }

    // MARK: The first version

    /// A log of version 1: batches that check themselves alone.
    func writeFirstVersion(_ directory: LogTests.Directory) throws -> (bytes: Data, whole: [[String]]) {
        let out = OutputBuffer()
        LogFormat.appendHeader(server: LogTests.server, segment: 1, previous: SegmentEnd(), to: out)
        let bytes = Data(bytes: out.base, count: out.count)
        var text = String(decoding: bytes, as: UTF8.self).replacingOccurrences(
            of: "swiftlet:s:2:", with: "swiftlet:s:1:")
        var all = ""
        var whole = [["SELECT", "0"]]
        for i in 0..<4 {
            let check = Text(text)
            let batch = OutputBuffer()
            batch.append(check.bytes)
            LogFormat.appendCheck(LogFormat.Version.alone.check(check.bytes, after: 9, at: 9), to: batch)
            all += batch.bytes.string
            text = base.command("SET", "key", "\(i)").bytes.string
            whole.append(["SET", "key", "\(i)"])
        }
        try Data(all.utf8).write(to: directory.segment(1))
        return (Data(all.utf8), whole.dropLast())
    }

    @Test func firstVersionGoesOnAsItBegan() throws {
        let directory = try LogTests.Directory()
        let (bytes, whole) = try writeFirstVersion(directory)
        #expect(try base.read(directory) == whole)
        let reader = LogReader(directory: directory.path, baseName: "aof", server: LogTests.server, warn: { _ in })
        let log = LogWriter(
            directory: directory.path, baseName: "aof", server: LogTests.server, policy: .everysec, onProgress: {})
        try log.resume(try reader.recover(from: 1) { _ in })
        set(log, "more")
        _ = try log.cut()
        set(log, "behind the cut")
        try log.flush()
        let more = [["SELECT", "0"], ["SET", "key", "more"], ["SELECT", "0"], ["SET", "key", "behind the cut"]]
        #expect(try base.read(directory) == whole + more)
        #expect(try Data(contentsOf: directory.segment(2)).range(of: Data("swiftlet:s:2:".utf8)) != nil)
        // Its damage is still found.
        for at in 0..<bytes.count - LogFormat.checkSize {
            var damaged = bytes
            damaged[at] ^= 1
            try FileManager.default.removeItem(at: directory.segment(1))
            try damaged.write(to: directory.segment(1))
            try? FileManager.default.removeItem(at: directory.segment(2))
            if let found = try? base.read(directory) { #expect(found == whole, "byte \(at)") }
        }
    }

    // MARK: Replay

    @Test func errorOfReplayNamesSegmentAndOffset() throws {
        let directory = try LogTests.Directory()
        let log = try base.writer(directory)
        set(log, "a")
        let end = log.segmentSize
        log.append(database: 0, base.command("SET", "key", "b").bytes)
        let offset = end + Int64(base.command("SET", "key", "b").bytes.count)
        log.append(database: 0, base.command("BAD").bytes)
        try log.flush()
        let reader = LogReader(directory: directory.path, baseName: "aof", server: LogTests.server, warn: { _ in })
        let text = failure {
            _ = try reader.recover(from: 1) { (arguments) throws(StorageError) in
                if arguments.count == 1 { throw StorageError(file: "", message: "it cannot be replayed") }
            }
        }
        #expect(
            text.hasPrefix("\(directory.segment(1).path) at offset \(offset): it cannot be replayed")
                && text.contains("cut it at byte \(end)"), "\(text)")
    }
}
