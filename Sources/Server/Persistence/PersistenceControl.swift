import Glibc
import Storage

/// Log, checkpoints and recovery as the server runs them: what commands, signals and the loop's timer ask of
/// persistence, and what INFO shows of it. Confined to the loop.
///
/// The order that everything here keeps: a command is in the log before its reply leaves; a checkpoint's cut opens a
/// segment, and its commit names that segment before older ones are deleted.
final class PersistenceControl: KeyspaceObserver {
    /// Whether a save that was asked for has begun or waits for the one in progress.
    enum Start { case started, scheduled }

    // MARK: State

    var isLoading = false
    /// Seconds since 1970 at which loading began.
    var loadingStarted: Int64 = 0
    var loadingTotalBytes = 0
    var loadingLoadedBytes = 0
    /// Monotonic nanoseconds at which the loop is to have its next turn while data loads; `.max`: none loads.
    var nextTurn = UInt64.max
    /// The log is replayed, with the settings' limits lifted.
    var isReplaying = false
    /// The keyspace's `dirty` at the cut of the last checkpoint that succeeded.
    var changesAtLastSave = 0
    /// The keyspace's `dirty` after a FLUSHALL whose own save is still to come; what was before does not count.
    var changesAtFlush = 0
    /// How many of the keyspace's `dirty` changes no snapshot has, for INFO and the save points.
    func unsaved(_ dirty: Int) -> Int { max(0, dirty - max(changesAtLastSave, changesAtFlush)) }
    /// Seconds since 1970.
    var lastSaveTime: Int64 = 0
    /// A checkpoint was asked for and is not done.
    var isSaving: Bool { wantsSave || checkpointer?.isRunning ?? false }
    /// Seconds since 1970 at which the save in progress began.
    var saveStarted: Int64 = 0
    /// A save waits for the one in progress.
    var isSaveScheduled = false
    var lastSaveSucceeded = true
    /// What the last one failed with.
    var saveFailure: String?
    /// Seconds; -1: none yet.
    var lastSaveDuration: Int64 = -1
    /// Checkpoints that succeeded since the start.
    var saves = 0
    var isLogRewriteScheduled = false
    /// BGREWRITEAOF asked for the save in progress.
    var isRewritingLog = false
    /// The last write to the log reached the kernel.
    var lastAppendSucceeded: Bool { log.map { $0.state == .ok } ?? true }
    /// An fsync failed: the segment is not trusted any more, and writes are refused until a checkpoint is done.
    var isLogPoisoned = false
    /// Bytes in the log since the last checkpoint's cut, and as many as there were after it.
    var logBytes: Int { Int(clamping: (log?.position ?? 0) - min(logPositionAtCut, log?.position ?? 0)) }
    var logBytesAtLastSave = 0
    /// Milliseconds for which the oldest write that is not on disk has waited; 0: all is.
    var oldestUnsyncedMilliseconds: Int { Int(clamping: (log?.oldestUnsyncedAge ?? 0) / 1_000_000) }
    var keysLoaded = 0
    var keysExpiredWhileLoading = 0

    // MARK: Parts

    unowned(unsafe) let server: Router
    var log: LogWriter?
    var checkpointer: Checkpointer?
    var lock: DirectoryLock?
    /// Names snapshot and log as belonging together.
    var serverID = ""
    var checkpointNumber: Int64 = 0

    /// A checkpoint begins at the end of this turn.
    var wantsSave = false
    /// The snapshot's file was not what it should be: the save goes on by writing every key.
    var isWritingAll = false
    /// Monotonic nanoseconds since which checkpoints fail because another program holds the snapshot's lock.
    var lockedSince: UInt64?
    /// Where the last committed checkpoint's segment begins, and the running one's, in the log's positions.
    var logPositionAtCut: UInt64 = 0
    var logPositionAtNextCut: UInt64 = 0
    /// The keyspace's `dirty` at the running checkpoint's cut.
    var changesAtCut = 0
    /// The segment that the snapshot names; 0: none.
    var logSegmentOfSnapshot: Int64 = 0
    /// Writes are refused because the log cannot be written, or because the last checkpoint failed.
    var isRefusingForLog = false
    var isRefusingForSave = false
    /// What the directory's record says, or will.
    var noted: DataRecord?
    /// Monotonic nanoseconds before which no checkpoint is tried again by itself.
    var retryAfter: UInt64 = 0
    /// Where the log stood after each turn, against the stream's offset: what tells replies that may leave.
    var turns: [(log: UInt64, propagated: Int)] = []
    /// The log reads the stream.
    var isLogging = false
    /// Clients whose replies wait for what this turn appends.
    var waitersOfTurn = 0

