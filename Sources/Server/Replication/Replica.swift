import Storage

/// A server that follows this one, or a client that may become one. Confined to the loop.
final class Replica {
    let session: Session
    var state = ReplicaState.candidate

    // MARK: What it said of itself with REPLCONF

    var listeningPort = 0
    var announcedIP = ""
    struct Capabilities: OptionSet {
        let rawValue: UInt8
        /// Finds the end of a snapshot by a mark, so that its length need not be known.
        static let mark = Capabilities(rawValue: 1)
        /// Goes on in a history that it learns by `+CONTINUE id`.
        static let newHistory = Capabilities(rawValue: 2)
        /// Reads RDB version 12, with the expiries of hash fields.
        static let fieldExpiries = Capabilities(rawValue: 4)
    }
    var capabilities: Capabilities = []
    /// What of the data it wants: `rdb-filter-only`.
    var wantsKeys = true
    var wantsFunctions = true
    /// Wants a snapshot and no stream: `redis-cli --rdb`.
    var wantsStream = true
    /// Asked with SYNC: hears nothing of offsets, and acknowledges nothing.
    var isSilent = false

    // MARK: How far it is

    /// Where its stream begins, or began.
    var start = 0
    /// What it has, and what of it is on its disk: offsets in the stream.
    var acknowledged = 0
    var synced = -1
    /// Monotonic seconds at which it last acknowledged, or came online.
    var acknowledgedAt = 0
    /// Bytes that were handed to its connection of the snapshot, how many of them have left, and the monotonic second in
    /// which that last grew.
    var given = 0
    var sent = 0
    var sentAt = 0
    /// Since when it has been above the soft limit while it waits for the stream; monotonic seconds, 0: it is not.
    var overSoftLimitSince = 0

    init(_ session: Session) { self.session = session }

    /// Where clients find it, as INFO, ROLE and Sentinel show it.
    var host: String {
        if !announcedIP.isEmpty { return announcedIP }
        let address = session.address
        guard let colon = address.lastIndex(of: ":") else { return address }
        return String(address[..<colon])
    }
    /// In the log: its address, or a number where it has none that anybody could connect to.
    var name: String {
        listeningPort > 0 ? "\(host):\(listeningPort)" : "client id #\(session.id)"
    }

    /// The snapshot that fits it. Those who want the same share one.
    var form: SnapshotForm {
        SnapshotForm(
            hasFieldExpiries: capabilities.contains(.fieldExpiries), hasKeys: wantsKeys, hasFunctions: wantsFunctions)
    }

    /// How far its acknowledgements are behind, in seconds; 0: it acknowledges nothing.
    func lag(_ now: Int) -> Int { isSilent || !state.isOnline ? 0 : max(0, now - acknowledgedAt) }

    /// It has received all up to `offset`. One that says more than was sent, or less than before, is not believed.
    func acknowledge(_ offset: Int, synced: Int?, end: Int, now: Int) {
        if offset <= end { acknowledged = max(acknowledged, offset) }
        if let synced, synced <= end { self.synced = max(self.synced, synced) }
        acknowledgedAt = now
    }
}

/// What a snapshot that is sent holds, and how its end is told.
struct SnapshotForm: Hashable, Sendable {
    var hasFieldExpiries = false
    var hasKeys = true
    var hasFunctions = true
    /// `$EOF:` and a mark of 40 bytes, which stands behind it again; else the length comes first.
    var isMarked = false
}
