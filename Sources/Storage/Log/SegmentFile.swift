import Glibc
import Synchronization

/// An open segment, as the writing end sees it: only ever appended to, in whole batches. One thread appends at a time:
/// the loop under `everysec` and `no`, the syncer under `always`; any may sync.
final class SegmentFile: Sendable {
    let descriptor: Int32
    let number: Int64
    let path: String
    /// Where its last whole batch ends.
    private let last = Atomic<Int64>(0)

    /// `descriptor` is closed with the last reference.
    init(_ descriptor: Int32, number: Int64, path: String, end: Int64) {
        self.descriptor = descriptor
        self.number = number
        self.path = path
        last.store(end, ordering: .releasing)
    }
    deinit { close(descriptor) }

    var end: Int64 { last.load(ordering: .acquiring) }

    /// Appends whole batches; after a failed or short write the file ends where it did. Returns errno or 0.
    func append(_ batches: OutputBuffer, _ files: FileOperations) -> Int32 {
        var end = end
        defer { last.store(end, ordering: .releasing) }
        return LogFile.append(batches, to: descriptor, end: &end, files)
    }

    /// Creates the file of a segment that is to begin, with room for its header; its name is durable when this returns.
    /// Throws when the file cannot be made, and leaves none.
    static func prepare(directory: String, baseName: String, number: Int64) throws(StorageError) -> SegmentFile {
        let path = directory + "/" + LogFormat.fileName(baseName, number)
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        if descriptor < 0 { throw .system(path, "cannot make a log segment") }
        let file = SegmentFile(descriptor, number: number, path: path, end: 0)
        do throws(StorageError) {
            let code = Reserve.allocate(descriptor, at: 0, bytes: SegmentFile.roomAhead)
            if code != 0 { throw .system(path, "cannot make a log segment", code: code) }
            try syncDirectory(directory)
        } catch {
            unlink(path)
            throw error
        }
        return file
    }
    /// What a full disk must not refuse a segment that is begun.
    private static let roomAhead = 64 << 10
}
