import Foundation

@testable import Storage

/// A disk in memory that knows what was synced: `crash` makes the disk that a power cut may leave. A test sees each call
/// before it is done, and may let it fail. Any thread may call.
final class MemoryFileSystem: FileSystem, @unchecked Sendable {
    private struct Open {
        let file: MemoryFile
        let path: String
    }

    private let mutex = NSRecursiveLock()
    /// Called before each call; throws what it is to fail with.
    var onCall: ((FileCall) throws(FileError) -> Void)?
    /// In bytes; what goes beyond fails with ENOSPC.
    var capacity = Int.max
    private var used: Int { names.values.reduce(0) { $0 + $1.room } }

    private(set) var names: [String: MemoryFile] = [:]
    private var durableNames: [String: MemoryFile] = [:]
    private var pendingNames: [NameChange] = []
    private var opened: [Int32: Open] = [:]
    private var nextNumber: Int32 = 3
    private var nextIdentity: UInt64 = 1
    private(set) var vfs: MemoryVFS?
    var sqliteVFS: String? { vfs?.name }

    private enum NameChange {
        case set(String, MemoryFile)
        case move(String, String)
        case remove(String)

        func apply(_ names: inout [String: MemoryFile]) {
            switch self {
            case .set(let path, let file): names[path] = file
            case .move(let path, let new):
                guard let file = names.removeValue(forKey: path) else { return }
                names[new] = file
            case .remove(let path): names[path] = nil
            }
        }
    }

    init(seed: UInt64 = 0) { vfs = MemoryVFS(self, seed: seed) }
    deinit { vfs?.unregister() }

    private func ask(_ call: @autoclosure () -> FileCall) throws(FileError) { try onCall?(call()) }
    private func file(_ file: OpenFile) throws(FileError) -> Open {
        guard let open = opened[file.number] else { throw FileError(EBADF) }
        return open
    }
    private func change(_ change: NameChange) {
        change.apply(&names)
        pendingNames.append(change)
    }
    private func makeRoom(_ bytes: Int) throws(FileError) {
        if capacity != .max && used + bytes > capacity { throw FileError(ENOSPC) }
    }

