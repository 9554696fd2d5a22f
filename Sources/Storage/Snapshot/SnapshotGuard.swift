/// Keeps the snapshot's file to this process: holds SQLite's write lock on it between checkpoints, so that other programs
/// read it and do not change it, and checks around each commit that the name still leads to the file that was loaded or
/// written last. Used by one thread at a time.
///
/// What cannot be shown to be unchanged is not built upon: `begin` throws with the reason `.replaced`, and the next
/// checkpoint must write everything (`whole`). Files of others that are in the way then are renamed, never overwritten.
final class SnapshotGuard {
    let path: String
    private let files: any FileSystem
    private(set) var writer: SnapshotWriter?
    /// While every key is written into a new file, which then takes the place of the one that `writer` holds locked.
    private var whole: WholeSnapshotWriter?
    /// Only reads; outlives a writer that is dropped after an error, and tells the next one whether somebody else wrote in
    /// between.
    private var witness: SQLiteConnection?
    /// What both connections said of commits by others when the lock was taken last.
    private var writerVersion: Int64 = 0
    private var witnessVersion: Int64 = 0
    /// Somebody else has written since.
    private var isForeign = false
    /// What the file looks like while nobody writes to it; nil while the WAL holds a part of it.
    private var fingerprint: Fingerprint?
    /// What a file was renamed to that was in the way, until the log was told.
    private var aside: String?
    /// The WAL that belongs to the file that is open.
    private var wal: FileFacts?

    private struct Fingerprint: Equatable {
        var size: Int64
        /// The database's header and the page of `meta`.
        var pages: [[UInt8]]
    }

    /// How long to wait for another program's write lock, in ms: a writer at work is soon done, one that waits for a person
    /// is not.
    private static let lockTimeout: Int32 = 500
    /// The lock is taken again after a commit; who is faster is not waited for.
    private static let relockTimeout: Int32 = 20

    /// Attempts to open and lock a file that others write to meanwhile.
    private static let lockAttempts = 5

    init(path: String, _ files: any FileSystem = Host.real.files) {
        self.path = path
        self.files = files
    }
    deinit {
        // A connection that only reads would leave the WAL's files behind if it were the last.
        witness = nil
        writer = nil
    }

    /// Takes the lock before the snapshot is loaded, so that what is loaded is what is locked. Throws where another program
    /// holds it, and for a file that is no snapshot of ours.
    func lock() throws(StorageError) {
        for _ in 0..<SnapshotGuard.lockAttempts {
            try open(create: false)
            try hold(SnapshotGuard.lockTimeout)
            if !isForeign { return }
            // Written to between opening and locking: what was read when it was opened is out of date.
            close()
        }
        throw locked()
    }

    /// Before the rows of a checkpoint: the file must hold `known` and nothing else (nil: no checkpoint). With `whole` all
    /// keys follow, and go into a new file; where other programs have the old one open, that is emptied within the
    /// transaction instead. `functions` take the place of the libraries that are there; nil: those stay, unless all is
    /// written.
    func begin(
        _ known: SnapshotIdentity?, whole: Bool, functions: [FunctionLibrary.Text]? = nil
    ) throws(StorageError) {
        if whole || known == nil {
            try beginWhole(known)
        } else {
            try beginChanges(known)
            if functions != nil { try writer?.clearFunctions() }
        }
        for (name, code) in functions ?? [] {
            try name.lend { (name) throws(StorageError) in
                try code.lend { (code) throws(StorageError) in try put(function: name, code) }
            }
        }
    }

    private func beginChanges(_ known: SnapshotIdentity?) throws(StorageError) {
        if writer == nil {
            if files.size(path) ?? 0 == 0 { throw replaced("is missing or empty") }
            do throws(StorageError) {
                try open(create: true)
            } catch {
                throw error.reason == .unusable ? replaced("cannot be used (\(error.message))") : error
            }
        }
        try check()
        try hold(SnapshotGuard.lockTimeout)
        if isForeign { throw changed() }
        guard writer?.identity == known else {
            throw replaced("holds another checkpoint than the one that this server wrote or loaded last")
        }
    }

    /// Takes over the rows of `batch`.
    func apply(_ batch: RowBatch) throws(StorageError) {
        if let whole { try whole.apply(batch) } else { try writer?.apply(batch) }
    }

    /// Takes a library of functions.
    func put(function name: Bytes, _ code: Bytes) throws(StorageError) {
        if let whole { whole.put(function: name, code) } else { try writer?.put(function: name, code) }
    }

    /// Commits what was applied. After it the lock is held again; a warning says where it is not.
    func commit(_ meta: Meta) throws(StorageError) -> SnapshotCommit {
        if whole != nil { return try commitWhole(meta) }
        guard let writer else { throw StorageError(file: path, message: "the snapshot is not open") }
        try check()
        var commit = try writer.commit(meta)
        commit.warning = takeAside() ?? commit.warning
        do throws(StorageError) {
            try hold(SnapshotGuard.relockTimeout)
            if isForeign { commit.warning = commit.warning ?? changed() }
        } catch {
            commit.warning = commit.warning ?? error
        }
        // What was renamed meanwhile took the commit with it.
        if writer.connection.hasMoved { throw replaced("was moved, removed or replaced") }
        return commit
    }

