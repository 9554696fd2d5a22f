import Storage

/// ACL categories. Most follow from a command's flags and group.
struct Categories: OptionSet, Sendable {
    let rawValue: UInt32

    static let keyspace = Categories(rawValue: 1 << 0)
    static let read = Categories(rawValue: 1 << 1)
    static let write = Categories(rawValue: 1 << 2)
    static let set = Categories(rawValue: 1 << 3)
    static let sortedset = Categories(rawValue: 1 << 4)
    static let list = Categories(rawValue: 1 << 5)
    static let hash = Categories(rawValue: 1 << 6)
    static let string = Categories(rawValue: 1 << 7)
    static let bitmap = Categories(rawValue: 1 << 8)
    static let hyperloglog = Categories(rawValue: 1 << 9)
    static let geo = Categories(rawValue: 1 << 10)
    static let stream = Categories(rawValue: 1 << 11)
    static let pubsub = Categories(rawValue: 1 << 12)
    static let admin = Categories(rawValue: 1 << 13)
    static let fast = Categories(rawValue: 1 << 14)
    static let slow = Categories(rawValue: 1 << 15)
    static let blocking = Categories(rawValue: 1 << 16)
    static let dangerous = Categories(rawValue: 1 << 17)
    static let connection = Categories(rawValue: 1 << 18)
    static let transaction = Categories(rawValue: 1 << 19)
    static let scripting = Categories(rawValue: 1 << 20)
    /// Ours.
    static let sql = Categories(rawValue: 1 << 21)

    /// In Redis's order, then ours.
    static let names: [(Categories, StaticString)] = [
        (.keyspace, "keyspace"), (.read, "read"), (.write, "write"), (.set, "set"), (.sortedset, "sortedset"),
        (.list, "list"), (.hash, "hash"), (.string, "string"), (.bitmap, "bitmap"), (.hyperloglog, "hyperloglog"),
        (.geo, "geo"), (.stream, "stream"), (.pubsub, "pubsub"), (.admin, "admin"), (.fast, "fast"), (.slow, "slow"),
        (.blocking, "blocking"), (.dangerous, "dangerous"), (.connection, "connection"),
        (.transaction, "transaction"), (.scripting, "scripting"),
        (.sql, "sql"),
    ]

    init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The category of this name, whatever its case.
    init?(named name: Bytes) {
        guard let found = Self.names.first(where: { name.equals(ignoringCase: $0.1) }) else { return nil }
        self = found.0
    }
}
