import Storage

/// Save points, MISCONF and what INFO shows of persistence, over the data directory, which owns the order of log and
/// snapshot: what commands, signals and the loop's timer ask for. Confined to the loop.
final class PersistenceControl: KeyspaceObserver {
    /// How far the server is.
    enum Stage {
        /// The directory is not looked at.
        case stopped
        /// Data is loaded; clients hear that they have to wait.
        case loading
        case serving
    }

    /// Why writes are refused.
    enum Refusal: Equatable {
        /// The log cannot be written: errno.
        case logFailed(Int32)
        /// An fsync of the log failed: until a checkpoint has made up for it.
        case logPoisoned
        /// The last checkpoint failed.
        case saveFailed(String)
    }

    /// What came of the last checkpoint.
    enum LastSave: Equatable {
        case succeeded
        /// `lockedSince`: since when, in monotonic nanoseconds, only because another program holds the snapshot's lock.
        case failed(String, lockedSince: UInt64?)
    }

    unowned(unsafe) let server: Router
    /// nil until the server starts.
    var data: DataDirectory?

    // MARK: Loading

    var stage = Stage.stopped
    var isLoading: Bool { stage == .loading }
    /// Seconds since 1970 at which loading began.
    var loadingStarted: Int64 = 0
    var loadingTotalBytes = 0
    var loadingLoadedBytes = 0
    /// Monotonic nanoseconds at which the loop is to have its next turn while data loads; `.max`: none loads.
    var nextTurn = UInt64.max
    /// While the log is replayed, with the settings' limits lifted.
    var replayer: LogReplayer?
    var isReplaying: Bool { replayer != nil }
    var keysLoaded = 0
    var keysExpiredWhileLoading = 0

    // MARK: Saving

    /// The keyspace's `dirty` at the cut of the last checkpoint that succeeded.
    var changesAtLastSave = 0
    /// The keyspace's `dirty` after a FLUSHALL whose own save is still to come; what was before does not count.
    var changesAtFlush = 0
    /// How many of the keyspace's `dirty` changes no snapshot has, for INFO and the save points.
    func unsaved(_ dirty: Int) -> Int { max(0, dirty - max(changesAtLastSave, changesAtFlush)) }
    /// A checkpoint was asked for and is not done.
    var isSaving: Bool {
        switch data?.checkpoint {
        case .requested, .running: true
        case .idle, .replacing, .replaced, nil: false
        }
    }
    /// BGREWRITEAOF waits for the save in progress.
    var isLogRewriteScheduled: Bool { data?.following == .rewriteLog }
    /// Seconds since 1970 at which the save in progress began.
    var saveStarted: Int64 = 0
    /// Seconds since 1970.
    var lastSaveTime: Int64 = 0
    /// Seconds; -1: none yet.
    var lastSaveDuration: Int64 = -1
    var lastSave = LastSave.succeeded
    var lastSaveSucceeded: Bool { lastSave == .succeeded }
    var lastSaveError: String? { if case .failed(let cause, _) = lastSave { cause } else { nil } }
    /// How the checkpoint under way goes, and how the last one went.
    var pace = CheckpointPace()
    /// Checkpoints that succeeded since the start.
    var saves = 0
    /// Checkpoints that ended, well or not, and the last one's outcome: for who waits for one.
    var endedCheckpoints = 0
    var lastOutcome: DataDirectory.Outcome?
    /// Monotonic nanoseconds before which no checkpoint is tried again by itself.
    var retryAfter: UInt64 = 0

    // MARK: The log

