import Storage

/// What commands, signals and the loop's timer ask of persistence, and what INFO shows of it. Confined to the loop.
final class PersistenceControl {
    /// Whether a save that was asked for has begun or waits for the one in progress.
    enum Start { case started, scheduled }

    // MARK: State

    /// 40 hexadecimal digits that name the history of this data set to replicas.
    var replicationID = PersistenceControl.makeReplicationID()

    var isLoading = false
    /// Seconds since 1970 at which loading began.
    var loadingStarted: Int64 = 0
    var loadingTotalBytes = 0
    var loadingLoadedBytes = 0
    /// The keyspace's `changes` at the cut of the last checkpoint that succeeded.
    var changesAtLastSave = 0
    /// Seconds since 1970.
    var lastSaveTime: Int64 = 0
    var isSaving = false
    /// Seconds since 1970 at which the save in progress began.
    var saveStarted: Int64 = 0
    /// A save waits for the one in progress.
    var isSaveScheduled = false
    var lastSaveSucceeded = true
    /// Seconds; -1: none yet.
    var lastSaveDuration: Int64 = -1
    /// Checkpoints that succeeded since the start.
    var saves = 0
    var isLogRewriteScheduled = false
    /// The last write to the log reached the kernel.
    var lastAppendSucceeded = true
    /// An fsync failed: the segment is not trusted any more, and writes are refused until a checkpoint is done.
    var isLogPoisoned = false
    /// Bytes in the log's segments, and as many as there were after the last checkpoint.
    var logBytes = 0
    var logBytesAtLastSave = 0
    /// Milliseconds for which the oldest write that is not on disk has waited; 0: all is.
    var oldestUnsyncedMilliseconds = 0
    var keysLoaded = 0
    /// The keyspace's `expired` at the last CONFIG RESETSTAT.
    var expiredAtReset = 0
    var keysExpiredWhileLoading = 0

    static func makeReplicationID() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<40).map { _ in String(UInt8.random(in: 0...15, using: &generator), radix: 16) }.joined()
    }

    // MARK: Requests

    /// SAVE: a checkpoint, complete when this returns.
    func save() throws(CommandError) {
        throw CommandError("ERR Persistence is not available")
    }

    /// BGSAVE. `mayWait`: when one is in progress, another after it instead of the error.
    func backgroundSave(mayWait: Bool) throws(CommandError) -> Start {
        if isSaving {
            guard mayWait else { throw CommandError("ERR Background save already in progress") }
            isSaveScheduled = true
            return .scheduled
        }
        throw CommandError("ERR Persistence is not available")
    }

    /// BGREWRITEAOF: the same checkpoint, which lets go of the log behind it.
    func rewriteLog() throws(CommandError) -> Start { try backgroundSave(mayWait: true) }

    /// Ends the process after syncing the log and, unless told not to, a checkpoint. Returns when that is not done yet;
    /// throws when it is not done at all.
    func shutdown(_ options: ShutdownOptions) throws(CommandError) {
        throw CommandError("ERR Errors trying to SHUTDOWN. Check logs.")
    }

    /// SHUTDOWN ABORT.
    func abortShutdown() throws(CommandError) {
        throw CommandError("ERR No shutdown in progress.")
    }

    /// DEBUG RELOAD: save (unless not wanted), empty the keyspace, and load the snapshot.
    func reload(saveFirst: Bool) throws(CommandError) {
        throw CommandError("ERR Persistence is not available")
    }

    /// DEBUG LOADAOF: sync the log, empty the keyspace, and load snapshot and log.
    func reloadLog() throws(CommandError) {
        throw CommandError("ERR Persistence is not available")
    }

    // MARK: Settings

    /// `save`, `appendonly`, `appendfsync` or a delay for tests changed. Throwing refuses the change.
    func settingsChanged(_ settings: Settings, old: Settings) throws(SettingError) {}

    /// `dir` changed; the process is there already. Throwing refuses the change.
    func directoryChanged() throws(SettingError) {}
}
