import Glibc

/// Keeps servers out of a directory while a snapshot is put there, where a server has been before: one that starts
/// meanwhile refuses.
struct DirectoryVisit {
    private let descriptor: Int32

    /// Throws when a server runs in the directory of `path`.
    init(beside path: String) throws(StorageError) {
        let resolved = OutputFile.resolved(path)
        let directory = resolved.lastIndex(of: "/").map { String(resolved[...$0]) } ?? "."
        let lock = DirectoryLock.path(directory)
        descriptor = open(lock, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 {
            if errno == ENOENT || errno == ENOTDIR { return }
            throw .system(lock, "cannot open the lock file")
        }
        if flock(descriptor, LOCK_SH | LOCK_NB) != 0 {
            let code = errno
            close(descriptor)
            if code != EWOULDBLOCK { throw .system(lock, "cannot lock", code: code) }
            throw StorageError(
                file: path,
                message: "a server runs in this directory, and a snapshot that it did not write would be its undoing: "
                    + "stop it first, or write into another directory")
        }
    }

    func end() {
        if descriptor >= 0 { close(descriptor) }
    }
}
