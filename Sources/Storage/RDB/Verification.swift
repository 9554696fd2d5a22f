/// Reads an RDB file or a snapshot from end to end and tells what is in it: what `redis-migrate verify` does.
public enum Verification {
    public struct Options: Sendable {
        /// Leave out what cannot be kept (modules, for example) instead of refusing the file.
        public var skipUnsupported = false
        /// Leave out keys and fields whose expiry is at or before this time, in ms since 1970; nil keeps them all.
        public var dropExpiredAt: Int64?
        /// Called now and then with the keys so far; false stops.
        public var progress: (@Sendable (Int) -> Bool)?

        public init() {}
    }

    /// What a file holds. Two files hold the same data when all digests are equal.
    public struct Report: Sendable {
        /// Of an RDB file; nil of a snapshot.
        public let rdbVersion: Int?
        public let keys: Int
        public let elements: Int
        public let functions: Int
        /// Left out because they had expired.
        public let expired: Int
        public let skipped: [RDBUnsupported: Int]
        /// What DEBUG DIGEST answers of this data.
        public let digest: String
        /// Of the times at which keys and fields expire.
        public let expiryDigest: String
        /// Of what streams have besides entries; the times at which consumers were active, which old files lack, left out.
        public let streamDigest: String
        /// Of the functions' code.
        public let functionDigest: String

        public func holdsTheSame(as other: Report) -> Bool {
            digest == other.digest && expiryDigest == other.expiryDigest && streamDigest == other.streamDigest
                && functionDigest == other.functionDigest
        }
    }

    /// Throws where the file is damaged, contradicts itself, or is neither an RDB file nor a snapshot. O(file size), in
    /// memory of the largest value and 32 to 64 bytes a key, by which keys that come twice are found.
    public static func run(
        _ path: String, options: Options = Options(), files: any FileSystem = Host.real.files
    ) throws(StorageError) -> Report {
        if try RDBInput.isRDB(path, files) { return try verifyRDB(path, options, files) }
        if !FileForm.isDatabase(path, files) {
            throw StorageError(
                file: path, message: "is neither an RDB file nor a snapshot, which is an SQLite database")
        }
        defer { Snapshot.removeEmptyWAL(path: path, files) }
        return try verifySnapshot(path, options, files)
    }

    private static func verifyRDB(
        _ path: String, _ options: Options, _ files: any FileSystem
    ) throws(StorageError) -> Report {
        var reading = RDBOptions()
        reading.skipUnsupported = options.skipUnsupported
        reading.dropExpiredAt = options.dropExpiredAt
        let reader = try RDBReader(
            path: path, options: reading, files: files,
            visitor: VerifyingVisitor(file: path, progress: options.progress))
        let summary = try reader.read()
        let digest = reader.visitor.digest
        return Report(
            rdbVersion: summary.version, keys: summary.keys, elements: summary.elements,
            functions: summary.functions, expired: summary.expired, skipped: summary.skipped, digest: digest.hex,
            expiryDigest: digest.expiryHex, streamDigest: digest.streamHex, functionDigest: digest.functionHex)
    }

    private static func verifySnapshot(
        _ path: String, _ options: Options, _ files: any FileSystem
    ) throws(StorageError) -> Report {
        let reader = try SnapshotReader(path: path, check: true, files: files)
        var rows = RowVisit(
            file: path, dropExpiredAt: options.dropExpiredAt,
            visitor: VerifyingVisitor(file: path, progress: options.progress))
        var functions = 0
        try reader.forEachFunction { (name, code) throws(StorageError) in
            rows.visitor.function(name, code)
            functions += 1
        }
        try storageErrors(path) { try reader.read { try rows.take($0) } }
        try rows.finish()
        let digest = rows.visitor.digest
        return Report(
            rdbVersion: nil, keys: rows.keys, elements: rows.elements, functions: functions, expired: rows.expired,
            skipped: [:], digest: digest.hex, expiryDigest: digest.expiryHex, streamDigest: digest.streamHex,
            functionDigest: digest.functionHex)
    }
}

/// Digests what it is told, and finds keys that come twice.
private struct VerifyingVisitor: KeyVisitor {
    let file: String
    let progress: (@Sendable (Int) -> Bool)?
    private(set) var digest = StreamingDigest()
    private var seen: [Int32: DuplicateFilter] = [:]
    private var type = ValueType.string
    private var keys = 0
    private var pairs: [Bytes] = []

    init(file: String, progress: (@Sendable (Int) -> Bool)?) {
        self.file = file
        self.progress = progress
    }

    private mutating func open(_ type: ValueType, _ key: VisitedKey) throws(StorageError) {
        keys += 1
        if keys & 1023 == 0, progress?(keys) == false {
            throw StorageError(file: file, message: "was not read to its end: interrupted")
        }
        self.type = type
        guard seen[key.database, default: DuplicateFilter()].insert(key.key) else {
            throw StorageError(file: file, message: "the key \(key.key.quoted) comes twice in database \(key.database)")
        }
        digest.begin(type, key.key, database: key.database, expiresMs: key.expiresMs)
    }

    mutating func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) {
        try open(.string, key)
        digest.ordered(value)
        digest.end()
    }
    mutating func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError) {
        try open(type, key)
    }
    mutating func element(_ value: Bytes) {
        if type == .list { digest.ordered(value) } else { digest.member(value) }
    }
    mutating func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) {
        digest.pair(field, value, expiresMs: expiresMs)
    }
    mutating func scored(_ member: Bytes, _ score: Double) { digest.scored(member, score) }
    mutating func streamRow(_ row: StreamRow) throws(StorageError) {
        guard digest.streamRow(row) else {
            throw StorageError(file: file, message: "a stream's row belongs to a group or consumer that is not there")
        }
    }
    mutating func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) {
        guard StreamFields.unpack(fields, into: &pairs) else {
            throw StorageError(file: file, message: "the fields of a stream's entry cannot be read")
        }
        withUnsafeTemporaryAllocation(byteCount: StreamID.textLimit, alignment: 1) { text in
            if let text = text.baseAddress { digest.ordered(id.text(into: text, separator: UInt8(ascii: "."))) }
        }
        for element in pairs { digest.ordered(element) }
    }
    mutating func end() { digest.end() }
    mutating func function(_ name: Bytes, _ code: Bytes) { digest.function(code) }
}
