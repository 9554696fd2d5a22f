import Glibc

@testable import Storage

/// What a crash has broken: the seed says how to see it again.
struct SimulationFailure: Error, CustomStringConvertible {
    let description: String
}

/// A server's storage on a disk in memory, driven at random from a seed: turns, syncs, cuts, commits, faults of the disk,
/// and crashes at any of its calls, each followed by a recovery that is compared with what was promised.
struct Simulation {
    let seed: UInt64
    private var random: SplitMix64
    /// Crash states that were tried.
    private(set) var states = 0
    /// Moments that were restored, and that were refused.
    private(set) var restored = 0
    private(set) var refused = 0

    init(seed: UInt64) {
        self.seed = seed
        random = SplitMix64(seed: seed)
    }

    /// What was said to have happened, and how much of it a crash may take.
    fileprivate struct Promise {
        /// By the place in the stream after each turn: a digest of all keys, and when the turn was written, in nanoseconds.
        var turns: [Int: (digest: String, written: UInt64)] = [:]
        /// Where each history begins: places are numbered through all of them, by offset.
        var bases: [String: Int] = [:]
        func place(_ id: String, _ offset: Int) -> Int { (bases[id] ?? 0) + offset }
        func place(_ stream: DataDirectory.Stream) -> Int { place(stream.id, stream.offset) }
        /// Clients were told of what is up to here; on disk is what is up to here.
        var acknowledged = 0
        var acknowledgedAt: UInt64 = 0
        var durable = 0
        var policy = FsyncPolicy.everysec
        var keepsLog = true
        /// Moments can be restored: what there was when so much of a log was written.
        var keepsHistory = false
        var moments: [HistoryProbe.Moment] = []

        /// How far a recovery must reach.
        func floor(after kind: MemoryFileSystem.Crash) -> Int { kind == .kill ? acknowledged : durable }
    }

    /// A disk after a crash, and what it has to hold.
    fileprivate struct State {
        let disk: MemoryFileSystem
        let kind: MemoryFileSystem.Crash
        let promise: Promise
    }

    /// Runs until so many crash states have been tried. Throws for the first one that breaks a promise.
    mutating func run(states wanted: Int) throws {
        while states < wanted {
            var promise = Promise()
            promise.policy = [.always, .everysec, .everysec, .no][Int(random.next() % 4)]
            promise.keepsLog = random.next() % 4 != 0
            promise.keepsHistory = random.next() % 3 == 0
            var state = State(disk: MemoryFileSystem(seed: random.next()), kind: .kill, promise: promise)
            for _ in 0..<6 where states < wanted {
                let crashes = try life(state)
                for crash in crashes.dropLast() { try check(crash) }
                guard let last = crashes.last else { break }
                state = last
            }
        }
    }

    // MARK: One life of a server

    /// From a disk on until the server ends: returns disks as crashes on the way would have left them. `state` is the one
    /// that it begins with, and is checked by that.
    private mutating func life(_ state: State) throws -> [State] {
        let server = try SimulatedServer(state, seed: random.next())
        states += 1
        try server.open(failureContext(state))
        if state.promise.keepsHistory && random.next() % 2 == 0 { server.keepCheckpoint() }
        server.watch(seed: random.next())
        let actions = 20 + random.next() % 120
        for _ in 0..<actions { try server.act(&random) }
        if random.next() % 4 == 0 { try server.stopCleanly() }
        return server.finish(&random)
    }

    /// Only the recovery, in the course of which it may crash again.
    private mutating func check(_ state: State) throws {
        try probe(state)
        let server = try SimulatedServer(state, seed: random.next())
        states += 1
        if random.next() % 4 == 0 { server.watch(seed: random.next()) }
        try server.open(failureContext(state))
        for again in server.finish(&random).prefix(1) {
            let next = try SimulatedServer(again, seed: random.next())
            states += 1
            try next.open(failureContext(again) + ", in a recovery")
            _ = next.finish(&random)
        }
    }

    /// Goes back to moments of the past, and forth again, on copies of the disk.
    private mutating func probe(_ state: State) throws {
        if !state.promise.keepsHistory || random.next() % 3 != 0 { return }
        for _ in 0..<2 {
            guard let moment = state.promise.moments.randomElement(using: &random) else { return }
            let probe = HistoryProbe(seed: random.next(), keepsLog: state.promise.keepsLog, state.promise.policy)
            let isDone = try probe.run(state.disk, moment, failureContext(state))
            if isDone { restored += 1 } else { refused += 1 }
        }
    }

