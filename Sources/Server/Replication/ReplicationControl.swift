import Storage

// Invariant of this file: the router outlives it.

/// Replication: which server this one follows, and which follow it. Both sides are there at once in the middle of a chain:
/// a replica's replicas get the master's stream, byte for byte. Confined to the loop.
final class ReplicationControl {
    unowned(unsafe) let router: Router
    let persistence: PersistenceControl
    let links: Links
    /// Servers that follow this one.
    let replicas: ReplicaList
    /// The link to the server that this one follows; nil: this is a master.
    var master: MasterLink?
    /// Keys that this replica, and not its master, lets expire.
    let localExpiries: LocalExpiries
    /// The stream's id and offset say what the data are: another server may go on from there.
    var hasHistory = false
    private(set) lazy var failover = Failover(self)

    init(_ router: Router, _ persistence: PersistenceControl, _ links: Links) {
        self.router = router
        self.persistence = persistence
        self.links = links
        replicas = ReplicaList(router, persistence)
        localExpiries = LocalExpiries(router)
        router.memory.hasReplicas = { [unowned self] in !replicas.attached.isEmpty }
        router.memory.replicaBuffers = { [unowned self] in
            replicas.attached.reduce(0) { $0 + $1.session.output.memoryUsage }
        }
    }

    var isReplica: Bool { master != nil }

    /// Before data are loaded: the settings make this server a replica from the beginning on, which connects later.
    func prepare() {
        guard let master = router.config.settings.replicaOf else { return }
        self.master = MasterLink(self, master)
        roleChanged()
    }
    /// The data are loaded: connects to the master, if there is one. Once.
    func start() {
        guard let master else {
            // Replicas of before the start come back, and find what has been said since.
            if router.stream.offset > 0 { replicas.keepBacklog() }
            return
        }
        if let recovery = persistence.recovery, !recovery.isImported {
            // All that is here is the beginning of that history: a replica does not leave it.
            hasHistory = recovery.meta != nil || recovery.log?.commands ?? 0 > 0
            if hasHistory { goOn(with: recovery.stream) }
        }
        router.stream.isRelayed = true
        master.start()
    }
}

extension ReplicationControl: ServerPart {
    func turnEnded() {
        replicas.turnEnded()
        if replicas.isFailingOver { failover.proceed() }
        master?.turnEnded()
    }
    func woken() {
        replicas.woken()
        master?.woken()
    }
    func cron() {
        replicas.cron()
        if replicas.isFailingOver { failover.proceed() }
        master?.cron()
        localExpiries.expire()
    }
    func settingsChanged(_ effect: SettingEffect, _ settings: Settings, old: Settings) throws(SettingError) {
        switch effect {
        case .replication, .clients:
            replicas.settingsChanged(settings)
            linkChanged()
        case .log, .password, .limits, .listeners, .tls, .persistence, .directory, .slowlog, .notifications, .oomScore,
            .process:
            break
        }
    }
    func chunksSent(_ session: Session) { replicas.chunksSent(session) }
    var delaysShutdown: Bool { replicas.hasLagging }
    func shutdownBegins() { replicas.logLagging() }
    func sessionEnded(_ session: Session) { replicas.sessionEnded(session) }
}
