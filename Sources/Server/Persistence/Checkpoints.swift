import Glibc
import Storage

/// When checkpoints begin, how they go on between commands, and what their end means.
extension PersistenceControl {
    /// Slices of a checkpoint's handover between two looks at the sockets, in nanoseconds. What a request may have to wait
    /// for; a look at the sockets costs 1 % of it.
    private static let slice: UInt64 = 60_000
    /// After a failure, before the next attempt by itself.
    private static let retryDelay: UInt64 = 5_000_000_000
    /// The same where another program holds the snapshot's lock, and for how long that does not refuse writes.
    private static let lockRetryDelay: UInt64 = 1_000_000_000
    private static let lockPatience: UInt64 = 60_000_000_000
    /// A checkpoint is due when the log is larger than this share of the snapshot, in percent of
    /// auto-aof-rewrite-percentage: replaying and rewriting then cost about the same.
    private static let logShare = 25

    /// A checkpoint as of the end of this turn.
    func requestSave() {
        wantsSave = true
        saveStarted = wallClockMilliseconds() / 1000
        server.waker.wake()
    }

    /// The cut. None is running. Waits for the next log segment where that was not prepared. Throws when the log cannot go
    /// on in it; then there is no checkpoint.
    func beginCheckpoint() throws(StorageError) {
        wantsSave = false
        writeTurn()
        saveStarted = wallClockMilliseconds() / 1000
        var segment: Int64 = 0
        if let log {
            segment = try log.cut()
            server.stream.forgetSelected()
            logPositionAtNextCut = log.position
        }
        checkpointNumber += 1
        let meta = Meta(
            server: serverID, checkpoint: checkpointNumber, savedAtMs: wallClockMilliseconds(), segment: segment,
            segmentOffset: 0, replicationID: server.stream.id,
            replicationOffset: Int64(server.stream.offset))
        changesAtCut = server.keyspace.dirty
        checkpointer?.begin(meta)
    }

    /// Between commands: begins, goes on with and ends checkpoints.
    func proceed() {
        guard let checkpointer else { return }
        if checkpointer.isRunning {
            let isMore = checkpointer.step(
                budgetNanoseconds: PersistenceControl.slice, mayCommit: !(log?.isRotating ?? false))
            if isMore && !checkpointer.isBlocked { server.waker.wake() }
            if let outcome = checkpointer.takeResult() { finished(outcome.meta, outcome.result) }
        } else if checkpointer.isMarking {
            if checkpointer.mark(budgetNanoseconds: PersistenceControl.slice) || wantsSave {
                server.waker.wake()
            }
        } else if wantsSave {
            checkpointer.prepare()
            do throws(StorageError) {
                if let log, try !log.prepareCut() { return }
                if !checkpointer.isMarking { try beginCheckpoint() }
            } catch {
                wantsSave = false
                checkpointFailed(error)
                checkpointEnded()
            }
            server.waker.wake()
        }
    }

    /// Drives the running checkpoint to its end.
    func finishCheckpoint() throws(StorageError) {
        guard let checkpointer, checkpointer.isRunning else { return }
        try log?.waitForSegment()
        if let outcome = checkpointer.finishNow() { finished(outcome.meta, outcome.result) }
        if isWritingAll && wantsSave {
            try beginCheckpoint()
            try finishCheckpoint()
        }
    }

