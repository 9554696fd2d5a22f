import Glibc
import TestSupport
import Testing

@testable import Storage

/// The promises of a data directory, one by one, each on a disk in memory that keeps what was synced.
@Suite struct DataDirectoryTests {
    /// A directory, its disk and its threads, which work when told to.
    final class Opened {
        let disk: MemoryFileSystem
        let threads: SteppedThreads
        let store = SimulatedStore()
        let data: DataDirectory
        private(set) var outcomes: [DataDirectory.Outcome] = []
        private(set) var recovery: DataDirectory.Recovery?

        init(
            _ disk: MemoryFileSystem = MemoryFileSystem(), _ fsync: FsyncPolicy = .everysec, keepsLog: Bool = true,
            seed: UInt64 = 1
        ) throws {
            self.disk = disk
            threads = SteppedThreads(seed: seed)
            data = DataDirectory(
                DataDirectory.Options(directory: MemoryFileSystem.directory, keepsLog: keepsLog, fsync: fsync),
                keyspace: store.keyspace, client: store, host: Host(files: disk, threads: threads), wake: {})
            store.onEnd = { [unowned self] in outcomes.append($0) }
            recovery = try data.open()
        }
        deinit { disk.onCall = nil }

        /// Transactions and other databases too.
        func turn(_ random: inout SplitMix64) {
            for _ in 0..<3 { store.executeRandom(&random) }
            endTurn()
        }
        func set(_ key: String, _ value: Int) {
            store.set(key, value)
            endTurn()
        }
        func endTurn() {
            data.endTurn(store.output.bytes, upTo: data.stream.offset + store.output.count)
            store.output.removeAll(keepingAtMost: 1 << 16)
        }
        func checkpoint() {
            let before = outcomes.count
            data.request(.save, mayFollow: false)
            while outcomes.count == before {
                _ = data.advance(budgetNanoseconds: 1 << 40)
                threads.settle()
                data.endTurn(Bytes(), upTo: data.stream.offset)
            }
            threads.settle()
        }
        /// The disk that a crash leaves.
        func crash(
            _ kind: MemoryFileSystem.Crash, _ fsync: FsyncPolicy = .everysec, keepsLog: Bool = true
        ) throws -> Opened {
            try Opened(disk.crash(kind, seed: 1), fsync, keepsLog: keepsLog)
        }
        var segments: [Int64] { (try? LogFormat.segments(directory: "/data", base: "appendonly.aof", disk)) ?? [] }
    }

    // MARK: Offsets

    @Test func offsetAfterACleanStopIsTheOneBefore() throws {
        var random = SplitMix64(seed: 1)
        let first = try Opened()
        for _ in 0..<20 { first.turn(&random) }
        _ = try first.data.save().get()
        for _ in 0..<5 { first.turn(&random) }
        let stream = first.data.stream
        try first.data.close()
        let second = try first.crash(.strict)
        #expect(second.data.stream == stream)
        #expect(second.store.digest == first.store.digest)
        // A stop with a checkpoint, behind which there is nothing.
        _ = try second.data.save().get()
        try second.data.close()
        #expect(try second.crash(.strict).data.stream == stream)
    }

    /// What the log holds of its own, headers, their SELECT and checks, is not the stream's.
    @Test(arguments: [FsyncPolicy.always, .everysec, .no])
    func offsetAfterAKillIsWhatTheLogHolds(policy: FsyncPolicy) throws {
        var random = SplitMix64(seed: 2)
        let first = try Opened(MemoryFileSystem(), policy)
        var said = 0
        for i in 0..<40 {
            let before = first.data.stream.offset
            first.turn(&random)
            said += first.data.stream.offset - before
            if i % 13 == 12 { _ = try first.data.log?.cut() }
            if i == 30 { first.checkpoint() }
        }
        first.threads.settle()
        let second = try first.crash(.kill, policy)
        #expect(second.recovery?.stream.id == first.data.stream.id && second.recovery?.stream.offset == said)
        #expect(second.data.stream.offset == said)
        #expect(second.data.acknowledgedOffset == said)
        #expect(second.data.syncedOffset == said)
        #expect(second.store.digest == first.store.digest)
    }