    private func failureContext(_ state: State) -> String {
        "seed \(seed), crash state \(states), \(state.kind), appendfsync \(state.promise.policy), log \(state.promise.keepsLog)"
    }
}

/// One process in a simulation.
private final class SimulatedServer {
    private let disk: MemoryFileSystem
    private let threads: SteppedThreads
    private var store: SimulatedStore?
    private var data: DataDirectory?
    private var promise: Simulation.Promise
    /// What the crash before this process was to leave.
    private let found: Simulation.Promise
    private let kind: MemoryFileSystem.Crash
    private var crashes: [Simulation.State] = []
    /// A replacement under way: its rows come out of another store.
    private var incoming: (rows: ReplacementRows, store: SimulatedStore, handover: Handover, isAsked: Bool)?
    private var calls = 0
    private var nextCrash = Int.max
    private var chance = SplitMix64(seed: 0)
    private var fault: (path: String, kind: FaultKind, calls: Int, code: Int32)?
    private enum FaultKind: CaseIterable { case write, sync, any }

    init(_ state: Simulation.State, seed: UInt64) throws {
        disk = state.disk
        promise = state.promise
        found = state.promise
        kind = state.kind
        // What the power cut took is lost, and no crash of the recovery brings it back.
        if kind != .kill { promise.acknowledged = promise.durable }
        threads = SteppedThreads(seed: seed)
    }

    deinit { disk.onCall = nil }

    /// Crashes happen from here on: disks are kept as they would be found.
    func watch(seed: UInt64) {
        chance = SplitMix64(seed: seed)
        nextCrash = Int(chance.next() % 30)
        disk.onCall = { [unowned self] (call) throws(FileError) in try called(call) }
    }

    private func called(_ call: FileCall) throws(FileError) {
        calls += 1
        if calls > nextCrash {
            nextCrash = calls + Int(chance.next() % 60)
            keepCrash()
        }
        guard let fault, call.path.contains(fault.path) else { return }
        switch (fault.kind, call) {
        case (.write, .write), (.write, .allocate), (.sync, .sync), (.sync, .syncDirectory), (.any, _): break
        default: return
        }
        self.fault?.calls -= 1
        if fault.calls <= 1 { self.fault = nil }
        throw FileError(fault.code)
    }

    private func keepCrash() {
        // The loop may look at any time while another thread is at work.
        if let data, data.state == .open { note(data) }
        let kind = MemoryFileSystem.Crash.allCases[Int(chance.next() % 3)]
        crashes.append(Simulation.State(disk: disk.crash(kind, seed: chance.next()), kind: kind, promise: promise))
    }

    /// Recovers, and compares.
    func open(_ context: String) throws {
        let store = SimulatedStore()
        store.onEnd = { [unowned self] in ended($0) }
        let options = DataDirectory.Options(
            directory: MemoryFileSystem.directory, keepsLog: promise.keepsLog, fsync: promise.policy,
            history: promise.keepsHistory ? HistoryProbe.limits : nil)
        let host = Host(files: disk, threads: threads)
        let data = DataDirectory(options, keyspace: store.keyspace, client: store, host: host, wake: {})
        self.store = store
        self.data = data
        let recovery: DataDirectory.Recovery
        do throws(StorageError) {
            recovery = try data.open()
        } catch {
            throw SimulationFailure(description: "\(context): refuses to start: \(error); there are \(disk.summary)")
        }
        let old = recovery.stream
        // A recovery that crashed may have begun a history, which goes on where the one before it ended.
        let base = found.bases[old.id] ?? old.secondID.flatMap { found.bases[$0] }
        if base == nil && old.offset > 0 {
            throw SimulationFailure(description: "\(context): recovered the history \(old), which nobody began")
        }
        let place = (base ?? 0) + old.offset
        try compare(place, store.digest, context)
        if data.stream.id != old.id && (data.stream.secondID != old.id || data.stream.secondOffset != old.offset) {
            throw SimulationFailure(description: "\(context): the old history is not the second one")
        }
        if data.stream.id.utf8.first.map({ $0 < 0x37 }) ?? false { store.relay(into: data) }
        // What can be read now was promised again.
        promise.bases[data.stream.id] = place - old.offset
        promise.turns = promise.turns.filter { $0.key <= place }
        promise.turns[place] = (store.digest, threads.now)
        promise.acknowledged = place
        promise.acknowledgedAt = threads.now
        promise.durable = place
        // What a crash took of the log will hold something else.
        guard let log = recovery.log, !log.isEmpty else { return }
        let end = LogPlace(segment: log.segment, offset: log.end.offset)
        promise.moments.removeAll { $0.server == data.serverID && $0.place > end }
    }

