/// What a directory keeps beyond what a restart needs, so that earlier moments can be restored.
extension DataDirectory {
    var historyFolder: HistoryFolder {
        HistoryFolder(directory: options.directory, logName: options.logName, files: host.files)
    }

    /// What is kept by now; nil: no history is.
    public var historyStatus: HistoryStatus? { options.history == nil ? nil : keeper?.status }

    /// How far back the history goes from here on; nil: none is kept, and what there is stays where it is.
    public func keepHistory(_ limits: HistoryLimits?) {
        if limits == options.history { return }
        // What is logged without its time is not to be taken for what was there before.
        if limits == nil { noteRupture() }
        options.history = limits
        log?.notesTime = limits != nil
        if state == .open { beginHistoryKeeping() }
    }

    /// The directory is open, or what it keeps has changed.
    func beginHistoryKeeping() {
        guard options.history != nil, lock != nil else { return }
        overtake(through: segmentOfSnapshot - 1)
        // Without a snapshot there is nothing to begin with.
        if committed == nil { request(.upkeep, mayFollow: true) }
    }

    /// Segments up to `number` are history: kept as such, or deleted.
    func overtake(through number: Int64, isNewData: Bool = false) {
        guard let limits = options.history, lock != nil else {
            LogWriter.removeInBackground(directory: options.directory, baseName: options.logName, through: number, host)
            return
        }
        let keeper = keeper ?? makeKeeper()
        self.keeper = keeper
        keeper.overtaken(server: serverID, through: number, isNewData: isNewData, limits)
    }
    private func makeKeeper() -> HistoryKeeper {
        HistoryKeeper(historyFolder, snapshot: snapshotPath, host, warn: client.warnFromAnyThread)
    }

    /// What is logged from here on does not lead on from what was logged so far, or not as history needs it. Does nothing
    /// where nothing was ever kept.
    func noteRupture() {
        guard let log, options.history != nil || host.files.facts(historyFolder.path) != nil else { return }
        // A position of its own, so that it is known whether the record is on disk.
        excess += 1
        log.appendRupture(upTo: position)
    }
}
