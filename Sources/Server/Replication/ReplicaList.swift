import Storage

// Invariant of this file: the router outlives it.

/// The servers that follow this one: who they are, and the stream that they are sent. What they ask for, and how they come
/// to all data, stands in `FullSync`. Confined to the loop.
final class ReplicaList {
    unowned(unsafe) let router: Router
    let persistence: PersistenceControl
    /// Those that asked for data, in that order.
    private(set) var attached: [Replica] = []
    /// What is known of each session that used REPLCONF, also before it asks for data.
    private var known: [UInt64: Replica] = [:]
    /// Those that are sent the stream, turn by turn, and those that will be from the end of this turn on.
    private var online: [Replica] = []
    private var starting: [Replica] = []
    let sync: FullSync
    var waiters = AckWaiters()
    /// Those that acknowledge often enough for min-replicas-max-lag.
    private(set) var goodCount = 0
    /// Monotonic seconds since when there has been no replica, and of the last PING and newline.
    private var aloneSince = 0
    private var lastPing = 0
    private var lastSecond = 0
    /// Somebody waits for acknowledgements that were not asked for yet.
    var wantsAcks = false
    /// Writes are held, so that a replica can take this server's place.
    var isFailingOver = false

    init(_ router: Router, _ persistence: PersistenceControl) {
        self.router = router
        self.persistence = persistence
        sync = FullSync(router, persistence)
        sync.list = self
        router.stream.feed = self
        updateGood()
    }

    var stream: PropagationStream { router.stream }
    var settings: Settings { router.config.settings }
    var logger: Logger { router.logger }
    /// The stream is another server's, which this one follows.
    private var isRelay: Bool { stream.isRelayed }
    /// Monotonic seconds.
    var now: Int { Int(monotonicNanoseconds() / 1_000_000_000) }

    // MARK: Who there is

    /// What is known of the session, from its first REPLCONF on.
    func replica(_ session: Session) -> Replica {
        if let replica = known[session.id] { return replica }
        let replica = Replica(session)
        known[session.id] = replica
        return replica
    }
    /// nil: nothing.
    func knownReplica(_ session: Session) -> Replica? { known.isEmpty ? nil : known[session.id] }

    /// It asked for data: counts as a replica from here on.
    func attach(_ replica: Replica) {
        let session = replica.session
        session.flags.insert(.replica)
        // Its replies end; the stream does not wait for the log: see docs/durability.md.
        session.ackOffset = 0
        replica.acknowledgedAt = now
        if attached.isEmpty { lastPing = now }
        attached.append(replica)
        updateLimits(replica)
        updateGood()
    }

    /// The connection is gone.
    func sessionEnded(_ session: Session) {
        if known.isEmpty { return }
        guard let replica = known.removeValue(forKey: session.id) else { return }
        remove(replica)
    }

    private func remove(_ replica: Replica) {
        let wasAttached = attached.contains { $0 === replica }
        attached.removeAll { $0 === replica }
        online.removeAll { $0 === replica }
        starting.removeAll { $0 === replica }
        replica.state.end()
        sync.removed(replica)
        if !wasAttached { return }
        logger.notice("Connection with replica \(replica.name) lost.")
        if attached.isEmpty { aloneSince = now }
        updatePin()
        // What it had queued is gone.
        stream.trimBacklog()
        updateGood()
    }

    /// Ends the connection of a replica, and says why in the log.
    func drop(_ replica: Replica, _ reason: String) {
        logger.warning("\(reason)")
        replica.state.end()
        online.removeAll { $0 === replica }
        sync.removed(replica)
        replica.session.transport?.close()
        updatePin()
    }

    /// The history has changed in a way that they must learn of: they connect again, and go on where they can.
    func disconnectAll() {
        for replica in attached where replica.state != .ended {
            replica.state.end()
            replica.session.transport?.close()
        }
        online.removeAll()
        sync.abandon()
        updatePin()
    }

    // MARK: The stream

    /// The stream goes to it from its `start` on, from the end of the turn on: not while its command is executed, which
    /// says nothing.
    func startStreamLater(_ replica: Replica) {
        starting.append(replica)
        updatePin()
    }

