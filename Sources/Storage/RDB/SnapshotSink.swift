/// Makes a snapshot of the keys that it is told.
public final class SnapshotSink: KeyVisitor {
    private var rows: RowVisitor
    private let path: String

    private init(_ rows: RowVisitor, _ path: String) {
        self.rows = rows
        self.path = path
    }

    /// Calls `body` with a sink and makes the snapshot `path` of what it was told. It is written under another name in the same
    /// directory and moved into place when it is whole and durable; on any failure nothing is left of it, and what stood there
    /// before stands. Refuses a key that comes twice. O(data), on two threads, in memory of a few times the largest string and 8
    /// bytes a key.
    public static func write<Result>(
        _ path: String, overwrite: Bool, files: any FileSystem = Host.real.files,
        _ body: (SnapshotSink) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        let visit = try DirectoryVisit(beside: path, files)
        defer { visit.end() }
        return try NewSnapshot.make(path, overwrite: overwrite, files: files) { (temporary) throws(StorageError) in
            let writer = BackgroundWriter(path: temporary, files)
            do throws(StorageError) {
                let rows = RowVisitor(writer: writer, batch: try writer.next(), source: path, progress: nil)
                let sink = SnapshotSink(rows, path)
                let result = try body(sink)
                if sink.rows.digests.hasRepeated { throw KeyDigests.repeated(in: path) }
                writer.write(sink.rows.batch)
                try writer.finish(.ofImport())
                return result
            } catch {
                writer.cancel()
                throw error
            }
        }
    }

    public func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) { try rows.string(key, value) }
    public func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError) {
        try rows.begin(type, key, sizeHint: sizeHint)
    }
    public func element(_ value: Bytes) throws(StorageError) { try rows.element(value) }
    public func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        try rows.pair(field, value, expiresMs: expiresMs)
    }
    public func scored(_ member: Bytes, _ score: Double) throws(StorageError) { try rows.scored(member, score) }
    public func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) { try rows.streamEntry(id, fields) }
    public func streamRow(_ row: StreamRow) throws(StorageError) { try rows.streamRow(row) }
    public func end() throws(StorageError) { try rows.end() }
    public func function(_ name: Bytes, _ code: Bytes) throws(StorageError) { try rows.function(name, code) }
}

extension Meta {
    /// Of a snapshot that no server has written, with an identity of its own.
    static func ofImport() -> Meta {
        Meta(
            server: randomUUID(), checkpoint: 1, savedAtMs: wallClockMilliseconds(), segment: 0,
            segmentOffset: 0, replicationID: randomHex(40), replicationOffset: 0)
    }

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