    private func compare(_ offset: Int, _ digest: String, _ context: String) throws {
        let floor = found.floor(after: kind)
        if offset < floor {
            throw SimulationFailure(
                description: "\(context): recovered up to \(offset), but \(floor) was promised")
        }
        guard let turn = found.turns[offset] else {
            if offset == 0 && found.turns.isEmpty { return }
            throw SimulationFailure(
                description: "\(context): recovered up to \(offset), where no turn ended; ends are "
                    + "\(found.turns.keys.sorted().suffix(8))")
        }
        if turn.digest != digest {
            throw SimulationFailure(description: "\(context): other keys than there were at offset \(offset)")
        }
        if kind != .kill && found.policy == .everysec && found.keepsLog { try checkAge(offset, context) }
    }

    /// Under `everysec`, replies wait when a byte has waited for the disk for two seconds.
    private func checkAge(_ offset: Int, _ context: String) throws {
        let lost = found.turns.filter { $0.key > offset && $0.key <= found.acknowledged }
        guard let oldest = lost.values.map(\.written).min(), found.acknowledgedAt > oldest + 2_100_000_000 else {
            return
        }
        throw SimulationFailure(
            description:
                "\(context): a write was lost \((found.acknowledgedAt - oldest) / 1_000_000) ms old, when later "
                + "ones were acknowledged")
    }

    // MARK: What a server does

    func act(_ random: inout SplitMix64) throws {
        guard let data, let store else { return }
        switch random.next() % 100 {
        case 0..<45: turn(data, store, &random)
        case 45..<65: threads.step()
        case 65..<80: _ = data.advance(budgetNanoseconds: random.next() % 2 == 0 ? 0 : 1 << 40)
        case 80, 81: threads.advance(milliseconds: random.next() % 900)
        case 82, 83, 84: try replace(data, store, &random)
        case 85..<89: data.request(.save, mayFollow: true)
        case 89: _ = try? data.save()
        case 90: try? data.sync()
        case 91: threads.settle()
        case 92, 93: breakDisk(&random)
        case 94: fault = nil
        case 95: switchLog(data, &random)
        default: data.endTurn(Bytes(), upTo: data.stream.offset)
        }
        if data.checkpoint == .replaced { try load(data, store) }
        note(data)
        if case .poisoned = data.log?.state ?? .ok {
            // A server exits under `always`, and else refuses writes until a checkpoint has made up for it.
            fault = nil
            data.request(.save, mayFollow: false)
            threads.settle()
        }
    }

    /// appendonly, changed while the server runs: what was said so far is on disk when it was switched off.
    private func switchLog(_ data: DataDirectory, _ random: inout SplitMix64) {
        if random.next() % 3 != 0 { return }
        if !data.options.keepsLog {
            try? data.startLog()
            return
        }
        // Its clients were told of all that had been logged.
        note(data)
        let isCounting = promise.keepsLog
        guard (try? data.stopLog()) != nil, isCounting else { return }
        promise.keepsLog = false
        promise.acknowledged = promise.place(data.stream)
        promise.durable = promise.acknowledged
    }

    private func turn(_ data: DataDirectory, _ store: SimulatedStore, _ random: inout SplitMix64) {
        // Between the cut of a replacement and its end nothing is written.
        if incoming?.isAsked == true { return data.endTurn(Bytes(), upTo: data.stream.offset) }
        // Writes are refused while the log is in trouble.
        if let state = data.log?.state, state != .ok { return data.endTurn(Bytes(), upTo: data.stream.offset) }
        let local = store.isRelaying && random.next() % 4 == 0 ? store.executeLocal(&random) : nil
        if let local { data.appendLocal(local.bytes) }
        for _ in 0..<1 + random.next() % 3 { store.executeRandom(&random) }
        // What is local has no place of its own.
        while local != nil && store.output.count == 0 { store.executeRandom(&random) }
        let offset = data.stream.offset + store.output.count
        promise.turns[promise.place(data.stream.id, offset)] = (store.digest, threads.now)
        data.endTurn(store.output.bytes, upTo: offset)
        if promise.keepsHistory, let log = data.log {
            promise.moments.append(
                HistoryProbe.Moment(server: data.serverID, place: log.place, digest: store.digest))
        }
        store.output.removeAll(keepingAtMost: 1 << 16)
    }

