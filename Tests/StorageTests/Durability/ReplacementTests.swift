import TestSupport
import Testing

@testable import Storage

/// A replica's full synchronisation: all that a directory holds gives way to rows from elsewhere, or stays.
@Suite struct ReplacementTests {
    private typealias Opened = DataDirectoryTests.Opened

    private static let master = DataDirectory.Stream(
        id: String(repeating: "a", count: 40), offset: 5000, secondID: String(repeating: "b", count: 40),
        secondOffset: 77,
        db: 1)

    private static func rdb(_ count: Int = 30) -> [UInt8] {
        var file = RDBBuilder()
        file.raw([245])
        file.string("#!lua name=new\nreturn 1")
        for i in 0..<count {
            file.key(0, "s\(i)")
            file.string("from the master")
            file.key(4, "h\(i)")
            file.length(6)
            for field in 0..<6 {
                file.string("m\(field)")
                file.string("\(i)")
            }
        }
        return file.finished()
    }
    private func pipe(_ bytes: [UInt8]) -> BytePipe {
        let pipe = BytePipe(name: "the master")
        bytes.withBytes { _ = pipe.send($0) }
        pipe.finish()
        return pipe
    }

    /// With a checkpoint behind it, and changes behind that.
    private func lived(keepsLog: Bool = true, seed: UInt64 = 1) throws -> Opened {
        var random = SplitMix64(seed: 7)
        let opened = try Opened(MemoryFileSystem(), .everysec, keepsLog: keepsLog, seed: seed)
        for i in 0..<40 {
            opened.turn(&random)
            if i == 20 { opened.checkpoint() }
        }
        return opened
    }

    /// Drives the replacement to its end. Returns what came of it. `inSteps`: the threads lag behind, some more than others.
    private func finish(_ opened: Opened, inSteps: Bool = false) -> Result<SnapshotCommit, StorageError>? {
        let before = opened.outcomes.count
        for _ in 0..<1000 where opened.outcomes.count == before {
            _ = opened.data.advance(budgetNanoseconds: 1 << 40)
            if inSteps { opened.threads.step() } else { opened.threads.settle() }
            opened.data.endTurn(Bytes(), upTo: opened.data.stream.offset)
        }
        return opened.outcomes.dropFirst(before).first?.result
    }
    private func load(_ opened: Opened) throws {
        opened.store.keyspace.emptyForLoading()
        _ = try SnapshotLoading.load(opened.data.snapshotPath, into: opened.store.keyspace, files: opened.disk)
        opened.data.replacementLoaded()
    }
    /// The digest of what `rdb` holds.
    private func expected() throws -> String {
        let directory = TemporaryDirectory()
        let path = directory.path + "/x.sqlite"
        _ = try RDBImporter.run(from: directory.write(Self.rdb()), to: path)
        let keyspace = SimulatedStore().keyspace
        _ = try SnapshotLoading.load(path, into: keyspace)
        return DataDigest.hex(of: keyspace)
    }

