/// Where a snapshot stands: one checkpoint's row of facts, written in its transaction.
public struct Meta: Equatable, Sendable {
    /// The uuid of the server that owns snapshot and log.
    public var server: String
    /// Checkpoints since the snapshot was made.
    public var checkpoint: Int64
    /// The cut's time, in ms since 1970.
    public var savedAtMs: Int64
    /// The log segment, and the offset in it in bytes, from which to replay; segment 0: no log was kept.
    public var segment: Int64
    public var segmentOffset: Int64
    public var replicationID: String
    public var replicationOffset: Int64
    /// The history before this one, and the offset up to which both hold the same; nil: there is none.
    public var secondID: String?
    public var secondOffset: Int64 = 0
    /// The database that the stream of changes has selected at the cut.
    public var streamDatabase: Int64 = 0
    /// Rows per table. The writer keeps it; what a caller of `commit` puts here is not looked at.
    public var rowCounts: RowCounts

    public var identity: SnapshotIdentity { SnapshotIdentity(server: server, checkpoint: checkpoint) }

    public init(
        server: String, checkpoint: Int64, savedAtMs: Int64, segment: Int64, segmentOffset: Int64,
        replicationID: String, replicationOffset: Int64, secondID: String? = nil, secondOffset: Int64 = 0,
        streamDatabase: Int64 = 0, rowCounts: RowCounts = RowCounts()
    ) {
        self.server = server
        self.checkpoint = checkpoint
        self.savedAtMs = savedAtMs
        self.segment = segment
        self.segmentOffset = segmentOffset
        self.replicationID = replicationID
        self.replicationOffset = replicationOffset
        self.secondID = secondID
        self.secondOffset = secondOffset
        self.streamDatabase = streamDatabase
        self.rowCounts = rowCounts
    }
}

// MARK: - The table of names and values

extension Meta {
    private static let texts: [(String, WritableKeyPath<Meta, String> & Sendable)] = [
        ("server", \.server), ("replication_id", \.replicationID),
    ]
    private static let numbers: [(String, WritableKeyPath<Meta, Int64> & Sendable)] = [
        ("checkpoint", \.checkpoint), ("saved_at_ms", \.savedAtMs), ("segment", \.segment),
        ("segment_offset", \.segmentOffset), ("replication_offset", \.replicationOffset),
    ]
    /// Rows that snapshots of earlier versions do not have.
    private static let laterNumbers: [(String, WritableKeyPath<Meta, Int64> & Sendable)] = [
        ("second_replication_offset", \.secondOffset), ("replication_database", \.streamDatabase),
    ]
    private static let secondIDName = "second_replication_id"
    private static func rowsName(_ table: SnapshotTable) -> String { "rows:" + table.name }

    /// No file, no log and no clock gets so far; below it, counting on cannot overflow.
    private static let largest: Int64 = 1 << 53

    /// A word that stands in the log's records, too: printable, without spaces and colons.
    private static func isName(_ text: [UInt8]) -> Bool {
        text.count <= 128 && text.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: ":") }
    }

    /// nil when the table is empty: nothing was ever committed. Throws where that cannot be, and for values that no
    /// checkpoint writes.
    static func read(_ connection: SQLiteConnection) throws(StorageError) -> Meta? {
        let statement = try connection.prepare(named: "meta.read")
        var found: [String: [UInt8]] = [:]
        while try statement.step() { found[statement.bytes(0).string] = statement.bytes(1).array }
        if found.isEmpty {
            try refuseRows(connection)
            return nil
        }

        var meta = Meta(
            server: "", checkpoint: 0, savedAtMs: 0, segment: 0, segmentOffset: 0, replicationID: "",
            replicationOffset: 0)
        func missing(_ name: String) -> StorageError {
            connection.unusable("the snapshot's table meta has no valid row \(name): restore the file from a backup")
        }
        func number(_ name: String) throws(StorageError) -> Int64 {
            guard let value = found[name], let number = Int64(String(decoding: value, as: UTF8.self)), number >= 0,
                number <= largest
            else { throw missing(name) }
            return number
        }
        for (name, path) in texts {
            guard let value = found[name], isName(value) else { throw missing(name) }
            meta[keyPath: path] = String(decoding: value, as: UTF8.self)
        }
        for (name, path) in numbers { meta[keyPath: path] = try number(name) }
        for (name, path) in laterNumbers where found[name] != nil { meta[keyPath: path] = try number(name) }
        if let second = found[secondIDName], !second.isEmpty {
            guard isName(second) else { throw missing(secondIDName) }
            meta.secondID = String(decoding: second, as: UTF8.self)
        }
        for table in SnapshotTable.allCases { meta.rowCounts[table] = try number(rowsName(table)) }
        if meta.server.isEmpty { throw missing("server") }
        return meta
    }

    /// A checkpoint writes `meta` with the first rows.
    private static func refuseRows(_ connection: SQLiteConnection) throws(StorageError) {
        for table in SnapshotTable.allCases {
            guard let id = try connection.lastID(table) else { continue }
            throw connection.unusable(
                "the snapshot's table meta is empty, though \(table.name) has rows (id \(id), for one): its rows were "
                    + "deleted; restore the file from a backup")
        }
    }

    /// Inside a transaction.
    func write(_ connection: SQLiteConnection) throws(StorageError) {
        let statement = try connection.prepare(named: "meta.write")
        func put(_ name: String, _ value: Int64) throws(StorageError) {
            try Meta.withBytes(name) { (name) throws(StorageError) in
                statement.bind(1, name)
                statement.bind(2, value)
                try statement.run()
            }
        }
        func put(_ name: String, _ text: String) throws(StorageError) {
            try Meta.withBytes(name) { (name) throws(StorageError) in
                try Meta.withBytes(text) { (value) throws(StorageError) in
                    statement.bind(1, name)
                    statement.bind(2, value)
                    try statement.run()
                }
            }
        }
        for (name, path) in Meta.texts { try put(name, self[keyPath: path]) }
        try put(Meta.secondIDName, secondID ?? "")
        for (name, path) in Meta.numbers + Meta.laterNumbers { try put(name, self[keyPath: path]) }
        for table in SnapshotTable.allCases { try put(Meta.rowsName(table), rowCounts[table]) }
    }

    private static func withBytes(_ text: String, _ body: (Bytes) throws(StorageError) -> Void) throws(StorageError) {
        let buffer = OutputBuffer(capacity: text.utf8.count)
        buffer.append(text: text)
        try body(buffer.bytes)
    }
}
