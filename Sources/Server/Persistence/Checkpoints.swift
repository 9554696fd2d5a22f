import Storage

/// When checkpoints begin, how they go on between commands, and what their end means.
extension PersistenceControl {
    /// Slices of a checkpoint's handover between two looks at the sockets, in nanoseconds. What a request may have to wait
    /// for; a look at the sockets costs 1 % of it.
    private static let slice: UInt64 = 60_000
    /// After a failure, before the next attempt by itself.
    private static let retryDelay: UInt64 = 5_000_000_000
    /// Before the next attempt where another program holds the snapshot's lock, and for how long that does not refuse
    /// writes.
    private static let lockRetryDelay: UInt64 = 1_000_000_000
    private static let lockPatience: UInt64 = 60_000_000_000
    /// A checkpoint is due when the log is larger than this share of the snapshot, in percent of
    /// auto-aof-rewrite-percentage: replaying and rewriting then cost about the same.
    private static let logShare = 25

    /// Between commands: begins, goes on with and ends checkpoints.
    func proceed() {
        guard let data else { return }
        let before = data.checkpoint
        let began = monotonicNanoseconds()
        let progress = data.advance(budgetNanoseconds: PersistenceControl.slice)
        if before != .idle {
            let taken = monotonicNanoseconds() &- began
            // The step that makes the cut ends behind it.
            let isCut = before == .requested && data.checkpoint == .running
            pace.add(slice: taken, isCut: isCut)
            server.services.latency.note(isCut ? .checkpointCut : .checkpointSlice, nanoseconds: taken)
        }
        if case .more = progress { server.waker.wake() }
    }

    /// A checkpoint failed, or could not begin. What it was to save stays in the log and counts as changed.
    func checkpointFailed(_ error: StorageError) {
        let time = monotonicNanoseconds()
        let isLocked = error.reason == .busy
        var since: UInt64?
        if case .failed(_, let lockedSince) = lastSave { since = lockedSince }
        lastSave = .failed("\(error)", lockedSince: isLocked ? since ?? time : nil)
        changesAtFlush = 0
        retryAfter = time + (isLocked ? PersistenceControl.lockRetryDelay : PersistenceControl.retryDelay)
        server.logger.warning("Background saving error: \(error)")
    }

    private func checkpointSucceeded(_ outcome: DataDirectory.Outcome, _ commit: SnapshotCommit) {
        lastSave = .succeeded
        lastSaveTime = wallClockMilliseconds() / 1000
        lastSaveDuration = max(0, lastSaveTime - saveStarted)
        saves += 1
        changesAtLastSave = outcome.changes
        logBytesAtLastSave = logBytes
        server.logger.notice("Background saving terminated with success")
        if commit.isWALHeld && !backups.isCopying && data?.historyStatus?.isCopying != true {
            server.logger.warning(
                "Another program reads the snapshot for long: its write-ahead log has grown to \(commit.walBytes) bytes"
            )
        }
        if let warning = commit.warning { server.logger.warning("\(warning)") }
    }

    /// The last checkpoint failed only as another program has held the snapshot's lock for a while.
    func isPatient(_ lockedSince: UInt64?) -> Bool {
        guard let lockedSince else { return false }
        return monotonicNanoseconds() - lockedSince <= PersistenceControl.lockPatience
    }

    /// `hz` times a second: save points, the log's size, failed attempts.
    func saveIfDue() {
        let settings = server.config.settings
        if isSaving || isReplacing || monotonicNanoseconds() < retryAfter { return }
        if case .failed(_, .some) = lastSave { return requestByItself() }
        if data?.isStartingLog == true {
            request(.rewriteLog)
            return
        }
        let changes = unsaved(server.keyspace.dirty)
        let elapsed = wallClockMilliseconds() / 1000 - lastSaveTime
        for point in settings.effectiveSavePoints where changes >= point.changes && elapsed >= point.seconds {
            server.logger.notice("\(point.changes) changes in \(point.seconds) seconds. Saving...")
            return requestByItself()
        }
        switch refusal {
        // Nothing else may ever ask for one, while no write is accepted.
        case .saveFailed, .logPoisoned: return requestByItself()
        case .logFailed, nil: break
        }
        if isLogPoisoned { return requestByItself() }
        if log != nil && settings.rewritePercentage > 0 && logBytes > settings.rewriteMinimumSize {
            let snapshot = Int(clamping: data?.snapshotSize ?? 0)
            if logBytes / settings.rewritePercentage * 100 > snapshot / 100 * PersistenceControl.logShare {
                server.logger.notice("The append only file has \(logBytes) bytes. Saving...")
                requestByItself()
            }
        }
    }
    private func requestByItself() { request(.save) }

    /// Seconds until a save point is reached with the changes that there are; 0: now; -1: they reach none. What makes a
    /// checkpoint due besides, the log's size, has no time.
    var secondsUntilDue: Int64 {
        let changes = unsaved(server.keyspace.dirty)
        let elapsed = wallClockMilliseconds() / 1000 - lastSaveTime
        let points = server.config.settings.effectiveSavePoints.filter { changes >= $0.changes }
        return points.map { max(0, Int64($0.seconds) - elapsed) }.min() ?? -1
    }
}

// MARK: - What the directory tells

extension PersistenceControl: DataDirectoryClient {
    /// The end of the turn that is under way, so that the cut comes behind it.
    func directoryWillCut() {
        writeTurn()
        server.stream.closeGap()
        server.stream.forgetSelected()
        data?.stream.id = server.stream.id
        // What a server says of its own selects its database again; what its master says does not.
        data?.stream.db = server.stream.isRelayed ? server.stream.db : 0
        saveStarted = wallClockMilliseconds() / 1000
        pace.begin()
    }

    func checkpointEnded(_ outcome: DataDirectory.Outcome) {
        if outcome.purpose == .replacement {
            replacementEnded(outcome.result)
            return server.waker.wake()
        }
        endedCheckpoints += 1
        pace.end()
        lastOutcome = outcome
        switch outcome.result {
        case .success(let commit): checkpointSucceeded(outcome, commit)
        case .failure(let error): checkpointFailed(error)
        }
        backups.checkpointEnded(outcome.result)
        updateGuard()
        // One that follows begins; after a failure the handed over keys are to be marked again.
        if isSaving { saveBegins() } else { server.waker.wake() }
    }

    func checkpointRestarted(_ reason: StorageError) {
        server.logger.warning("\(reason)")
        server.waker.wake()
    }

    func warn(_ message: String) { server.logger.warning("\(message)") }
    var warnFromAnyThread: @Sendable (String) -> Void {
        let logger = server.logger
        return { logger.warning("\($0)") }
    }

    // MARK: While it is read

    func importData() throws(StorageError) -> Meta? { try importRedisData() }
    func loadingBegins(bytes: Int) { expectLoading(bytes: bytes) }
    func snapshotLoaded(_ meta: Meta) { warnOfNewerRedisData(meta) }

    func replayBegins() {
        replayer = LogReplayer(server, self)
        server.stream.isReplayed = true
    }
    func replay(_ arguments: UnsafeBufferPointer<Bytes>) throws(StorageError) { try replayer?.apply(arguments) }
    func replayEnds() {
        replayer?.end()
        replayer = nil
        server.stream.isReplayed = false
    }

    func recovered(_ stream: DataDirectory.Stream) {
        server.stream.resume(
            id: stream.id, offset: stream.offset, secondID: stream.secondID, secondOffset: stream.secondOffset,
            db: stream.db)
    }
}