    init(_ router: Router) {
        server = router
        router.keyspace.observe(.flushed, by: self)
    }

    var snapshotPath: String { server.config.settings.directory + "/" + server.config.settings.snapshotFileName }

    /// Clients in WAITAOF.
    var syncWaiters = SyncWaiters()

    // MARK: Requests

    /// SAVE: a checkpoint, complete when this returns.
    func save() throws(CommandError) {
        do throws(StorageError) {
            try finishCheckpoint()
            try beginCheckpoint()
            try finishCheckpoint()
        } catch {
            checkpointFailed(error)
            updateGuard()
        }
        if !lastSaveSucceeded { throw CommandError("ERR") }
    }

    /// BGSAVE. `mayWait`: when one is in progress, another after it instead of the error.
    func backgroundSave(mayWait: Bool) throws(CommandError) -> Start {
        if isSaving {
            guard mayWait else { throw isRewritingLog ? .rewriteInTheWay : .saveInProgress }
            isSaveScheduled = true
            return .scheduled
        }
        requestSave()
        return .started
    }

    /// BGREWRITEAOF: the same checkpoint, which lets go of the log behind it.
    func rewriteLog() throws(CommandError) -> Start {
        if isSaving {
            if isRewritingLog {
                throw CommandError("ERR Background append only file rewriting already in progress")
            }
            isLogRewriteScheduled = true
            isSaveScheduled = true
            return .scheduled
        }
        requestSave()
        isRewritingLog = true
        return .started
    }

    /// FLUSHALL where there are save points: the snapshot is emptied too, as in Redis, and what was not saved yet does not
    /// count any more.
    func everythingFlushed() {
        if isLoading || isReplaying || checkpointer == nil || server.config.settings.effectiveSavePoints.isEmpty {
            return
        }
        changesAtFlush = server.keyspace.dirty
        if isSaving { isSaveScheduled = true } else { requestSave() }
    }

    /// DEBUG RELOAD: save (unless not wanted), empty the keyspace, and load the snapshot.
    func reload(saveFirst: Bool) throws(CommandError) {
        do throws(StorageError) { try finishCheckpoint() } catch { throw failed(error) }
        if saveFirst { try save() }
        guard (try? Snapshot.state(path: snapshotPath)) == .ready else {
            throw CommandError("ERR Error trying to load the RDB dump, check server logs.")
        }
        try loadAgain { () throws(StorageError) in }
        // Without a save the log holds more than the snapshot: it is to be replayed from here on.
        if !saveFirst { try save() }
    }

    /// DEBUG LOADAOF: sync the log, empty the keyspace, and load snapshot and log.
    func reloadLog() throws(CommandError) {
        do throws(StorageError) {
            try finishCheckpoint()
            writeTurn()
            try log?.flush()
        } catch {
            throw failed(error)
        }
        try loadAgain { () throws(StorageError) in
            if log == nil { return }
            _ = try replayLog(from: max(1, logSegmentOfSnapshot), through: log?.segment)
        }
    }

    private func loadAgain(_ more: () throws(StorageError) -> Void) throws(CommandError) {
        let keyspace = server.keyspace
        let now = keyspace.now
        keyspace.reset()
        do throws(StorageError) {
            keyspace.now = 0
            defer { keyspace.now = now }
            // Before the first checkpoint the log holds everything.
            if try Snapshot.state(path: snapshotPath) == .ready { try loadSnapshot(from: snapshotPath) }
            try more()
        } catch {
            throw failed(error)
        }
    }

    private func failed(_ error: StorageError) -> CommandError {
        server.logger.warning("\(error)")
        return CommandError("ERR Error trying to load the RDB dump, check server logs.")
    }

    // MARK: Settings

    /// `save`, `appendonly`, `appendfsync` or a delay for tests changed. Throwing refuses the change.
    func settingsChanged(_ settings: Settings, old: Settings) throws(SettingError) {
        // There is no log yet; it will be opened by the settings as they are then.
        if isLoading { return }
        do throws(StorageError) {
            if settings.appendFsync != old.appendFsync { try log?.setPolicy(settings.appendFsync.policy) }
            if settings.appendOnly && log == nil { try startLog() }
            if !settings.appendOnly && log != nil { try stopLog() }
        } catch {
            throw SettingError("\(error)")
        }
        updateGuard()
    }

    /// `dir` changed; the process is there already. Throwing refuses the change.
    func directoryChanged() throws(SettingError) {
        throw SettingError("the directory holds the log and the snapshot: restart the server to use another")
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
