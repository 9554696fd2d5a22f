import Storage

/// Clients in WAIT and WAITAOF: they are looked at at a turn's end, so that nothing is done for it while nobody waits.
struct AckWaiters {
    /// What a client waits for: that its writes, which end at `offset`, have come to so many replicas, or on so many of
    /// their disks, and on this one's.
    struct Goal {
        let offset: Int
        var replicas = 0
        var countsSynced = false
        var isLocal = false
    }
    private var places: [(waiter: Waiter, goal: Goal)] = []

    var isEmpty: Bool { places.isEmpty }

    mutating func append(_ waiter: Waiter, _ goal: Goal) { places.append((waiter, goal)) }

    /// Answers those who have waited enough, and forgets those that wait no more.
    mutating func answer(_ list: ReplicaList) {
        if !list.persistence.keepsLog { abort(list.router, .waitsForNoLog) { $0.isLocal } }
        let all = places
        places.removeAll { !$0.waiter.isWaiting || list.isReached($0.goal) }
        for (waiter, goal) in all where waiter.isWaiting && list.isReached(goal) { list.router.timeOut(waiter) }
    }

    /// Ends the waiting of all that `condition` holds for.
    mutating func abort(_ router: Router, _ error: CommandError, where condition: (Goal) -> Bool = { _ in true }) {
        let all = places
        places.removeAll { condition($0.goal) }
        for (waiter, goal) in all where waiter.isWaiting && condition(goal) { router.abort(waiter, error) }
    }
}

extension Waiter {
    fileprivate var isWaiting: Bool { session.waiter === self }
}

extension ReplicaList {
    /// How many replicas have got what stands before `offset`; `synced`: have it on their disks.
    func count(reaching offset: Int, synced: Bool) -> Int {
        attached.count { $0.state == .online && (synced ? $0.synced : $0.acknowledged) >= offset }
    }
    func isReached(_ goal: AckWaiters.Goal) -> Bool {
        if goal.isLocal && !persistence.isSynced(goal.offset) { return false }
        return goal.replicas == 0 || count(reaching: goal.offset, synced: goal.countsSynced) >= goal.replicas
    }
}
