import Glibc

// Invariant of this file: the spool's pieces lie one after the other, each as long as `pieces` says and whole operations.

/// Rows that cannot be appended where they belong: kept in memory, beyond a few megabytes in a file without a name, until
/// all others are in place.
final class LateRows {
    private let path: String
    private var batch = RowBatch()
    private var descriptor: Int32 = -1
    private var pieces: [Int] = []

    /// Bytes that stay in memory.
    private static var memory: Int { StructureSizes.size(4 << 20, small: 2048) }

    /// `path`: where the file may lie while it is opened.
    init(path: String) { self.path = path }
    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Copies one encoded operation. Throws when the disk is full or fails.
    func append(_ operation: Bytes) throws(StorageError) {
        batch.appendEncoded(operation)
        if batch.byteCount < LateRows.memory { return }
        if descriptor < 0 {
            descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            if descriptor < 0 { throw .system(path, "cannot make a file for rows that come late") }
            unlink(path)
        }
        let bytes = batch.encoded
        var done = 0
        while done < bytes.count {
            let n = write(descriptor, bytes.base + done, bytes.count - done)
            if n < 0 && errno == EINTR { continue }
            if n <= 0 { throw .system(path, "cannot write rows that come late", code: n < 0 ? errno : ENOSPC) }
            done += n
        }
        pieces.append(bytes.count)
        batch.removeAll()
    }

    /// Calls `body` with all rows, in the order in which they came, and forgets them.
    func drain(_ body: (RowBatch) throws(StorageError) -> Void) throws(StorageError) {
        var offset = 0
        for size in pieces {
            let piece = RowBatch(encodedBytes: size) { target in
                var done = 0
                while done < size {
                    let n = pread(descriptor, target + done, size - done, off_t(offset + done))
                    if n < 0 && errno == EINTR { continue }
                    if n <= 0 { return false }
                    done += n
                }
                return true
            }
            if piece.byteCount != size { throw .system(path, "cannot read back rows that came late") }
            try body(piece)
            offset += size
        }
        pieces = []
        try body(batch)
        batch = RowBatch()
    }
}
