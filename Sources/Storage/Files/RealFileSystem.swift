import CShims
import Glibc

// Invariant of this file: pointers are passed on to the system's calls and not kept; a map belongs to its caller.

/// The machine's files.
public final class RealFileSystem: FileSystem {
    public init() {}

    public var sqliteVFS: String? { nil }

    // MARK: Open files

    public func open(_ path: String, _ mode: OpenMode) throws(FileError) -> OpenFile {
        let descriptor = Glibc.open(path, mode.flags | O_CLOEXEC, mode.permissions)
        if descriptor < 0 { throw .last }
        return OpenFile(descriptor)
    }
    public func close(_ file: OpenFile) { Glibc.close(file.number) }

    public func read(
        _ file: OpenFile, into target: UnsafeMutableRawPointer, _ count: Int, at offset: Int64
    ) throws(FileError) -> Int {
        try repeating { pread(file.number, target, count, off_t(offset)) }
    }
    public func append(_ file: OpenFile, _ bytes: Bytes) throws(FileError) -> Int {
        try repeating { Glibc.write(file.number, bytes.base, bytes.count) }
    }
    public func write(_ file: OpenFile, _ bytes: Bytes, at offset: Int64) throws(FileError) -> Int {
        try repeating { pwrite(file.number, bytes.base, bytes.count, off_t(offset)) }
    }
    public func truncate(_ file: OpenFile, to size: Int64) throws(FileError) {
        _ = try repeating { Int(ftruncate(file.number, off_t(size))) }
    }
    public func allocate(_ file: OpenFile, at offset: Int64, bytes: Int) throws(FileError) {
        _ = try repeating { Int(cshims_allocate(file.number, offset, Int64(bytes))) }
    }
    public func beginWriteback(_ file: OpenFile, at offset: Int64, bytes: Int64) {
        cshims_begin_writeback(file.number, offset, bytes)
    }
    public func sync(_ file: OpenFile, _ what: SyncKind) throws(FileError) {
        // A sync that was interrupted is not repeated: it has failed, and the next one would prove nothing.
        let failed = what == .data ? fdatasync(file.number) : fsync(file.number)
        if failed != 0 { throw .last }
    }
    public func facts(_ file: OpenFile) throws(FileError) -> FileFacts {
        var status = stat()
        if fstat(file.number, &status) != 0 { throw .last }
        return FileFacts(status)
    }
    public func lock(_ file: OpenFile, _ kind: LockKind) throws(FileError) {
        let operation = kind == .shared ? LOCK_SH : LOCK_EX
        if flock(file.number, operation | LOCK_NB) != 0 { throw .last }
    }
    public func map(_ file: OpenFile, count: Int) throws(FileError) -> Bytes {
        if count == 0 { return Bytes() }
        guard let map = mmap(nil, count, PROT_READ, MAP_PRIVATE, file.number, 0), map != MAP_FAILED else { throw .last }
        madvise(map, count, MADV_SEQUENTIAL)
        return Bytes(map, count)
    }
    public func unmap(_ bytes: Bytes) {
        if !bytes.isEmpty { munmap(UnsafeMutableRawPointer(mutating: bytes.base), bytes.count) }
    }

    // MARK: Names

    public func facts(_ path: String, followsLinks: Bool) throws(FileError) -> FileFacts {
        var status = stat()
        if (followsLinks ? stat(path, &status) : lstat(path, &status)) != 0 { throw .last }
        return FileFacts(status)
    }
    public func names(in directory: String) throws(FileError) -> [String] {
        guard let stream = opendir(directory) else { throw .last }
        defer { closedir(stream) }
        var found: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { found.append(name) }
        }
        return found
    }
    public func rename(_ path: String, to new: String) throws(FileError) {
        if Glibc.rename(path, new) != 0 { throw .last }
    }
    public func link(_ path: String, to new: String) throws(FileError) {
        if Glibc.link(path, new) != 0 { throw .last }
    }
    public func unlink(_ path: String) throws(FileError) { if Glibc.unlink(path) != 0 { throw .last } }
    public func makeDirectory(_ path: String) throws(FileError) { if mkdir(path, 0o755) != 0 { throw .last } }
    public func syncDirectory(_ path: String) throws(FileError) {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor < 0 { throw .last }
        defer { Glibc.close(descriptor) }
        if fsync(descriptor) != 0 { throw .last }
    }
    public func isWritable(_ path: String) -> Bool { access(path, W_OK) == 0 }
    public func resolved(_ path: String) -> String? {
        guard let target = realpath(path, nil) else { return nil }
        defer { free(target) }
        return String(cString: target)
    }

    private func repeating(_ call: () -> Int) throws(FileError) -> Int {
        while true {
            let result = call()
            if result >= 0 { return result }
            if errno != EINTR { throw .last }
        }
    }
}

extension OpenMode {
    fileprivate var flags: Int32 {
        switch self {
        case .read: O_RDONLY
        case .write: O_WRONLY
        case .readWrite: O_RDWR
        case .append: O_WRONLY | O_APPEND
        case .appendEmpty: O_WRONLY | O_APPEND | O_CREAT | O_TRUNC
        case .create: O_WRONLY | O_CREAT
        case .readWriteCreate: O_RDWR | O_CREAT
        case .new: O_RDWR | O_CREAT | O_EXCL
        }
    }
    fileprivate var permissions: mode_t { if case .new(isPrivate: true) = self { 0o600 } else { 0o644 } }
}

extension FileError {
    /// errno's, where a call is known to have failed.
    static var last: FileError { FileError(errno == 0 ? EIO : errno) }
    static var noSpace: FileError { FileError(ENOSPC) }
    static var unsupported: FileError { FileError(EOPNOTSUPP) }
    /// The file is not as it was left.
    static var damaged: FileError { FileError(EIO) }

    /// The disk or the user's share of it is full.
    var isNoSpace: Bool { code == ENOSPC || code == EDQUOT }
    /// The file system knows no such operation.
    var isUnsupported: Bool { code == EOPNOTSUPP || code == ENOSYS }
    var isMissing: Bool { code == ENOENT || code == ENOTDIR }
    var isLockedElsewhere: Bool { code == EWOULDBLOCK }
}

extension FileFacts {
    fileprivate init(_ status: stat) {
        let modified = Int64(status.st_mtim.tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
        let kind = status.st_mode & S_IFMT
        self.init(
            size: Int64(status.st_size),
            modified: modified.overflow ? .max : modified.partialValue &+ Int64(status.st_mtim.tv_nsec),
            kind: kind == S_IFREG ? .regular : kind == S_IFLNK ? .link : .other,
            identity: FileIdentity(device: UInt64(status.st_dev), number: UInt64(status.st_ino)),
            links: Int(status.st_nlink), allocated: Int64(status.st_blocks) * 512)
    }
}
