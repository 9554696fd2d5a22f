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
        /// Hashes written without their fields' expiries.
        public let fieldExpiriesDropped: Int
        public let bytes: Int64
    }

    /// Reads the snapshot `source` and writes the RDB file `destination`, which is written under another name in the
    /// same directory and moved into place when it is whole and durable; on any failure nothing is left of it. Keys
    /// that have expired are written as they are. O(rows), in memory of the largest row.
    public static func run(
        from source: String, to destination: String, options: Options = Options(),
        files: any FileSystem = Host.real.files
    ) throws(StorageError) -> Summary {
        let destination = OutputFile.resolved(destination, files)
        try OutputFile.checkFree(destination, overwrite: options.overwrite, files)
        if FileForm.isDatabase(destination, files) {
            throw StorageError(file: destination, message: "is a database, which an RDB file does not replace")
        }
        removeLeftovers(of: destination, files: files)
        let temporary = OutputFile.temporary(destination, verb)
        let file = try files.open(temporary, .new(isPrivate: false), or: "cannot be created")
        defer {
            files.close(file)
            Snapshot.removeEmptyWAL(path: source, files)
        }
        do {
            let reader = try SnapshotReader(path: source, files: files)
            let summary = try write(reader, RDBOutput(file, path: temporary, files), options, position: nil)
            try OutputFile.checkFree(destination, overwrite: options.overwrite, files)
            try OutputFile.publish(temporary, as: destination, overwrite: options.overwrite, files)
            return summary
        } catch {
            files.remove(temporary)
            throw error
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

    private static let verb = "exporting"

    /// Deletes what processes that were killed have left of writing `path`.
    public static func removeLeftovers(of path: String, files: any FileSystem = Host.real.files) {
        OutputFile.removeLeftovers(of: path, verb, files)
    }

    private static func write(
        _ reader: SnapshotReader, _ output: RDBOutput, _ options: Options, position: Meta?
    ) throws(StorageError) -> Summary {
        let writer = RDBWriter(output, version: options.version, compresses: options.compresses)
        writeHeader(writer, position)
        var functions = 0
        try reader.forEachFunction { (name, code) throws(StorageError) in
            if !options.hasFunctions { return }
            guard writer.hasFunctions else {
                throw StorageError(
                    file: reader.path,
                    message: "holds the library of functions \(name.quoted), which needs `--rdb-version 10` or later")
            }
            output.append(byte: RDBFormat.Opcode.function.rawValue)
            writer.string(code)
            functions += 1
        }
        var rowOptions = RDBRowWriter.Options()
        rowOptions.dropFieldExpiries = options.dropFieldExpiries
        let rows = RDBRowWriter(
            writer, source: reader.path, fieldExpiries: try reader.fieldExpiries(), options: rowOptions,
            counter: output.hasHoles
                ? nil : { (type, owner) throws(StorageError) in try reader.elementCount(type, owner) })
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
        output.append(byte: RDBFormat.Opcode.end.rawValue)
        output.append(littleEndian: output.checksum())
        try output.finish()
        return Summary(
            keys: rows.keys, elements: rows.elements, functions: functions,
            fieldExpiriesDropped: rows.fieldExpiriesDropped, bytes: output.offset)
    }

    /// The name of the format with its version, and notes: what wrote the file (a server of that version, to those who
    /// ask), the width of its words, when; with `position`, where in the stream of changes.
    private static func writeHeader(_ writer: RDBWriter, _ position: Meta?) {
        let version = String(writer.version)
        writer.output.append(Bytes(RDBFormat.magic))
        for _ in version.utf8.count..<4 { writer.output.append(byte: UInt8(ascii: "0")) }
        for digit in version.utf8 { writer.output.append(byte: digit) }
        func note(_ name: String, _ write: () -> Void) {
            writer.output.append(byte: RDBFormat.Opcode.auxiliary.rawValue)
            writer.string(name)
            write()
        }
        let server = [9: "6.2.0", 10: "7.0.0", 11: "7.2.0", 12: "7.4.0"]
        note("redis-ver") { writer.string(server[writer.version] ?? "7.2.0") }
        note("redis-bits") { writer.string(64) }
        note("ctime") { writer.string(wallClockMilliseconds() / 1000) }
        if let position {
            note("repl-stream-db") { writer.string(position.streamDatabase) }
            note("repl-id") { writer.string(position.replicationID) }
            note("repl-offset") { writer.string(position.replicationOffset) }
        }
        if writer.version >= 10 { note("aof-base") { writer.string(0) } }
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