    // MARK: The silent losses

    @Test func nothingIsAcknowledgedBeforeItsSyncUnderAlways() throws {
        let first = try Opened(MemoryFileSystem(), .always)
        first.set("key", 1)
        #expect(first.data.acknowledgedOffset < first.data.stream.offset)
        #expect(first.data.syncedOffset < first.data.stream.offset)
        var hasSynced = false
        first.disk.onCall = { [data = first.data] (call) throws(FileError) in
            if case .sync(let path, _) = call, path.contains(".aof.") {
                // Called before the sync is done.
                #expect(data.acknowledgedOffset < data.stream.offset)
                hasSynced = true
            }
        }
        first.threads.settle()
        #expect(hasSynced)
        #expect(first.data.acknowledgedOffset == first.data.stream.offset)
        #expect(try first.crash(.strict).store.digest == first.store.digest)
    }

    /// Under `everysec` acknowledgements stall when a byte has waited for the disk for two seconds, also one that was written
    /// behind a cut whose own sync comes late.
    @Test func noWriteIsAcknowledgedBehindOneThatWaitsTooLong() throws {
        let first = try Opened()
        _ = try first.data.log?.prepareCut()
        first.threads.settle()
        first.set("key", 1)
        _ = try first.data.log?.cut()
        first.set("key", 2)
        let waiting = first.data.stream.offset
        first.threads.advance(milliseconds: 1500)
        first.threads.settle()
        #expect(first.data.syncedOffset < waiting)
        first.threads.advance(milliseconds: 600)
        first.set("key", 3)
        #expect(first.data.acknowledgedOffset < waiting)
        first.threads.settle()
        #expect(first.data.acknowledgedOffset == first.data.stream.offset)
    }

    /// A segment goes once the commit that makes it history is durable: a crash at any call of a checkpoint loses nothing.
    @Test func segmentsStayUntilTheCommitIsDurable() throws {
        let first = try Opened()
        first.set("key", 1)
        first.checkpoint()
        first.set("key", 2)
        try first.data.sync()
        var disks: [MemoryFileSystem] = []
        first.disk.onCall = { [disk = first.disk] (_) throws(FileError) in
            disks.append(disk.crash(.strict, seed: 1))
            disks.append(disk.crash(.random, seed: UInt64(disks.count)))
        }
        first.checkpoint()
        first.disk.onCall = nil
        #expect(disks.count > 20)
        for (index, disk) in disks.enumerated() {
            let next = try Opened(disk)
            #expect(next.store.digest == first.store.digest, "after call \(index / 2)")
        }
        #expect(first.segments == [3])
    }

    /// What is acknowledged in a new segment is found again: its name was synced before it was used.
    @Test func namesAreDurableBeforeWhatTheyHoldCounts() throws {
        let first = try Opened()
        first.set("key", 1)
        first.checkpoint()
        first.set("key", 2)
        try first.data.sync()
        #expect(first.data.syncedOffset == first.data.stream.offset)
        let second = try first.crash(.strict)
        #expect(second.store.digest == first.store.digest)
        #expect(second.data.stream.offset == first.data.stream.offset)
    }

    /// A process is killed while the segment before the last is on its way to the disk: the next one reads both, so that both
    /// must be there when it says so.
    @Test func segmentsThatAKillLeftUnsyncedAreSyncedBeforeTheyCount() throws {
        let first = try Opened()
        first.set("key", 1)
        _ = try first.data.log?.prepareCut()
        first.threads.settle()
        first.set("key", 2)
        _ = try first.data.log?.cut()
        first.set("key", 3)
        let second = try first.crash(.kill)
        #expect(second.data.syncedOffset == second.data.stream.offset)
        let third = try second.crash(.strict)
        #expect(third.store.digest == first.store.digest)
        #expect(third.data.stream.offset == first.data.stream.offset)
    }

