import CSQLite
import Glibc
import Synchronization

@testable import Storage

// Invariant of this file: SQLite calls with the sqlite3_vfs and sqlite3_file that it was given; both begin with what it
// knows of, and their objects are alive from xOpen to xClose, and from registering to unregistering.

/// SQLite's extended codes for failed operations, which it defines by macros that Swift does not take.
private enum IOError {
    static let read = SQLITE_IOERR | 1 << 8
    static let shortRead = SQLITE_IOERR | 2 << 8
    static let write = SQLITE_IOERR | 3 << 8
    static let sync = SQLITE_IOERR | 4 << 8
    static let truncate = SQLITE_IOERR | 6 << 8
    static let facts = SQLITE_IOERR | 7 << 8
    static let unlock = SQLITE_IOERR | 8 << 8
    static let delete = SQLITE_IOERR | 10 << 8
    static let access = SQLITE_IOERR | 13 << 8
    static let checkLock = SQLITE_IOERR | 14 << 8
    static let lock = SQLITE_IOERR | 15 << 8
    static let indexLock = SQLITE_IOERR | 20 << 8
    static let indexMap = SQLITE_IOERR | 21 << 8
    static let deleteMissing = SQLITE_IOERR | 23 << 8
}

/// Leads SQLite to the files of a `MemoryFileSystem`. Locks and the WAL's index are kept here, as they are the machine's
/// and end with it. For one thread at a time.
final class MemoryVFS {
    private static let count = Atomic<Int>(0)
    /// Written once, before anybody reads it.
    nonisolated(unsafe) private static let methods: UnsafeMutablePointer<sqlite3_io_methods> = {
        let methods = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        methods.initialize(to: makeMethods())
        return methods
    }()

    let name: String
    unowned let files: MemoryFileSystem
    private var random: SplitMix64
    private let vfs: UnsafeMutablePointer<sqlite3_vfs>
    private let cName: UnsafeMutablePointer<CChar>
    private var shared: [FileIdentity: SharedState] = [:]

    /// Of all connections to one file.
    final class SharedState {
        /// By connection: SQLite's levels, and slots of the WAL's index, shared or exclusive.
        var levels: [ObjectIdentifier: Int32] = [:]
        var slots: [[ObjectIdentifier: Bool]] = Array(repeating: [:], count: 8)
        var regions: [UnsafeMutableRawPointer] = []
        var users = 0
        deinit { for region in regions { region.deallocate() } }
    }

    /// An open file of SQLite's.
    final class Handle {
        let vfs: MemoryVFS
        let path: String
        let file: OpenFile
        let isTemporary: Bool
        /// A journal whose name is not durable yet.
        var hasNewName: Bool
        let identity: FileIdentity
        let state: SharedState
        var hasRegions = false

        init(_ vfs: MemoryVFS, _ path: String, _ file: OpenFile, isTemporary: Bool, hasNewName: Bool) {
            self.vfs = vfs
            self.path = path
            self.file = file
            self.isTemporary = isTemporary
            self.hasNewName = hasNewName
            identity = (try? vfs.files.facts(file))?.identity ?? FileIdentity(device: 0, number: 0)
            state = vfs.shared[identity] ?? SharedState()
            vfs.shared[identity] = state
            state.users += 1
        }
        var key: ObjectIdentifier { ObjectIdentifier(self) }

        func close() {
            state.levels[key] = nil
            dropRegions()
            state.users -= 1
            if state.users == 0 { vfs.shared[identity] = nil }
            vfs.files.close(file)
            if isTemporary { vfs.files.remove(path) }
        }
        func dropRegions() {
            for i in state.slots.indices { state.slots[i][key] = nil }
            hasRegions = false
        }
    }

    private struct File {
        var base: sqlite3_file
        var handle: Unmanaged<Handle>?
    }

    init(_ files: MemoryFileSystem, seed: UInt64) {
        self.files = files
        random = SplitMix64(seed: seed)
        name = "memory-\(MemoryVFS.count.wrappingAdd(1, ordering: .relaxed).newValue)"
        cName = strdup(name)
        vfs = .allocate(capacity: 1)
        vfs.initialize(to: sqlite3_vfs())
        vfs.pointee.iVersion = 2
        vfs.pointee.szOsFile = Int32(MemoryLayout<File>.stride)
        vfs.pointee.mxPathname = 512
        vfs.pointee.zName = UnsafePointer(cName)
        vfs.pointee.pAppData = Unmanaged.passUnretained(self).toOpaque()
        setCalls()
        sqlite3_vfs_register(vfs, 0)
    }
    func unregister() { sqlite3_vfs_unregister(vfs) }
    deinit {
        vfs.deallocate()
        free(cName)
    }

    // MARK: The VFS

    private static func of(_ vfs: UnsafeMutablePointer<sqlite3_vfs>?) -> MemoryVFS? {
        vfs?.pointee.pAppData.map { Unmanaged<MemoryVFS>.fromOpaque($0).takeUnretainedValue() }
    }

