/// Reads an RDB file or a snapshot from end to end and tells what is in it: what `redis-migrate verify` does.
public enum Verification {
    public struct Options: Sendable {
        /// Leave out what cannot be kept (modules, for example) instead of refusing the file.
        public var skipUnsupported = false
        /// Leave out keys and fields whose expiry is at or before this time, in ms since 1970; nil keeps them all.
        public var dropExpiredAt: Int64?
        /// Called now and then; false stops.
        public var progress: (@Sendable (ReadProgress) -> Bool)?

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

    /// Throws where the file is damaged, contradicts itself, or is neither an RDB file nor a snapshot. O(file size), on two
    /// threads, in memory of the largest value and 8 bytes a key, by which keys that come twice are found.
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
            visitor: VerifyingVisitor(file: path, isBytes: true, progress: options.progress))
        let summary = try reader.read()
        let digest = try reader.visitor.worker.finish()
        if let twice = try reader.visitor.keys.findRepeated(in: path, reading, files) { throw twice }
        return Report(
            rdbVersion: summary.version, keys: summary.keys, elements: summary.elements,
            functions: summary.functions, expired: summary.expired, skipped: summary.skipped, digest: digest.hex,
            expiryDigest: digest.expiryHex, streamDigest: digest.streamHex, functionDigest: digest.functionHex)
    }

    private static func verifySnapshot(
        _ path: String, _ options: Options, _ files: any FileSystem
    ) throws(StorageError) -> Report {
        let reader = try SnapshotReader(path: path, check: true, files: files)
        func visit<Visitor: KeyVisitor>(_ visitor: Visitor) throws(StorageError) -> RowVisit<Visitor> {
            var rows = RowVisit(file: path, dropExpiredAt: options.dropExpiredAt, visitor: visitor)
            rows.allRows = reader.meta.rowCounts.total
            try storageErrors(path) { try reader.read { try rows.take($0) } }
            try rows.finish()
            return rows
        }
        let visitor = VerifyingVisitor(file: path, isBytes: false, progress: options.progress)
        var functions = 0
        try reader.forEachFunction { (name, code) throws(StorageError) in
            visitor.worker.batch.function(name, code)
            visitor.worker.recorded()
            functions += 1
        }
        let rows = try visit(visitor)
        let digest = try rows.visitor.worker.finish()
        if let finder = rows.visitor.keys.finder, let key = try visit(finder).visitor.found {
            throw StorageError(file: path, message: "the key \(key.name) comes twice in database \(key.database)")
        }
        return Report(
            rdbVersion: nil, keys: rows.keys, elements: rows.elements, functions: functions, expired: rows.expired,
            skipped: [:], digest: digest.hex, expiryDigest: digest.expiryHex, streamDigest: digest.streamHex,
            functionDigest: digest.functionHex)
    }
}

/// Has what it is told digested, and finds keys that come twice.
private struct VerifyingVisitor: KeyVisitor {
    let file: String
    let isBytes: Bool
    let progress: (@Sendable (ReadProgress) -> Bool)?
    let worker: DigestWorker
    private(set) var keys = KeyDigests()
    private var keyCount = 0
    private var gate = ProgressGate()

    init(file: String, isBytes: Bool, progress: (@Sendable (ReadProgress) -> Bool)?) {
        self.file = file
        self.isBytes = isBytes
        self.progress = progress
        worker = DigestWorker(file: file)
    }

    mutating func string(_ key: VisitedKey, _ value: Bytes) {
        keyCount += 1
        keys.insert(key)
        worker.batch.string(key, value)
        worker.recorded()
    }
    mutating func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) {
        keyCount += 1
        keys.insert(key)
        worker.batch.begin(type, key)
        worker.recorded()
    }
    mutating func element(_ value: Bytes) {
        worker.batch.element(value)
        worker.recorded()
    }
    mutating func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) {
        worker.batch.pair(field, value, expiresMs: expiresMs)
        worker.recorded()
    }
    mutating func scored(_ member: Bytes, _ score: Double) {
        worker.batch.scored(member, score)
        worker.recorded()
    }
    mutating func streamEntry(_ id: StreamID, _ fields: Bytes) {
        worker.batch.streamEntry(id, fields)
        worker.recorded()
    }
    mutating func streamRow(_ row: StreamRow) {
        worker.batch.streamRow(row)
        worker.recorded()
    }
    mutating func end() {
        worker.batch.end()
        worker.recorded()
    }
    mutating func function(_ name: Bytes, _ code: Bytes) {
        worker.batch.function(name, code)
        worker.recorded()
    }
    mutating func reached(_ offset: Int64, of size: Int64) throws(StorageError) {
        guard let progress, gate.opens(at: offset, of: size) else { return }
        if !progress(ReadProgress(done: offset, of: size, isBytes: isBytes, keys: keyCount)) {
            throw StorageError(file: file, message: "was not read to its end: interrupted")
        }
    }
}
