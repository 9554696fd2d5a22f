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