    /// A segment that a failed sync has lost is named by no snapshot.
    @Test func noCommitNamesASegmentThatAFailedSyncHasLost() throws {
        let first = try Opened()
        first.set("key", 1)
        first.checkpoint()
        first.set("key", 2)
        try first.data.sync()
        first.disk.onCall = { (call) throws(FileError) in
            if case .sync(let path, _) = call, path.hasSuffix(".aof.0000000003") { throw FileError(EIO) }
        }
        first.checkpoint()
        #expect(throws: StorageError.self) { try first.outcomes.last?.result.get() }
        #expect(try first.crash(.strict).store.digest == first.store.digest)
        first.disk.onCall = nil
        first.checkpoint()
        _ = try #require(first.outcomes.last).result.get()
        #expect(first.data.log?.state == .ok)
        #expect(try first.crash(.strict).store.digest == first.store.digest)
    }

    /// What a failed checkpoint was to save is in the next one.
    @Test func changesOfAFailedCheckpointAreSavedByTheNext() throws {
        var random = SplitMix64(seed: 3)
        let first = try Opened()
        for _ in 0..<10 { first.turn(&random) }
        first.checkpoint()
        for _ in 0..<10 { first.turn(&random) }
        first.disk.onCall = { (call) throws(FileError) in
            if case .sync(let path, _) = call, path.contains("dump.sqlite") { throw FileError(EIO) }
        }
        first.checkpoint()
        first.disk.onCall = nil
        #expect(throws: StorageError.self) { try first.outcomes.last?.result.get() }
        for _ in 0..<3 { first.turn(&random) }
        first.checkpoint()
        _ = try #require(first.outcomes.last).result.get()
        let second = try first.crash(.strict)
        #expect(second.data.stream.offset == first.data.stream.offset)
        #expect(second.store.digest == first.store.digest)
    }

    // MARK: States

    @Test func checkpointsFollowOneAnother() throws {
        let opened = try Opened()
        let data = opened.data
        #expect(data.state == .open)
        #expect(data.checkpoint == .idle)
        #expect(data.request(.save, mayFollow: false) == .started)
        #expect(data.checkpoint == .requested)
        #expect(data.request(.rewriteLog, mayFollow: false) == nil)
        #expect(data.request(.rewriteLog, mayFollow: true) == .scheduled)
        #expect(data.following == .rewriteLog)
        while opened.outcomes.isEmpty {
            _ = data.advance(budgetNanoseconds: 1 << 40)
            opened.threads.settle()
        }
        #expect(opened.outcomes.map(\.purpose) == [.save])
        #expect(data.checkpoint == .requested)
        #expect(data.purpose == .rewriteLog)
        _ = try data.save().get()
        #expect(opened.outcomes.map(\.purpose) == [.save, .rewriteLog])
        #expect(data.checkpoint == .idle)
        try data.close()
        #expect(data.state == .closed)
    }

    @Test func anotherProcessIsRefused() throws {
        let opened = try Opened()
        let store = SimulatedStore()
        let second = DataDirectory(
            opened.data.options, keyspace: store.keyspace, client: store, host: opened.data.host, wake: {})
        #expect(throws: StorageError.self) { try second.takeLock() }
        try opened.data.close()
        try second.takeLock()
    }

    @Test func logIsSwitchedOffAndOn() throws {
        let first = try Opened()
        first.set("key", 1)
        try first.data.stopLog()
        first.set("key", 2)
        #expect(first.data.acknowledgedOffset == .max)
        try first.data.startLog()
        first.set("key", 3)
        try first.data.finishLogStart()
        first.set("key", 4)
        try first.data.sync()
        let second = try first.crash(.strict)
        #expect(second.store.digest == first.store.digest)
        #expect(second.recovery?.stream == first.data.stream)
    }

