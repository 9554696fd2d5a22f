import Foundation
import TestSupport
import Testing

@testable import Storage

/// Under which name, and up to where, what was recovered may be called the same as what others have.
@Suite struct HistoryTests {
    private typealias Opened = DataDirectoryTests.Opened

    private static let a = String(repeating: "a", count: 40)
    private static let b = String(repeating: "b", count: 40)

    // MARK: Clean stops

    @Test func aCleanStopKeepsTheHistoryAndAKillDoesNot() throws {
        let first = try Opened()
        #expect(first.recovery?.isCleanStop == false && first.data.stream.secondID == nil)
        for value in 1...3 { first.set("key", value) }
        first.checkpoint()
        first.set("key", 4)
        let stream = first.data.stream
        #expect(try first.data.noteCleanStop())
        let second = try first.crash(.strict)
        #expect(second.recovery?.isCleanStop == true && second.data.stream == stream)

        // The note was taken back, on disk: a kill that follows is none of a clean stop, though nothing has changed.
        let third = try second.crash(.strict)
        #expect(third.recovery?.isCleanStop == false)
        #expect(third.recovery?.stream == stream)
        #expect(third.data.stream.id != stream.id && third.data.stream.offset == stream.offset)
        #expect(third.data.stream.secondID == stream.id && third.data.stream.secondOffset == stream.offset)
        // The log says so, behind which all is of the new history.
        third.set("key", 5)
        let fourth = try third.crash(.kill)
        #expect(fourth.recovery?.stream == third.data.stream)
        #expect(fourth.data.stream.secondID == third.data.stream.id)
    }

    /// Without a checkpoint the log alone says which history it holds.
    @Test func aHistoryIsKnownBeforeTheFirstCheckpoint() throws {
        let first = try Opened()
        first.set("key", 1)
        let second = try first.crash(.kill)
        #expect(second.recovery?.stream == first.data.stream && second.data.stream.secondID == first.data.stream.id)
        #expect(try second.data.noteCleanStop())
        let third = try second.crash(.strict)
        #expect(third.recovery?.isCleanStop == true && third.data.stream == second.data.stream)
    }

    @Test func aStopThatLosesSomethingIsNotClean() throws {
        let first = try Opened(MemoryFileSystem(), .everysec, keepsLog: false)
        #expect(try !first.data.noteCleanStop())
        first.set("key", 1)
        first.checkpoint()
        // What the offset does not show, as nobody reads the stream.
        first.store.set("key", 2)
        #expect(try !first.data.noteCleanStop())
        #expect(try first.crash(.strict, keepsLog: false).recovery?.isCleanStop == false)
        first.checkpoint()
        #expect(try first.data.noteCleanStop())
        let second = try first.crash(.strict, keepsLog: false)
        #expect(second.recovery?.isCleanStop == true)
        #expect(try second.crash(.strict, keepsLog: false).recovery?.isCleanStop == false)
    }

    /// A note that speaks of another state than what is there: an older snapshot was put back, say.
    @Test func aNoteThatDoesNotFitIsNotBelieved() throws {
        let first = try Opened()
        first.set("key", 1)
        let lock = try DirectoryLock(
            directory: MemoryFileSystem.directory, Host(files: first.disk.crash(.kill, seed: 1), threads: first.threads)
        )
        let record = try #require(lock.record)
        for stop in [
            DataRecord.CleanStop(id: first.data.stream.id, offset: first.data.stream.offset + 1),
            DataRecord.CleanStop(id: Self.a, offset: first.data.stream.offset),
        ] {
            let disk = first.disk.crash(.kill, seed: 1)
            do {
                let other = try DirectoryLock(
                    directory: MemoryFileSystem.directory, Host(files: disk, threads: first.threads))
                try other.write(DataRecord(server: record.server, segment: record.segment, stop: stop))
            }
            let second = try Opened(disk)
            #expect(second.recovery?.isCleanStop == false && second.data.stream.secondID == first.data.stream.id)
        }
    }

