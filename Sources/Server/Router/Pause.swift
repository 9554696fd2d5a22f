import Storage

/// CLIENT PAUSE and what must hold writes up for a while: until its end, commands (or writes) are deferred; their clients
/// keep their input.
struct Pause {
    /// Of CLIENT PAUSE, in milliseconds since 1970; 0: no pause.
    private(set) var end: Int64 = 0
    private var holdsAll = false
    /// How many hold writes up, besides CLIENT PAUSE.
    private var holds = 0
    /// How many hold everything up.
    private var fullHolds = 0
    private var waiting: [Session] = []
    var waitingCount: Int { waiting.count }

    mutating func hold(_ session: Session) {
        session.flags.insert(.blocked)
        waiting.append(session)
    }
    mutating func remove(_ session: Session) { waiting.removeAll { $0 === session } }

    /// A longer pause or one of more commands wins over the one in force.
    mutating func begin(until time: Int64, all: Bool, _ router: Router) {
        end = max(end, time)
        holdsAll = holdsAll || all
        updateGuards(router)
    }
    mutating func endIfDue(_ router: Router) {
        if end != 0 && router.keyspace.now >= end { finish(router) }
    }
    mutating func finish(_ router: Router) {
        end = 0
        holdsAll = false
        resume(router)
    }

    /// Writes wait until `release`.
    mutating func holdWrites(_ router: Router) {
        holds += 1
        updateGuards(router)
    }
    mutating func releaseWrites(_ router: Router) {
        holds -= 1
        resume(router)
    }

    /// Every command waits until `releaseAll`: for what is done in some milliseconds.
    mutating func holdAll(_ router: Router) {
        fullHolds += 1
        updateGuards(router)
    }
    mutating func releaseAll(_ router: Router) {
        fullHolds -= 1
        resume(router)
    }

    private func updateGuards(_ router: Router) {
        router.guards.subtract(.paused)
        if end != 0 { router.guards.insert(holdsAll ? .pausedAll : .pausedWrites) }
        if holds > 0 { router.guards.insert(.pausedWrites) }
        if fullHolds > 0 { router.guards.insert(.pausedAll) }
        router.updateDueMode()
    }

    /// Everybody tries again: whose command is still held up is deferred anew.
    private mutating func resume(_ router: Router) {
        updateGuards(router)
        for session in waiting {
            session.flags.remove(.blocked)
            session.transport?.scheduleResume()
        }
        waiting.removeAll()
    }
}
