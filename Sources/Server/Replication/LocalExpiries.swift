import Storage

/// Keys that clients of a writable replica have written with a time: the master knows nothing of them, so that the replica
/// removes them itself when it comes. Observes the keyspace only on writable replicas. Confined to the loop.
final class LocalExpiries: KeyspaceObserver {
    private unowned let router: Router
    private var keys: Set<DatabaseKey> = []

    init(_ router: Router) { self.router = router }

    /// Keys that are looked after.
    var count: Int { keys.count }

    var isOn = false {
        didSet {
            if isOn == oldValue { return }
            router.keyspace.observe(isOn ? .touched : [], by: self)
            keys = []
        }
    }

    func keyTouched(_ db: Int, _ key: Bytes) {
        if !router.stream.isExecutingRelayed { keys.insert(DatabaseKey(db, key)) }
    }

    /// `hz` times a second: removes what is due, and forgets keys that are gone or have no time. O(keys).
    func expire() {
        if keys.isEmpty || !router.guards.isDisjoint(with: .paused) { return }
        let keyspace = router.keyspace
        router.unit(.expiry) {
            keyspace.dueMode = .removed
            defer { router.updateDueMode() }
            let due = keys
            var kept: Set<DatabaseKey> = []
            for key in due {
                key.withBytes { bytes in
                    // Looking is what removes it.
                    let entry = keyspace.databases[key.db].peek(bytes)
                    if let entry, keyspace.databases[key.db].expiry(of: entry) != nil { kept.insert(key) }
                }
            }
            keys = kept
        }
    }
}
