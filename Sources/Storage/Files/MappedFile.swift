// Invariant of this file: a file is mapped read-only from init until `unmap`.

/// A file's bytes, mapped.
struct MappedFile {
    let bytes: Bytes
    private let files: any FileSystem

    init(_ path: String, _ files: any FileSystem) throws(StorageError) {
        self.files = files
        let file = try files.open(path, .read, or: "cannot open")
        defer { files.close(file) }
        do throws(FileError) {
            bytes = try files.map(file, count: Int(clamping: try files.facts(file).size))
        } catch {
            throw .system(path, "cannot map", error)
        }
    }
    func unmap() { files.unmap(bytes) }
}
