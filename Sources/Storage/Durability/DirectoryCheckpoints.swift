/// Checkpoints of a directory: cut, hand over, commit, truncate.
extension DataDirectory {
    /// What came of a checkpoint.
    public struct Outcome {
        public let meta: Meta
        /// What it was asked for.
        public let purpose: Purpose
        /// The keyspace's `dirty` at the cut.
        public let changes: Int
        /// Rows handed over, removals among them, and their bytes. Those of a replacement come from elsewhere.
        public let rows: Int
        public let byteCount: Int
        public let result: Result<SnapshotCommit, StorageError>
    }

    /// What `advance` leaves to do.
    public enum Progress {
        /// There is no checkpoint, and nothing to mark.
        case idle
        /// Another thread is at work, and calls `wake`.
        case waiting
        /// Call again, after a look at what else there is.
        case more
    }

    /// Asks for a checkpoint. `mayFollow`: where one is under way, another after it; nil where that is not wanted.
    @discardableResult
    public func request(_ purpose: Purpose, mayFollow: Bool) -> Start? {
        if checkpoint == .idle {
            checkpoint = .requested
            self.purpose = purpose
            return .started
        }
        if !mayFollow { return nil }
        if following != .rewriteLog && (following == nil || purpose != .upkeep) { following = purpose }
        return .scheduled
    }

    /// Between commands: begins, goes on with or ends the checkpoint, for about `budgetNanoseconds`.
    public func advance(budgetNanoseconds: UInt64) -> Progress {
        switch checkpoint {
        case .running:
            let isMore = checkpointer.step(budgetNanoseconds: budgetNanoseconds, commit: commitPermission)
            if let (meta, result) = checkpointer.takeResult() {
                ended(meta, result)
                return .more
            }
            return isMore && !checkpointer.isBlocked ? .more : .waiting
        case .requested:
            if checkpointer.isMarking {
                _ = checkpointer.mark(budgetNanoseconds: budgetNanoseconds)
                return .more
            }
            checkpointer.prepare()
            if checkpointer.isMarking { return .more }
            do throws(StorageError) {
                if beginsLog ? try !prepareLog() : try log?.prepareCut() == false { return .waiting }
                try cut()
            } catch {
                ended(nextMeta(segment: 0), .failure(error))
            }
            return .more
        case .replacing: return advanceReplacement()
        case .idle, .replaced:
            return checkpointer.isMarking && checkpointer.mark(budgetNanoseconds: budgetNanoseconds) ? .more : .idle
        }
    }

    /// The next cut is where the log that was switched on begins. An earlier log must not be needed any more, and there must be a
    /// snapshot: without one, what there is of a log is taken for all that was.
    private var beginsLog: Bool { isStartingLog && log == nil && committed != nil && segmentOfSnapshot == 0 }

    /// Has its first segment made; true once it is there. Throws, once, when it cannot be made.
    private func prepareLog() throws(StorageError) -> Bool {
        try PreparedSegment.isReady(&firstSegment) {
            LogWriter.prepareFirst(
                directory: options.directory, baseName: options.logName, server: serverID, above: lastSegment, host,
                wake)
        }
    }

    /// The log begins in the segment that was made for it, whose number is returned.
    private func beginLog(_ first: PreparedSegment) throws(StorageError) -> Int64 {
        let log = makeLog()
        try log.open(first)
        firstSegment = nil
        self.log = log
        logBytesAtCommit = 0
        return log.segment
    }

    /// The cut. None is running. Waits for the next log segment where that was not prepared. Throws when the log cannot go
    /// on in it; then there is no checkpoint.
    private func cut() throws(StorageError) {
        client.directoryWillCut()
        let segment = try cutLog(beginningIn: beginsLog ? firstSegment : nil)
        if stream.db != 0 { selectStreamDatabase() }
        checkpoint = .running
        checkpointer.begin(nextMeta(segment: segment))
    }

    /// The log goes on in a new segment, or begins in `first`. Its number is returned; 0: there is no log.
    func cutLog(beginningIn first: PreparedSegment? = nil) throws(StorageError) -> Int64 {
        let segment: Int64
        if let first { segment = try beginLog(first) } else { segment = try log?.cut() ?? 0 }
        logBytesAtCut = log?.appendedBytes ?? 0
        checkpointNumber += 1
        changesAtCut = keyspace.dirty
        return segment
    }

