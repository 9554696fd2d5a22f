/// A directory that keeps a keyspace: a snapshot and the log of what was done since, in the order that makes them
/// durable. A program opens it, appends what its commands do to the stream of changes, and asks for checkpoints.
///
/// The order that it keeps: what is acknowledged was appended before; a checkpoint's cut opens a log segment, its commit
/// names that segment once it is on disk, and older segments are deleted once the commit is durable. Lives on the thread
/// that executes commands, which it never lets wait but where that is said.
public final class DataDirectory {
    /// How far the directory is.
    public enum State: Equatable, Sendable {
        /// Not looked at.
        case closed
        /// Ours alone, until the process ends.
        case locked
        /// Snapshot and log are read into the keyspace.
        case loading
        /// Changes are appended to the log.
        case open
    }

    /// How far the checkpoint under way is.
    public enum Checkpoint: Equatable, Sendable {
        case idle
        /// Asked for: the next segment is being made, or keys are being marked.
        case requested
        /// Behind the cut: rows are handed over, and written by another thread, which then commits.
        case running
        /// Rows that come from elsewhere are written, and are to take the place of all that is here.
        case replacing
        /// They have, on disk; the keyspace does not hold them yet.
        case replaced
    }

    /// What a checkpoint is asked for; who asked hears of its end. Only a replacement is one of another kind. `upkeep`: nobody
    /// asked, but the log ended, or everything was flushed.
    public enum Purpose: Equatable, Sendable { case save, rewriteLog, replacement, upkeep }

    /// Whether a checkpoint that was asked for has begun, or follows the one that is under way.
    public enum Start: Equatable, Sendable { case started, scheduled }

    public struct Options: Sendable {
        public var directory: String
        public var snapshotName: String
        public var logName: String
        /// Without a log, what was changed since the last checkpoint is lost with the process.
        public var keepsLog: Bool
        public var fsync: FsyncPolicy
        /// A log that ends in the middle of a batch is cut there, and not refused.
        public var mayCutTail: Bool
        /// Nothing has to be saved: a directory that cannot be written is loaded all the same, and so is a snapshot that
        /// another program has locked.
        public var mayBeReadOnly: Bool
        /// How far back moments can be restored; nil: what a checkpoint has overtaken is deleted.
        public internal(set) var history: HistoryLimits?

        public static let snapshotName = "dump.sqlite"
        public static let logName = "appendonly.aof"

        public init(
            directory: String, snapshotName: String = snapshotName, logName: String = logName,
            keepsLog: Bool = true, fsync: FsyncPolicy = .everysec, mayCutTail: Bool = true, mayBeReadOnly: Bool = false,
            history: HistoryLimits? = nil
        ) {
            self.directory = directory
            self.snapshotName = snapshotName
            self.logName = logName
            self.keepsLog = keepsLog
            self.fsync = fsync
            self.mayCutTail = mayCutTail
            self.mayBeReadOnly = mayBeReadOnly
            self.history = history
        }
    }

    /// Names a history of changes, and how far it goes. A checkpoint commits both; recovery continues the offset.
    public struct Stream: Equatable, Sendable {
        /// 40 hexadecimal digits.
        public var id: String
        /// Bytes since the history's beginning.
        public var offset: Int
        /// The history that this one has gone on from, and the offset up to which both hold the same; nil: from none.
        public var secondID: String?
        public var secondOffset: Int
        /// The database that is selected at `offset`, for a stream that does not select its own behind a cut.
        public var db: Int

        public init(id: String, offset: Int, secondID: String? = nil, secondOffset: Int = 0, db: Int = 0) {
            self.id = id
            self.offset = offset
            self.secondID = secondID
            self.secondOffset = secondOffset
            self.db = db
        }

        var history: LogHistory { LogHistory(id: id, secondID: secondID, secondOffset: secondOffset) }
        /// The history goes on under another name from here.
        mutating func beginHistory(id: String = DataDirectory.makeStreamID()) {
            (secondID, secondOffset) = (self.id, offset)
            self.id = id
        }
    }

    /// May change while the directory is open, but for the names in it; `keepsLog`, `fsync` and `history` through
    /// `startLog`, `stopLog`, `setPolicy` and `keepHistory`.
    public var options: Options
    public let keyspace: Keyspace
    public let host: Host
    /// Outlives this object.
    unowned let client: any DataDirectoryClient
    /// Called on another thread when there is something to do or to look at.
    let wake: @Sendable () -> Void

