import Glibc
import Storage

/// The router as the loop runs it: who is told what, in which order.
extension Router: Service {
    var settings: Settings { config.settings }

    func hasRoom(besides others: Int) -> Bool {
        if sessionCount + others < settings.maxClients { return true }
        statistics.connectionsRejected += 1
        return false
    }

    func connect(_ peer: Peer) throws(CommandError) -> Session {
        guard let session = connect() else { throw .tooManyClients }
        if settings.protectedMode && services.users.defaultUser.rules.takesAnyPassword && !peer.isLocal {
            disconnect(session)
            statistics.connectionsRejected += 1
            throw .protectedMode
        }
        if peer.isUnixSocket { session.flags.insert(.unixSocket) }
        session.address = peer.address
        session.localAddress = peer.localAddress
        session.isLocal = peer.isLocal
        return session
    }

    func endTurn(repliesTo connections: Int) {
        clientsWithReplies &+= connections
        if guards.contains(.limitedMemory) && memory.mustBeCounted { makeRoom() }
        if clientMemory.isExceeded { evictClients() }
        if tracking.hasBroadcasts { tracking.turnEnded() }
        for place in parts { place.part.turnEnded() }
    }

    func outputGrew(_ session: Session) { if clientMemory.isLimited { clientMemory.count(session) } }

    var isShortOfMemory: Bool { memory.hasEvicted }

    func chunksSent(_ session: Session) {
        // Subscribers take what comes; a replica is given the next part.
        if session.flags.contains(.replica) { for place in parts { place.part.chunksSent(session) } }
    }

    func woken() {
        for place in parts { place.part.woken() }
        jobs.complete()
    }

    var nextDeadline: UInt64 { memory.isEvicting ? 0 : blocked.nextDeadline }
    func deadlinePassed() {
        endDueWaits()
        if memory.isEvicting {
            beginBatch()
            makeRoom()
        }
    }

    func signalled(_ signal: Int32) {
        for place in parts where place.part.signalled(signal) { return }
        exit(0)
    }
}