    /// As `startStreamLater`, at once. The backlog has what it needs.
    func startStream(_ replica: Replica) {
        guard let backlog = stream.backlog, backlog.holds(replica.start) else {
            return drop(replica, "The backlog has lost what replica \(replica.name) needs: connection closed")
        }
        replica.acknowledged = max(replica.acknowledged, replica.start)
        replica.acknowledgedAt = now
        backlog.forEach(from: replica.start) { bytes, chunk in
            router.statistics.replicationBytesWritten += bytes.count
            if let chunk { replica.session.queue.append(chunk) } else { replica.session.output.append(bytes) }
        }
        replica.session.transport?.scheduleFlush()
        online.append(replica)
        updateLimits(replica)
        updatePin()
        updateGood()
    }

    /// What replicas need that are not sent the stream yet stays in the backlog.
    func updatePin() {
        var first = sync.pinned
        for replica in attached where replica.state.needsStream || starting.contains(where: { $0 === replica }) {
            first = min(first ?? .max, replica.start)
        }
        stream.pinBacklog(from: first)
    }

    /// Whether a replica that is at `offset` of the history `id` can be given what follows.
    func canFollow(_ id: String, _ offset: Int) -> Bool {
        stream.continues(id, from: offset) && stream.backlog?.holds(offset) ?? false
    }

    // MARK: Turns

    func turnEnded() {
        if attached.isEmpty && waiters.isEmpty { return }
        if !starting.isEmpty {
            let replicas = starting
            starting = []
            for replica in replicas where replica.state == .online { startStream(replica) }
        }
        sync.proceed()
        if wantsAcks { requestAcks() }
        if !waiters.isEmpty { waiters.answer(self) }
    }
    func woken() {
        sync.proceed()
        if !waiters.isEmpty { waiters.answer(self) }
    }
    func chunksSent(_ session: Session) { sync.proceed() }

    /// Has all replicas say how far they are, behind what was said in this turn.
    private func requestAcks() {
        wantsAcks = false
        stream.appendControl([Bytes("REPLCONF"), Bytes("GETACK"), Bytes("*")])
        stream.deliver()
    }

    func cron() {
        if !waiters.isEmpty { waiters.answer(self) }
        let now = now
        checkWaiting(now)
        sync.proceed()
        if now == lastSecond { return }
        lastSecond = now
        updateGood()
        if attached.isEmpty { return freeBacklog(now) }
        // While writes are held for a failover, the offsets of both sides are to become equal.
        if now - lastPing >= settings.pingPeriod && !isFailingOver {
            lastPing = now
            if !online.isEmpty { stream.appendControl([Bytes("PING")]) }
        }
        for replica in attached where replica.state.waitsForSnapshot {
            replica.session.send { $0.output.append("\n") }
        }
        checkTimeouts(now)
    }

    private func checkTimeouts(_ now: Int) {
        let timeout = settings.replicationTimeout
        for replica in attached {
            let kind: String
            switch replica.state {
            case .candidate, .waiting, .expecting, .promised, .ended: continue
            case .receiving:
                let sent = replica.given - replica.session.queue.pending
                if sent != replica.sent || replica.session.queue.pending == 0 { replica.sentAt = now }
                replica.sent = sent
                if now - replica.sentAt <= timeout { continue }
                kind = "full sync"
            case .received, .online:
                if replica.isSilent || now - replica.acknowledgedAt <= timeout { continue }
                kind = "streaming sync"
            }
            drop(replica, "Disconnecting timedout replica (\(kind)): \(replica.name)")
        }
    }

    /// What waits in the backlog for replicas that are being given a snapshot counts as their output.
    private func checkWaiting(_ now: Int) {
        if attached.isEmpty { return }
        let limit = outputLimit
        if limit.hard == 0 && limit.soft == 0 { return }
        for replica in attached where replica.state.needsStream {
            let waiting = stream.offset - replica.start
            var isOver = limit.hard > 0 && waiting > limit.hard
            if limit.soft > 0 && waiting > limit.soft {
                if replica.overSoftLimitSince == 0 { replica.overSoftLimitSince = now }
                isOver = isOver || now - replica.overSoftLimitSince > limit.softSeconds
            } else {
                replica.overSoftLimitSince = 0
            }
            if !isOver { continue }
            router.statistics.outputBufferDisconnections += 1
            drop(
                replica,
                "Replica \(replica.name) is closed: \(waiting) bytes wait for it until it has the snapshot, which is over "
                    + "client-output-buffer-limit")
        }
    }