    private func setCalls() {
        vfs.pointee.xOpen = { vfs, name, file, flags, outFlags in
            guard let vfs = MemoryVFS.of(vfs), let file else { return SQLITE_CANTOPEN }
            return vfs.open(name.map { String(cString: $0) }, file, flags, outFlags)
        }
        vfs.pointee.xDelete = { vfs, name, syncs in
            guard let vfs = MemoryVFS.of(vfs), let name else { return IOError.delete }
            let path = String(cString: name)
            do throws(FileError) {
                try vfs.files.unlink(path)
                if syncs != 0 { try vfs.files.syncDirectory(parentDirectory(of: path)) }
            } catch {
                return error.code == ENOENT ? IOError.deleteMissing : IOError.delete
            }
            return SQLITE_OK
        }
        vfs.pointee.xAccess = { vfs, name, _, result in
            guard let vfs = MemoryVFS.of(vfs), let name else { return IOError.access }
            result?.pointee = vfs.files.facts(String(cString: name)) == nil ? 0 : 1
            return SQLITE_OK
        }
        vfs.pointee.xFullPathname = { _, name, count, result in
            guard let name, let result else { return SQLITE_CANTOPEN }
            strncpy(result, name, Int(count))
            return SQLITE_OK
        }
        vfs.pointee.xRandomness = { vfs, count, result in
            guard let vfs = MemoryVFS.of(vfs), let result else { return 0 }
            for i in 0..<Int(count) { result[i] = CChar(truncatingIfNeeded: vfs.random.next()) }
            return count
        }
        vfs.pointee.xSleep = { _, microseconds in microseconds }
        vfs.pointee.xCurrentTimeInt64 = { _, result in
            result?.pointee = 212_000_000_000_000
            return SQLITE_OK
        }
        vfs.pointee.xCurrentTime = { _, result in
            result?.pointee = 2_453_703
            return SQLITE_OK
        }
        vfs.pointee.xGetLastError = { _, _, _ in 0 }
    }