    // MARK: Open files

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> OpenFile {
        mutex.lock()
        defer { mutex.unlock() }
        try ask(.open(path, mode))
        let file = names[path]
        switch mode {
        case .read, .write, .readWrite, .append: if file == nil { throw FileError(ENOENT) }
        case .new: if file != nil { throw FileError(EEXIST) }
        case .appendEmpty: file?.truncate(0)
        case .create, .readWriteCreate: break
        }
        let found = file ?? MemoryFile(nextIdentity)
        if file == nil {
            nextIdentity += 1
            change(.set(path, found))
        }
        nextNumber += 1
        opened[nextNumber] = Open(file: found, path: path)
        return OpenFile(nextNumber)
    }
    func close(_ file: OpenFile) {
        mutex.lock()
        defer { mutex.unlock() }
        guard let open = opened.removeValue(forKey: file.number) else { return }
        open.file.locks[file.number] = nil
    }
    func read(
        _ file: OpenFile, into target: UnsafeMutableRawPointer, _ count: Int, at offset: Int64
    ) throws(FileError) -> Int {
        mutex.lock()
        defer { mutex.unlock() }
        let bytes = try self.file(file).file.bytes
        let start = min(Int(offset), bytes.count)
        let got = min(count, bytes.count - start)
        bytes.withUnsafeBytes { if let base = $0.baseAddress, got > 0 { memcpy(target, base + start, got) } }
        return got
    }
    func append(_ file: OpenFile, _ bytes: Bytes) throws(FileError) -> Int {
        mutex.lock()
        defer { mutex.unlock() }
        let open = try self.file(file)
        open.file.isAppended = true
        return try write(file, bytes, at: Int64(open.file.bytes.count))
    }
    func write(_ file: OpenFile, _ bytes: Bytes, at offset: Int64) throws(FileError) -> Int {
        mutex.lock()
        defer { mutex.unlock() }
        let open = try self.file(file)
        try ask(.write(open.path, offset, bytes.count))
        try makeRoom(max(0, Int(offset) + bytes.count - open.file.room))
        open.file.write(bytes.array, at: Int(offset))
        return bytes.count
    }
    func truncate(_ file: OpenFile, to size: Int64) throws(FileError) {
        mutex.lock()
        defer { mutex.unlock() }
        let open = try self.file(file)
        try ask(.truncate(open.path, size))
        open.file.truncate(Int(size))
    }
    func allocate(_ file: OpenFile, at offset: Int64, bytes: Int) throws(FileError) {
        mutex.lock()
        defer { mutex.unlock() }
        let open = try self.file(file)
        try ask(.allocate(open.path, offset, bytes))
        let end = Int(offset) + bytes
        try makeRoom(max(0, end - open.file.room))
        open.file.allocated = max(open.file.allocated, end)
    }
    func beginWriteback(_ file: OpenFile, at offset: Int64, bytes: Int64) {}
    func sync(_ file: OpenFile, _ what: SyncKind) throws(FileError) {
        mutex.lock()
        defer { mutex.unlock() }
        let open = try self.file(file)
        do throws(FileError) {
            try ask(.sync(open.path, what))
        } catch {
            // What a failed sync was to write is dropped: it can be read until the power goes, and no later sync writes it.
            open.file.lose()
            throw error
        }
        open.file.sync()
    }
    func facts(_ file: OpenFile) throws(FileError) -> FileFacts {
        mutex.lock()
        defer { mutex.unlock() }
        return facts(of: try self.file(file).file)
    }
    func lock(_ file: OpenFile, _ kind: LockKind) throws(FileError) {
        mutex.lock()
        defer { mutex.unlock() }
        let open = try self.file(file)
        try ask(.lock(open.path, kind))
        let others = open.file.locks.filter { $0.key != file.number }
        if !others.isEmpty && (kind == .exclusive || others.values.contains(.exclusive)) {
            throw FileError(EWOULDBLOCK)
        }
        open.file.locks[file.number] = kind
    }
    func map(_ file: OpenFile, count: Int) throws(FileError) -> Bytes {
        if count == 0 { return Bytes() }
        let copy = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 16)
        return Bytes(copy, try read(file, into: copy, count, at: 0))
    }
    func unmap(_ bytes: Bytes) { if !bytes.isEmpty { UnsafeMutableRawPointer(mutating: bytes.base).deallocate() } }

    // MARK: Names

    private func facts(of file: MemoryFile) -> FileFacts {
        FileFacts(
            size: Int64(file.bytes.count), modified: 0, kind: .regular,
            identity: FileIdentity(device: 1, number: file.number),
            links: names.values.count { $0 === file }, allocated: Int64(file.room))
    }
    func facts(_ path: String, followsLinks: Bool) throws(FileError) -> FileFacts {
        mutex.lock()
        defer { mutex.unlock() }
        if let file = names[path] { return facts(of: file) }
        guard names.keys.contains(where: { $0.hasPrefix(path + "/") }) || path == MemoryFileSystem.directory else {
            throw FileError(ENOENT)
        }
        return FileFacts(
            size: 0, modified: 0, kind: .other, identity: FileIdentity(device: 1, number: 0), links: 2, allocated: 0)
    }
    /// The one that there is.
    static let directory = "/data"

    func names(in directory: String) throws(FileError) -> [String] {
        mutex.lock()
        defer { mutex.unlock() }
        return names.keys.filter { $0.hasPrefix(directory + "/") }.map { String($0.dropFirst(directory.count + 1)) }
            .sorted()
    }
    func rename(_ path: String, to new: String) throws(FileError) {
        mutex.lock()
        defer { mutex.unlock() }
        try ask(.rename(path, new))
        if names[path] == nil { throw FileError(ENOENT) }
        change(.move(path, new))
    }
    func link(_ path: String, to new: String) throws(FileError) {
        mutex.lock()
        defer { mutex.unlock() }
        try ask(.link(path, new))
        guard let file = names[path] else { throw FileError(ENOENT) }
        if names[new] != nil { throw FileError(EEXIST) }
        change(.set(new, file))
    }
    func unlink(_ path: String) throws(FileError) {
        mutex.lock()
        defer { mutex.unlock() }
        if names[path] == nil { throw FileError(ENOENT) }
        try ask(.unlink(path))
        change(.remove(path))
    }
    /// Directories are there with what lies in them.
    func makeDirectory(_ path: String) throws(FileError) {}
    func syncDirectory(_ path: String) throws(FileError) {
        mutex.lock()
        defer { mutex.unlock() }
        try ask(.syncDirectory(path))
        for change in pendingNames { change.apply(&durableNames) }
        pendingNames = []
    }
    func isWritable(_ path: String) -> Bool { true }
    func resolved(_ path: String) -> String? {
        mutex.lock()
        defer { mutex.unlock() }
        return names[path] == nil ? nil : path
    }

    /// The files with their sizes, and what the directory's record says.
    var summary: String {
        names.sorted { $0.key < $1.key }.map { path, file in
            let name = path.split(separator: "/").last ?? ""
            let record = name == "swiftlet.lock" ? " \(String(decoding: file.bytes, as: UTF8.self).dropLast())" : ""
            return "\(name) (\(file.bytes.count))\(record)"
        }.joined(separator: ", ")
    }

    // MARK: Crashes

    enum Crash: CaseIterable {
        /// The process alone ends: all that it wrote can be read, and what it did not sync is as uncertain as before.
        case kill
        /// What was synced is there, and nothing else.
        case strict
        /// Of what was not synced, each page and each name may be there or not.
        case random
    }

    /// The disk that is found after a crash now.
    func crash(_ kind: Crash, seed: UInt64) -> MemoryFileSystem {
        var random = SplitMix64(seed: seed)
        let after = MemoryFileSystem(seed: seed)
        after.nextIdentity = nextIdentity
        var copies: [ObjectIdentifier: MemoryFile] = [:]
        func copy(_ file: MemoryFile) -> MemoryFile {
            let copy = copies[ObjectIdentifier(file)] ?? file.crashed(kind, &random)
            copies[ObjectIdentifier(file)] = copy
            return copy
        }
        func copy(_ names: [String: MemoryFile]) -> [String: MemoryFile] {
            var result: [String: MemoryFile] = [:]
            for (path, file) in names.sorted(by: { $0.key < $1.key }) { result[path] = copy(file) }
            return result
        }
        if kind == .kill {
            after.names = copy(names)
            after.durableNames = copy(durableNames)
            after.pendingNames = pendingNames.map {
                if case .set(let path, let file) = $0 { .set(path, copy(file)) } else { $0 }
            }
            return after
        }
        var found = durableNames
        if kind == .random {
            let share = random.next() % 5
            for change in pendingNames where random.next() % 4 < share { change.apply(&found) }
        }
        after.names = copy(found)
        after.durableNames = after.names
        return after
    }
}
