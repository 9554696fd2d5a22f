import Storage

/// FAILOVER: a replica takes this server's place, and this one follows it. Confined to the loop.
final class Failover {
    enum State {
        case none
        /// Writes are held until the replica has all.
        case waitingForSync
        /// This server asks the replica to take over.
        case inProgress

        /// As INFO names it.
        var name: StaticString {
            switch self {
            case .none: "no-failover"
            case .waitingForSync: "waiting-for-sync"
            case .inProgress: "failover-in-progress"
            }
        }
    }
    private(set) var state = State.none
}