    var log: LogWriter? { data?.log }
    /// The log reads the stream.
    var isLogging = false
    /// Clients whose replies wait for what this turn appends.
    var waitersOfTurn = 0
    /// What the latency monitor measures under `always`: an offset whose sync is awaited, and since when, in monotonic nanoseconds.
    var awaitedSync: (offset: Int, since: UInt64)?
    /// Why writes are refused; nil: they are not.
    var refusal: Refusal?
    /// Seconds since 1970 at which that began.
    var refusedSince: Int64 = 0
    /// The last write to the log reached the kernel.
    var lastAppendSucceeded: Bool { log.map { $0.state == .ok } ?? true }
    /// An fsync failed: the segment is not trusted any more, and writes are refused until a checkpoint is done.
    var isLogPoisoned: Bool { if case .poisoned = log?.state { true } else { false } }
    /// Bytes in the log since the last checkpoint's cut, and as many as there were after it.
    var logBytes: Int { data?.logBytes ?? 0 }
    var logBytesAtLastSave = 0
    /// Milliseconds for which the oldest write that is not on disk has waited; 0: all is.
    var oldestUnsyncedMilliseconds: Int { Int(clamping: (log?.oldestUnsyncedAge ?? 0) / 1_000_000) }
    /// Whether all that was said up to `position` is on disk.
    func isSynced(_ position: Int) -> Bool { isLogCounting && position <= data?.syncedOffset ?? 0 }
    /// There is a log, or there will be.
    var keepsLog: Bool { data?.options.keepsLog == true }
    /// There is a log, and recovery reads it: not yet where it was just switched on.
    private var isLogCounting: Bool { log != nil && data?.isStartingLog == false }

    /// What opening the directory has found.
    var recovery: DataDirectory.Recovery?
    /// A full sync's data are in the snapshot, or are not: `data.commitReplacement` and `abandonReplacement` lead to it.
    var replacementEnded: (Result<SnapshotCommit, StorageError>) -> Void = { _ in }
    /// Data of a master take the place of those that are here, in memory.
    var isReceiving = false
    /// Data of a master are received or loaded: they are saved with that.
    var isReplacing: Bool {
        switch data?.checkpoint {
        case .replacing, .replaced: true
        case .idle, .requested, .running, nil: isReceiving
        }
    }

    /// SHUTDOWN that waits for replicas.
    var pendingShutdown: PendingShutdown?
    /// A signal that came while DEBUG PAUSE-CRON holds periodic work up: it is dealt with when that goes on.
    var pausedSignal: Int32?

    /// BACKUP and SNAPSHOT.
    private(set) lazy var backups = Backups(self)

    /// Data is loaded: the log is written at the end of turns.
    var isAttached = false

    init(_ router: Router) {
        server = router
        router.keyspace.observe(.flushed, by: self)
        router.memory.logBuffers = { [unowned self] in log?.bufferedBytes ?? 0 }
    }

    // MARK: Requests

    /// SAVE: a checkpoint, complete when this returns.
    func save() throws(CommandError) {
        do throws(StorageError) {
            try data?.save()
        } catch {
            checkpointFailed(error)
            updateGuard()
        }
        if !lastSaveSucceeded { throw CommandError("ERR") }
    }

    /// A checkpoint that a client may know of is under way, or follows: not one of the server's own upkeep.
    var isSavingByRequest: Bool {
        isSaving && [data?.purpose, data?.following].contains { $0 != nil && $0 != .upkeep }
    }

    /// BGSAVE. `mayWait`: when one is in progress, another after it instead of the error.
    func backgroundSave(mayWait: Bool) throws(CommandError) -> DataDirectory.Start {
        let isOther = isSavingByRequest
        if isOther && !mayWait { throw data?.purpose == .rewriteLog ? .rewriteInTheWay : .saveInProgress }
        let start = request(.save)
        return isOther ? start : .started
    }

    /// BGREWRITEAOF: a checkpoint, which deletes the log behind it.
    func rewriteLog() throws(CommandError) -> DataDirectory.Start {
        if isSaving && data?.purpose == .rewriteLog {
            throw CommandError("ERR Background append only file rewriting already in progress")
        }
        return request(.rewriteLog)
    }

    /// A checkpoint as of the end of this turn, or of a later one where one is under way.
    @discardableResult func request(_ purpose: DataDirectory.Purpose) -> DataDirectory.Start {
        let start = data?.request(purpose, mayFollow: true) ?? .scheduled
        if start == .started { saveBegins() }
        return start
    }

    func saveBegins() {
        saveStarted = wallClockMilliseconds() / 1000
        server.waker.wake()
    }

