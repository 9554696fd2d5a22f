/// Keeps servers out of a directory while a snapshot is put there, where a server has been before: one that starts
/// meanwhile refuses.
struct DirectoryVisit {
    private let file: OpenFile?
    private let files: any FileSystem

    /// Throws when a server runs in the directory of `path`.
    init(beside path: String, _ files: any FileSystem) throws(StorageError) {
        self.files = files
        let lock = DirectoryLock.path(parentDirectory(of: OutputFile.resolved(path, files)))
        let opened: OpenFile
        do throws(FileError) {
            opened = try files.open(lock, .read)
        } catch {
            if !error.isMissing { throw .system(lock, "cannot open the lock file", error) }
            file = nil
            return
        }
        file = opened
        do throws(FileError) {
            try files.lock(opened, .shared)
        } catch {
            files.close(opened)
            if !error.isLockedElsewhere { throw .system(lock, "cannot lock", error) }
            throw StorageError(
                file: path,
                message: "a server runs in this directory, and a snapshot that it did not write would be its undoing: "
                    + "stop it first, or write into another directory")
        }
    }

    func end() {
        if let file { files.close(file) }
    }
}
