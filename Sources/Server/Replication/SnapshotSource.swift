import Storage

// Invariant of this file: a stand-in, which goes when Storage has the function.

/// A STAND-IN until Storage has `RDBExporter.stream`: a file that is exported whole, and read.
enum SnapshotSource {
    static func stream(
        from source: String, options: RDBExporter.Options, began: (Meta) throws(StorageError) -> Void,
        send: (Bytes) throws(StorageError) -> Void
    ) throws(StorageError) -> RDBExporter.Summary {
        let files = Host.real.files
        let path = source + ".stand-in-\(monotonicNanoseconds()).rdb"
        let meta = try SnapshotReader(path: source, files: files).meta
        try began(meta)
        let summary = try RDBExporter.run(from: source, to: path, options: options, files: files)
        defer { try? files.unlink(path) }
        guard let file = try? files.open(path, .read) else {
            throw StorageError(file: path, message: "cannot be opened")
        }
        defer { files.close(file) }
        let buffer = OutputBuffer(capacity: 128 << 10)
        var at: Int64 = 0
        while at < summary.bytes {
            buffer.removeAll()
            let length = Int(min(128 << 10, summary.bytes - at))
            let room = buffer.appendUninitialized(length)
            guard (try? files.read(file, into: room, length, at: at)) == length else {
                throw StorageError(file: path, message: "cannot be read")
            }
            try send(buffer.bytes)
            at += Int64(length)
        }
        return summary
    }
}