    func finished(_ meta: Meta, _ result: Result<SnapshotCommit, StorageError>) {
        let now = wallClockMilliseconds() / 1000
        switch result {
        case .success(let commit):
            lastSaveSucceeded = true
            isWritingAll = false
            lockedSince = nil
            saveFailure = nil
            lastSaveTime = now
            lastSaveDuration = max(0, now - saveStarted)
            saves += 1
            changesAtLastSave = changesAtCut
            logSegmentOfSnapshot = meta.segment
            logPositionAtCut = logPositionAtNextCut
            isLogPoisoned = false
            // With no log from here on (segment 0), all segments are history.
            removeSegments(through: meta.segment == 0 ? .max : meta.segment - 1)
            logBytesAtLastSave = logBytes
            server.logger.notice("Background saving terminated with success")
            if commit.isWALHeld {
                server.logger.warning(
                    "Another program reads the snapshot for long: its write-ahead log has grown to \(commit.walBytes) bytes"
                )
            }
            if let warning = commit.warning { server.logger.warning("\(warning)") }
        case .failure(let error) where error.reason == .replaced && !isWritingAll:
            // The save that was asked for goes on with everything, once all keys are marked.
            server.logger.warning("\(error)")
            isWritingAll = true
            wantsSave = true
            server.waker.wake()
            return
        case .failure(let error):
            checkpointFailed(error)
            // The handed over keys are to be marked again.
            server.waker.wake()
        }
        checkpointEnded()
    }

    /// A checkpoint failed, or could not begin. What it was to save stays in the log and counts as changed.
    func checkpointFailed(_ error: StorageError) {
        let time = monotonicNanoseconds()
        let isLocked = error.reason == .busy
        lastSaveSucceeded = false
        isWritingAll = false
        changesAtFlush = 0
        saveFailure = "\(error)"
        lockedSince = isLocked ? lockedSince ?? time : nil
        retryAfter = time + (isLocked ? PersistenceControl.lockRetryDelay : PersistenceControl.retryDelay)
        server.logger.warning("Background saving error: \(error)")
    }

    private func checkpointEnded() {
        isRewritingLog = false
        updateGuard()
        if isSaveScheduled {
            isSaveScheduled = false
            requestSave()
            isRewritingLog = isLogRewriteScheduled
            isLogRewriteScheduled = false
        }
    }

    /// The last checkpoint failed, and not only as another program has held the snapshot's lock for a while.
    var refusesWritesForSave: Bool {
        if lastSaveSucceeded { return false }
        guard let lockedSince else { return true }
        return monotonicNanoseconds() - lockedSince > PersistenceControl.lockPatience
    }

    private func removeSegments(through number: Int64) {
        if let log, number != .max {
            log.removeSegments(through: number)
        } else if log == nil {
            let settings = server.config.settings
            LogWriter.removeInBackground(
                directory: settings.directory, baseName: settings.appendFileName, through: number)
            noteDirectory()
        }
    }

    /// Has the directory's record say what is here by now, so that files which go missing are noticed.
    func noteDirectory() {
        let record = DataRecord(server: serverID, segment: log?.durableSegment ?? 0)
        if record == noted { return }
        noted = record
        let logger = server.logger
        lock?.writeInBackground(record) { logger.warning("\($0)") }
    }

    /// `hz` times a second: save points, the log's size, failed attempts.
    func cron() {
        let settings = server.config.settings
        if isSaving || monotonicNanoseconds() < retryAfter { return }
        if lockedSince != nil { return requestSave() }
        let changes = unsaved(server.keyspace.dirty)
        let elapsed = wallClockMilliseconds() / 1000 - lastSaveTime
        for point in settings.effectiveSavePoints where changes >= point.changes && elapsed >= point.seconds {
            server.logger.notice("\(point.changes) changes in \(point.seconds) seconds. Saving...")
            return requestSave()
        }
        if isRefusingForSave {
            // Nothing else may ever ask for one, while no write is accepted.
            return requestSave()
        }
        if isLogPoisoned || log.map({ if case .poisoned = $0.state { true } else { false } }) ?? false {
            return requestSave()
        }
        if log != nil && settings.rewritePercentage > 0 && logBytes > settings.rewriteMinimumSize {
            let snapshot = Int(Snapshot.size(path: snapshotPath) ?? 0)
            if logBytes / settings.rewritePercentage * 100 > snapshot / 100 * PersistenceControl.logShare {
                server.logger.notice("The append only file has \(logBytes) bytes. Saving...")
                requestSave()
            }
        }
    }
}