    /// After an error: the open transaction is dropped, and what SQLite holds in memory after an I/O error is not trusted:
    /// the next attempt opens anew. The lock is taken again where that is possible at once.
    func failed(_ error: StorageError) {
        // Nothing was done to the snapshot itself.
        let isUntouched = whole != nil
        if isUntouched {
            whole = nil
            OutputFile.removeDatabase(newPath, files)
        }
        let wasOpen = writer != nil
        writer?.rollback()
        // The connection still reads the file that the name does not lead to any more: see `beginWhole`.
        if error.reason == .replaced { return }
        if isUntouched && takeBack() { return }
        writer = nil
        guard wasOpen else { return }
        try? open(create: false)
        try? hold(SnapshotGuard.relockTimeout)
    }

    /// The snapshot stays, though it was to be replaced: it gets its WAL again. False where that fails.
    private func takeBack() -> Bool {
        guard let writer else { return false }
        do throws(StorageError) {
            guard try writer.connection.string(named: "writer.wal") == "wal" else { return false }
            try keepWAL()
            if witness == nil { witness = try SQLiteConnection(path: path, mode: .read, files) }
            try hold(SnapshotGuard.relockTimeout)
            return true
        } catch {
            return false
        }
    }
}

// MARK: - The lock

extension SnapshotGuard {
    private func open(create: Bool) throws(StorageError) {
        let new = try SnapshotWriter(path: path, create: create, files: files)
        try keepWAL()
        writer = new
        writerVersion = new.versionAtOpening
        if witness?.hasMoved ?? false { witness = nil }
        if witness == nil {
            let other = try SQLiteConnection(path: path, mode: .read, files)
            witnessVersion = try other.integer(named: "data_version")
            witness = other
        } else if let version = try? witness?.integer(named: "data_version"), version == witnessVersion {
            // As it was left.
        } else {
            isForeign = true
        }
    }

    /// The WAL is there by now: its name must survive a power cut before what it will hold counts.
    private func keepWAL() throws(StorageError) { try files.syncNames(beside: path) }

    /// Takes the write lock unless it is held, and notes whether somebody else wrote since it was.
    private func hold(_ timeout: Int32) throws(StorageError) {
        guard let writer, !writer.connection.isInTransaction else { return }
        do throws(StorageError) {
            try writer.connection.withBusyTimeout(timeout) { () throws(StorageError) in
                try writer.connection.execute(named: "begin.write")
            }
        } catch {
            throw error.reason == .busy ? locked() : error
        }
        // Nobody changes the tables from here on.
        try Snapshot.checkIdentity(writer.connection)
        let version = try writer.connection.integer(named: "data_version")
        if version != writerVersion { isForeign = true }
        writerVersion = version
        witnessVersion = try witness?.integer(named: "data_version") ?? 0
        wal = files.facts(path + "-wal")
        fingerprint = wal?.size ?? 0 == 0 ? takeFingerprint() : nil
    }
    /// Closes both connections, and forgets what they saw.
    func close() {
        writer?.rollback()
        witness = nil
        writer = nil
        wal = nil
        fingerprint = nil
        isForeign = false
    }

    private func locked() -> StorageError {
        StorageError(
            file: path,
            message:
                "another program holds the write lock on the snapshot: end its transaction, or let it open the file "
                + "read-only (mode=ro)", reason: .busy)
    }

    private func changed() -> StorageError {
        replaced("was changed by another program while no checkpoint held it")
    }
    private func replaced(_ what: String) -> StorageError {
        StorageError(
            file: path, message: "the snapshot \(what): it is not built upon; everything is to be written anew",
            reason: .replaced)
    }
}

// MARK: - Identity

extension SnapshotGuard {
    /// Throws unless the name leads to the file that is open, and that is as the last commit left it.
    private func check() throws(StorageError) {
        guard let writer else { return }
        if writer.connection.hasMoved { throw replaced("was moved, removed or replaced") }
        if let fingerprint, fingerprint != takeFingerprint() { throw replaced("was overwritten or truncated") }
        if writer.connection.fileSize == 0, writer.identity != nil { throw replaced("was emptied") }
    }

    /// Read past SQLite's cache, which cannot know of a file that is overwritten in place.
    private func takeFingerprint() -> Fingerprint? {
        guard let connection = writer?.connection, let size = connection.fileSize,
            let header = connection.fileBytes(at: 0, count: 100),
            let pageSize = try? connection.integer(named: "page_size"),
            let page = try? connection.integer(named: "meta.page"), page > 0,
            let meta = connection.fileBytes(at: (page - 1) * pageSize, count: Int(pageSize))
        else { return nil }
        return Fingerprint(size: size, pages: [header, meta])
    }
}

// MARK: - Writing everything anew

