/// How far a replica is between asking for the data and following. Each transition returns what is to be done for it.
enum ReplicaState: Equatable {
    /// A client that said something of itself with REPLCONF, and may ask for data.
    case candidate
    /// Asked for all data; no snapshot is made for it yet.
    case waiting
    /// A snapshot is on its way to it, of which it has got nothing yet.
    case expecting
    /// Is being sent the snapshot.
    case receiving
    /// Has been sent all of it, and a mark behind it: the stream begins when it acknowledges, as it looks for the mark at
    /// the end of what came in.
    case received
    /// Is sent the stream.
    case online
    /// Its connection ends.
    case ended

    enum Action: Equatable {
        case none
        /// The stream follows from here on.
        case startStream
        /// It has got what it asked for: the connection ends when all has left.
        case finish
    }

    /// As INFO and ROLE name it.
    var name: StaticString {
        switch self {
        case .candidate, .waiting, .expecting: "wait_bgsave"
        case .receiving: "send_bulk"
        case .received, .online, .ended: "online"
        }
    }

    /// Has asked for data: counts as a replica.
    var isAttached: Bool { self != .candidate && self != .ended }
    /// Has all data that it asked for.
    var isOnline: Bool { self == .online || self == .received }
    /// Waits for a snapshot that is being made or begins to be read: it hears newlines meanwhile.
    var waitsForSnapshot: Bool { self == .waiting || self == .expecting }

    /// Has a place in the stream, from which on it will need it.
    var needsStream: Bool { self == .expecting || self == .receiving || self == .received }

    /// It asked for all data.
    mutating func askedForAll() { if self == .candidate { self = .waiting } }
    /// It asked for what it has missed, which the backlog has.
    mutating func askedForRest() -> Action {
        guard self == .candidate else { return .none }
        self = .online
        return .startStream
    }
    /// A snapshot is being read for it.
    mutating func snapshotChosen() { if self == .waiting { self = .expecting } }
    /// The first bytes of the snapshot go to it.
    mutating func snapshotBegan() { if self == .expecting { self = .receiving } }
    /// All of the snapshot was handed to its connection. `isMarked`: it has to find the end by itself.
    mutating func snapshotSent(isMarked: Bool, wantsStream: Bool) -> Action {
        guard self == .receiving else { return .none }
        if !wantsStream {
            self = .ended
            return .finish
        }
        self = isMarked ? .received : .online
        return isMarked ? .none : .startStream
    }
    mutating func acknowledged() -> Action {
        guard self == .received else { return .none }
        self = .online
        return .startStream
    }
    mutating func end() { self = .ended }
}
