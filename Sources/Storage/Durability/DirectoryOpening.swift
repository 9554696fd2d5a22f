/// What happens to a directory at start.
extension DataDirectory {
    /// What opening a directory has found.
    public struct Recovery: Sendable {
        /// nil: there was no snapshot.
        public let meta: Meta?
        /// nil: there was no log that goes with the snapshot.
        public let log: RecoveredLog?
        public let isImported: Bool
        /// Where the stream stood as far as it was read. The directory's own `stream` has a new id unless `isCleanStop`.
        public let stream: Stream
        /// All that the server had done when it ended is here, and nothing else: the history goes on. Else the data is surely
        /// the same as that of others of the old id up to `stream.offset` only.
        public let isCleanStop: Bool
    }

    /// Takes the directory for this process, until it ends. Throws where another one has it.
    public func takeLock() throws(StorageError) {
        do throws(StorageError) {
            let lock = try DirectoryLock(directory: options.directory, host)
            self.lock = lock
            noted = lock.record
            if lock.isUnreadable {
                client.warn("swiftlet.lock cannot be read: what is in \(options.directory) is taken for all that was")
            }
        } catch {
            if host.files.isWritable(options.directory) || host.files.facts(options.directory) == nil { throw error }
            guard options.mayBeReadOnly else {
                throw StorageError(
                    file: options.directory,
                    message: "the directory cannot be written: make it writable, or set save \"\" and appendonly no to "
                        + "run as a cache that never saves")
            }
            client.warn(
                "The directory \(options.directory) cannot be written: this server is a cache, nothing can be saved")
        }
        state = .locked
    }

    /// Loads snapshot and log into the empty keyspace, and opens the log for writing; takes the lock where `takeLock` did
    /// not. Nothing expires meanwhile. Throws, with what is wrong and what to do, rather than begin with less than was
    /// promised.
    public func open() throws(StorageError) -> Recovery {
        if state == .closed { try takeLock() }
        state = .loading
        keyspace.now = 0
        NewSnapshot.removeLeftovers(of: snapshotPath, isOurs: true, files: host.files)
        TemporarySnapshot.removeLeftovers(of: snapshotPath, host.files)
        let owner = try findLog()
        var meta: Meta?
        var recovered: RecoveredLog?
        let isThere = try Snapshot.state(path: snapshotPath, files: host.files) == .ready
        if !isThere && owner == nil { try refuseEmptyDirectory() }
        if !isThere && owner == nil { meta = try client.importData() }
        let isImported = meta != nil
        if isThere || isImported {
            let isWritable = try lockSnapshot()
            let found: Meta
            if let meta { found = meta } else { found = try loadSnapshot(from: snapshotPath) }
            meta = found
            take(found)
            if isThere { client.snapshotLoaded(found) }
            if !isWritable { checkpointer.writeAllNext() }
            if found.segment > 0 { recovered = try replayLog(of: found, owner) }
        } else if let owner {
            guard owner.first == 1 else {
                throw StorageError(
                    file: snapshotPath,
                    message: "the snapshot is missing, though the log says that there was one (its first segment is "
                        + "\(owner.first)): put the snapshot back")
            }
            serverID = owner.server
            recovered = try replayLog(from: 1)
        } else {
            serverID = DataDirectory.makeServerID()
        }
        if let recovered { take(recovered) }
        let found = stream
        let stop = DataRecord.CleanStop(id: found.id, offset: found.offset)
        let isCleanStop = lock != nil && noted?.stop == stop
        let isNew = isImported || meta == nil && recovered?.commands ?? 0 == 0
        if !isCleanStop && !isNew { stream.beginHistory() }
        keyspace.now = wallClockMilliseconds()
        client.recovered(stream)
        if lock != nil { try makeDurable() }
        if lock != nil && meta == nil { makeEmptySnapshot() }
        try openLog(recovered, hasSnapshot: meta != nil)
        try resumeStream(recovered)
        // From here on the data changes, and the note does not hold any more.
        if lock != nil, let noted, noted.stop != nil { try noteNow(noted.segment) }
        state = .open
        beginHistoryKeeping()
        return Recovery(meta: meta, log: recovered, isImported: isImported, stream: found, isCleanStop: isCleanStop)
    }