    public internal(set) var state = State.closed
    public internal(set) var checkpoint = Checkpoint.idle
    /// What the checkpoint under way is for, and the one that follows it; nil: there is none.
    public internal(set) var purpose: Purpose?
    public internal(set) var following: Purpose?
    /// The checkpoint under way writes every key, as the snapshot's file was not what it should be.
    var extent = Extent.changes
    enum Extent { case changes, everything }

    /// What was appended so far. The owner of the stream sets `db` before a cut, and all of it before `open`; for another
    /// history see `beginHistory`.
    public var stream = Stream(id: DataDirectory.makeStreamID(), offset: 0)
    /// How much more than the stream's offset was appended in all: local bytes, what another history did not count, and one
    /// for each record of a history. The log's positions, which only grow, are the offset and this.
    var excess = 0
    var position: Int { stream.offset + excess }
    /// Of the last commit or of the snapshot that was loaded; nil: there was none.
    var committed: Stream?
    /// The one that is under way.
    var replacement: Replacement?
    /// What the file holds that the keyspace does not hold yet.
    var replacedIdentity: SnapshotIdentity?

    /// Names snapshot and log as belonging together: a uuid.
    public internal(set) var serverID = ""
    public internal(set) var checkpointNumber: Int64 = 0
    /// The segment that the snapshot names; 0: none.
    public internal(set) var segmentOfSnapshot: Int64 = 0
    public internal(set) var log: LogWriter?
    /// Where the stream stood when a log was switched on that the snapshot does not name yet; nil: none was. A crash takes what came
    /// after the last checkpoint as long as that is so.
    var logStart: Int?
    /// The file in which that log begins, at a cut.
    var firstSegment: PreparedSegment?
    /// The highest number of a segment that may be noted anywhere, where there is no log.
    var lastSegment: Int64 = 0
    var checkpointer: Checkpointer
    var lock: DirectoryLock?
    /// nil: no history was kept so far.
    var keeper: HistoryKeeper?
    /// What the directory's record says, or will.
    var noted: DataRecord?
    /// What the log had taken at the last committed checkpoint's cut, and at the running one's.
    var logBytesAtCommit = 0
    var logBytesAtCut = 0
    /// The keyspace's `dirty` at the running checkpoint's cut.
    var changesAtCut = 0
    /// Of the last checkpoint that ended.
    var lastOutcome: Outcome?

    /// Nothing is opened yet. `wake` is called on another thread when `advance` has something to do, or what is acknowledged
    /// may have changed.
    public init(
        _ options: Options, keyspace: Keyspace, client: any DataDirectoryClient, host: Host = .real,
        wake: @escaping @Sendable () -> Void
    ) {
        self.options = options
        self.keyspace = keyspace
        self.client = client
        self.host = host
        self.wake = wake
        checkpointer = Checkpointer(
            keyspace: keyspace, path: options.directory + "/" + options.snapshotName, host: host, wake: wake)
    }

    public var snapshotPath: String { options.directory + "/" + options.snapshotName }
    /// Of the snapshot, in bytes; 0: there is none.
    public var snapshotSize: Int64 { host.files.size(snapshotPath) ?? 0 }
    /// Bytes in the log since the last checkpoint's cut, checks left out.
    public var logBytes: Int { max(0, (log?.appendedBytes ?? 0) - logBytesAtCommit) }
    /// Segments that a restart would replay; 0 without a log. Those that history has overtaken are being deleted.
    public var segmentCount: Int {
        guard let log else { return 0 }
        return isStartingLog ? 1 : max(1, Int(log.segment - max(1, segmentOfSnapshot)) + 1)
    }
    /// Another process cannot use the directory. False in one that cannot be written.
    public var isLocked: Bool { lock != nil }

    // MARK: Changes

    /// Once a turn, and regularly: what the turn changed, and up to where the stream goes with it. Also tries again what
    /// failed before. `waiters`: clients that wait for it.
    public func endTurn(_ changes: Bytes, upTo offset: Int, waiters: Int = 1) {
        stream.offset = offset
        guard let log else { return }
        if !changes.isEmpty { log.append(changes, upTo: position) }
        log.endTurn(waiters: max(1, waiters))
        if log.durableSegment != noted?.segment { noteDirectory() }
    }