extension SnapshotGuard {
    private func beginWhole(_ known: SnapshotIdentity?) throws(StorageError) {
        let leftWAL = writer?.connection.hasMoved ?? false ? wal : nil
        close()
        try putAsideWAL(leftWAL)
        if try !isOursOrEmpty(known) {
            close()
            try putAside()
        }
        if let writer {
            try hold(SnapshotGuard.lockTimeout)
            // From here on the lock is held: what others wrote goes with the rest.
            isForeign = false
            let isReplaced = try leaveWAL()
            try hold(SnapshotGuard.lockTimeout)
            if !isReplaced {
                try writer.clear()
                try writer.clearFunctions()
                return
            }
        }
        OutputFile.removeDatabase(newPath, files)
        whole = try WholeSnapshotWriter(path: newPath, files)
    }

    /// Where a snapshot is written that is to take this one's place.
    private var newPath: String { NewSnapshot.temporary(target) }
    /// The file itself, where the name is a link.
    private var target: String { OutputFile.resolved(path, files) }

    /// Makes the file one that can be replaced: a WAL belongs to a name, so that a database that still has one, under a name
    /// that leads to another by now, would be mixed with it. False where another program has the file open, or where it holds
    /// tables, views or indexes of the user's. The lock is not held afterwards.
    private func leaveWAL() throws(StorageError) -> Bool {
        guard let writer else { return true }
        if try SnapshotSchema.hasOthers(writer.connection) { return false }
        writer.rollback()
        witness = nil
        let connection = writer.connection
        // What can be done while others read is done before.
        if try !connection.checkpoint(timeout: 0) { return false }
        // Readers are locked out meanwhile, so nothing is waited for: only a few bytes of the first page change, of a file that
        // is replaced, and either state of them is sound.
        try connection.execute(named: "writer.no_sync")
        defer { try? connection.execute(named: "writer.settings") }
        let mode = try connection.withBusyTimeout(0) { () throws(StorageError) in
            do throws(StorageError) {
                return try connection.string(named: "writer.no_wal")
            } catch {
                if error.reason == .busy { return "wal" }
                throw error
            }
        }
        return mode == "delete"
    }

    /// Finishes the new file and gives it its name. Readers of the old one go on reading that.
    private func commitWhole(_ meta: Meta) throws(StorageError) -> SnapshotCommit {
        guard let whole else { throw StorageError(file: path, message: "the snapshot is not open") }
        let rows = try whole.finish(meta, isDurable: false)
        self.whole = nil
        try NewSnapshot.prepareForServer(newPath, files)
        if let writer {
            if writer.connection.hasMoved { throw replaced("was moved, removed or replaced") }
            if files.size(path + "-wal") != nil { throw locked() }
        }
        // An empty file is nobody's; one with something in it that was not there before is not replaced.
        try OutputFile.publish(newPath, as: target, overwrite: writer != nil || files.size(path) == 0, files)
        close()
        var commit = SnapshotCommit(rows: rows, walBytes: 0, isWALHeld: false, warning: takeAside())
        do throws(StorageError) {
            try open(create: false)
            try hold(SnapshotGuard.lockTimeout)
            if isForeign { commit.warning = commit.warning ?? changed() }
        } catch {
            commit.warning = commit.warning ?? error
        }
        return commit
    }

    /// Tells, once, where the file went that was in the way.
    private func takeAside() -> StorageError? {
        guard let name = aside else { return nil }
        aside = nil
        return StorageError(file: path, message: "what stood in the snapshot's place is kept as \(name)")
    }

    /// Opens what is there. False where it is somebody else's, another state of ours, or cannot be used.
    private func isOursOrEmpty(_ known: SnapshotIdentity?) throws(StorageError) -> Bool {
        if files.size(path) ?? 0 == 0 { return true }
        do throws(StorageError) {
            try open(create: true)
        } catch {
            if error.reason == .unusable { return false }
            throw error
        }
        return writer?.identity == nil || writer?.identity == known
    }

    /// A database that was moved leaves its WAL behind under the name of the new one.
    private func putAsideWAL(_ ours: FileFacts?) throws(StorageError) {
        let wal = path + "-wal"
        guard let ours, let found = files.facts(wal), found.identity == ours.identity else { return }
        if found.size > 0 { try rename(wal, freeName(wal)) } else { files.remove(wal) }
        files.remove(path + "-shm")
    }

    /// Makes room under the name. What was there keeps its WAL.
    private func putAside() throws(StorageError) {
        let name = freeName(path)
        if files.size(path + "-wal") != nil { try rename(path + "-wal", name + "-wal") }
        files.remove(path + "-shm")
        try rename(path, name)
        aside = name
    }

    private func freeName(_ path: String) -> String {
        let base = "\(path).replaced-\(wallClockMilliseconds() / 1000)"
        var name = base
        var number = 1
        while files.isTaken(name) || files.isTaken(name + "-wal") {
            number += 1
            name = "\(base)-\(number)"
        }
        return name
    }
    private func rename(_ from: String, _ to: String) throws(StorageError) {
        do throws(FileError) {
            try files.rename(from, to: to)
        } catch {
            throw .system(from, "cannot rename what is in the snapshot's way to \(to)", error)
        }
    }
}