    /// Nobody has come for repl-backlog-ttl: nobody is to be waited for.
    private func freeBacklog(_ now: Int) {
        if stream.backlog == nil { return }
        if aloneSince == 0 { aloneSince = now }
        let patience = settings.backlogTTL
        if isRelay || patience == 0 || now - aloneSince <= patience || !waiters.isEmpty { return }
        stream.keepBacklog(capacity: 0)
        logger.notice("Replication backlog freed after \(patience) seconds without connected replicas.")
    }

    /// For who will come: the backlog, from here on, if there is none.
    func keepBacklog() {
        if stream.backlog != nil { return }
        stream.keepBacklog(capacity: settings.backlogSize)
        aloneSince = now
        logger.notice(
            "Replication backlog created, my new replication IDs are '\(stream.id)' and '\(stream.shownSecondID)'")
    }

    // MARK: Settings

    func settingsChanged(_ settings: Settings) {
        if stream.backlog != nil { stream.keepBacklog(capacity: settings.backlogSize) }
        for replica in attached { updateLimits(replica) }
        sync.settingsChanged(settings)
        updateGood()
    }

    /// client-output-buffer-limit replica, and not less than the backlog, which is shared.
    private var outputLimit: OutputBufferLimits.Limit {
        var limit = settings.outputBufferLimits.replica
        if limit.hard > 0 { limit.hard = max(limit.hard, settings.backlogSize) }
        if limit.soft > 0 { limit.soft = max(limit.soft, settings.backlogSize) }
        return limit
    }

    private func updateLimits(_ replica: Replica) {
        // A snapshot goes by the replica's pace, and is no output that piles up.
        replica.session.ownOutputLimit = replica.state == .online ? outputLimit : .init()
        replica.session.updateOutputLimit()
    }

    // MARK: Who keeps up

    /// Counts those that acknowledge in time, and refuses writes where they are too few.
    func updateGood() {
        let settings = settings
        let now = now
        goodCount = attached.count { $0.state.isOnline && $0.lag(now) <= settings.minReplicasMaxLag }
        let wanted = settings.minReplicasToWrite
        if !isRelay && wanted > 0 && settings.minReplicasMaxLag > 0 && goodCount < wanted {
            router.guards.insert(.tooFewReplicas)
        } else {
            router.guards.remove(.tooFewReplicas)
        }
    }
}

// MARK: - The end of the process

extension ReplicaList {
    /// Some have not acknowledged all of the stream; those whose full sync goes on have not, as in Redis.
    var hasLagging: Bool { attached.contains { !$0.isSilent && !isInSync($0) } }

    private func isInSync(_ replica: Replica) -> Bool {
        replica.state == .online && replica.acknowledged == stream.offset
    }

    func logLagging() {
        let followers = attached.filter { !$0.isSilent }
        if followers.isEmpty { return }
        var inSync = 0
        for replica in followers {
            if isInSync(replica) {
                inSync += 1
                continue
            }
            logger.notice(
                "Lagging replica \(replica.name) reported offset \(stream.offset - replica.acknowledged) behind master, "
                    + "lag=\(replica.lag(now)), state=\(replica.state.name).")
        }
        logger.notice("\(inSync) of \(followers.count) replicas are in sync when shutting down.")
    }
}

extension ReplicaList: BacklogFeed {
    func said(_ bytes: Bytes, _ chunks: [SharedChunk]) {
        // Of several turns it leaves in one piece, a system call being most of what sending costs; but at once where somebody
        // waits for acknowledgements.
        let isAwaited = isFailingOver || !waiters.isEmpty
        router.statistics.replicationBytesWritten &+= bytes.count &* online.count
        for replica in online {
            let session = replica.session
            if chunks.isEmpty { session.output.append(bytes) }
            for chunk in chunks { session.queue.append(chunk) }
            if isAwaited { session.transport?.scheduleFlush() } else { session.transport?.schedulePushes() }
        }
    }
}

extension PropagationStream {
    /// As INFO and the log show it: zeros where there is none.
    var shownSecondID: String { secondID ?? String(repeating: "0", count: 40) }
}
