import Storage

/// A full sync, from the first byte behind +FULLRESYNC until its data are served. Confined to the loop.
///
/// What comes goes through a pipe to a thread, which makes rows of it for a snapshot beside the one that is there, while the
/// old data are served. Once all has come, one commit puts the new rows, the master's id and offset in the place of the old
/// ones; only then is the keyspace emptied, and loaded from the snapshot. So a crash at any moment finds the old state whole,
/// or the new one; and a sync that ends early leaves what was there.
final class FullSyncReceiver {
    enum Progress {
        case underWay
        case failed(StorageError)
        /// The data are another server's; its stream goes on in this database.
        case loaded(db: Int)
    }
    private enum Stage {
        /// A checkpoint is under way, which ends first.
        case queued
        /// Rows are made of what comes.
        case receiving
        /// All has come, and takes the place of what was there, on disk.
        case committing
        /// What is on disk is loaded.
        case loading(ReplacementLoading)
        case ended(Progress)
    }

    private unowned let control: ReplicationControl
    private var router: Router { control.router }
    private var persistence: PersistenceControl { control.persistence }
    private let id: String
    private let offset: Int
    private var framing = FullSyncFraming()
    private let pipe: BytePipe
    private var stage = Stage.queued
    /// Where rows go on a server that keeps nothing.
    private var temporary: TemporarySnapshot?
    /// Monotonic nanoseconds since which all commands wait: what comes is so little that nobody has to hear of it. Redis
    /// answers nobody in the first 2 MB of loading either.
    private var briefSince: UInt64?
    private static let brief = 2 << 20
    private static let longestBrief: UInt64 = 1_000_000_000
    /// What the thread has made of the RDB.
    private var summary: Result<RDBSummary, StorageError>?
    private var db: Int { (try? summary?.get()).flatMap { $0.streamDatabase.map(Int.init) } ?? 0 }

    init(_ control: ReplicationControl, id: String, offset: Int) {
        self.control = control
        self.id = id
        self.offset = offset
        pipe = BytePipe(name: "the RDB of the master") { [waker = control.router.waker] in waker.wake() }
    }

    /// The RDB has come, whatever it is worth.
    var hasAll: Bool { framing.isFinished }
    /// The thread does not keep up: the rest is to stay with the master for now.
    var isFull: Bool { pipe.isFull }
    /// Bytes of the RDB in all, and those that have come; 0: not known before its end.
    var totalBytes: Int { if case .length(let length) = framing.extent { length } else { 0 } }
    var receivedBytes: Int { framing.received }

    /// Takes bytes off the front of `input`; returns how many.
    func receive(_ input: Bytes) throws(FullSyncFraming.Failure) -> Int {
        let (piece, used) = try framing.next(input)
        switch piece {
        case .nothing: break
        case .begun(.length(let length)):
            router.logger.notice("MASTER <-> REPLICA sync: receiving \(length) bytes from master to disk")
        case .begun(.mark):
            router.logger.notice("MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF to disk")
        case .payload(let part):
            pipe.send(part)
            persistence.loadingLoadedBytes = framing.received
        }
        if case .begun = piece { showBeginning() }
        if framing.isFinished { pipe.finish() }
        return used
    }

    /// No more will come, or it is not wanted any more: what was there stays. Not once it is committed.
    func abandon() {
        let error = StorageError(file: pipe.name, message: "it did not come to its end")
        pipe.fail(error)
        switch stage {
        case .receiving: end(error)
        case .queued, .committing, .loading, .ended: break
        }
        show([])
        stage = .ended(.failed(error))
    }

    /// Goes on as far as that does not wait for anything.
    func proceed() -> Progress {
        if let briefSince, monotonicNanoseconds() - briefSince > Self.longestBrief {
            endBrief()
            if case .loading = stage { show(.loading) } else { show(.replacing) }
        }
        switch stage {
        case .queued: begin()
        case .receiving:
            switch summary {
            case .success where hasAll: commit()
            case .success: fail(StorageError(file: pipe.name, message: "the RDB ends before its length"))
            case .failure(let error): fail(error)
            case nil: break
            }
        case .committing: break
        case .loading(let loading): proceed(loading)
        case .ended: break
        }
        if case .ended(let progress) = stage { return progress }
        return .underWay
    }

    // MARK: Steps

