/// What a key holds. The numbers are Redis's object types: DEBUG DIGEST mixes them in.
public enum ValueType: UInt8, Sendable, CaseIterable {
    case string = 0
    case list = 1
    case set = 2
    case zset = 3
    case hash = 4
    case stream = 6

    /// The name that TYPE answers.
    public var name: StaticString {
        switch self {
        case .string: "string"
        case .list: "list"
        case .set: "set"
        case .zset: "zset"
        case .hash: "hash"
        case .stream: "stream"
        }
    }

    /// Whether clients can wait for a key of this type.
    @inline(__always) public var canBeAwaited: Bool { self == .list || self == .zset || self == .stream }
}

/// How a value lies in memory; the names are what OBJECT ENCODING answers.
public enum Encoding: UInt8, Sendable {
    case int = 0
    case embstr = 1
    case raw = 2
    case listpack = 3
    case intset = 4
    case quicklist = 5
    case hashtable = 6
    case skiplist = 7
    case stream = 8

    public var name: StaticString {
        switch self {
        case .int: "int"
        case .embstr: "embstr"
        case .raw: "raw"
        case .listpack: "listpack"
        case .intset: "intset"
        case .quicklist: "quicklist"
        case .hashtable: "hashtable"
        case .skiplist: "skiplist"
        case .stream: "stream"
        }
    }
}
