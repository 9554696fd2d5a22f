import schema

/// Makes a copy of a snapshot for questions: what `redis-migrate index` does. The copy has indexes on the expressions that the
/// views use, and a table of all keys in the place of the view; no server starts on it.
public enum AnalysisCopy {
    public struct Options: Sendable {
        /// Also makes `full_text`, for words in values.
        public var fullText = false
        /// The copy stays a snapshot, on which a server starts without a log: it gets no indexes but plain ones on keys.
        public var isSnapshot = false
        /// Replace a copy that is there.
        public var overwrite = false
        /// Called before each step with what it does, its number from 1, and how many there are; false stops it all.
        public var progress: (@Sendable (_ step: String, _ number: Int, _ count: Int) -> Bool)?

        public init() {}
    }

    public struct Summary: Sendable {
        /// Of the copy's file.
        public let bytes: Int64
        /// Of the checkpoint that was copied.
        public let meta: Meta
    }

    /// Copies the last checkpoint of `source`, which a server may go on writing, to `destination`. The copy is made under another
    /// name in the same directory and moved into place when it is whole and durable; on any failure nothing is left of it.
    /// O(n log n) over rows; SQLite sorts in temporary files. Throws for a source that is no snapshot, and where a snapshot
    /// stands under the copy's name.
    public static func make(
        from source: String, to destination: String, _ options: Options = Options(),
        files: any FileSystem = Host.real.files
    ) throws(StorageError) -> Summary {
        defer { Snapshot.removeEmptyWAL(path: source, files) }
        let reader = try SQLiteConnection(path: source, mode: .read, files)
        try Snapshot.checkIdentity(reader)
        guard let meta = try Meta.read(reader) else { throw reader.error("the snapshot holds no checkpoint") }
        try checkReplaceable(destination, files)
        let steps = steps(options)
        let count = steps.count + 1
        try NewSnapshot.make(destination, overwrite: options.overwrite, files: files) {
            (path) throws(StorageError) in
            try begin("copying", 1, count, options, path)
            try copy(reader, to: path)
            let connection = try SQLiteConnection(path: path, mode: .write, files)
            try connection.execute(named: "writer.copy")
            try SnapshotViews.update(connection)
            for (index, step) in steps.enumerated() {
                try begin(step.title, index + 2, count, options, path)
                try connection.execute(step.sql)
            }
        }
        return Summary(bytes: files.size(destination) ?? 0, meta: meta)
    }

    private static func steps(_ options: Options) -> [NamedStatement] {
        let kinds = options.isSnapshot ? ["snapshot."] : options.fullText ? ["analysis.", "text."] : ["analysis."]
        return Schema.indexing.filter { step in
            kinds.contains { step.name.hasPrefix($0) } || step.name == "statistics" || step.name == "close"
        }
    }

    private static func begin(
        _ step: String, _ number: Int, _ count: Int, _ options: Options, _ path: String
    ) throws(StorageError) {
        if options.progress?(step, number, count) == false {
            throw StorageError(file: path, message: "the copy was interrupted")
        }
    }

    private static func copy(_ reader: SQLiteConnection, to path: String) throws(StorageError) {
        guard let sql = Schema.indexing.first(where: { $0.name == "copy" })?.sql else {
            throw reader.error("no SQL statement is named copy")
        }
        let statement = try reader.prepare(sql)
        let name = OutputBuffer(capacity: path.utf8.count)
        name.append(text: path)
        statement.bind(1, name.bytes)
        try statement.run()
    }

    /// Forcing it replaces an earlier copy, and never the data of a server.
    private static func checkReplaceable(_ path: String, _ files: any FileSystem) throws(StorageError) {
        guard FileForm.isDatabase(path, files) else { return }
        let connection = try SQLiteConnection(path: path, mode: .read, files)
        if try connection.integer(named: "application_id") == Schema.analysisID { return }
        throw StorageError(file: path, message: "is a database that is no analysis copy, which is never replaced")
    }
}
