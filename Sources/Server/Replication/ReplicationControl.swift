import Storage

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
    private(set) lazy var failover = Failover(self)

    init(_ router: Router, _ persistence: PersistenceControl, _ links: Links) {
        self.router = router
        self.persistence = persistence
        self.links = links
        replicas = ReplicaList(router, persistence)
    }

    var isReplica: Bool { master != nil }
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
    }
    func settingsChanged(_ effect: SettingEffect, _ settings: Settings, old: Settings) throws(SettingError) {
        switch effect {
        case .replication, .clients: replicas.settingsChanged(settings)
        case .log, .limits, .listeners, .persistence, .directory, .slowlog, .notifications: break
        }
    }
    func chunksSent(_ session: Session) { replicas.chunksSent(session) }
    var delaysShutdown: Bool { replicas.hasLagging }
    func shutdownBegins() { replicas.logLagging() }
    func sessionEnded(_ session: Session) { replicas.sessionEnded(session) }
}
