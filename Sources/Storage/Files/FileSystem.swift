/// Every operation on files and directories that the engine makes. One is chosen when a data directory is opened and
/// passed down; tests use others: one that fails, one that records, one that loses what was not synced.
///
/// A call throws the errno of what failed; interrupted calls are repeated inside. Any thread may call.
public protocol FileSystem: AnyObject, Sendable {
    // Open files

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> OpenFile
    func close(_ file: OpenFile)
    /// Reads at most `count` bytes; 0 at the file's end.
    func read(
        _ file: OpenFile, into target: UnsafeMutableRawPointer, _ count: Int, at offset: Int64
    ) throws(FileError) -> Int
    /// Writes behind the end of a file opened with `.append`. Returns how many of the bytes were written.
    func append(_ file: OpenFile, _ bytes: Bytes) throws(FileError) -> Int
    /// Returns how many of the bytes were written.
    func write(_ file: OpenFile, _ bytes: Bytes, at offset: Int64) throws(FileError) -> Int
    func truncate(_ file: OpenFile, to size: Int64) throws(FileError)
    /// Sets blocks aside without changing the file's size.
    func allocate(_ file: OpenFile, at offset: Int64, bytes: Int) throws(FileError)
    /// Asks the disk to begin writing, and does not wait. Nothing becomes durable by it.
    func beginWriteback(_ file: OpenFile, at offset: Int64, bytes: Int64)
    /// Makes what the file holds durable; with `.data` not its times. Waits for the disk.
    func sync(_ file: OpenFile, _ what: SyncKind) throws(FileError)
    func facts(_ file: OpenFile) throws(FileError) -> FileFacts
    /// Locks the whole file for this process until it is closed, or fails at once with EWOULDBLOCK.
    func lock(_ file: OpenFile, _ kind: LockKind) throws(FileError)
    /// The file's first `count` bytes, read-only; they stay until `unmap`, whatever becomes of the descriptor.
    func map(_ file: OpenFile, count: Int) throws(FileError) -> Bytes
    func unmap(_ bytes: Bytes)

    // Names

    /// `followsLinks`: a symbolic link counts as what it leads to.
    func facts(_ path: String, followsLinks: Bool) throws(FileError) -> FileFacts
    /// In no order.
    func names(in directory: String) throws(FileError) -> [String]
    /// Replaces what stands at `new`.
    func rename(_ path: String, to new: String) throws(FileError)
    /// Fails where something stands at `new`.
    func link(_ path: String, to new: String) throws(FileError)
    func unlink(_ path: String) throws(FileError)
    /// Fails where something stands at `path`.
    func makeDirectory(_ path: String) throws(FileError)
    /// Makes the names in a directory durable. Waits for the disk.
    func syncDirectory(_ path: String) throws(FileError)
    func isWritable(_ path: String) -> Bool
    /// The path without symbolic links; nil where it leads nowhere.
    func resolved(_ path: String) -> String?

    /// The name of the SQLite VFS that leads to these files; nil: SQLite's own.
    var sqliteVFS: String? { get }
}

/// How a file is opened.
public enum OpenMode: Sendable {
    case read
    /// To be written at offsets; must exist.
    case write
    case readWrite
    /// To be appended to; must exist.
    case append
    /// To be appended to; what was there is emptied.
    case appendEmpty
    /// To be written at offsets; made where it is missing.
    case create
    /// To be read and written; made where it is missing.
    case readWriteCreate
    /// To be read and written; must not exist. `isPrivate`: for this user alone.
    case new(isPrivate: Bool)
}

public enum SyncKind: Sendable { case data, all }

public enum LockKind: Sendable { case shared, exclusive }

/// A file that is open: a number, as a descriptor is.
public struct OpenFile: Hashable, Sendable {
    public let number: Int32
    public init(_ number: Int32) { self.number = number }
}

/// Why an operation on a file failed.
public struct FileError: Error, Equatable, Sendable {
    /// errno, never 0.
    public let code: Int32
    public init(_ code: Int32) { self.code = code }
}

extension StorageError {
    /// A failed operation, with errno's text.
    static func system(_ file: String, _ what: String, _ error: FileError) -> StorageError {
        .system(file, what, code: error.code)
    }
}

// MARK: - What most callers want

extension FileSystem {
    /// Opens a file, or throws "`what`: reason".
    func open(_ path: String, _ mode: OpenMode, or what: String) throws(StorageError) -> OpenFile {
        do throws(FileError) { return try open(path, mode) } catch { throw .system(path, what, error) }
    }

    /// Writes all of the bytes.
    func writeAll(_ file: OpenFile, _ bytes: Bytes, at offset: Int64) throws(FileError) {
        var done = 0
        while done < bytes.count {
            let count = try write(file, bytes[done..<bytes.count], at: offset + Int64(done))
            if count == 0 { throw .noSpace }
            done += count
        }
    }

    /// Reads until `count` bytes are there or the file ends; returns how many.
    func readAll(
        _ file: OpenFile, into target: UnsafeMutableRawPointer, _ count: Int, at offset: Int64
    ) throws(FileError) -> Int {
        var done = 0
        while done < count {
            let got = try read(file, into: target + done, count - done, at: offset + Int64(done))
            if got == 0 { break }
            done += got
        }
        return done
    }

    /// A file's first bytes, as many as there are up to `count`; nil where it cannot be read.
    func head(_ file: OpenFile, _ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = bytes.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.flatMap { try? readAll(file, into: $0, count, at: 0) }
        }
        return got.map { Array(bytes.prefix($0)) }
    }

    /// nil where there is no such file. A symbolic link counts as what it leads to.
    func facts(_ path: String) -> FileFacts? { try? facts(path, followsLinks: true) }

    /// In bytes; nil when there is no such file.
    func size(_ path: String) -> Int64? { facts(path)?.size }

    /// Whether anything has this name, a link that leads nowhere too.
    func isTaken(_ path: String) -> Bool { (try? facts(path, followsLinks: false)) != nil }

    /// Deletes what may be there. What cannot be deleted stays.
    func remove(_ path: String) { try? unlink(path) }

    /// Has a directory at `path`, durably; the one that it lies in is there.
    func haveDirectory(_ path: String) throws(StorageError) {
        if facts(path) != nil { return }
        do throws(FileError) {
            try makeDirectory(path)
        } catch {
            if facts(path) == nil { throw .system(path, "cannot make the directory", error) }
        }
        try syncNames(beside: path)
    }

    /// Makes a directory's names durable.
    func syncNames(in directory: String) throws(StorageError) {
        do throws(FileError) {
            try syncDirectory(directory)
        } catch {
            throw .system(directory, "cannot sync the directory", error)
        }
    }

    /// Makes the names in a file's directory durable.
    func syncNames(beside path: String) throws(StorageError) { try syncNames(in: parentDirectory(of: path)) }
}

/// The directory that a path's last name stands in.
func parentDirectory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}
