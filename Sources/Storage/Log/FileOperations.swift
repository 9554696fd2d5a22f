import Glibc

/// The system calls that the log's promises hang on, so that a test can make each fail.
public struct FileOperations: Sendable {
    /// As write(2): bytes written or -1 with errno.
    public var write: @Sendable (Int32, UnsafeRawPointer, Int) -> Int
    /// As fdatasync(2).
    public var sync: @Sendable (Int32) -> Int32
    /// As ftruncate(2).
    public var truncate: @Sendable (Int32, Int64) -> Int32

    public static let real = FileOperations(
        write: { Glibc.write($0, $1, $2) },
        sync: { fdatasync($0) })

    public init(
        write: @escaping @Sendable (Int32, UnsafeRawPointer, Int) -> Int, sync: @escaping @Sendable (Int32) -> Int32,
        truncate: @escaping @Sendable (Int32, Int64) -> Int32 = { ftruncate($0, off_t($1)) }
    ) {
        self.write = write
        self.sync = sync
        self.truncate = truncate
    }
}

/// errno, where a call is known to have failed: never 0.
func lastError() -> Int32 { errno == 0 ? EIO : errno }

/// Makes a directory's names durable.
func syncDirectory(_ path: String) throws(StorageError) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if descriptor < 0 { throw .system(path, "cannot open the directory") }
    let failed = fsync(descriptor) != 0
    let code = errno
    close(descriptor)
    if failed { throw .system(path, "cannot sync the directory", code: code) }
}

/// Makes the names in a file's directory durable.
func syncDirectory(of path: String) throws(StorageError) {
    let slash = path.lastIndex(of: "/")
    try syncDirectory(slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? ".")
}

/// One server a directory: a lock on a file of our own, held until the process ends.
public final class DirectoryLock {
    private let descriptor: Int32

    /// Throws when another process holds the lock.
    public init(directory: String) throws(StorageError) {
        let path = directory + "/swiftlet.lock"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        if descriptor < 0 { throw .system(path, "cannot open the lock file") }
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let code = errno
            close(descriptor)
            if code == EWOULDBLOCK {
                throw StorageError(file: path, message: "another server uses this directory: give each its own `dir`")
            }
            throw .system(path, "cannot lock", code: code)
        }
    }
    deinit { close(descriptor) }
}
