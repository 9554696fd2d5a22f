/// Makes an RDB file out of a snapshot, what `redis-migrate to-rdb` does, or a stream of one, for replicas.
public enum RDBExporter {
    public struct Options: Sendable {
        public static let versions = RDBWriter.versions
        /// Of the format; one of `versions`.
        public var version = RDBWriter.usualVersion
        public var compresses = true
        /// Replace a file that is there.
        public var overwrite = false
        /// Write hashes without their fields' expiries where the version cannot hold them.
        public var dropFieldExpiries = false
        /// Leave out libraries of functions where the version cannot hold them.
        public var dropFunctions = false
        /// What is written of the data.
        public var hasKeys = true
        public var hasFunctions = true
        /// Called now and then; false stops the export.
        public var progress: (@Sendable (Progress) -> Bool)?

        public init() {}
    }

    public struct Progress: Sendable {
        public let keys: Int
        /// Rows written, of how many.
        public let rows: Int64
        public let allRows: Int64
        public let bytesWritten: Int64
    }

    public struct Summary: Sendable {
        public let keys: Int
        public let elements: Int
        public let functions: Int
        /// What the version has no place for.
        public let losses: RDBSink.Losses
        public let bytes: Int64
    }

    /// Reads the snapshot `source` and writes the RDB file `destination`, which is written under another name in the
    /// same directory and moved into place when it is whole and durable; on any failure nothing is left of it. Keys
    /// that have expired are written as they are. O(rows), in memory of the largest row.
    public static func run(
        from source: String, to destination: String, options: Options = Options(),
        files: any FileSystem = Host.real.files
    ) throws(StorageError) -> Summary {
        defer { Snapshot.removeEmptyWAL(path: source, files) }
        return try NewFile.make(destination, overwrite: options.overwrite, files: files) {
            (file, temporary) throws(StorageError) in
            let reader = try SnapshotReader(path: source, files: files)
            return try write(reader, RDBOutput(file, path: temporary, files), options, position: nil)
        }
    }

    /// Reads the snapshot `source` as of its last commit and sends it as RDB, in pieces of some 100 KB that are valid until
    /// `send` returns; `send` may block, and ends it all by throwing. `began` is called before with what the snapshot says of
    /// itself: notes in the file say the same of its place in the stream of changes. Commits go on meanwhile, as with any
    /// other reader. O(rows), in memory of the largest row or stream.
    public static func stream(
        from source: String, options: Options = Options(), files: any FileSystem = Host.real.files,
        began: (Meta) throws(StorageError) -> Void, send: @escaping (Bytes) throws(StorageError) -> Void
    ) throws(StorageError) -> Summary {
        let reader = try SnapshotReader(path: source, files: files)
        try began(reader.meta)
        return try write(reader, RDBOutput(to: send), options, position: reader.meta)
    }

    private static func write(
        _ reader: SnapshotReader, _ output: RDBOutput, _ options: Options, position: Meta?
    ) throws(StorageError) -> Summary {
        let writer = RDBWriter(output, version: options.version, compresses: options.compresses)
        writer.header(position)
        var rowOptions = RDBKeyWriter.Options()
        rowOptions.dropFieldExpiries = options.dropFieldExpiries
        rowOptions.dropFunctions = options.dropFunctions
        let rows = RDBRowWriter(
            writer, source: reader.path, fieldExpiries: try reader.fieldExpiries(), options: rowOptions,
            counter: output.hasHoles
                ? nil : { (type, owner) throws(StorageError) in try reader.elementCount(type, owner) })
        if options.hasFunctions {
            try reader.forEachFunction { (name, code) throws(StorageError) in
                try rows.write(function: name, code)
            }
        }
        var done: Int64 = 0
        let all = reader.meta.rowCounts.total
        try storageErrors(reader.path) {
            if !options.hasKeys { return }
            try reader.read { batch in
                try rows.write(batch)
                done += Int64(batch.count)
                let progress = Progress(keys: rows.keys, rows: done, allRows: all, bytesWritten: output.offset)
                if options.progress?(progress) == false {
                    throw StorageError(file: reader.path, message: "the export was interrupted; nothing was written")
                }
            }
        }
        try rows.finish()
        try writer.end()
        return Summary(
            keys: rows.keys, elements: rows.elements, functions: rows.functions,
            losses: rows.losses, bytes: output.offset)
    }
}

/// Runs what throws nothing but `StorageError`s, though its type does not say so.
func storageErrors(_ file: String, _ body: () throws -> Void) throws(StorageError) {
    do {
        try body()
    } catch let error as StorageError {
        throw error
    } catch {
        throw StorageError(file: file, message: "\(error)")
    }
}
