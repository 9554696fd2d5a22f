/// The bytes of the RDB format, version 1 to 12, as the community's descriptions of it and redis-rdb-tools name them, and
/// of Valkey's version 80 (https://github.com/valkey-io/valkey-rfc, hash field expiration).
enum RDBFormat {
    static let magic: StaticString = "REDIS"
    /// Of Valkey from version 80 on: three digits follow.
    static let valkeyMagic: StaticString = "VALKEY"
    /// Valkey 9's.
    static let valkeyVersion = 80
    /// Magic and version.
    static let headerSize = 9
    /// The newest version that is known whole.
    static let newestVersion = 12
    /// From this version on a checksum follows the end.
    static let firstVersionWithChecksum = 5

    /// What the first byte of a record says when it says no value's type.
    enum Opcode: UInt8 {
        /// Valkey: a string, a number of ranges of slots, two lengths each.
        case slotImport = 243
        /// Three lengths: a cluster's slot, its keys, its keys with an expiry.
        case slotInfo = 244
        case function = 245
        case functionPreGA = 246
        case moduleAuxiliary = 247
        case idle = 248
        case frequency = 249
        case auxiliary = 250
        case resize = 251
        case expiryMilliseconds = 252
        case expirySeconds = 253
        case selectDatabase = 254
        case end = 255
    }

    /// The types of values.
    enum Kind: UInt8 {
        case string = 0
        case list = 1
        case set = 2
        /// Scores in ASCII.
        case zset = 3
        case hash = 4
        /// Scores as doubles.
        case zset2 = 5
        case module1 = 6
        case module2 = 7
        case hashZipmap = 9
        case listZiplist = 10
        case setIntset = 11
        case zsetZiplist = 12
        case hashZiplist = 13
        case listQuicklist = 14
        case streamListpacks = 15
        case hashListpack = 16
        case zsetListpack = 17
        case listQuicklist2 = 18
        case streamListpacks2 = 19
        case setListpack = 20
        case streamListpacks3 = 21
        /// Valkey: fields, values and expiries in ms since 1970 (8 bytes; -1 for none).
        case hashMetadataPreGA = 22
        case hashListpackExPreGA = 23
        case hashMetadata = 24
        case hashListpackEx = 25
    }

    /// The types of Valkey's own numbering end here; those above are of Redis.
    static let newestValkeyKind = Kind.hashMetadataPreGA.rawValue

    /// How the value of a module ends and what it is made of.
    enum ModuleOpcode: UInt64 {
        case end = 0
        case signed = 1
        case unsigned = 2
        case float = 3
        case double = 4
        case string = 5
    }

    /// The container of a node of a quicklist.
    enum NodeContainer: UInt64 {
        /// One element alone.
        case plain = 1
        /// A listpack.
        case packed = 2
    }
}

/// What an RDB file can hold and this reader cannot keep.
public enum RDBUnsupported: String, Sendable, CaseIterable {
    case module = "a module's value"
    case moduleAuxiliary = "a module's auxiliary data"
    case function = "a library of functions of a release candidate"
}

/// Contradictions in an RDB file that redis-server lives with, and a snapshot does not hold.
public enum RDBMending: String, Sendable, CaseIterable {
    case streamLength = "streams whose length was not the number of their entries"
    case streamNode = "nodes of streams that did not hold what they counted"
    case streamLastID = "streams whose last id was below an entry's"
    case pendingOfNobody = "entries pending for no consumer, now for one without a name"
    case repeated = "fields and members that came twice, of which the first stays"
}

public struct RDBOptions: Sendable {
    /// Go past what is unsupported instead of refusing the file.
    public var skipUnsupported = false
    /// Leave out keys (and hash fields) whose expiry is at or before this time, in ms since 1970; nil keeps them all.
    public var dropExpiredAt: Int64?
    /// Refuse databases from this number on.
    public var databases: Int32 = .max
    /// Refuse strings of more bytes.
    public var longestString = Int(UInt32.max)
    /// Put right what redis-server loads though it contradicts itself, instead of refusing it.
    public var mends = true
    /// Do not refuse commands after the end of the RDB: somebody reads this AOF on from `RDBSummary.endOffset`.
    public var allowTail = false

    public init() {}
}

public struct RDBSummary: Sendable {
    public internal(set) var version = 0
    /// Keys reported.
    public internal(set) var keys = 0
    /// Elements of collections reported.
    public internal(set) var elements = 0
    /// Libraries of functions reported.
    public internal(set) var functions = 0
    /// Keys left out because they had expired.
    public internal(set) var expired = 0
    /// Keys left out because they were empty collections, as redis-server leaves them out.
    public internal(set) var empty = 0
    /// What contradicted itself and was put right as redis-server sees it, how often.
    public internal(set) var mended: [RDBMending: Int] = [:]
    /// What was mended, in words, a line for each kind.
    public var mendings: [String] {
        RDBMending.allCases.compactMap { kind in mended[kind].map { "mended: \(kind.rawValue) (\($0))" } }
    }
    /// What was left out because it is not supported.
    public internal(set) var skipped: [RDBUnsupported: Int] = [:]
    /// Of the first byte after the end of the RDB.
    public internal(set) var endOffset: Int64 = 0
    /// 0 for a stream.
    public internal(set) var fileSize: Int64 = 0
    /// Where in its server's stream of changes the file was made, as its notes say; nil where they do not.
    public internal(set) var replicationID: String?
    public internal(set) var replicationOffset: Int64?
    /// The database that the stream has selected there.
    public internal(set) var streamDatabase: Int32?
}