    /// A log that is switched on waits for nothing. What comes before the commit that names it is lost with a crash, and so
    /// nobody is told of it under `always`; a log of an earlier time is gone by then.
    @Test(arguments: [true, false], [FsyncPolicy.always, .everysec])
    func logThatIsSwitchedOnCountsFromItsCommitOn(keptLog: Bool, policy: FsyncPolicy) throws {
        var random = SplitMix64(seed: 5)
        let first = try Opened(MemoryFileSystem(), policy, keepsLog: keptLog)
        for _ in 0..<10 { first.turn(&random) }
        if keptLog { try first.data.stopLog() }
        let stopped = first.data.stream.offset
        first.turn(&random)
        try first.data.startLog()
        let begun = first.data.stream.offset
        #expect(first.data.isStartingLog)
        var wasLogging = false
        for step in 0... {
            first.turn(&random)
            let again = try first.crash(.strict, policy)
            if !first.data.isStartingLog {
                // Under `always` all that was said to be is there, and else what was synced.
                #expect(again.data.stream.offset >= first.data.syncedOffset)
                break
            }
            #expect(first.data.syncedOffset == 0)
            #expect(first.data.acknowledgedOffset == begun || policy == .everysec)
            // What is found is a state that there was: the log's end, or a checkpoint's cut.
            #expect(keptLog ? again.data.stream.offset >= stopped : true)
            wasLogging = wasLogging || first.data.log != nil
            _ = first.data.advance(budgetNanoseconds: 0)
            first.threads.step()
            try #require(step < 10_000)
        }
        #expect(wasLogging)
        try first.data.sync()
        #expect(first.data.acknowledgedOffset == first.data.stream.offset)
        let second = try first.crash(.strict, policy)
        #expect(second.store.digest == first.store.digest)
        #expect(second.data.segmentOfSnapshot > 0)
    }

    /// Switched off again before it counts, and on again.
    @Test func logIsSwitchedOffWhileItBegins() throws {
        var random = SplitMix64(seed: 6)
        for steps in 0..<60 {
            let first = try Opened(MemoryFileSystem(), .everysec)
            first.turn(&random)
            try first.data.stopLog()
            try first.data.startLog()
            for _ in 0..<steps {
                first.turn(&random)
                _ = first.data.advance(budgetNanoseconds: 0)
                first.threads.step()
            }
            try first.data.stopLog()
            #expect(!first.data.isStartingLog && first.data.acknowledgedOffset == .max)
            first.turn(&random)
            try first.data.startLog()
            try first.data.finishLogStart()
            first.turn(&random)
            try first.data.sync()
            let second = try first.crash(.strict)
            #expect(second.store.digest == first.store.digest)
        }
    }

    /// As a program uses the library: the machine's files and threads.
    @Test func realFilesAndThreads() throws {
        let directory = TemporaryDirectory()
        let host = Host(files: RealFileSystem(), threads: RealThreads())
        func open() throws -> (SimulatedStore, DataDirectory) {
            let store = SimulatedStore()
            let data = DataDirectory(
                DataDirectory.Options(directory: directory.path, fsync: .always), keyspace: store.keyspace,
                client: store, host: host, wake: {})
            _ = try data.open()
            return (store, data)
        }
        var random = SplitMix64(seed: 4)
        let (store, data) = try open()
        for i in 0..<30 {
            store.executeRandom(&random)
            data.endTurn(store.output.bytes, upTo: data.stream.offset + store.output.count)
            store.output.removeAll(keepingAtMost: 1 << 16)
            if i == 20 { _ = try data.save().get() }
        }
        let (digest, stream) = (store.digest, data.stream)
        try data.close()
        let (again, reopened) = try open()
        #expect(again.digest == digest)
        #expect(reopened.stream == stream)
        withExtendedLifetime(data) {}
    }
}
