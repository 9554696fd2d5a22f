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
            try writer.finish(.ofImport())
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
}
