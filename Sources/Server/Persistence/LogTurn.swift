import Glibc
import Storage

/// The log as a reader of the stream, once a turn of the loop, and who may see what before it is safe.
extension PersistenceControl: StreamReader {
    /// The stream goes to the log from here on, or no longer.
    func setLogging(_ isOn: Bool) {
        if isLogging == isOn { return }
        isLogging = isOn
        if isOn { server.stream.add(self) } else { server.stream.remove(self) }
    }

    func receive(_ bytes: Bytes, upTo offset: Int) {
        guard let log else { return }
        log.append(bytes)
        // One that pipelines has its replies under way from an earlier turn, and is not counted again.
        log.endTurn(waiters: max(1, waitersOfTurn))
        turns.append((log.position, offset))
    }

    /// Plugs into the server's hooks. Once, when the data is loaded.
    func attach() {
        server.onEndOfTurn = { [unowned self] in
            writeTurn()
            updateAcknowledged()
            if wantsSave { proceed() }
        }
        server.onAcknowledge = { [unowned self] in
            writeTurn()
            updateAcknowledged()
            proceed()
        }
        server.onCron = { [unowned self] in
            writeTurn()
            updateAcknowledged()
            cron()
        }
    }

    /// What the turn's commands changed goes to the log.
    func writeTurn() {
        waitersOfTurn = server.clientsWithReplies
        server.clientsWithReplies = 0
        let isIdle = server.stream.isDelivered
        server.stream.deliver()
        guard let log else { return }
        if isIdle || !isLogging { log.endTurn() }
        if log.durableSegment != noted?.segment { noteDirectory() }
        // The state is looked at each turn: a command that could not be logged is not acknowledged.
        switch log.state {
        case .ok: if isRefusingForLog { updateGuard() }
        case .writeFailed: if !isRefusingForLog { updateGuard() }
        case .poisoned(let code):
            if log.policy == .always {
                server.logger.warning(
                    "Syncing the append only file failed: \(String(cString: strerror(code))). Exiting, as nothing can be "
                        + "promised any more.")
                exit(1)
            }
            if !isLogPoisoned {
                isLogPoisoned = true
                updateGuard()
                if !isSaving { requestSave() }
            }
        }
    }

    /// Lets replies go whose commands are safe by the policy.
    func updateAcknowledged() {
        answerSyncWaiters()
        server.holdsReads = log?.policy == .always
        guard let log else {
            server.acknowledgedOffset = .max
            return
        }
        let safe = log.acknowledged
        var done = 0
        while done < turns.count, turns[done].log <= safe {
            server.acknowledgedOffset = turns[done].propagated
            done += 1
        }
        if done == turns.count && server.stream.isDelivered {
            server.acknowledgedOffset = server.stream.offset
        }
        if done > 0 { turns.removeFirst(done) }
    }

    /// Whether writes are refused, and with which words. The log says so once, and once that they are accepted again.
    func updateGuard() {
        let settings = server.config.settings
        isRefusingForLog = false
        isRefusingForSave = false
        let cause: String?
        if case .writeFailed(let code) = log?.state ?? .ok {
            isRefusingForLog = true
            cause = "Errors writing to the AOF file: \(String(cString: strerror(code))) (\(log?.path ?? ""))"
        } else if isLogPoisoned {
            cause = "Errors writing to the AOF file: an fsync failed, writes resume after a checkpoint"
        } else if settings.stopWritesOnSaveError && refusesWritesForSave && !settings.effectiveSavePoints.isEmpty {
            isRefusingForSave = true
            cause = CommandError.unableToSave + (saveFailure.map { " (\($0))" } ?? "")
        } else {
            cause = nil
        }
        if let cause {
            let text = "MISCONF " + String(cause.map { $0.isNewline ? " " : $0 })
            if !server.guards.contains(.misconfigured) {
                server.logger.warning("Writes are refused from here on: \(cause)")
            }
            server.misconfiguration = CommandError(text)
            server.guards.insert(.misconfigured)
        } else if server.guards.contains(.misconfigured) {
            server.logger.notice("Writes are accepted again")
            server.guards.remove(.misconfigured)
        }
    }

    // MARK: appendonly while the server runs

    /// The log begins. Waits for a checkpoint that names it, as SAVE does: what is acknowledged from here on must not hang
    /// on a snapshot that does not know of the log.
    func startLog() throws(StorageError) {
        let wake = { @Sendable [waker = server.waker] in waker.wake() }
        let new = makeLog(wake)
        try finishCheckpoint()
        LogWriter.waitForRemovals()
        // Segments of an earlier log may be all that holds some data, until a checkpoint does.
        if try LogReader.owner(directory: new.directory, baseName: new.baseName) != nil { try saveNow() }
        LogWriter.removeSegments(directory: new.directory, baseName: new.baseName, through: .max)
        try new.openSegment(1, previous: SegmentEnd())
        try noteNow(1)
        log = new
        logPositionAtCut = 0
        turns = []
        setLogging(true)
        do throws(StorageError) {
            try saveNow()
        } catch {
            setLogging(false)
            log = nil
            server.acknowledgedOffset = .max
            throw error
        }
    }

    private func saveNow() throws(StorageError) {
        try beginCheckpoint()
        try finishCheckpoint()
        if !lastSaveSucceeded {
            throw StorageError(file: snapshotPath, message: "the checkpoint failed: see the log")
        }
    }

    /// The log ends here. Its segments go when a checkpoint has what they hold.
    func stopLog() throws(StorageError) {
        writeTurn()
        try log?.flush()
        setLogging(false)
        log = nil
        turns = []
        server.acknowledgedOffset = .max
        if isSaving { isSaveScheduled = true } else { requestSave() }
    }
}