    @Test(arguments: [true, false])
    func takesThePlaceOfAllThatWasThere(keepsLog: Bool) throws {
        let opened = try lived(keepsLog: keepsLog)
        let rows = try opened.data.beginReplacement()
        #expect(opened.data.checkpoint == .replacing && opened.data.purpose == .replacement)
        // The old keyspace lives on.
        opened.set("s0", 1)
        #expect(opened.data.request(.save, mayFollow: true) == .scheduled)
        #expect(opened.data.request(.save, mayFollow: false) == nil)
        #expect(throws: StorageError.self) { try opened.data.save() }
        #expect(throws: StorageError.self) { try opened.data.beginReplacement() }
        #expect(try rows.receive(from: pipe(Self.rdb())).keys == 60)
        opened.set("s0", 2)
        opened.data.commitReplacement(Self.master)
        // Too late.
        opened.data.abandonReplacement(StorageError(file: "", message: "the link is down"))
        guard case .success? = finish(opened) else { return #expect(Bool(false), "it failed") }
        #expect(opened.outcomes.last?.purpose == .replacement)
        #expect(opened.data.checkpoint == .replaced && opened.data.stream == Self.master)
        #expect(throws: StorageError.self) { try opened.data.save() }
        try load(opened)
        #expect(opened.store.digest == (try expected()))
        // The save that was asked for meanwhile.
        #expect(opened.data.checkpoint == .requested)
        guard case .success? = finish(opened) else { return #expect(Bool(false), "the next checkpoint failed") }
        #expect(opened.outcomes.last?.purpose == .save)
        #expect(try FunctionLibrary.all(in: opened.data.snapshotPath, files: opened.disk).count == 1)

        let again = try opened.crash(.strict, keepsLog: keepsLog)
        #expect(again.store.digest == opened.store.digest)
        #expect(again.recovery?.stream == Self.master && again.recovery?.isCleanStop == false)
        #expect(again.data.stream.secondID == Self.master.id && again.data.stream.secondOffset == 5000)
        #expect(again.data.stream.db == 1)
    }

    /// The stream of a master goes on without a SELECT, in the database that it has selected.
    @Test func theStreamGoesOnInItsDatabase() throws {
        let opened = try lived()
        let rows = try opened.data.beginReplacement()
        _ = try rows.receive(from: pipe(Self.rdb()))
        opened.data.commitReplacement(Self.master)
        _ = finish(opened)
        try load(opened)
        opened.store.relay(into: opened.data)
        opened.store.execute(["SET", "relayed", "1"], in: 1)
        #expect(!opened.store.output.bytes.string.contains("SELECT"))
        let said = opened.store.output.count
        opened.endTurn()
        try opened.data.sync()
        #expect(opened.data.acknowledgedOffset == 5000 + said && opened.data.syncedOffset == 5000 + said)
        #expect(try opened.crash(.kill).store.digest == opened.store.digest)
        opened.checkpoint()
        opened.store.execute(["SET", "relayed", "2"], in: 1)
        opened.endTurn()
        let again = try opened.crash(.kill)
        #expect(again.store.digest == opened.store.digest)
        #expect(again.recovery?.stream.offset == opened.data.stream.offset)
        // Once more: the database is known from the log alone.
        let third = try again.crash(.kill)
        third.store.relay(into: third.data)
        #expect(third.data.stream.db == 1)
        third.store.execute(["SET", "relayed", "3"], in: 1)
        third.endTurn()
        let fourth = try third.crash(.kill)
        #expect(fourth.store.digest == third.store.digest)
    }

    @Test func whatIsAbandonedLeavesNothing() throws {
        let opened = try lived()
        let first = try opened.data.beginReplacement()
        let cut = #expect(throws: StorageError.self) {
            _ = try first.receive(from: pipe(Array(Self.rdb().dropLast(100))))
        }
        #expect(cut?.message.contains("incomplete") == true)
        opened.data.abandonReplacement(StorageError(file: "", message: "the link is down"))
        guard case .failure(let error)? = finish(opened) else { return #expect(Bool(false), "it succeeded") }
        #expect(error.message == "the link is down")
        #expect(opened.data.checkpoint == .idle)
        #expect(!opened.disk.summary.contains("importing"), "\(opened.disk.summary)")
        #expect(try opened.crash(.kill).store.digest == opened.store.digest)

        // Rows of one that has ended do not get into the next.
        let second = try opened.data.beginReplacement()
        first.write(batch([string(1000, "late", "late")]))
        _ = try second.receive(from: pipe(Self.rdb()))
        first.write(batch([string(1001, "later", "late")]))
        opened.data.commitReplacement(Self.master)
        guard case .success? = finish(opened) else { return #expect(Bool(false), "it failed") }
        try load(opened)
        #expect(opened.store.digest == (try expected()))
        // As does an ordinary checkpoint after one that was abandoned, which writes what changed alone.
        let third = try opened.data.beginReplacement()
        _ = try third.receive(from: pipe(Self.rdb(1)))
        opened.data.abandonReplacement(StorageError(file: "", message: "no"))
        _ = finish(opened)
        opened.set("s0", 5)
        opened.checkpoint()
        guard case .success? = opened.outcomes.last?.result else { return #expect(Bool(false), "it failed") }
        #expect(try opened.crash(.strict).store.digest == opened.store.digest)
    }

    @Test func aFullDiskEndsItAndNothingElse() throws {
        let opened = try lived()
        opened.disk.onCall = { (call) throws(FileError) in
            if case .write(let path, _, _) = call, path.contains("importing") { throw FileError(28) }
        }
        let rows = try opened.data.beginReplacement()
        opened.threads.settle()
        let error = #expect(throws: StorageError.self) {
            for _ in 0..<100 { _ = try rows.receive(from: pipe(Self.rdb(3000))) }
        }
        #expect(error?.file.contains("dump.sqlite") == true)
        opened.data.abandonReplacement(error ?? StorageError(file: "", message: ""))
        guard case .failure? = finish(opened) else { return #expect(Bool(false), "it succeeded") }
        opened.disk.onCall = nil
        opened.set("s0", 5)
        opened.checkpoint()
        guard case .success? = opened.outcomes.last?.result else { return #expect(Bool(false), "it failed") }
        #expect(try opened.crash(.strict).store.digest == opened.store.digest)
    }

    /// A crash at each call that it makes: what was there, or what came.
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func aCrashAnywhereLeavesTheOneOrTheOther(seed: UInt64) throws {
        let opened = try lived(seed: seed)
        let (old, oldStream) = (opened.store.digest, opened.data.stream)
        let new = try expected()
        var disks: [(MemoryFileSystem.Crash, MemoryFileSystem)] = []
        try opened.data.sync()
        opened.disk.onCall = { [unowned disk = opened.disk] (_) throws(FileError) in
            let kind = MemoryFileSystem.Crash.allCases[disks.count % MemoryFileSystem.Crash.allCases.count]
            disks.append((kind, disk.crash(kind, seed: UInt64(disks.count))))
        }
        let rows = try opened.data.beginReplacement()
        _ = try rows.receive(from: pipe(Self.rdb()))
        opened.data.commitReplacement(Self.master)
        guard case .success? = finish(opened, inSteps: true) else { return #expect(Bool(false), "it failed") }
        opened.threads.settle()
        opened.disk.onCall = nil
        var (before, after) = (0, 0)
        for (kind, disk) in disks {
            let again = try Opened(disk)
            if again.store.digest == old {
                #expect(again.recovery?.stream == oldStream)
                before += 1
            } else {
                #expect(again.store.digest == new, "\(kind)")
                #expect(again.recovery?.stream == Self.master)
                after += 1
            }
        }
        #expect(before > 20 && after > 5, "\(before) before, \(after) after")
    }

    @Test func aKeyThatComesTwiceIsRefused() throws {
        let opened = try lived()
        let rows = try opened.data.beginReplacement()
        var file = RDBBuilder()
        for key in ["a", "b", "a"] {
            file.key(0, key)
            file.string("x")
        }
        let error = #expect(throws: StorageError.self) { _ = try rows.receive(from: pipe(file.finished())) }
        #expect(error?.message.contains("twice") == true)
    }

    /// Where another program reads the snapshot its file stays, and what is in it is replaced.
    @Test func aSnapshotThatIsReadIsReplacedInPlace() throws {
        let directory = TemporaryDirectory()
        let store = SimulatedStore()
        let data = DataDirectory(
            DataDirectory.Options(directory: directory.path), keyspace: store.keyspace, client: store, wake: {})
        _ = try data.open()
        var random = SplitMix64(seed: 3)
        for _ in 0..<50 { store.executeRandom(&random) }
        data.endTurn(store.output.bytes, upTo: store.output.count)
        _ = try data.save().get()
        let number = FileFacts.of(data.snapshotPath)?.identity
        let reader = try SnapshotReader(path: data.snapshotPath)
        let rows = try data.beginReplacement()
        _ = try rows.receive(from: pipe(Self.rdb()))
        data.commitReplacement(Self.master)
        while data.checkpoint == .replacing {
            _ = data.advance(budgetNanoseconds: 1 << 20)
            data.endTurn(Bytes(), upTo: data.stream.offset)
            sleepMicroseconds(100)
        }
        #expect(data.checkpoint == .replaced)
        #expect(FileFacts.of(data.snapshotPath)?.identity == number)
        #expect(try FunctionLibrary.all(in: data.snapshotPath).count == 1)
        withExtendedLifetime(reader) {}
        // Into a keyspace beside the one that is in use, in small slices.
        let sibling = store.keyspace.makeSibling()
        let loading = SnapshotLoading(data.snapshotPath, into: sibling)
        var steps = 0
        loop: while true {
            steps += 1
            switch try loading.step(budgetNanoseconds: 1) {
            case .done: break loop
            case .waiting: sleepMicroseconds(100)
            case .more: #expect(store.digest != (try expected()))
            }
        }
        #expect(steps > 3 && loading.keysLoaded == 60)
        store.keyspace.adopt(sibling)
        data.replacementLoaded()
        #expect(store.digest == (try expected()) && sibling.count == 0)
        #expect(store.keyspace.isSaved)
        store.set("s1", 8)
        data.endTurn(store.output.bytes, upTo: data.stream.offset + store.output.count)
        guard case .success = try data.save() else { return #expect(Bool(false), "it failed") }
        try data.close()
        let again = SimulatedStore()
        let reopened = DataDirectory(
            DataDirectory.Options(directory: directory.path), keyspace: again.keyspace, client: again, wake: {})
        #expect(try reopened.open().isCleanStop)
        #expect(again.digest == store.digest && reopened.stream.id == Self.master.id)
    }

    /// Of a cache that keeps nothing: a file that is loaded and goes.
    @Test func aTemporarySnapshotLeavesNothing() throws {
        let directory = TemporaryDirectory()
        let store = SimulatedStore()
        let data = DataDirectory(
            DataDirectory.Options(directory: directory.path, keepsLog: false), keyspace: store.keyspace, client: store,
            wake: {})
        _ = try data.open()
        let before = directory.contents.sorted()
        let cut = try data.makeTemporarySnapshot()
        #expect(throws: StorageError.self) { _ = try cut.receive(from: pipe(Array(Self.rdb().dropLast(9)))) }
        #expect(directory.contents.sorted() == before)
        let temporary = try data.makeTemporarySnapshot()
        #expect(try temporary.receive(from: pipe(Self.rdb())).keys == 60)
        _ = try SnapshotLoading.load(temporary.path, into: store.keyspace)
        temporary.remove()
        #expect(directory.contents.sorted() == before)
        #expect(store.digest == (try expected()))
        // All of it counts as changed for whoever saves it after all.
        guard case .success = try data.save() else { return #expect(Bool(false), "it failed") }
        let again = SimulatedStore().keyspace
        _ = try SnapshotLoading.load(data.snapshotPath, into: again)
        #expect(DataDigest.hex(of: again) == store.digest)
    }
}