    @Test func recordsOfTheDirectory() throws {
        let server = DataDirectory.makeServerID()
        for stop in [nil, DataRecord.CleanStop(id: Self.a, offset: 12_345)] {
            let record = DataRecord(server: server, segment: 7, stop: stop)
            #expect(record.text.count == DataRecord.size)
            #expect(DataRecord(text: record.text.bytes) == record)
        }
        func read(_ text: String) -> DataRecord? { utf8(text).withBytes { DataRecord(text: $0) } }
        let first = "swiftlet:d:1:\(server):\(String(repeating: "0", count: 18))7\n"
        #expect(read(first) == DataRecord(server: server, segment: 7))
        #expect(read(String(first.dropLast())) == nil)
        let second = DataRecord(server: server, segment: 7, stop: DataRecord.CleanStop(id: Self.a, offset: 5)).text
            .bytes.string
        #expect(read(second) != nil)
        for (from, to) in [("aaaa:", "aaaA:"), ("000000005\n", "-00000005\n"), ("d:2", "d:3"), ("0007:", "000x:")] {
            #expect(read(second.replacingOccurrences(of: from, with: to)) == nil, "\(from)")
        }
    }

    /// Rows and records that earlier versions do not have.
    @Test func anOlderDirectoryOpens() throws {
        let directory = TemporaryDirectory()
        func open() throws -> (SimulatedStore, DataDirectory, DataDirectory.Recovery) {
            let store = SimulatedStore()
            let data = DataDirectory(
                DataDirectory.Options(directory: directory.path), keyspace: store.keyspace, client: store, wake: {})
            return (store, data, try data.open())
        }
        let (store, data, _) = try open()
        store.set("key", 1)
        data.endTurn(store.output.bytes, upTo: store.output.count)
        _ = try data.save().get()
        let stream = data.stream
        try data.close()
        #expect(
            try query(
                data.snapshotPath,
                """
                DELETE FROM meta WHERE name IN
                    ('second_replication_id', 'second_replication_offset', 'replication_database') RETURNING name
                """
            ).count == 3)
        let record = try #require(FileManager.default.contents(atPath: directory.path + "/swiftlet.lock"))
        let old = Data("swiftlet:d:1:".utf8) + record[13..<69] + Data("\n".utf8)
        try old.write(to: URL(fileURLWithPath: directory.path + "/swiftlet.lock"))
        let (again, reopened, recovery) = try open()
        #expect(again.digest == store.digest && !recovery.isCleanStop && recovery.stream == stream)
        #expect(reopened.stream.secondID == stream.id)
        try reopened.close()
    }

    // MARK: In the log

    @Test func aHistoryThatBeginsIsRecovered() throws {
        let first = try Opened()
        first.set("key", 1)
        let offset = first.data.stream.offset
        first.data.beginHistory(Self.a, second: (Self.b, offset))
        first.set("key", 2)
        let expected = first.data.stream
        #expect(expected.id == Self.a && expected.secondID == Self.b && expected.secondOffset == offset)
        #expect(try first.crash(.kill).recovery?.stream == expected)
        first.checkpoint()
        #expect(try first.crash(.strict).recovery?.stream == expected)
        first.data.beginHistory(Self.b, second: nil)
        first.set("key", 3)
        let second = try first.crash(.kill)
        #expect(second.recovery?.stream == first.data.stream && second.recovery?.stream.secondID == nil)
        #expect(second.store.digest == first.store.digest)
    }

    @Test func localBytesDoNotCount() throws {
        let first = try Opened(MemoryFileSystem(), .always)
        first.store.relay(into: first.data)
        first.store.execute(["SET", "stream", "1"], in: 1)
        first.endTurn()
        first.threads.settle()
        first.data.endTurn(Bytes(), upTo: first.data.stream.offset)
        let offset = first.data.stream.offset
        #expect(first.data.acknowledgedOffset == offset)
        var random = SplitMix64(seed: 3)
        var local: OutputBuffer?
        while local == nil { local = first.store.executeLocal(&random) }
        let buffer = try #require(local)
        first.data.appendLocal(buffer.bytes)
        first.data.endTurn(Bytes(), upTo: offset)
        // Who waits for what was said so far waits for these bytes, too.
        #expect(first.data.stream.offset == offset && first.data.acknowledgedOffset < offset)
        first.threads.settle()
        #expect(first.data.acknowledgedOffset == offset && first.data.syncedOffset == offset)
        first.store.execute(["SET", "stream", "2"], in: 1)
        first.endTurn()
        first.threads.settle()
        let second = try first.crash(.strict, .always)
        #expect(second.store.digest == first.store.digest)
        #expect(second.recovery?.stream.offset == first.data.stream.offset)
        #expect(second.recovery?.stream.id == first.data.stream.id && second.data.stream.db == 1)
    }

    @Test func overwrittenCommandsAreSkippedAndCounted() throws {
        let first = try Opened()
        first.set("key", 1)
        let unknown = utf8("*2\r\n$7\r\n#######\r\n$1\r\nx\r\n")
        unknown.withBytes { first.data.endTurn($0, upTo: first.data.stream.offset + unknown.count) }
        let second = try first.crash(.kill)
        #expect(second.recovery?.stream == first.data.stream && second.store.digest == first.store.digest)
    }

    @Test func recordsThatCannotBeAreRefusedOrNone() throws {
        let directory = TemporaryDirectory()
        func recovered(_ commands: String) throws -> RecoveredLog {
            let server = DataDirectory.makeServerID()
            let writer = LogWriter(
                directory: directory.path, baseName: "log", server: server, policy: .always, onProgress: {})
            LogWriter.removeSegments(directory: directory.path, baseName: "log", through: .max)
            try writer.openSegment(1)
            let bytes = utf8(commands)
            bytes.withBytes { writer.append($0, upTo: bytes.count) }
            try writer.flush()
            return try LogReader(directory: directory.path, baseName: "log", server: server, warn: { _ in })
                .recover(from: 1) { _ in }
        }
        func echo(_ tag: String) -> String { "*2\r\n$4\r\nECHO\r\n$\(tag.utf8.count)\r\n\(tag)\r\n" }
        let ping = "*1\r\n$4\r\nPING\r\n"
        #expect(try recovered(echo("swiftlet:l:14") + ping + ping).propagatedBytes == ping.utf8.count)
        for count in ["15", "9223372036854775807", "1000"] {
            let message = refusal { _ = try recovered(echo("swiftlet:l:\(count)") + ping) }
            #expect(message.contains("announces more"), "\(count): \(message)")
        }
        for tag in ["swiftlet:l:-1", "swiftlet:l:x", "swiftlet:h:a:-:1", "swiftlet:h::-:1:", "swiftlet:h:a:-:-1:"] {
            let found = try recovered(echo(tag) + ping)
            #expect(found.history == nil && found.propagatedBytes == (echo(tag) + ping).utf8.count, "\(tag)")
        }
        let history = try recovered(echo("swiftlet:h:\(Self.a):\(Self.b):17:") + ping)
        #expect(history.history == LogHistory(id: Self.a, secondID: Self.b, secondOffset: 17))
        #expect(history.propagatedBytes == ping.utf8.count)
    }

    /// Observers hear of other contents as of SWAPDB.
    @Test func whoWatchesHearsOfAdoptedContents() throws {
        final class Observer: KeyspaceObserver {
            var replaced: [Int] = []
            var going = 0
            func contentsWillBeReplaced(_ db: Database, by other: Database?) { going += other?.count ?? 0 }
            func contentsReplaced(_ db: Int) { replaced.append(db) }
        }
        let store = SimulatedStore()
        let observer = Observer()
        store.keyspace.observe([.touched, .replaced], by: observer)
        let sibling = store.keyspace.makeSibling()
        utf8("k").withBytes { sibling.databases[1].setString($0, Bytes("v"), expiry: .clear) }
        store.set("s1", 1)
        store.keyspace.adopt(sibling)
        #expect(observer.replaced == [0, 1] && observer.going == 1)
        #expect(store.keyspace.databases.map(\.count) == [0, 1])
        store.keyspace.emptyForLoading()
        #expect(observer.replaced == [0, 1, 0, 1] && store.keyspace.count == 0)
    }
}