    /// The log goes on as the stream does: under its name, in its database. Others may hear of either once this returns.
    private func resumeStream(_ recovered: RecoveredLog?) throws(StorageError) {
        guard let log else { return }
        let recorded = recovered?.history ?? committed?.history
        let before = position
        if recorded != stream.history { recordHistory() }
        if options.history == nil { noteRupture() }
        if let recovered, !recovered.isEmpty, recovered.replayedDatabase != stream.db { selectStreamDatabase() }
        if position != before { try log.flush() }
    }
    /// For a stream that goes on in a segment, which begins in database 0, without a SELECT of its own.
    func selectStreamDatabase() {
        let select = OutputBuffer(capacity: 32)
        LogFormat.appendSelect(stream.db, to: select)
        appendLocal(select.bytes)
    }

    /// Who reads the snapshot finds its tables and views from the start. Nothing depends on it: the first checkpoint makes what
    /// is missing.
    private func makeEmptySnapshot() {
        do throws(StorageError) {
            if host.files.size(snapshotPath) ?? 0 == 0 {
                try NewSnapshot.makeEmpty(snapshotPath, files: host.files)
            }
            try checkpointer.lock()
        } catch {
            client.warn("There is no snapshot to read before the first save: \(error)")
        }
    }

    /// From before it is loaded on nobody else writes to the snapshot. False where it is loaded without that.
    private func lockSnapshot() throws(StorageError) -> Bool {
        // Said already: the directory cannot be written.
        if lock == nil { return false }
        do throws(StorageError) {
            try checkpointer.lock()
            return true
        } catch {
            if error.reason == .unusable || !options.mayBeReadOnly { throw error }
            client.warn("The snapshot is loaded without a lock on it: \(error)")
            return false
        }
    }

    /// Neither snapshot nor log, where there was one of them.
    private func refuseEmptyDirectory() throws(StorageError) {
        guard let noted else { return }
        throw StorageError(
            file: options.directory,
            message: "snapshot and log are missing, though this directory held data (of server \(noted.server), as "
                + "swiftlet.lock says): put them back, or remove swiftlet.lock to start empty")
    }

    /// Reads a snapshot into the keyspace, which is empty. Throws for one that cannot be used.
    @discardableResult public func loadSnapshot(from path: String) throws(StorageError) -> Meta {
        client.loadingBegins(bytes: Int(clamping: host.files.size(path) ?? 0))
        return try SnapshotLoading.load(path, into: keyspace, files: host.files) { [client] in
            client.loaded(bytes: $0)
        }
    }

    /// The keyspace holds what the snapshot that says so holds.
    private func take(_ meta: Meta) {
        serverID = meta.server
        checkpointNumber = meta.checkpoint
        segmentOfSnapshot = meta.segment
        stream = meta.stream
        committed = meta.stream
    }
    private func take(_ log: RecoveredLog) {
        stream.offset += log.propagatedBytes
        if let database = log.database { stream.db = database }
        guard let history = log.history else { return }
        (stream.id, stream.secondID, stream.secondOffset) = (history.id, history.secondID, history.secondOffset)
    }

    private func replayLog(
        of meta: Meta, _ owner: (server: String, first: Int64)?
    ) throws(StorageError) -> RecoveredLog {
        if let owner, owner.server != meta.server {
            throw StorageError(
                file: options.directory,
                message: "the log here was written by server \(owner.server), the snapshot by \(meta.server): "
                    + "they do not belong together; bring the snapshot or the log that goes with the other")
        }
        let recovered = try replayLog(from: meta.segment)
        if !recovered.isEmpty { return recovered }
        throw StorageError(
            file: options.directory + "/" + LogWriter.fileName(options.logName, meta.segment),
            message: "the log segment that goes with the snapshot is missing: put it back. To start with the snapshot "
                + "alone, giving up what was written after it, set its row `segment` in meta to 0: see docs/snapshot.md"
        )
    }

