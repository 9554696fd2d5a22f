/// Makes a snapshot out of an RDB file: what `redis-migrate to-sqlite` does, and a server that finds an RDB file and no
/// snapshot.
public enum RDBImporter {
    public struct Options: Sendable {
        public var reading = RDBOptions()
        /// Replace a snapshot that is there.
        public var overwrite = false
        /// Called now and then with what has been read; false stops the import.
        public var progress: (@Sendable (Progress) -> Bool)?

        public init() {}
    }

    public struct Progress: Sendable {
        public let bytesRead: Int64
        public let fileSize: Int64
        /// Keys kept so far.
        public let keys: Int
    }

    /// Reads `source` and writes the snapshot `destination`, whose ids ascend in the file's order. It is written under
    /// another name in the same directory and moved into place when it is whole and durable; on any failure nothing
    /// is left of it, and what stood there before stands. Refuses what a server refuses: a key twice, for one. O(file
    /// size), on two threads, in memory of a few times the largest string in the file and 8 bytes a key.
    public static func run(
        from source: String, to destination: String, options: Options = Options(),
        files: any FileSystem = Host.real.files
    ) throws(StorageError) -> RDBSummary {
        let visit = try DirectoryVisit(beside: destination, files)
        defer { visit.end() }
        return try NewSnapshot.make(destination, overwrite: options.overwrite, files: files) {
            (path) throws(StorageError) in
            try build(from: source, at: path, options, files: files)
        }
    }

    /// Reads `source` into a new database at `path`, a name that is nobody's yet, and closes it; it is not synced.
    public static func build(
        from source: String, at path: String, _ options: Options, files: any FileSystem = Host.real.files
    ) throws(StorageError) -> RDBSummary {
        let writer = BackgroundWriter(path: path, files)
        let reader: RDBReader<RowVisitor>
        do throws(StorageError) {
            reader = try RDBReader(
                path: source, options: options.reading, files: files,
                visitor: RowVisitor(
                    writer: writer, batch: try writer.next(), source: source, progress: options.progress))
            try reader.read()
            if let twice = try reader.visitor.digests.findRepeated(in: source, options.reading, files) { throw twice }
            writer.write(reader.visitor.batch)
            try writer.finish(
                Meta(
                    server: randomUUID(), checkpoint: 1, savedAtMs: wallClockMilliseconds(), segment: 0,
                    segmentOffset: 0, replicationID: randomHex(40), replicationOffset: 0))
        } catch {
            writer.cancel()
            throw error
        }
        return reader.summary
    }

    /// Reads what comes through `pipe` and gives its rows to `receiver`; ids ascend in the order of the stream. On a thread of
    /// its own: it waits for both. Refuses what a server refuses, and a key that comes twice. After a throw the rows are to be
    /// thrown away; the pipe is closed in any case. O(bytes), in memory of a few times the largest string and 8 bytes a key.
    static func rows(
        from pipe: BytePipe, to receiver: any RowReceiver, _ options: Options
    ) throws(StorageError) -> RDBSummary {
        defer { pipe.close() }
        let reader = try RDBReader(
            pipe: pipe, options: options.reading,
            visitor: RowVisitor(
                writer: receiver, batch: try receiver.next(), source: pipe.name, progress: options.progress))
        try reader.read()
        if reader.visitor.digests.hasRepeated {
            throw StorageError(file: pipe.name, message: "a key comes twice: no server writes that")
        }
        receiver.write(reader.visitor.batch)
        return reader.summary
    }

    // MARK: - Identities

    private static func randomHex(_ digits: Int) -> String {
        var text = ""
        for _ in 0..<digits { text += String(UInt8.random(in: 0..<16), radix: 16) }
        return text
    }

    /// Version 4.
    private static func randomUUID() -> String {
        let variant = String(UInt8.random(in: 8..<12), radix: 16)
        return [randomHex(8), randomHex(4), "4" + randomHex(3), variant + randomHex(3), randomHex(12)]
            .joined(separator: "-")
    }
}