    /// A commit names the segment that was begun at the cut, which must be on disk with all before it; where only what came
    /// before is in doubt, the commit makes up for that.
    var commitPermission: Checkpointer.Permission {
        guard let log else { return .granted }
        if log.isRotating { return .pending }
        guard log.lostSegment == log.segment, case .poisoned(let code) = log.state else { return .granted }
        return .refused(.system(log.path, "cannot sync the segment that the snapshot would name", code: code))
    }

    private func nextMeta(segment: Int64) -> Meta {
        Meta(server: serverID, checkpoint: checkpointNumber, segment: segment, stream)
    }

    private func ended(_ meta: Meta, _ result: Result<SnapshotCommit, StorageError>) {
        switch result {
        case .success: commitEnded(meta, isNewData: false)
        case .failure(let error) where error.reason == .replaced && extent == .changes:
            extent = .everything
            checkpoint = .requested
            return client.checkpointRestarted(error)
        case .failure: break
        }
        extent = .changes
        tell(meta, result, next: .idle)
    }

    /// The commit is durable. `isNewData`: what it holds came from elsewhere.
    func commitEnded(_ meta: Meta, isNewData: Bool) {
        segmentOfSnapshot = meta.segment
        logBytesAtCommit = logBytesAtCut
        committed = meta.stream
        truncate(meta, isNewData: isNewData)
        if !isStartingLog { return }
        // A log begins at a cut, so that a snapshot which names one names this one; unless it was switched on after that.
        if log != nil && meta.segment > 0 { logStart = nil } else { request(.rewriteLog, mayFollow: true) }
    }

    /// The checkpoint under way has ended.
    func tell(_ meta: Meta, _ result: Result<SnapshotCommit, StorageError>, next state: Checkpoint) {
        let outcome = Outcome(
            meta: meta, purpose: purpose ?? .save, changes: changesAtCut, rows: checkpointer.handedOver.rows,
            byteCount: checkpointer.handedOver.bytes, result: result)
        checkpoint = state
        purpose = nil
        if state == .idle { beginFollowing() }
        lastOutcome = outcome
        client.checkpointEnded(outcome)
    }
    func beginFollowing() {
        if let next = following {
            following = nil
            request(next, mayFollow: false)
        }
    }

    /// The commit is durable: what came before the segment that it names is history. With no log (segment 0) all of it is.
    private func truncate(_ meta: Meta, isNewData: Bool) {
        if let log {
            if meta.segment == 0 { return }
            log.release(through: meta.segment - 1)
            return overtake(through: meta.segment - 1, isNewData: isNewData)
        }
        // Goes with them.
        firstSegment = nil
        // For history, as a log that begins meanwhile has a higher number, and stays.
        let all = options.history == nil ? .max : lastSegment
        overtake(through: meta.segment == 0 ? all : meta.segment - 1, isNewData: isNewData)
        noteDirectory()
    }

    // MARK: Waiting for it

    /// Drives the checkpoint that runs to its end, waiting as long as it takes. Throws when the log's segment cannot be
    /// written; then it still runs.
    public func finishCheckpoint() throws(StorageError) {
        while checkpoint == .running || extent == .everything || replacement?.isEnding == true { try advanceWaiting() }
    }

    /// A checkpoint from here, complete when this returns; one that runs is driven to its end before.
    @discardableResult public func save() throws(StorageError) -> Result<SnapshotCommit, StorageError> {
        try finishCheckpoint()
        try refuseWhileReplacing()
        request(.save, mayFollow: false)
        lastOutcome = nil
        while true {
            try advanceWaiting()
            if let lastOutcome { return lastOutcome.result }
        }
    }

    private func advanceWaiting() throws(StorageError) {
        if checkpoint == .running || replacement?.isCut == true { try log?.waitForSegment() }
        if case .more = advance(budgetNanoseconds: 100_000_000) { return }
        host.threads.pause(microseconds: 200)
    }

    /// `save`, which throws where the checkpoint fails.
    func saveNow() throws(StorageError) {
        _ = try save().get()
    }

    /// Deletes the segments that the snapshot has made history, and waits for it: at a clean stop.
    public func removeOldSegments() {
        guard log != nil else { return }
        if options.history != nil { return keeper?.rest() ?? () }
        LogWriter.removeSegments(
            directory: options.directory, baseName: options.logName, through: segmentOfSnapshot - 1, host)
    }
}
