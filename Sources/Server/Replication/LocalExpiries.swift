import Storage

/// Keys that clients of a writable replica have written with a time: the master knows nothing of them, so that the replica
/// removes them itself when it comes. Observes the keyspace only on writable replicas. Confined to the loop.
final class LocalExpiries: KeyspaceObserver {
    private unowned let router: Router
    private var keys: Set<DatabaseKey> = []
    /// The keys, in the order in which they are looked at, over and over; `next` is the place of the next one.
    private var order: [DatabaseKey] = []
    private var next = 0
    /// Nanoseconds of one look.
    private static let slice: UInt64 = 1_000_000

    init(_ router: Router) { self.router = router }

    /// Keys that are looked after.
    var count: Int { keys.count }

    var isOn = false {
        didSet {
            if isOn == oldValue { return }
            router.keyspace.observe(isOn ? .touched : [], by: self)
            keys = []
            order = []
        }
    }

    func keyTouched(_ db: Int, _ key: Bytes) {
        if router.stream.isExecutingRelayed { return }
        let key = DatabaseKey(db, key)
        if keys.insert(key).inserted { order.append(key) }
    }

    /// `hz` times a second, in a slice of time: removes what is due, and forgets keys that are gone or have no time.
    func expire() {
        if keys.isEmpty || !router.guards.isDisjoint(with: .paused) { return }
        let end = monotonicNanoseconds() + Self.slice
        router.unit(.expiry) {
            router.keyspace.dueMode = .removed
            defer { router.updateDueMode() }
            for looked in 0..<order.count {
                if next >= order.count { next = 0 }
                let key = order[next]
                if isToExpire(key) { next += 1 } else { forget(key) }
                if looked & 15 == 15 && monotonicNanoseconds() >= end { return }
            }
        }
    }

    /// Looking is what removes it.
    private func isToExpire(_ key: DatabaseKey) -> Bool {
        let database = router.keyspace.databases[key.db]
        var isToExpire = false
        key.withBytes { bytes in
            if let entry = database.peek(bytes) { isToExpire = database.expiry(of: entry) != nil }
        }
        return isToExpire
    }

    /// The key at `next`: the last one takes its place.
    private func forget(_ key: DatabaseKey) {
        keys.remove(key)
        order.swapAt(next, order.count - 1)
        order.removeLast()
    }
}
