import Glibc
import Storage

/// What happens to the data at start.
extension PersistenceControl {
    /// Takes the directory, loads snapshot and log into the empty keyspace, and opens the log for writing. Throws, with
    /// what is wrong and what to do, rather than start with less than was promised.
    func start() throws(StorageError) {
        let settings = server.config.settings
        let directory = settings.directory
        try takeDirectory()
        beginLoading()
        defer { endLoading() }
        let began = monotonicNanoseconds()

        server.keyspace.now = 0
        NewSnapshot.removeLeftovers(of: snapshotPath, isOurs: true)
        RDBExporter.removeLeftovers(of: directory + "/" + settings.dbFileName)
        var state = try Snapshot.state(path: snapshotPath)
        let owner = try LogReader.owner(directory: directory, baseName: settings.appendFileName)
        if state != .ready && owner == nil { try refuseEmptyDirectory(directory) }
        let imported = state == .ready ? nil : try importRedisData(hasLog: owner != nil)
        if imported != nil { state = .ready }
        let wake = { @Sendable [waker = server.waker] in waker.wake() }
        checkpointer = Checkpointer(keyspace: server.keyspace, path: snapshotPath, wake: wake)
        var recovered: RecoveredLog?
        if state == .ready {
            let isLocked = try lockSnapshot(settings)
            let meta: Meta
            if let imported {
                meta = imported
            } else {
                meta = try loadSnapshot(from: snapshotPath)
                warnOfNewerRedisData(meta)
            }
            if !isLocked { checkpointer?.writeAllNext() }
            if meta.segment > 0, let owner, owner.server != meta.server {
                throw StorageError(
                    file: directory,
                    message: "the log here was written by server \(owner.server), the snapshot by \(meta.server): "
                        + "they do not belong together; bring the snapshot or the log that goes with the other")
            }
            if meta.segment > 0 { recovered = try replay(meta, settings) }
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
            serverID = PersistenceControl.makeServerID()
        }
        server.keyspace.now = wallClockMilliseconds()
        keysLoaded = server.keyspace.count
        lastSaveTime = wallClockMilliseconds() / 1000
        changesAtLastSave = recovered == nil ? server.keyspace.dirty : 0

        try openLog(recovered, state == .ready, wake)
        if keysLoaded > 0 || recovered != nil {
            let milliseconds = (monotonicNanoseconds() - began) / 1_000_000
            server.logger.notice(
                "DB loaded from \(recovered == nil ? "snapshot" : "snapshot and append only file"): "
                    + "\(keysLoaded) keys, \(recovered?.commands ?? 0) commands replayed, "
                    + "\(milliseconds / 1000).\(String(1000 + milliseconds % 1000).dropFirst()) seconds")
        }
    }

    /// From before it is loaded on nobody else writes to the snapshot. A server that never saves by itself runs without the
    /// lock where it cannot be had, as in a directory that it may only read; its SAVE then writes everything.
    private func lockSnapshot(_ settings: Settings) throws(StorageError) -> Bool {
        // Said already: the directory cannot be written.
        if lock == nil { return false }
        do throws(StorageError) {
            try checkpointer?.lock()
            return true
        } catch {
            if error.reason == .unusable || settings.appendOnly || !settings.effectiveSavePoints.isEmpty { throw error }
            server.logger.warning("The snapshot is loaded without a lock on it: \(error)")
            return false
        }
    }

    /// Neither snapshot nor log, where there was one of them.
    private func refuseEmptyDirectory(_ directory: String) throws(StorageError) {
        guard let noted else { return }
        throw StorageError(
            file: directory,
            message: "snapshot and log are missing, though this directory held data (of server \(noted.server), as "
                + "swiftlet.lock says): put them back, or remove swiftlet.lock to start empty")
    }

    /// Writes down, durably, that the log of this server is whole up to `segment`.
    func noteNow(_ segment: Int64) throws(StorageError) {
        let record = DataRecord(server: serverID, segment: segment)
        try lock?.write(record)
        noted = record
    }

