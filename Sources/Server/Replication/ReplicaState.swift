/// How far a replica is between asking for the data and following. Each transition returns what is to be done for it.
enum ReplicaState: Equatable {
    /// A client that said something of itself with REPLCONF, and may ask for data.
    case candidate
    /// Asked for all data; no snapshot is made for it yet.
    case waiting
    /// A snapshot is on its way to it, of which it has got nothing yet.
    case expecting
    /// Knows its place in the stream, and waits for a snapshot that is written to a file first, as its length comes before it.
    case promised
    /// Is being sent the snapshot. `isMarked`: while it is read, with a mark behind it in place of a length.
    case receiving(isMarked: Bool)
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

    /// As INFO and ROLE name it: in Redis a snapshot that is sent while it is read is a BGSAVE until it ends.
    var name: StaticString {
        switch self {
        case .candidate, .waiting, .expecting, .promised, .receiving(isMarked: true): "wait_bgsave"
        case .receiving(isMarked: false): "send_bulk"
        case .received, .online, .ended: "online"
        }
    }

    /// Has asked for data: counts as a replica.
    var isAttached: Bool { self != .candidate && self != .ended }
    /// Has all data that it asked for.
    var isOnline: Bool { self == .online || self == .received }
    /// Waits for a snapshot that is being made or begins to be read: it hears newlines meanwhile.
    var waitsForSnapshot: Bool { self == .waiting || self == .expecting || self == .promised }

    /// Has a place in the stream, from which on it will need it.
    var needsStream: Bool {
        switch self {
        case .expecting, .promised, .receiving, .received: true
        case .candidate, .waiting, .online, .ended: false
        }
    }

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
    /// The snapshot's place in the stream is known. `isMarked`: the replica has to find its end by itself.
    mutating func snapshotBegan(isMarked: Bool) {
        if self == .expecting { self = isMarked ? .receiving(isMarked: true) : .promised }
    }
    /// The file is whole, whose bytes follow.
    mutating func snapshotMeasured() { if self == .promised { self = .receiving(isMarked: false) } }
    /// All of the snapshot was handed to its connection.
    mutating func snapshotSent(wantsStream: Bool) -> Action {
        guard case .receiving(let isMarked) = self else { return .none }
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
