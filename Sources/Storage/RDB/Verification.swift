/// Reads an RDB file or a snapshot from end to end and digests what is in it.
public enum Verification {
    public struct Options: Sendable {
        /// Leave out what cannot be kept (modules, for example) instead of refusing the file.
        public var skipUnsupported = false
        /// Leave out keys and fields whose expiry is at or before this time, in ms since 1970; nil keeps them all.
        public var dropExpiredAt: Int64?

        public init() {}
    }

    /// What a file holds. Two files hold the same data when all digests are equal.
    public struct Report: Sendable {
        public let keys: Int
        public let elements: Int
        public let functions: Int
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
        var reading = RDBOptions()
        reading.skipUnsupported = options.skipUnsupported
        reading.dropExpiredAt = options.dropExpiredAt
        if try RDBInput.isRDB(path, files) {
            return try digest(path) { (sink) throws(StorageError) in
                _ = try KeySources.readRDB(path, options: reading, into: sink, files: files)
            }
        }
        if !FileForm.isDatabase(path, files) {
            throw StorageError(
                file: path, message: "is neither an RDB file nor a snapshot, which is an SQLite database")
        }
        try checkDatabase(path, files: files)
        return try digest(path) { (sink) throws(StorageError) in
            _ = try KeySources.readSnapshot(path, dropExpiredAt: options.dropExpiredAt, into: sink, files: files)
        }
    }

    /// Digests what `read` tells a sink, which it does again where a key may have come twice. `file` is for messages.
    public static func digest(
        _ file: String, _ read: (any KeySink) throws(StorageError) -> Void
    ) throws(StorageError) -> Report {
        let sink = DigestSink(file: file)
        try read(sink)
        let report = try sink.finish()
        guard let finder = sink.names.finder else { return report }
        try read(finder)
        guard let key = finder.found else { return report }
        throw KeyDigests.repeated(key.name, key.database, in: file, before: finder.offset)
    }

    /// SQLite's own check of all pages. Throws for what it finds. O(file size).
    public static func checkDatabase(
        _ path: String, files: any FileSystem = Host.real.files
    ) throws(StorageError) {
        defer { Snapshot.removeEmptyWAL(path: path, files) }
        _ = try SnapshotReader(path: path, check: true, files: files)
    }
}

/// Has what it is told digested on another thread.
private final class DigestSink: KeyVisitor {
    private let worker: DigestWorker
    private(set) var names = KeyDigests()
    private var keys = 0
    private var elements = 0
    private var functions = 0

    init(file: String) { worker = DigestWorker(file: file) }

    func finish() throws(StorageError) -> Verification.Report {
        let digest = try worker.finish()
        return Verification.Report(
            keys: keys, elements: elements, functions: functions, digest: digest.hex, expiryDigest: digest.expiryHex,
            streamDigest: digest.streamHex, functionDigest: digest.functionHex)
    }

    func string(_ key: VisitedKey, _ value: Bytes) {
        keys &+= 1
        names.insert(key)
        worker.batch.string(key, value)
        worker.recorded()
    }
    func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) {
        keys &+= 1
        names.insert(key)
        worker.batch.begin(type, key)
        worker.recorded()
    }
    func element(_ value: Bytes) {
        elements &+= 1
        worker.batch.element(value)
        worker.recorded()
    }
    func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) {
        elements &+= 1
        worker.batch.pair(field, value, expiresMs: expiresMs)
        worker.recorded()
    }
    func scored(_ member: Bytes, _ score: Double) {
        elements &+= 1
        worker.batch.scored(member, score)
        worker.recorded()
    }
    func streamEntry(_ id: StreamID, _ fields: Bytes) {
        elements &+= 1
        worker.batch.streamEntry(id, fields)
        worker.recorded()
    }
    func streamRow(_ row: StreamRow) {
        worker.batch.streamRow(row)
        worker.recorded()
    }
    func end() {
        worker.batch.end()
        worker.recorded()
    }
    func function(_ name: Bytes, _ code: Bytes) {
        functions &+= 1
        worker.batch.function(name, code)
        worker.recorded()
    }
}