    private func open(
        _ name: String?, _ file: UnsafeMutablePointer<sqlite3_file>, _ flags: Int32,
        _ outFlags: UnsafeMutablePointer<Int32>?
    ) -> Int32 {
        file.pointee.pMethods = nil
        let path = name ?? "\(MemoryFileSystem.directory)/etilqs-\(random.next())"
        let isNew = files.facts(path) == nil
        let isJournal = flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL) != 0
        do throws(FileError) {
            let mode: OpenMode =
                flags & SQLITE_OPEN_CREATE != 0
                ? .readWriteCreate : flags & SQLITE_OPEN_READWRITE != 0 ? .readWrite : .read
            let opened = try files.open(path, mode)
            let handle = Handle(
                self, path, opened, isTemporary: flags & SQLITE_OPEN_DELETEONCLOSE != 0,
                hasNewName: isNew && isJournal)
            UnsafeMutableRawPointer(file).assumingMemoryBound(to: File.self).pointee.handle = .passRetained(handle)
            file.pointee.pMethods = UnsafePointer(MemoryVFS.methods)
            outFlags?.pointee = flags
            return SQLITE_OK
        } catch {
            return SQLITE_CANTOPEN
        }
    }

    // MARK: Its files

    fileprivate static func handle(_ file: UnsafeMutablePointer<sqlite3_file>?) -> Handle? {
        guard let file else { return nil }
        return UnsafeMutableRawPointer(file).assumingMemoryBound(to: File.self).pointee.handle?.takeUnretainedValue()
    }

    private static func makeMethods() -> sqlite3_io_methods {
        var methods = sqlite3_io_methods()
        methods.iVersion = 2
        methods.xClose = { file in
            guard let handle = MemoryVFS.handle(file) else { return SQLITE_OK }
            handle.close()
            Unmanaged.passUnretained(handle).release()
            file?.pointee.pMethods = nil
            return SQLITE_OK
        }
        methods.xRead = { file, target, count, offset in
            guard let handle = MemoryVFS.handle(file), let target else { return IOError.read }
            guard let got = try? handle.vfs.files.readAll(handle.file, into: target, Int(count), at: offset) else {
                return IOError.read
            }
            if got == Int(count) { return SQLITE_OK }
            memset(target + got, 0, Int(count) - got)
            return IOError.shortRead
        }
        methods.xWrite = { file, source, count, offset in
            guard let handle = MemoryVFS.handle(file), let source else { return IOError.write }
            return MemoryVFS.status(IOError.write) { () throws(FileError) in
                try handle.vfs.files.writeAll(handle.file, Bytes(source, Int(count)), at: offset)
            }
        }
        methods.xTruncate = { file, size in
            guard let handle = MemoryVFS.handle(file) else { return IOError.truncate }
            return MemoryVFS.status(IOError.truncate) { () throws(FileError) in
                try handle.vfs.files.truncate(handle.file, to: size)
            }
        }
        methods.xSync = { file, _ in
            guard let handle = MemoryVFS.handle(file) else { return IOError.sync }
            return MemoryVFS.status(IOError.sync) { () throws(FileError) in
                try handle.vfs.files.sync(handle.file, .data)
                // As SQLite's own VFS does for journals.
                if handle.hasNewName { try handle.vfs.files.syncDirectory(parentDirectory(of: handle.path)) }
                handle.hasNewName = false
            }
        }
        methods.xFileSize = { file, size in
            guard let handle = MemoryVFS.handle(file), let facts = try? handle.vfs.files.facts(handle.file) else {
                return IOError.facts
            }
            size?.pointee = facts.size
            return SQLITE_OK
        }
        methods.xFileControl = { file, code, argument in
            guard let handle = MemoryVFS.handle(file), code == SQLITE_FCNTL_HAS_MOVED else { return SQLITE_NOTFOUND }
            let hasMoved = handle.vfs.files.facts(handle.path)?.identity != handle.identity
            argument?.assumingMemoryBound(to: Int32.self).pointee = hasMoved ? 1 : 0
            return SQLITE_OK
        }
        methods.xSectorSize = { _ in 4096 }
        methods.xDeviceCharacteristics = { _ in SQLITE_IOCAP_POWERSAFE_OVERWRITE }
        setLocks(&methods)
        setIndex(&methods)
        return methods
    }

    private static func status(_ failure: Int32, _ body: () throws(FileError) -> Void) -> Int32 {
        do throws(FileError) {
            try body()
            return SQLITE_OK
        } catch {
            return error.isNoSpace ? SQLITE_FULL : failure
        }
    }

    // MARK: Locks

    private static func setLocks(_ methods: inout sqlite3_io_methods) {
        methods.xLock = { file, level in
            guard let handle = MemoryVFS.handle(file) else { return IOError.lock }
            let state = handle.state
            if (state.levels[handle.key] ?? 0) >= level { return SQLITE_OK }
            let others = state.levels.filter { $0.key != handle.key }.values.max() ?? 0
            switch level {
            case SQLITE_LOCK_SHARED: if others >= SQLITE_LOCK_PENDING { return SQLITE_BUSY }
            case SQLITE_LOCK_RESERVED: if others >= SQLITE_LOCK_RESERVED { return SQLITE_BUSY }
            default:
                if others >= SQLITE_LOCK_RESERVED { return SQLITE_BUSY }
                if others >= SQLITE_LOCK_SHARED {
                    state.levels[handle.key] = SQLITE_LOCK_PENDING
                    return SQLITE_BUSY
                }
            }
            state.levels[handle.key] = level
            return SQLITE_OK
        }
        methods.xUnlock = { file, level in
            guard let handle = MemoryVFS.handle(file) else { return IOError.unlock }
            handle.state.levels[handle.key] = level == 0 ? nil : level
            return SQLITE_OK
        }
        methods.xCheckReservedLock = { file, result in
            guard let handle = MemoryVFS.handle(file) else { return IOError.checkLock }
            let others = handle.state.levels.filter { $0.key != handle.key }.values.max() ?? 0
            result?.pointee = others >= SQLITE_LOCK_RESERVED ? 1 : 0
            return SQLITE_OK
        }
    }

    /// The WAL's index.
    private static func setIndex(_ methods: inout sqlite3_io_methods) {
        methods.xShmMap = { file, index, size, extends, result in
            guard let handle = MemoryVFS.handle(file) else { return IOError.indexMap }
            handle.hasRegions = true
            let state = handle.state
            while state.regions.count <= Int(index) {
                if extends == 0 {
                    result?.pointee = nil
                    return SQLITE_OK
                }
                let region = UnsafeMutableRawPointer.allocate(byteCount: Int(size), alignment: 4096)
                memset(region, 0, Int(size))
                state.regions.append(region)
            }
            result?.pointee = state.regions[Int(index)]
            return SQLITE_OK
        }
        methods.xShmLock = { file, first, count, flags in
            guard let handle = MemoryVFS.handle(file) else { return IOError.indexLock }
            let state = handle.state
            let range = Int(first)..<Int(first + count)
            let isExclusive = flags & SQLITE_SHM_EXCLUSIVE != 0
            if flags & SQLITE_SHM_UNLOCK != 0 {
                for i in range { state.slots[i][handle.key] = nil }
                return SQLITE_OK
            }
            for i in range where state.slots[i].contains(where: { $0.key != handle.key && (isExclusive || $0.value) }) {
                return SQLITE_BUSY
            }
            for i in range { state.slots[i][handle.key] = isExclusive }
            return SQLITE_OK
        }
        methods.xShmBarrier = { _ in }
        methods.xShmUnmap = { file, _ in
            MemoryVFS.handle(file)?.dropRegions()
            return SQLITE_OK
        }
    }
}