    /// In the midst of a turn: as `endTurn`, which is still to come.
    public func append(_ changes: Bytes, upTo offset: Int) {
        stream.offset = offset
        if !changes.isEmpty { log?.append(changes, upTo: position) }
    }

    /// Logs commands that are not part of the stream and move its offset by nothing: what a replica's own clients write. They
    /// come behind what was appended so far, select their databases, and in the end that of the stream again.
    public func appendLocal(_ changes: Bytes) {
        guard let log, !changes.isEmpty else { return }
        excess += changes.count
        log.appendLocal(changes, upTo: position)
    }

    /// The stream goes on from here under `id`; what came before is known by the old id, too (PSYNC's second id), up to here,
    /// or by `second` up to its offset; nil: by none. The log records it behind what was appended so far.
    public func beginHistory(_ id: String, second: (id: String, offset: Int)?) {
        (stream.id, stream.secondID, stream.secondOffset) = (id, second?.id, second?.offset ?? 0)
        recordHistory()
    }
    func recordHistory() {
        guard let log else { return }
        // A position of its own, so that it is known whether the record is on disk.
        excess += 1
        log.append(stream.history, upTo: position)
    }

    /// Replies to commands up to this offset of the stream may go out; `.max` without a log. It lies before the stream's
    /// offset also where local bytes are not safe yet. It stays where it is while a log begins that is to be `always` on disk.
    public var acknowledgedOffset: Int {
        if let logStart, options.fsync == .always { return logStart }
        return log.map { $0.acknowledgedOffset - excess } ?? .max
    }
    /// What stands before this offset of the stream is on disk, with all local bytes before it; 0 without a log that counts.
    public var syncedOffset: Int { isStartingLog ? 0 : log.map { $0.syncedOffset - excess } ?? 0 }

    /// Has the directory's record say what is here by now, so that files which go missing are noticed.
    func noteDirectory() {
        let record = DataRecord(server: serverID, segment: log?.durableSegment ?? 0)
        if record == noted { return }
        noted = record
        let warn = client.warnFromAnyThread
        lock?.writeInBackground(record) { warn("\($0)") }
    }

    /// Writes down, durably, that the log of this server is whole up to `segment`.
    func noteNow(_ segment: Int64) throws(StorageError) {
        let record = DataRecord(server: serverID, segment: segment)
        try lock?.write(record)
        noted = record
    }

    // MARK: The log while the directory is open

    /// What is written is on disk when it returns. Waits for the disk. Throws when that fails.
    public func setPolicy(_ policy: FsyncPolicy) throws(StorageError) {
        try log?.setPolicy(policy)
        options.fsync = policy
    }

    /// Writes and syncs what was appended; waits for the disk. Throws when the log is not whole on disk afterwards.
    public func sync() throws(StorageError) { try log?.flush() }

    /// A log was switched on, and does not count yet.
    public var isStartingLog: Bool { logStart != nil }

    /// Begins a log, at the cut of a checkpoint whose commit names it: from that on it counts, and until then `isStartingLog`. A
    /// checkpoint without it comes first, where data hang on an earlier log, or on none. Waits for neither. Under `always`
    /// nothing is acknowledged meanwhile. A checkpoint that fails is to be asked for again. Throws while the data of a master come.
    public func startLog() throws(StorageError) {
        if options.keepsLog { return }
        try refuseWhileReplacing()
        try refuseUnwritable()
        options.keepsLog = true
        logStart = stream.offset
        request(.rewriteLog, mayFollow: true)
    }

    /// The log ends here. Its segments go when a checkpoint has what they hold. Throws when it cannot be synced; then it
    /// goes on.
    public func stopLog() throws(StorageError) {
        noteRupture()
        try sync()
        // A checkpoint that makes up for the log needs to know of it.
        if let log, case .poisoned(let code) = log.state { throw .system(log.path, "cannot sync the log", code: code) }
        lastSegment = max(lastSegment, log?.segment ?? 0)
        log = nil
        logStart = nil
        firstSegment = nil
        options.keepsLog = false
        request(.upkeep, mayFollow: true)
    }