    @discardableResult func loadSnapshot(from path: String) throws(StorageError) -> Meta {
        expectLoading(bytes: Int(Snapshot.size(path: path) ?? 0))
        let meta = try SnapshotLoading.load(path, into: server.keyspace) { [unowned self] in loaded(bytes: $0) }
        serverID = meta.server
        checkpointNumber = meta.checkpoint
        logSegmentOfSnapshot = meta.segment
        server.stream.resume(id: meta.replicationID, offset: Int(clamping: meta.replicationOffset))
        // Loading counts changes from 0.
        changesAtLastSave = 0
        changesAtFlush = 0
        return meta
    }

    private func replay(_ meta: Meta, _ settings: Settings) throws(StorageError) -> RecoveredLog? {
        let recovered = try replayLog(from: meta.segment)
        if !recovered.isEmpty { return recovered }
        throw StorageError(
            file: settings.directory + "/" + LogWriter.fileName(settings.appendFileName, meta.segment),
            message: "the log segment that goes with the snapshot is missing: put it back. To start with the snapshot "
                + "alone, giving up what was written after it, set its row `segment` in meta to 0: see docs/snapshot.md"
        )
    }

    /// `last`: the running log's segment, when it is read while the server runs.
    func replayLog(from segment: Int64, through last: Int64? = nil) throws(StorageError) -> RecoveredLog {
        let settings = server.config.settings
        let logger = server.logger
        let reader = LogReader(
            directory: settings.directory, baseName: settings.appendFileName, server: serverID,
            mayCutTail: settings.appendLoadTruncated, durable: noted?.server == serverID ? noted?.segment : nil,
            warn: { logger.warning($0) })
        expectLoading(bytes: reader.size(from: segment))
        let replayer = LogReplayer(server, self)
        isReplaying = true
        defer {
            isReplaying = false
            replayer.end()
        }
        setLogging(false)
        defer { setLogging(log != nil) }
        return try reader.recover(from: segment, through: last ?? .max) { (arguments) throws(StorageError) in
            try replayer.apply(arguments)
        }
    }

    private func openLog(
        _ recovered: RecoveredLog?, _ hasSnapshot: Bool, _ wake: @escaping @Sendable () -> Void
    ) throws(StorageError) {
        let settings = server.config.settings
        if !settings.appendOnly {
            // What the log held is in memory only now; it stays until a checkpoint has it.
            if recovered != nil && lock != nil { requestSave() }
            return
        }
        let log = makeLog(wake)
        if let recovered, !recovered.isEmpty {
            log.removeSegments(through: logSegmentOfSnapshot - 1)
            try log.resume(recovered)
            try noteNow(recovered.segment)
            self.log = log
            logPositionAtCut = 0
        } else {
            // No snapshot, or one from a time without a log: segments that lie about were never promised.
            LogWriter.removeSegments(directory: log.directory, baseName: log.baseName, through: .max)
            try log.openSegment(1, previous: SegmentEnd())
            try noteNow(1)
            self.log = log
            if hasSnapshot {
                try beginCheckpoint()
                try finishCheckpoint()
                guard lastSaveSucceeded else {
                    throw StorageError(file: snapshotPath, message: "the first checkpoint failed: see the log above")
                }
            }
        }
        setLogging(true)
        updateAcknowledged()
    }

    func makeLog(_ wake: @escaping @Sendable () -> Void) -> LogWriter {
        let settings = server.config.settings
        return LogWriter(
            directory: settings.directory, baseName: settings.appendFileName, server: serverID,
            policy: settings.appendFsync.policy, onProgress: wake)
    }

    static func makeServerID() -> String {
        let hex = (0..<32).map { _ in String(Int.random(in: 0..<16), radix: 16) }
        return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { hex[$0].joined() }.joined(separator: "-")
    }
}
