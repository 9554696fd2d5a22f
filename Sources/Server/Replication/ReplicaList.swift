import Storage

/// The servers that follow this one. Confined to the loop.
final class ReplicaList {
    private unowned(unsafe) let router: Router
    private let persistence: PersistenceControl

    init(_ router: Router, _ persistence: PersistenceControl) {
        self.router = router
        self.persistence = persistence
    }

    /// The history has changed in a way that they must learn of: they connect again, and go on where they can.
    func disconnectAll() {}

    func turnEnded() {}
    func woken() {}
    func cron() {}
    func settingsChanged(_ settings: Settings) {}
    func sessionEnded(_ session: Session) {}
}
