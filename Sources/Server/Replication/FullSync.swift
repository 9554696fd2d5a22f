import Glibc
import Storage

// Invariant of this file: the list that it belongs to outlives it.

/// Gives replicas all data: a checkpoint that begins when enough of them wait, or the first has waited long enough, and then
/// a read of it for each form that they want it in. Confined to the loop.
final class FullSync {
    private unowned(unsafe) let router: Router
    private let persistence: PersistenceControl
    unowned(unsafe) var list: ReplicaList!

    private enum Phase: Equatable {
        case idle
        /// Somebody waits, since this monotonic second; others may still come.
        case gathering(since: Int)
        /// A checkpoint is under way. `ended`: how many had ended before; `offset`: where the stream stood.
        case saving(ended: Int, offset: Int)
    }
    private var phase = Phase.idle
    private var transfers: [SnapshotTransfer] = []
    /// Several calls of `proceed` are one.
    private var isProceeding = false

    init(_ router: Router, _ persistence: PersistenceControl) {
        self.router = router
        self.persistence = persistence
    }

    /// A snapshot is being sent.
    var isSending: Bool { !transfers.isEmpty }

    /// From where on the stream is needed by those that have no place in it yet.
    var pinned: Int? {
        if case .saving(_, let offset) = phase { return offset }
        return nil
    }

    private var waiting: [Replica] { list.attached.filter { $0.state == .waiting } }

    /// It waits for all data.
    func add(_ replica: Replica) {
        replica.state.askedForAll()
        let settings = router.config.settings
        if case .saving = phase {
            router.logger.notice("Waiting for end of BGSAVE for SYNC")
        } else if phase == .idle {
            phase = .gathering(since: list.now)
            if settings.disklessSync && settings.disklessSyncDelay > 0 {
                router.logger.notice("Delay next BGSAVE for diskless SYNC")
            }
        }
        proceed()
    }

    /// It is gone, or needs no data any more.
    func removed(_ replica: Replica) {
        for transfer in transfers where transfer.replicas.contains(where: { $0 === replica }) {
            transfer.remove(replica)
            if transfer.replicas.isEmpty {
                router.logger.notice("Diskless rdb transfer, last replica dropped, killing fork child.")
            }
        }
        transfers.removeAll { $0.replicas.isEmpty }
        if phase != .idle && waiting.isEmpty { phase = .idle }
    }

    /// All of it is for nothing: another history begins.
    func abandon() {
        for transfer in transfers { transfer.cancel() }
        transfers.removeAll()
        phase = .idle
    }

    func settingsChanged(_ settings: Settings) {
        for transfer in transfers { transfer.setDelay(settings.saveDelayPerKey) }
    }

    /// Goes on with what is to be done.
    func proceed() {
        if isProceeding || phase == .idle && transfers.isEmpty { return }
        isProceeding = true
        defer { isProceeding = false }
        switch phase {
        case .idle: break
        case .gathering(let since): if isDue(since) { save() }
        case .saving(let ended, _): if persistence.endedCheckpoints != ended { saveEnded() }
        }
        for transfer in transfers where transfer.proceed() { sent(transfer) }
    }

    private func isDue(_ since: Int) -> Bool {
        let settings = router.config.settings
        let waiting = waiting.count
        if !settings.disklessSync || settings.disklessSyncDelay == 0 { return true }
        if settings.disklessSyncMaxReplicas > 0 && waiting >= settings.disklessSyncMaxReplicas { return true }
        return list.now - since >= settings.disklessSyncDelay
    }

    private func save() {
        let target = router.config.settings.disklessSync ? "replicas sockets" : "disk"
        router.logger.notice("Starting BGSAVE for SYNC with target: \(target)")
        phase = .saving(ended: persistence.endedCheckpoints, offset: router.stream.offset)
        list.updatePin()
        persistence.request(.save)
    }