    /// A full synchronisation: begins one, goes on with it, ends it one way or the other.
    private func replace(
        _ data: DataDirectory, _ store: SimulatedStore, _ random: inout SplitMix64
    ) throws {
        guard let current = incoming else {
            guard let rows = try? data.beginReplacement() else { return }
            let other = SimulatedStore()
            for _ in 0..<random.next() % 40 { other.executeRandom(&random) }
            other.keyspace.markAll()
            while other.keyspace.mark(budgetNanoseconds: .max) {}
            let sink = RowSink(send: { rows.write($0) }, empty: { try? rows.next() })
            incoming = (rows, other, Handover(other.keyspace, isWhole: true, sink: sink), false)
            return
        }
        if current.isAsked { return }
        let isWhole = current.handover.step(budgetNanoseconds: random.next() % 2 == 0 ? 0 : 1 << 40)
        if random.next() % 6 == 0 {
            return data.abandonReplacement(StorageError(file: "", message: "the link is down"))
        }
        if let error = current.rows.failed { return data.abandonReplacement(error) }
        if !isWhole { return }
        let stream = DataDirectory.Stream(
            id: DataDirectory.makeStreamID(), offset: Int(random.next() % 5000), db: Int(random.next() % 2))
        promise.bases[stream.id] = promise.place(data.stream) + 1 - stream.offset
        promise.turns[promise.place(stream)] = (current.store.digest, threads.now)
        incoming?.isAsked = true
        data.commitReplacement(stream)
    }

    /// The keyspace takes over what a replacement has put on disk.
    private func load(_ data: DataDirectory, _ store: SimulatedStore) throws {
        // What a server does that cannot read it is not what is looked at here.
        fault = nil
        store.keyspace.emptyForLoading()
        _ = try SnapshotLoading.load(data.snapshotPath, into: store.keyspace, files: disk)
        data.replacementLoaded()
        store.relay(into: data)
        if promise.turns[promise.place(data.stream)]?.digest != store.digest {
            throw SimulationFailure(description: "a replacement holds other keys than its rows")
        }
    }

    /// Without a log, a checkpoint that has succeeded is what is promised.
    private func ended(_ outcome: DataDirectory.Outcome) {
        if outcome.purpose == .replacement {
            incoming?.handover.finish(committed: true)
            incoming = nil
        }
        guard case .success = outcome.result, !promise.keepsLog || outcome.purpose == .replacement else { return }
        promise.acknowledged = max(promise.acknowledged, promise.place(outcome.meta.stream))
        promise.durable = max(promise.durable, promise.place(outcome.meta.stream))
    }

    /// What clients hear by now.
    private func note(_ data: DataDirectory) {
        promise.keepsLog = data.options.keepsLog && !data.isStartingLog
        guard promise.keepsLog else { return }
        let acknowledged = promise.place(data.stream.id, data.acknowledgedOffset)
        if acknowledged > promise.acknowledged {
            promise.acknowledged = acknowledged
            promise.acknowledgedAt = threads.now
        }
        promise.durable = max(promise.durable, promise.place(data.stream.id, data.syncedOffset))
        if promise.policy == .always { promise.durable = max(promise.durable, promise.acknowledged) }
    }

    private func breakDisk(_ random: inout SplitMix64) {
        let code = [EIO, ENOSPC][Int(random.next() % 2)]
        let paths = ["dump.sqlite", "appendonly.aof"] + (promise.keepsHistory ? ["history"] : [])
        let path = paths[Int(random.next() % UInt64(paths.count))]
        let kind = FaultKind.allCases[Int(random.next() % 3)]
        fault = (path, kind, 1 + Int(random.next() % 4), kind == .sync ? EIO : code)
    }

    /// A checkpoint is kept from the beginning on.
    func keepCheckpoint() {
        guard let data else { return }
        note(data)
        _ = try? data.save()
        threads.settle()
        note(data)
    }

    /// SHUTDOWN: all is on disk.
    func stopCleanly() throws {
        guard let data else { return }
        fault = nil
        guard case .success? = try? data.save() else { return }
        do { try data.close() } catch { return }
        promise.acknowledged = promise.place(data.stream)
        promise.durable = promise.acknowledged
    }

    /// The process ends here, at the latest; the last of the disks is the one that it leaves.
    func finish(_ random: inout SplitMix64) -> [Simulation.State] {
        if nextCrash != .max { keepCrash() }
        disk.onCall = nil
        fault = nil
        incoming?.handover.finish(committed: true)
        incoming = nil
        data = nil
        store = nil
        threads.abandon()
        return crashes
    }
}