    /// Has a log that was switched on count; waits for its checkpoints. Throws where one fails.
    public func finishLogStart() throws(StorageError) {
        while isStartingLog { try saveNow() }
    }

    func makeLog() -> LogWriter {
        let log = LogWriter(
            directory: options.directory, baseName: options.logName, server: serverID, policy: options.fsync,
            from: position, host: host, onProgress: wake)
        log.notesTime = options.history != nil
        return log
    }

    func findLog() throws(StorageError) -> (server: String, first: Int64)? {
        try LogReader.owner(directory: options.directory, baseName: options.logName, files: host.files)
    }

    /// Ends the use of the directory: the checkpoint that runs is driven to its end, the log synced, a clean stop noted where it
    /// is one, and the locks are let go of. Waits for the disk. Throws where the log cannot be synced; it is closed all the same.
    public func close() throws(StorageError) {
        defer {
            host.background.drain()
            checkpointer.release()
            log = nil
            lock = nil
            state = .closed
        }
        abandonReplacement(StorageError(file: snapshotPath, message: "the directory is closed"))
        try finishCheckpoint()
        try sync()
        try noteCleanStop()
    }

    /// Last of all, where all that was done is on disk: notes it, durably, so that the next start goes on with the stream's
    /// history. Nothing may be appended or saved after it. Waits for the disk. False where not all is on disk: without a log,
    /// what was changed since the last checkpoint is not.
    @discardableResult public func noteCleanStop() throws(StorageError) -> Bool {
        guard let lock, state == .open, checkpoint == .idle, stream.id.utf8.count == 40 else { return false }
        if log != nil && !isStartingLog {
            try sync()
        } else if committed.map({ $0.id == stream.id && $0.offset == stream.offset }) != true || !keyspace.isSaved {
            return false
        }
        host.background.drain()
        let stop = DataRecord.CleanStop(id: stream.id, offset: stream.offset)
        let record = DataRecord(server: serverID, segment: log?.segment ?? noted?.segment ?? 0, stop: stop)
        try lock.write(record)
        noted = record
        return true
    }
}

/// What a data directory asks of the program whose keyspace it keeps. All but `warnFromAnyThread`'s closure is called on
/// the thread that the directory lives on.
public protocol DataDirectoryClient: AnyObject {
    /// Executes a command of the log, as it was executed before. Throws where that is not possible.
    func replay(_ arguments: UnsafeBufferPointer<Bytes>) throws(StorageError)
    /// The directory holds neither snapshot nor log: makes a snapshot out of other data, loads it with `loadSnapshot`
    /// and returns what it says; nil where there is none.
    func importData() throws(StorageError) -> Meta?
    /// What is loaded from here on has so many bytes, and so many more are loaded.
    func loadingBegins(bytes: Int)
    func loaded(bytes: Int)
    /// Commands are replayed between these two.
    func replayBegins()
    func replayEnds()
    /// The snapshot was read; the log follows.
    func snapshotLoaded(_ meta: Meta)
    /// Everything was read: the stream goes on from here.
    func recovered(_ stream: DataDirectory.Stream)
    /// What was changed so far belongs in front of the cut that comes: hands it over with `endTurn`, and says in `stream.db`
    /// what the stream has selected, unless it selects its database again.
    func directoryWillCut()
    /// A checkpoint ended, well or not, or could not begin. One that follows is asked for already.
    func checkpointEnded(_ outcome: DataDirectory.Outcome)
    /// The snapshot's file was not what it should be: the checkpoint begins again, with every key.
    func checkpointRestarted(_ reason: StorageError)
    func warn(_ message: String)
    var warnFromAnyThread: @Sendable (String) -> Void { get }
}

extension DataDirectoryClient {
    public func importData() throws(StorageError) -> Meta? { nil }
    public func loadingBegins(bytes: Int) {}
    public func loaded(bytes: Int) {}
    public func replayBegins() {}
    public func replayEnds() {}
    public func snapshotLoaded(_ meta: Meta) {}
    public func recovered(_ stream: DataDirectory.Stream) {}
    public func directoryWillCut() {}
    public func checkpointEnded(_ outcome: DataDirectory.Outcome) {}
    public func checkpointRestarted(_ reason: StorageError) {}
}