    /// `last`: the running log's segment, when it is read while changes are appended.
    private func replayLog(from segment: Int64, through last: Int64? = nil) throws(StorageError) -> RecoveredLog {
        let client = client
        let reader = LogReader(
            directory: options.directory, baseName: options.logName, server: serverID, mayCutTail: options.mayCutTail,
            durable: noted?.server == serverID ? noted?.segment : nil, files: host.files, warn: { client.warn($0) })
        client.loadingBegins(bytes: reader.size(from: segment))
        client.replayBegins()
        defer { client.replayEnds() }
        return try reader.recover(from: segment, through: last ?? .max) { (arguments) throws(StorageError) in
            try client.replay(arguments)
        }
    }

    /// A process that was killed may have left what was read in the system's memory alone: it must be on disk, under its
    /// name, before anything is deleted that it makes history. The database itself was synced before either changed.
    private func makeDurable() throws(StorageError) {
        let wal = snapshotPath + "-wal"
        if host.files.size(wal) ?? 0 > 0 { try OutputFile.sync(wal, host.files) }
        try host.files.syncNames(beside: snapshotPath)
    }

    private func openLog(_ recovered: RecoveredLog?, hasSnapshot: Bool) throws(StorageError) {
        // Segments that history has of this server keep their numbers.
        let kept = historyFolder.lastSegment(of: serverID)
        lastSegment = max(noted?.segment ?? 0, recovered?.segment ?? 0, kept)
        if !options.keepsLog {
            // What the log held is in memory only now; it stays until a checkpoint has it.
            guard let recovered, lock != nil else { return }
            if !recovered.isEmpty {
                try LogWriter.sync(recovered, directory: options.directory, baseName: options.logName, host)
            }
            request(.save, mayFollow: true)
            return
        }
        let log = makeLog()
        if let recovered, !recovered.isEmpty {
            if options.history == nil { log.removeSegments(through: segmentOfSnapshot - 1) }
            try log.resume(recovered)
            try noteNow(recovered.segment)
            self.log = log
            return
        }
        // No snapshot, or one from a time without a log: segments that lie about were never promised.
        LogWriter.removeSegments(directory: options.directory, baseName: options.logName, through: .max, host)
        let first = hasSnapshot ? kept + 1 : 1
        try log.openSegment(first)
        try noteNow(first)
        self.log = log
        if hasSnapshot { try saveNow() }
    }

    // MARK: Loading again

    /// Whether a snapshot can be loaded.
    public var hasSnapshot: Bool { (try? Snapshot.state(path: snapshotPath, files: host.files)) == .ready }

    /// Empties the keyspace and loads the snapshot anew, if there is one; `withLog` what was appended since, too. No
    /// checkpoint may be under way. After a throw the keyspace holds a part of it.
    public func reload(withLog: Bool) throws(StorageError) {
        if withLog { try sync() }
        let now = keyspace.now
        keyspace.reset()
        keyspace.now = 0
        defer { keyspace.now = now }
        // Before the first checkpoint the log holds everything.
        if try Snapshot.state(path: snapshotPath, files: host.files) == .ready {
            try loadSnapshot(from: snapshotPath)
        }
        if withLog, let log { _ = try replayLog(from: max(1, segmentOfSnapshot), through: log.segment) }
    }

    // MARK: Names

    /// A server's uuid.
    public static func makeServerID() -> String {
        let hex = hexDigits(32)
        return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { hex[$0].joined() }.joined(separator: "-")
    }
    /// A stream's id: 40 hexadecimal digits.
    public static func makeStreamID() -> String { hexDigits(40).joined() }

    private static func hexDigits(_ count: Int) -> [String] {
        (0..<count).map { _ in String(UInt8.random(in: 0..<16), radix: 16) }
    }
}

extension Meta {
    /// Where the stream of changes stood at the cut.
    public var stream: DataDirectory.Stream {
        DataDirectory.Stream(
            id: replicationID, offset: Int(clamping: replicationOffset), secondID: secondID,
            secondOffset: Int(clamping: secondOffset), db: Int(clamping: streamDatabase))
    }

    init(server: String, checkpoint: Int64, segment: Int64, _ stream: DataDirectory.Stream) {
        self.init(
            server: server, checkpoint: checkpoint, savedAtMs: wallClockMilliseconds(), segment: segment,
            segmentOffset: 0, replicationID: stream.id, replicationOffset: Int64(stream.offset),
            secondID: stream.secondID, secondOffset: Int64(stream.secondOffset), streamDatabase: Int64(stream.db))
    }
}
