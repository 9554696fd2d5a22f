import Storage

/// What happens to the data at start.
extension PersistenceControl {
    /// Takes the directory, loads snapshot and log into the empty keyspace, and opens the log for writing. Throws, with
    /// what is wrong and what to do, rather than start with less than was promised.
    func start() throws(StorageError) {
        let settings = server.config.settings
        let options = Self.options(settings)
        let wake = { @Sendable [waker = server.waker] in waker.wake() }
        let data = DataDirectory(options, keyspace: server.keyspace, client: self, wake: wake)
        data.stream = DataDirectory.Stream(id: server.stream.id, offset: server.stream.offset)
        self.data = data
        try data.takeLock()
        beginLoading()
        defer { endLoading() }
        let began = monotonicNanoseconds()
        NewFile.removeLeftovers(of: settings.directory + "/" + settings.dbFileName)
        if let request = settings.restore { try restore(data, request) }
        let recovery = try data.open()
        try server.dataLoaded(from: data.snapshotPath)
        self.recovery = recovery
        keysLoaded = server.keyspace.count
        lastSaveTime = wallClockMilliseconds() / 1000
        if saves == 0 { changesAtLastSave = recovery.log == nil ? server.keyspace.dirty : 0 }
        setLogging(log != nil)
        updateAcknowledged()
        report(recovery, nanoseconds: monotonicNanoseconds() - began)
    }

    static func options(_ settings: Settings) -> DataDirectory.Options {
        DataDirectory.Options(
            directory: settings.directory, snapshotName: settings.snapshotFileName, logName: settings.appendFileName,
            keepsLog: settings.appendOnly, fsync: settings.appendFsync.policy, mayCutTail: settings.appendLoadTruncated,
            mayBeReadOnly: settings.isPureCache, history: settings.historyLimits)
    }

    /// Goes back to an earlier moment, unless that is what was done last.
    private func restore(_ data: DataDirectory, _ request: RestoreRequest) throws(StorageError) {
        guard let plan = try data.restore(request.target, text: request.text) else {
            server.logger.warning(
                "\(request.text) was restored before: the data are loaded as they are. Start the server without "
                    + "--restore-to")
            return
        }
        server.logger.warning(
            "Restored \(request.text) from \(plan.description). What was here is kept: --restore-to before-restore "
                + "brings it back")
    }

    private func report(_ recovery: DataDirectory.Recovery, nanoseconds: UInt64) {
        if keysLoaded == 0 && recovery.log == nil { return }
        let milliseconds = nanoseconds / 1_000_000
        server.logger.notice(
            "DB loaded from \(recovery.log == nil ? "snapshot" : "snapshot and append only file"): "
                + "\(keysLoaded) keys, \(recovery.log?.commands ?? 0) commands replayed, "
                + "\(milliseconds / 1000).\(String(1000 + milliseconds % 1000).dropFirst()) seconds")
    }
}

extension Settings {
    /// nil: no history is kept.
    var historyLimits: HistoryLimits? {
        if snapshotHistory == 0 { return nil }
        return HistoryLimits(span: Int64(snapshotHistory) * 1000, bytes: Int64(snapshotHistoryMaxSize))
    }
}
