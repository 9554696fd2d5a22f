/// Tells the keys of a file to a sink whose type is known at run time only.
public enum KeySources {
    /// What a snapshot has told.
    public struct SnapshotSummary: Sendable {
        public let keys: Int
        public let elements: Int
        /// Keys left out because they had expired.
        public let expired: Int
    }

    /// The RDB file `path`. Throws for damage, for what is not supported, and what the sink throws. O(file size).
    public static func readRDB(
        _ path: String, options: RDBOptions, into sink: any KeySink, files: any FileSystem = Host.real.files
    ) throws(StorageError) -> RDBSummary {
        try RDBReader(path: path, options: options, files: files, visitor: AnyKeyVisitor(sink)).read()
    }

    /// The RDB data that `bytes` are.
    public static func readRDB(
        _ bytes: any ByteSource, options: RDBOptions, into sink: any KeySink
    ) throws(StorageError) -> RDBSummary {
        try RDBReader(pipe: bytes, options: options, visitor: AnyKeyVisitor(sink)).read()
    }

    /// The snapshot `path` as of its last commit, its functions first. Leaves out keys and fields whose expiry is at or before
    /// `dropExpiredAt`, in ms since 1970. O(rows).
    public static func readSnapshot(
        _ path: String, dropExpiredAt: Int64?, into sink: any KeySink, files: any FileSystem = Host.real.files
    ) throws(StorageError) -> SnapshotSummary {
        defer { Snapshot.removeEmptyWAL(path: path, files) }
        let reader = try SnapshotReader(path: path, files: files)
        var visitor = AnyKeyVisitor(sink)
        try reader.forEachFunction { (name, code) throws(StorageError) in try visitor.function(name, code) }
        var rows = RowVisit(
            file: path, dropExpiredAt: dropExpiredAt, fieldExpiries: try reader.fieldExpiries(), visitor: visitor)
        rows.allRows = reader.meta.rowCounts.total
        try storageErrors(path) { try reader.read { try rows.take($0) } }
        try rows.finish()
        return SnapshotSummary(keys: rows.keys, elements: rows.elements, expired: rows.expired)
    }

    /// What the first bytes of a file say that it is; nil where they say neither.
    public enum Form: Sendable { case rdb, database }
    public static func form(of head: Bytes) -> Form? {
        func begins(_ magic: Bytes) -> Bool {
            let count = min(magic.count, head.count)
            return count > 0 && head[0..<count] == magic[0..<count]
        }
        if begins(Bytes(RDBFormat.magic)) || begins(Bytes(RDBFormat.valkeyMagic)) { return .rdb }
        return begins(Bytes("SQLite format 3\0")) ? .database : nil
    }
}
