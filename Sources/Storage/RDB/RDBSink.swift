/// Writes an RDB file of the keys that it is told.
public final class RDBSink: KeyVisitor {
    private let keys: RDBKeyWriter

    /// What was left out of the file, as its version has no place for it.
    public struct Losses: Sendable {
        /// Hashes without their fields' expiries.
        public let fieldExpiries: Int
        /// Libraries.
        public let functions: Int
        /// Streams without their counts of entries ever added and read.
        public let streamCounts: Int

        public init(fieldExpiries: Int, functions: Int, streamCounts: Int) {
            self.fieldExpiries = fieldExpiries
            self.functions = functions
            self.streamCounts = streamCounts
        }
    }

    private init(_ keys: RDBKeyWriter) { self.keys = keys }

    /// Calls `body` with a sink and writes what it is told to `file`, from its start; the file is durable then. `path` is for
    /// messages. Of `options`, what concerns the form of the file counts. O(data), in memory of the largest element or stream.
    @discardableResult public static func write(
        to file: OpenFile, path: String, options: RDBExporter.Options, files: any FileSystem = Host.real.files,
        _ body: (RDBSink) throws(StorageError) -> Void
    ) throws(StorageError) -> Losses {
        let writer = RDBWriter(
            RDBOutput(file, path: path, files), version: options.version, compresses: options.compresses)
        writer.header(nil)
        var rowOptions = RDBKeyWriter.Options()
        rowOptions.dropFieldExpiries = options.dropFieldExpiries
        rowOptions.dropFunctions = options.dropFunctions
        let keys = RDBKeyWriter(writer, source: path, options: rowOptions)
        try body(RDBSink(keys))
        try keys.finish()
        try writer.end()
        return keys.losses
    }

    public func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) { try keys.string(key, value) }
    public func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError) {
        try keys.begin(type, key, sizeHint: sizeHint)
    }
    public func element(_ value: Bytes) throws(StorageError) { try keys.element(value) }
    public func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        try keys.pair(field, value, expiresMs: expiresMs)
    }
    public func scored(_ member: Bytes, _ score: Double) throws(StorageError) { try keys.scored(member, score) }
    public func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) { try keys.streamEntry(id, fields) }
    public func streamRow(_ row: StreamRow) throws(StorageError) { try keys.streamRow(row) }
    public func end() throws(StorageError) { try keys.end() }
    public func function(_ name: Bytes, _ code: Bytes) throws(StorageError) { try keys.function(name, code) }
}

extension RDBKeyWriter {
    var losses: RDBSink.Losses {
        RDBSink.Losses(
            fieldExpiries: fieldExpiriesDropped, functions: functionsDropped, streamCounts: streamCountsDropped)
    }
}
