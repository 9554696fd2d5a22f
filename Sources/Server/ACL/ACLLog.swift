/// What a user was refused for.
enum DenialReason: Sendable {
    case command, key, channel, authentication, database
    var text: ByteString {
        switch self {
        case .command: "command"
        case .key: "key"
        case .channel: "channel"
        case .authentication: "auth"
        case .database: "database"
        }
    }
}

/// Where a refused command came from.
enum DenialContext: Sendable {
    case toplevel, transaction, script
    var text: ByteString {
        switch self {
        case .toplevel: "toplevel"
        case .transaction: "multi"
        case .script: "lua"
        }
    }
}

/// What was refused lately, and how often; the newest comes first. Like events within a minute are one entry.
final class ACLLog {
    struct Entry {
        let id: Int
        var count = 1
        let reason: DenialReason
        let context: DenialContext
        /// The command, the key, the channel.
        let object: ByteString
        let user: ByteString
        /// As in CLIENT LIST, of the last time.
        var client: ByteString
        /// Milliseconds since 1970.
        let created: Int64
        var updated: Int64

        fileprivate func isLike(_ other: Entry) -> Bool {
            reason == other.reason && context == other.context && object == other.object && user == other.user
                && abs(other.updated - updated) <= ACLLog.likeness
        }
    }
    private(set) var entries: [Entry] = []
    private var lastID = -1
    /// Since the server began, or CONFIG RESETSTAT.
    private(set) var denied: [DenialReason: Int] = [:]

    /// Milliseconds within which like events are one; and among how many of the newest such a one is looked for.
    private static let likeness: Int64 = 60_000
    private static let lookedAt = 10

    /// Only counts what `note` would note.
    func count(_ reason: DenialReason) { denied[reason, default: 0] += 1 }

    /// Takes an event in. `limit`: `acllog-max-len`. O(entries).
    func note(
        _ reason: DenialReason, _ context: DenialContext, object: ByteString, user: ByteString, client: ByteString,
        now: Int64, limit: Int
    ) {
        count(reason)
        var entry = Entry(
            id: lastID + 1, reason: reason, context: context, object: object, user: user, client: client, created: now,
            updated: now)
        if let known = entries.prefix(Self.lookedAt).firstIndex(where: { $0.isLike(entry) }) {
            entry = entries.remove(at: known)
            entry.count += 1
            entry.client = client
            entry.updated = now
        } else {
            lastID += 1
        }
        entries.insert(entry, at: 0)
        trim(to: limit)
    }

    func trim(to limit: Int) { if entries.count > limit { entries.removeLast(entries.count - max(0, limit)) } }
    func removeAll() { entries = [] }
}