    private func begin() {
        guard let data = persistence.data else { return }
        // One that ends soon; it may not be interrupted.
        if persistence.isSaving || data.checkpoint == .replacing { return }
        var options = RDBImporter.Options()
        options.reading.databases = Int32(clamping: router.config.settings.databases)
        let receive: @Sendable (BytePipe) throws(StorageError) -> RDBSummary
        do throws(StorageError) {
            if router.config.settings.isPureCache {
                let snapshot = try data.makeTemporarySnapshot()
                temporary = snapshot
                receive = { [options] (pipe) throws(StorageError) in try snapshot.receive(from: pipe, options) }
            } else {
                let rows = try data.beginReplacement()
                receive = { [options] (pipe) throws(StorageError) in try rows.receive(from: pipe, options) }
            }
        } catch {
            pipe.fail(error)
            stage = .ended(.failed(error))
            return
        }
        stage = .receiving
        router.jobs.start("sync", isYielding: true) { [pipe] (_) throws(StorageError) in
            try receive(pipe)
        } completion: { [self] outcome in
            summary = outcome
            // It was not wanted any more while the thread was at it.
            if case .ended = stage { removeTemporary() }
        }
    }

    private func fail(_ error: StorageError) {
        end(error)
        show([])
        stage = .ended(.failed(error))
    }
    private func end(_ error: StorageError) {
        persistence.replacementEnded = { _ in }
        if temporary == nil { persistence.data?.abandonReplacement(error) } else if summary != nil { removeTemporary() }
    }
    private func removeTemporary() {
        temporary?.remove()
        temporary = nil
    }

    /// From here on nothing changes until the new data are loaded: what would be written now would be lost.
    private func commit() {
        // Of what goes now.
        if temporary != nil && persistence.isSaving { return }
        stage = .committing
        if case .success(let summary) = summary {
            for line in summary.mendings { router.logger.warning("\(pipe.name): \(line)") }
        }
        persistence.isReceiving = true
        router.pause.holdWrites(router)
        if router.guards.isDisjoint(with: Self.states) {
            if framing.received <= Self.brief && router.config.settings.loadDelayPerKey == 0 {
                briefSince = monotonicNanoseconds()
                router.pause.holdAll(router)
            } else {
                show(.replacing)
            }
        }
        if let temporary { return load(from: temporary.path) }
        persistence.replacementEnded = { [weak self] in self?.committed($0) }
        persistence.data?.commitReplacement(DataDirectory.Stream(id: id, offset: offset, db: db))
    }

    private func committed(_ result: Result<SnapshotCommit, StorageError>) {
        persistence.replacementEnded = { _ in }
        switch result {
        case .failure(let error):
            release()
            stage = .ended(.failed(error))
        case .success: load(from: persistence.data?.snapshotPath ?? "")
        }
    }

    private func load(from path: String) {
        let isBeside = isOfOneHistory && router.config.settings.disklessLoad == .swapdb
        control.historyReplaced(id: id, offset: offset, db: db)
        if temporary != nil { persistence.historyChanged(router.stream) }
        persistence.loadingStarted = wallClockMilliseconds() / 1000
        persistence.expectLoading(bytes: framing.received)
        if !isBeside {
            router.logger.notice("MASTER <-> REPLICA sync: Flushing old data")
            if briefSince == nil { show(.loading) }
        }
        router.logger.notice("MASTER <-> REPLICA sync: Loading DB in memory")
        stage = .loading(ReplacementLoading(persistence, path, isBeside: isBeside))
    }

    private func proceed(_ loading: ReplacementLoading) {
        do throws(StorageError) {
            if try !loading.step() { return }
            if temporary == nil { persistence.data?.replacementLoaded() }
            persistence.replacementLoaded()
            release()
            stage = .ended(.loaded(db: db))
        } catch {
            // The next one begins anew.
            control.hasHistory = false
            release()
            stage = .ended(.failed(error))
        }
    }

    private func release() {
        persistence.isReceiving = false
        removeTemporary()
        show([])
        endBrief()
        router.pause.releaseWrites(router)
    }
    private func endBrief() {
        if briefSince == nil { return }
        briefSince = nil
        router.pause.releaseAll(router)
    }

    // MARK: What clients get meanwhile

    /// `.replacing`: the old data, but for commands that would change what the server is; `.loading`: -LOADING.
    private static let states: Guards = [.loading, .replacing]

    /// The RDB begins to come: `repl-diskless-load` says what clients get from here on. The old data are there in any case.
    private func showBeginning() {
        persistence.loadingStarted = wallClockMilliseconds() / 1000
        persistence.expectLoading(bytes: totalBytes)
        switch router.config.settings.disklessLoad {
        case .disabled: break
        case .onEmptyDB: if router.keyspace.count == 0 { show(.loading) }
        case .swapdb: show(isOfOneHistory ? .replacing : .loading)
        }
    }
    /// The old data and the new are states of one history.
    private var isOfOneHistory: Bool { id == router.stream.id }

    private func show(_ state: Guards) {
        router.guards.subtract(Self.states)
        router.guards.formUnion(state)
    }
}
