import Synchronization

/// An open segment, as the writing end sees it: only ever appended to, in whole batches. One thread appends at a time:
/// the loop under `everysec` and `no`, the syncer under `always`; any may sync.
final class SegmentFile: Sendable {
    let file: OpenFile
    let number: Int64
    let path: String
    private let files: any FileSystem
    /// Where its last whole batch ends.
    private let last = Atomic<Int64>(0)

    /// `file` is closed with the last reference.
    init(_ file: OpenFile, number: Int64, path: String, end: Int64, _ files: any FileSystem) {
        self.file = file
        self.number = number
        self.path = path
        self.files = files
        last.store(end, ordering: .releasing)
    }
    deinit { files.close(file) }

    var end: Int64 { last.load(ordering: .acquiring) }

    /// Appends whole batches; after a failed or short write the file ends where it did.
    func append(_ batches: OutputBuffer) throws(FileError) {
        var end = end
        defer { last.store(end, ordering: .releasing) }
        try LogFile.append(batches, to: file, end: &end, files)
    }

    /// Writes the header, durably. Waits for the disk. Throws when that fails, and leaves no file.
    func begin(_ header: OutputBuffer, _ files: any FileSystem) throws(StorageError) {
        do throws(FileError) {
            try append(header)
            try sync()
        } catch {
            files.remove(path)
            throw .system(path, "cannot write a log segment", error)
        }
    }

    /// Makes what was appended durable.
    func sync() throws(FileError) { try files.sync(file, .data) }

    /// Creates the file of a segment that is to begin, with room for its header; its name is durable when this returns.
    /// Throws when the file cannot be made, and leaves none.
    static func prepare(
        directory: String, baseName: String, number: Int64, _ files: any FileSystem
    ) throws(StorageError) -> SegmentFile {
        let path = directory + "/" + LogFormat.fileName(baseName, number)
        let opened = try files.open(path, .appendEmpty, or: "cannot make a log segment")
        let file = SegmentFile(opened, number: number, path: path, end: 0, files)
        do throws(StorageError) {
            do throws(FileError) {
                try Reserve.allocate(opened, at: 0, bytes: SegmentFile.roomAhead, files)
            } catch {
                throw StorageError.system(path, "cannot make a log segment", error)
            }
            try files.syncNames(in: directory)
        } catch {
            files.remove(path)
            throw error
        }
        return file
    }
    /// What a full disk must not refuse a segment that is begun.
    private static let roomAhead = 64 << 10
}
