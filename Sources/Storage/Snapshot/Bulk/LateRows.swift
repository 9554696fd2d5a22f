// Invariant of this file: the spool's pieces lie one after the other, each as long as `pieces` says and whole operations.

/// Rows that cannot be appended where they belong: kept in memory, beyond a few megabytes in a file without a name, until
/// all others are in place.
final class LateRows {
    private let path: String
    private let files: any FileSystem
    private var batch = RowBatch()
    private var file: OpenFile?
    private var spooled: Int64 = 0
    private var pieces: [Int] = []

    /// Bytes that stay in memory.
    private static var memory: Int { StructureSizes.size(4 << 20, small: 2048) }

    /// `path`: where the file may lie while it is opened.
    init(path: String, _ files: any FileSystem) {
        self.path = path
        self.files = files
    }
    deinit { if let file { files.close(file) } }

    /// Copies one encoded operation. Throws when the disk is full or fails.
    func append(_ operation: Bytes) throws(StorageError) {
        batch.appendEncoded(operation)
        batch.countMemory()
        if batch.byteCount < LateRows.memory { return }
        let spool = try spool()
        let bytes = batch.encoded
        do throws(FileError) {
            try files.writeAll(spool, bytes, at: spooled)
        } catch {
            throw .system(path, "cannot write rows that come late", error)
        }
        spooled += Int64(bytes.count)
        pieces.append(bytes.count)
        batch.removeAll()
    }

    private func spool() throws(StorageError) -> OpenFile {
        if let file { return file }
        let new = try files.open(path, .new(isPrivate: true), or: "cannot make a file for rows that come late")
        files.remove(path)
        file = new
        return new
    }

    /// Calls `body` with all rows, in the order in which they came, and forgets them.
    func drain(_ body: (RowBatch) throws(StorageError) -> Void) throws(StorageError) {
        var offset: Int64 = 0
        for size in pieces {
            let piece = RowBatch(encodedBytes: size) { target in
                guard let file else { return false }
                return (try? files.readAll(file, into: target, size, at: offset)) == size
            }
            if piece.byteCount != size { throw .system(path, "cannot read back rows that came late") }
            try body(piece)
            offset += Int64(size)
        }
        pieces = []
        try body(batch)
        batch = RowBatch()
    }
}