/// Turns values into rows.
private struct RowVisitor: KeyVisitor {
    let writer: any RowReceiver
    let source: String
    let progress: (@Sendable (RDBImporter.Progress) -> Bool)?
    private(set) var batch: RowBatch
    private var nextString: Int64 = 1
    private var nextOwner: [Int64] = [1, 1, 1, 1, 1]
    /// The collection in hand.
    private var type = ValueType.list
    private var owner: Int64 = 0
    private var slot: UInt32 = 0
    private var full = false
    private var keys = 0
    private(set) var digests = KeyDigests()
    private var gate = ProgressGate()

    init(
        writer: any RowReceiver, batch: RowBatch, source: String,
        progress: (@Sendable (RDBImporter.Progress) -> Bool)?
    ) {
        self.writer = writer
        self.batch = batch
        self.source = source
        self.progress = progress
    }

    mutating func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) {
        keys += 1
        digests.insert(key)
        batch.appendString(id: nextString, db: key.database, key: key.key, value: value, expiresMs: key.expiresMs)
        nextString += 1
        try flushIfLarge()
    }

    mutating func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError) {
        keys += 1
        digests.insert(key)
        self.type = type
        let index =
            switch type {
            case .list: 0
            case .set: 1
            case .zset: 2
            case .hash, .string: 3
            case .stream: 4
            }
        owner = nextOwner[index]
        guard owner < 1 << 31 else {
            throw StorageError(file: source, offset: nil, message: "holds more than 2^31 keys of one type")
        }
        nextOwner[index] += 1
        // Lists grow at both ends: their items start in the middle of the slots.
        slot = type == .list ? 1 << 31 : 0
        full = false
        batch.appendOwner(type: type, id: owner, db: key.database, key: key.key, expiresMs: key.expiresMs)
    }

    mutating func element(_ value: Bytes) throws(StorageError) {
        let slot = try takeSlot()
        if type == .list {
            batch.appendListItem(owner: owner, slot: slot, value)
        } else {
            batch.appendSetMember(owner: owner, slot: slot, value)
        }
        try flushIfLarge()
    }

    mutating func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        batch.appendHashField(owner: owner, slot: try takeSlot(), field, value, expiresMs: expiresMs)
        try flushIfLarge()
    }

    mutating func scored(_ member: Bytes, _ score: Double) throws(StorageError) {
        batch.appendZSetMember(owner: owner, slot: try takeSlot(), member, score: score)
        try flushIfLarge()
    }

    mutating func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) {
        batch.appendStreamEntry(owner: owner, slot: try takeSlot(), id: id, fields: fields)
        try flushIfLarge()
    }

    mutating func streamRow(_ row: StreamRow) throws(StorageError) {
        batch.appendStream(owner: owner, row)
        try flushIfLarge()
    }

    mutating func end() throws(StorageError) {}

    mutating func function(_ name: Bytes, _ code: Bytes) throws(StorageError) {
        writer.put(function: name, code)
    }

    mutating func reached(_ offset: Int64, of size: Int64) throws(StorageError) {
        guard let progress, gate.opens(at: offset, of: size) else { return }
        if !progress(RDBImporter.Progress(bytesRead: offset, fileSize: size, keys: keys)) {
            throw StorageError(file: source, offset: offset, message: "the import was interrupted; nothing was written")
        }
    }

    private mutating func takeSlot() throws(StorageError) -> UInt32 {
        guard !full else {
            throw StorageError(
                file: source, offset: nil, message: "a collection has more elements than a snapshot holds")
        }
        defer {
            full = slot == .max
            slot &+= 1
        }
        return slot
    }

    private mutating func flushIfLarge() throws(StorageError) {
        if batch.byteCount < RowBatch.targetSize { return }
        writer.write(batch)
        batch = try writer.next()
    }
}
