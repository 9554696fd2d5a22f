import Storage

/// The clients that wait for keys, and until when; and the keys that have got something since they were last looked at.
/// Observes the keyspace only while a client waits for a key.
final class BlockedClients: KeyspaceObserver {
    private let keyspace: Keyspace
    private var queues: [DatabaseKey: WaitQueue] = [:]
    private var deadlines = DeadlineHeap()
    private var lastSequence = 0
    /// In the order in which they became ready.
    private var ready: [DatabaseKey] = []
    private var readyTaken = 0
    private(set) var count = 0

    private let work: PendingWork

    init(_ keyspace: Keyspace, _ work: PendingWork) {
        self.keyspace = keyspace
        self.work = work
    }

    /// Keys that somebody waits for; those of them whose removal serves somebody.
    var keyCount: Int { queues.count }
    var removalKeyCount: Int { queues.values.count { $0.removalCount > 0 } }
    /// Clients whose waiting ends some time.
    var deadlineCount: Int { deadlines.count }
    /// Monotonic nanoseconds; `.max`: no waiting ends by time.
    var nextDeadline: UInt64 { deadlines.first?.deadline ?? .max }

    // MARK: Coming and going

    /// `keys` may name one several times; `now` is in monotonic nanoseconds.
    func add(_ session: Session, _ wait: Wait, _ keys: [DatabaseKey], _ request: Transaction, now: UInt64) {
        var deadline = UInt64.max
        if wait.timeout > 0 {
            let (nanoseconds, isLong) = UInt64(wait.timeout).multipliedReportingOverflow(by: 1_000_000)
            let (sum, isTooLong) = now.addingReportingOverflow(nanoseconds)
            if !isLong && !isTooLong { deadline = sum }
        }
        var distinct: [DatabaseKey] = []
        var seen: Set<DatabaseKey> = []
        for key in keys where seen.insert(key).inserted { distinct.append(key) }
        lastSequence += 1
        let waiter = Waiter(
            session, wait, keys: distinct, sequence: lastSequence, deadline: deadline, request: request)
        if queues.isEmpty && !distinct.isEmpty { keyspace.observe([.ready, .replaced], by: self) }
        for key in distinct {
            if let queue = queues[key] {
                queue.append(waiter)
            } else {
                let queue = WaitQueue()
                queue.append(waiter)
                queues[key] = queue
            }
        }
        if deadline != .max { deadlines.insert(waiter) }
        count += 1
        session.waiter = waiter
        session.flags.insert(.blocked)
    }

    func remove(_ waiter: Waiter) {
        guard waiter.session.waiter === waiter else { return }
        waiter.session.waiter = nil
        waiter.session.flags.remove(.blocked)
        count -= 1
        if waiter.deadline != .max { deadlines.remove(waiter) }
        for key in waiter.keys {
            guard let queue = queues[key] else { continue }
            queue.remove(waiter)
            if queue.count == 0 { queues[key] = nil }
        }
        if queues.isEmpty && !waiter.keys.isEmpty { keyspace.observe([], by: self) }
    }

    /// Who has waited too long, the one whose time was up first.
    func due(_ now: UInt64) -> Waiter? {
        guard let first = deadlines.first, first.deadline <= now else { return nil }
        return first
    }

    // MARK: Keys that are ready

    func keyReady(_ db: Int, _ key: Bytes) { note(DatabaseKey(db, key)) }
    func contentsReplaced(_ db: Int) { noteAll(db) }

    private func note(_ key: DatabaseKey) {
        guard let queue = queues[key], !queue.isReady else { return }
        queue.isReady = true
        ready.append(key)
        work.kinds.insert(.ready)
    }

    /// The database has other contents. O(keys waited for); the key that was waited for longest comes first.
    private func noteAll(_ db: Int) {
        var found: [(DatabaseKey, Int)] = []
        for (key, queue) in queues where key.db == db {
            var isThere = queue.removalCount > 0
            key.withBytes { if !isThere { isThere = keyspace.databases[db].holds($0) } }
            if isThere { found.append((key, queue.firstSequence)) }
        }
        found.sort { $0.1 < $1.1 }
        for (key, _) in found { note(key) }
    }

    /// The key that has been ready longest, and its waiters. It may become ready again while they are served.
    func takeReady() -> (DatabaseKey, WaitQueue)? {
        while readyTaken < ready.count {
            let key = ready[readyTaken]
            readyTaken += 1
            guard let queue = queues[key], queue.isReady else { continue }
            queue.isReady = false
            return (key, queue)
        }
        ready.removeAll(keepingCapacity: ready.count < 1024)
        readyTaken = 0
        return nil
    }
}

extension BlockedClients {
    /// O(waiting clients * their keys).
    func checkInvariants() throws(BrokenInvariant) {
        try deadlines.checkInvariants()
        for queue in queues.values {
            try queue.checkInvariants()
            try invariant(queue.count > 0, "blocked clients: a queue of nobody")
        }
        try invariant(deadlines.count <= count, "blocked clients: \(deadlines.count) deadlines of \(count) clients")
    }
}
