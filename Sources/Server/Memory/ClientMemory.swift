import Storage

// Invariant of this file: a session takes itself out with `remove` before it is freed.

/// `maxmemory-clients`: what the buffers of all clients may take together. Beyond it those with the most are disconnected, so
/// that clients' buffers push no keys out. Without a limit nothing is counted. Confined to the loop.
final class ClientMemory {
    private let services: Services
    /// Bytes; `.max`: any number.
    private(set) var limit = Int.max
    var isLimited: Bool { limit != .max }
    /// What the clients took when each of them was last counted.
    private var total = 0

    /// Clients below this size are one class, and likewise those from the largest on; in between a class is up to twice as
    /// large as the one before. (https://redis.io/docs/latest/develop/reference/clients/#client-eviction)
    private static let smallestClass = 15
    private static let largestClass = 33

    /// With less than this, nobody could ask for more.
    private static let smallestLimit = 128 << 10

    init(_ services: Services) { self.services = services }

    /// A share is one of `maxmemory`, and none where that has no limit.
    func settingsChanged(_ settings: Settings, _ sessions: some Sequence<Session>) {
        let wanted =
            switch settings.maxMemoryClients {
            case .bytes(let bytes): bytes
            case .percent(let percent): settings.maxMemory / 100 * percent + settings.maxMemory % 100 * percent / 100
            }
        limit = wanted > 0 ? max(wanted, Self.smallestLimit) : .max
        countAll(sessions)
    }

    private func mayBeEvicted(_ session: Session) -> Bool {
        if !session.flags.isDisjoint(with: Self.exempt) { return false }
        // It ends for its output already.
        if session.output.isOverflowed { return false }
        switch ClientType(session) {
        case .normal, .pubsub: return true
        case .master, .replica: return false
        }
    }

    /// What a client must not be, of which the last is for that of a busy script.
    private static let exempt: ClientFlags = [.noEvict, .internal, .closed, .closeAfterReply, .evicted, .executing]

    /// The session's buffers may have changed.
    func count(_ session: Session) {
        let bytes = mayBeEvicted(session) ? session.promisedMemory : 0
        total += bytes - session.countedMemory
        session.countedMemory = bytes
    }
    func remove(_ session: Session) {
        total -= session.countedMemory
        session.countedMemory = 0
    }
    /// O(sessions).
    func countAll(_ sessions: some Sequence<Session>) {
        for session in sessions { if isLimited { count(session) } else { remove(session) } }
    }

    /// Whether `evict` is to be called.
    var isExceeded: Bool { total > limit }

    /// Calls `close` with the largest clients until the others are within the limit. O(sessions) where they are not.
    func evict(_ sessions: some Sequence<Session>, _ close: (Session) -> Void) {
        // Some have sent since what they had.
        countAll(sessions)
        if total <= limit { return }
        var classes = [[Session]](repeating: [], count: Self.largestClass - Self.smallestClass + 1)
        for session in sessions where session.countedMemory > 0 {
            let size = Int.bitWidth - session.countedMemory.leadingZeroBitCount - 1
            classes[min(Self.largestClass, max(Self.smallestClass, size)) - Self.smallestClass].append(session)
        }
        for sessions in classes.reversed() {
            for session in sessions {
                if total <= limit { return }
                remove(session)
                services.statistics.evictedClients += 1
                services.logger.notice("Evicting client: " + ClientDescription.text(session, services))
                close(session)
                session.discardBuffers()
            }
        }
    }
}