    /// A checkpoint has ended. One whose cut the backlog does not reach back to was under way before: its follower counts.
    private func saveEnded() {
        guard case .saving(_, let offset) = phase, let outcome = persistence.lastOutcome else { return }
        switch outcome.result {
        case .success:
            guard list.canFollow(outcome.meta.replicationID, Int(outcome.meta.replicationOffset)) else {
                phase = .saving(ended: persistence.endedCheckpoints, offset: offset)
                if !persistence.isSaving { persistence.request(.save) }
                return
            }
            // The pin goes over to the transfers' replicas.
            for replica in waiting { replica.start = Int(outcome.meta.replicationOffset) }
            send()
        case .failure(let error):
            if persistence.isSaving {
                // It was another's; the one that follows is for the replicas.
                phase = .saving(ended: persistence.endedCheckpoints, offset: offset)
                return
            }
            let replicas = waiting
            phase = .idle
            router.logger.warning("SYNC failed. BGSAVE failed: \(error)")
            for replica in replicas {
                replica.session.send {
                    $0.error(CommandError("ERR BGSAVE failed, replication can't continue: \(error.message)"))
                }
                end(replica)
            }
        }
    }

    /// Sends what it was sent, and then ends its connection.
    private func end(_ replica: Replica) {
        replica.state.end()
        replica.session.flags.insert(.closeAfterReply)
        replica.session.transport?.scheduleFlush()
    }

    /// The snapshot goes to all that wait, once for each form of it.
    private func send() {
        phase = .idle
        let settings = router.config.settings
        guard let data = persistence.data else { return }
        var groups: [SnapshotForm: [Replica]] = [:]
        for replica in waiting {
            replica.state.snapshotChosen()
            var form = replica.form
            form.isMarked = settings.disklessSync && replica.capabilities.contains(.mark)
            groups[form, default: []].append(replica)
        }
        for (form, replicas) in groups {
            let transfer = SnapshotTransfer(form, replicas, self)
            transfers.append(transfer)
            router.logger.notice("Background RDB transfer started by pid \(getpid())")
            transfer.start(
                data.snapshotPath, directory: settings.directory, compresses: settings.rdbCompression,
                delay: settings.saveDelayPerKey, router.jobs, router.waker)
        }
        list.updatePin()
    }

    // MARK: What a transfer tells

    /// The thread has read all, or failed.
    func read(_ transfer: SnapshotTransfer, _ outcome: Result<RDBExporter.Summary, StorageError>) {
        guard transfers.contains(where: { $0 === transfer }) else { return }
        switch outcome {
        case .success(let summary):
            if summary.losses.fieldExpiries > 0 {
                router.logger.warning(
                    "\(summary.losses.fieldExpiries) hashes were sent without the expiries of their fields, which RDB "
                        + "version 10 does not have")
            }
            proceed()
        case .failure(let error): failed(transfer, "\(error)")
        }
    }

    func failed(_ transfer: SnapshotTransfer, _ reason: String) {
        router.logger.warning("Background transfer error: \(reason)")
        transfer.cancel()
        transfers.removeAll { $0 === transfer }
        for replica in transfer.replicas {
            // In the middle of a snapshot nothing else can be said than that it ends.
            if replica.state == .expecting {
                replica.session.send { $0.error(CommandError("ERR the full synchronization failed: \(reason)")) }
                end(replica)
            } else {
                list.drop(replica, "Replica \(replica.name) is closed, as its snapshot is not whole")
            }
        }
        list.updatePin()
    }

    /// All was handed to the connections.
    private func sent(_ transfer: SnapshotTransfer) {
        transfers.removeAll { $0 === transfer }
        router.logger.notice(
            "Diskless rdb transfer, done reading from pipe, \(transfer.replicas.count) replicas still up.")
        for replica in transfer.replicas {
            switch replica.state.snapshotSent(wantsStream: replica.wantsStream) {
            case .startStream:
                router.logger.notice("Synchronization with replica \(replica.name) succeeded")
                list.startStream(replica)
            case .finish:
                router.logger.notice(
                    "RDB transfer completed, rdb only replica (\(replica.name)) should be disconnected asap")
                end(replica)
            case .none:
                replica.acknowledgedAt = list.now
                list.updateGood()
                router.logger.notice(
                    "Streamed replica with replica \(replica.name) via socket. Waiting for REPLCONF ACK from replica to "
                        + "enable streaming")
            }
        }
        list.updatePin()
    }
}
