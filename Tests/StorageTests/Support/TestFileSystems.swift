@testable import Storage

/// Passes every operation on to another file system. Tests override what they want to see or spoil.
class ForwardingFileSystem: FileSystem, @unchecked Sendable {
    let base: any FileSystem
    init(_ base: any FileSystem = RealFileSystem()) { self.base = base }

    var sqliteVFS: String? { base.sqliteVFS }
    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> OpenFile { try base.open(path, mode) }
    func close(_ file: OpenFile) { base.close(file) }
    func read(
        _ file: OpenFile, into target: UnsafeMutableRawPointer, _ count: Int, at offset: Int64
    ) throws(FileError) -> Int { try base.read(file, into: target, count, at: offset) }
    func append(_ file: OpenFile, _ bytes: Bytes) throws(FileError) -> Int { try base.append(file, bytes) }
    func write(_ file: OpenFile, _ bytes: Bytes, at offset: Int64) throws(FileError) -> Int {
        try base.write(file, bytes, at: offset)
    }
    func truncate(_ file: OpenFile, to size: Int64) throws(FileError) { try base.truncate(file, to: size) }
    func allocate(_ file: OpenFile, at offset: Int64, bytes: Int) throws(FileError) {
        try base.allocate(file, at: offset, bytes: bytes)
    }
    func beginWriteback(_ file: OpenFile, at offset: Int64, bytes: Int64) {
        base.beginWriteback(file, at: offset, bytes: bytes)
    }
    func sync(_ file: OpenFile, _ what: SyncKind) throws(FileError) { try base.sync(file, what) }
    func facts(_ file: OpenFile) throws(FileError) -> FileFacts { try base.facts(file) }
    func lock(_ file: OpenFile, _ kind: LockKind) throws(FileError) { try base.lock(file, kind) }
    func map(_ file: OpenFile, count: Int) throws(FileError) -> Bytes { try base.map(file, count: count) }
    func unmap(_ bytes: Bytes) { base.unmap(bytes) }
    func facts(_ path: String, followsLinks: Bool) throws(FileError) -> FileFacts {
        try base.facts(path, followsLinks: followsLinks)
    }
    func names(in directory: String) throws(FileError) -> [String] { try base.names(in: directory) }
    func rename(_ path: String, to new: String) throws(FileError) { try base.rename(path, to: new) }
    func link(_ path: String, to new: String) throws(FileError) { try base.link(path, to: new) }
    func unlink(_ path: String) throws(FileError) { try base.unlink(path) }
    func makeDirectory(_ path: String) throws(FileError) { try base.makeDirectory(path) }
    func syncDirectory(_ path: String) throws(FileError) { try base.syncDirectory(path) }
    func isWritable(_ path: String) -> Bool { base.isWritable(path) }
    func resolved(_ path: String) -> String? { base.resolved(path) }
}

/// Real files whose appends, syncs and truncations a test takes into its own hands.
final class HookedFileSystem: ForwardingFileSystem, @unchecked Sendable {
    typealias Append = @Sendable (OpenFile, Bytes) throws(FileError) -> Int
    typealias Sync = @Sendable (OpenFile) throws(FileError) -> Void
    typealias Truncate = @Sendable (OpenFile, Int64) throws(FileError) -> Void

    static let real = RealFileSystem()
    private let onAppend: Append
    private let onSync: Sync
    private let onTruncate: Truncate

    init(
        append: @escaping Append = { (file, bytes) throws(FileError) in try real.append(file, bytes) },
        sync: @escaping Sync = { (file) throws(FileError) in try real.sync(file, .data) },
        truncate: @escaping Truncate = { (file, size) throws(FileError) in try real.truncate(file, to: size) }
    ) {
        onAppend = append
        onSync = sync
        onTruncate = truncate
        super.init(HookedFileSystem.real)
    }

    override func append(_ file: OpenFile, _ bytes: Bytes) throws(FileError) -> Int { try onAppend(file, bytes) }
    override func sync(_ file: OpenFile, _ what: SyncKind) throws(FileError) { try onSync(file) }
    override func truncate(_ file: OpenFile, to size: Int64) throws(FileError) { try onTruncate(file, size) }
}