    /// FLUSHALL where there are save points: the snapshot is emptied too, as in Redis, and what was not saved yet does not
    /// count any more.
    func everythingFlushed() {
        if stage != .serving || isReplaying || server.config.settings.effectiveSavePoints.isEmpty { return }
        changesAtFlush = server.keyspace.dirty
        request(.upkeep)
    }

    /// DEBUG RELOAD: save (unless not wanted), empty the keyspace, and load the snapshot.
    func reload(saveFirst: Bool) throws(CommandError) {
        do throws(StorageError) { try data?.finishCheckpoint() } catch { throw failed(error) }
        if saveFirst { try save() }
        guard data?.hasSnapshot ?? false else { throw PersistenceControl.loadFailed }
        try loadAgain(withLog: false)
        // Without a save the log holds more than the snapshot: it is to be replayed from here on.
        if !saveFirst { try save() }
    }

    /// DEBUG LOADAOF: sync the log, empty the keyspace, and load snapshot and log.
    func reloadLog() throws(CommandError) {
        do throws(StorageError) {
            try data?.finishCheckpoint()
            try data?.finishLogStart()
        } catch {
            throw failed(error)
        }
        writeTurn()
        try loadAgain(withLog: true)
    }

    private func loadAgain(withLog: Bool) throws(CommandError) {
        do throws(StorageError) {
            try data?.reload(withLog: withLog)
            try server.dataLoaded(from: data?.snapshotPath ?? "")
        } catch {
            throw failed(error)
        }
        // Loading counts changes from 0.
        changesAtLastSave = 0
        changesAtFlush = 0
    }

    /// What a full sync has brought is loaded: nothing of it is unsaved.
    func replacementLoaded() {
        changesAtLastSave = server.keyspace.dirty
        changesAtFlush = 0
        keysLoaded = server.keyspace.count
        lastSaveTime = wallClockMilliseconds() / 1000
        logBytesAtLastSave = logBytes
    }

    private func failed(_ error: StorageError) -> CommandError {
        server.logger.warning("\(error)")
        return PersistenceControl.loadFailed
    }
    static let loadFailed = CommandError("ERR Error trying to load the RDB dump, check server logs.")

    // MARK: Settings

    func settingsChanged(_ effect: SettingEffect, _ settings: Settings, old: Settings) throws(SettingError) {
        switch effect {
        case .persistence: try settingsChanged(settings, old: old)
        case .directory:
            throw SettingError("the directory holds the log and the snapshot: restart the server to use another")
        case .log, .password, .listeners, .tls, .clients, .limits, .slowlog, .notifications, .replication, .oomScore,
            .process:
            break
        }
    }

    /// `save`, `appendonly`, `appendfsync` or a delay for tests changed. Throwing refuses the change.
    private func settingsChanged(_ settings: Settings, old: Settings) throws(SettingError) {
        guard let data else { return }
        data.options.mayCutTail = settings.appendLoadTruncated
        data.keepHistory(settings.historyLimits)
        if isLoading {
            // There is no log yet; it will be opened by the settings as they are then.
            data.options.keepsLog = settings.appendOnly
            data.options.fsync = settings.appendFsync.policy
            return
        }
        do throws(StorageError) {
            if settings.appendFsync != old.appendFsync { try data.setPolicy(settings.appendFsync.policy) }
            if settings.appendOnly && !data.options.keepsLog { try startLog(data) }
            if !settings.appendOnly && data.options.keepsLog { try stopLog(data) }
        } catch {
            throw SettingError("\(error)")
        }
        updateGuard()
    }

    private func startLog(_ data: DataDirectory) throws(StorageError) {
        writeTurn()
        try data.startLog()
        // So that offsets move, by which replies wait under `always`.
        setLogging(true)
        saveBegins()
    }
    private func stopLog(_ data: DataDirectory) throws(StorageError) {
        writeTurn()
        try data.stopLog()
        setLogging(false)
        server.acknowledgedOffset = .max
        server.waker.wake()
    }
}

extension AppendFsync {
    var policy: FsyncPolicy {
        switch self {
        case .always: .always
        case .everysec: .everysec
        case .no: .no
        }
    }
}
