import Glibc
import Storage

/// The log as a reader of the stream, once a turn of the loop, and who may see what before it is safe.
extension PersistenceControl: StreamReader, ServerPart {
    /// The stream goes to the log from here on, or no longer.
    func setLogging(_ isOn: Bool) {
        if isLogging == isOn { return }
        isLogging = isOn
        if isOn { server.stream.add(self) } else { server.stream.remove(self) }
    }

    func receive(_ bytes: Bytes, upTo offset: Int) {
        data?.append(bytes, upTo: offset)
    }
    func receiveLocal(_ bytes: Bytes) { data?.appendLocal(bytes) }
    func historyChanged(_ stream: PropagationStream) {
        data?.beginHistory(stream.id, second: stream.secondID.map { ($0, stream.secondOffset) })
    }

    func turnEnded() {
        if !isAttached { return }
        writeTurn()
        updateAcknowledged()
        if data?.checkpoint == .requested { proceed() }
        if pendingShutdown != nil { continueShutdown() }
    }

    func woken() {
        if !isAttached { return }
        writeTurn()
        updateAcknowledged()
        proceed()
    }

    func cron() {
        if let signal = pausedSignal {
            pausedSignal = nil
            beginShutdown(by: signal)
        }
        if !isAttached { return }
        writeTurn()
        updateAcknowledged()
        saveIfDue()
        if pendingShutdown != nil { continueShutdown() }
    }

    /// What the turn's commands changed goes to the log.
    func writeTurn() {
        // Half of a unit is there.
        if server.stream.isHeld { return }
        waitersOfTurn = server.clientsWithReplies
        server.clientsWithReplies = 0
        server.stream.deliver()
        guard let data else { return }
        // One that pipelines has its replies under way from an earlier turn, and is not counted again.
        guard let log = endTurn(data) else { return }
        // The state is looked at each turn: a command that could not be logged is not acknowledged.
        switch log.state {
        case .ok:
            switch refusal {
            case .logFailed, .logPoisoned: updateGuard()
            case .saveFailed, nil: break
            }
        case .writeFailed(let code): if refusal != .logFailed(code) { updateGuard() }
        case .poisoned(let code):
            if log.policy == .always {
                server.logger.warning(
                    "Syncing the append only file failed: \(String(cString: strerror(code))). Exiting, as nothing can be "
                        + "promised any more.")
                exit(1)
            }
            if refusal != .logPoisoned {
                updateGuard()
                if !isSaving { request(.save) }
            }
        }
    }

    /// Writes what the turn has appended; the log, where there is one. The loop is timed at it.
    private func endTurn(_ data: DataDirectory) -> LogWriter? {
        guard let log = data.log, log.hasAppended else {
            data.endTurn(Bytes(), upTo: server.stream.offset, waiters: max(1, waitersOfTurn))
            return data.log
        }
        let isSyncing = log.isSyncing
        let began = monotonicNanoseconds()
        data.endTurn(Bytes(), upTo: server.stream.offset, waiters: max(1, waitersOfTurn))
        let taken = monotonicNanoseconds() &- began
        server.statistics.logNanoseconds &+= taken
        let latency = server.services.latency
        if latency.isOn && log.policy == .always {
            if awaitedSync == nil { awaitedSync = (server.stream.offset, began) }
        } else if latency.isOn {
            latency.note(.logWrite, nanoseconds: taken)
            latency.note(
                isSyncing ? .logWriteDuringSync : isSaving ? .logWriteDuringCheckpoint : .logWriteAlone,
                nanoseconds: taken)
        }
        return log
    }

    /// Lets replies go whose commands are safe by the policy.
    func updateAcknowledged() {
        server.work.set(.holdReads, keepsLog && data?.options.fsync == .always)
        server.acknowledgedOffset = data?.acknowledgedOffset ?? .max
        if let awaited = awaitedSync, server.acknowledgedOffset >= awaited.offset {
            awaitedSync = nil
            server.services.latency.note(.logSync, nanoseconds: monotonicNanoseconds() &- awaited.since)
        }
    }

    /// Whether writes are refused, and with which words. The log says so once, and once that they are accepted again.
    func updateGuard() {
        refusal = currentRefusal
        if let refusal {
            let cause = text(of: refusal)
            let reply = "MISCONF " + String(cause.map { $0.isNewline ? " " : $0 })
            if !server.guards.contains(.misconfigured) {
                server.logger.warning("Writes are refused from here on: \(cause)")
                refusedSince = wallClockMilliseconds() / 1000
            }
            server.misconfiguration = CommandError(reply)
            server.guards.insert(.misconfigured)
        } else if server.guards.contains(.misconfigured) {
            server.logger.notice("Writes are accepted again")
            server.guards.remove(.misconfigured)
        }
    }

    private var currentRefusal: Refusal? {
        switch log?.state ?? .ok {
        case .writeFailed(let code): return .logFailed(code)
        case .poisoned: return .logPoisoned
        case .ok: break
        }
        let settings = server.config.settings
        guard settings.stopWritesOnSaveError, !settings.effectiveSavePoints.isEmpty,
            case .failed(let cause, let lockedSince) = lastSave, !isPatient(lockedSince)
        else { return nil }
        return .saveFailed(cause)
    }

    /// The refusal in words.
    func text(of refusal: Refusal) -> String {
        switch refusal {
        case .logFailed(let code):
            "Errors writing to the AOF file: \(String(cString: strerror(code))) (\(log?.path ?? ""))"
        case .logPoisoned: "Errors writing to the AOF file: an fsync failed, writes resume after a checkpoint"
        case .saveFailed(let cause): CommandError.unableToSave + " (\(cause))"
        }
    }
}
