/// Going back to an earlier moment, before a directory is opened.
extension DataDirectory {
    /// How `target` would be restored. Changes nothing, but that SQLite puts in order what a crash has left; a server may be
    /// using the directory. Throws where the target cannot be restored exactly, with the reason.
    public static func restorePlan(
        _ target: RestoreTarget, _ options: Options, _ host: Host = .real
    ) throws(StorageError) -> RestorePlan {
        let folder = HistoryFolder(directory: options.directory, logName: options.logName, files: host.files)
        let snapshot = options.directory + "/" + options.snapshotName
        return try HistorySearch(folder, snapshot: snapshot, durable: DataRecord.read(options.directory, host.files))
            .plan(target)
    }

    private func search() throws(StorageError) -> HistorySearch {
        try HistorySearch(historyFolder, snapshot: snapshotPath, durable: noted)
    }

    /// Has `open` find what was there at `target`: of another server, under another history of the stream, without a log. What
    /// was there now is kept in the history, so that the restore can be undone. A crash leaves one or the other. Nothing expires
    /// meanwhile. Needs room for two more snapshots. `text`: how the target was written; where the last restore was the same,
    /// nothing is done, and nil returned, so that a server that is started again does not go back again. Throws where the
    /// target cannot be restored exactly.
    public func restore(_ target: RestoreTarget, text: String) throws(StorageError) -> RestorePlan? {
        if state == .closed { try takeLock() }
        try refuseUnwritable()
        let files = host.files
        let live = try Snapshot.state(path: snapshotPath, files: files) == .ready
        let before = live ? try SnapshotCopy.facts(snapshotPath, files: files).meta : nil
        if let before, lastRestore == "\(before.server) \(text)" { return nil }
        if let before { tidyLog(before) }
        let plan = try search().plan(target)
        let server = DataDirectory.makeServerID()
        let temporary = NewSnapshot.temporary(snapshotPath)
        do throws(StorageError) {
            try write(plan, as: server, to: temporary)
            try setAside(before)
            if before != nil { try SnapshotCopy.endWAL(snapshotPath, files) }
            try OutputFile.publish(temporary, as: snapshotPath, overwrite: true, files)
        } catch {
            OutputFile.removeDatabase(temporary, files)
            throw error
        }
        LogWriter.removeSegments(directory: options.directory, baseName: options.logName, through: .max, host)
        let record = DataRecord(server: server, segment: 0)
        try lock?.write(record)
        noted = record
        noteRestore("\(server) \(text)")
        keyspace.reset()
        state = .locked
        return plan
    }

    /// Cuts off what a crash has left of the log, as a start does. A log that is damaged stays as it is.
    private func tidyLog(_ meta: Meta) {
        if meta.segment == 0 { return }
        let reader = LogReader(
            directory: options.directory, baseName: options.logName, server: meta.server,
            durable: noted?.server == meta.server ? noted?.segment : nil, files: host.files,
            warn: { [client] in client.warn($0) })
        _ = try? reader.recover(from: meta.segment) { _ in }
    }

    /// Writes what `plan` leads to into a new file, durably but for its name.
    private func write(_ plan: RestorePlan, as server: String, to path: String) throws(StorageError) {
        state = .loading
        keyspace.now = 0
        let base = try loadSnapshot(from: plan.path)
        if plan.segment > 0 {
            let reader = try search().reader(of: plan.server)
            client.loadingBegins(bytes: reader.size(from: plan.segment))
            client.replayBegins()
            defer { client.replayEnds() }
            _ = try reader.look(from: plan.segment, until: plan.end) { (event, _) throws(StorageError) in
                if case .command(let arguments) = event { try client.replay(arguments) }
            }
        }
        let stream = Stream(id: DataDirectory.makeStreamID(), offset: base.stream.offset)
        let meta = Meta(server: server, checkpoint: base.checkpoint + 1, segment: 0, stream)
        try OfflineCheckpoint.write(keyspace, to: path, meta, files: host.files)
        try OutputFile.sync(path, host.files)
    }

    /// Keeps what is here. The live files stay until another snapshot has taken the place of theirs.
    private func setAside(_ meta: Meta?) throws(StorageError) {
        guard let meta else { return }
        try historyFolder.keep(snapshotPath)
        if let owner = try findLog(), owner.server == meta.server {
            try historyFolder.take(segmentsOf: meta.server, through: .max, removing: false)
        }
    }

    /// The server that the last restore has made, and its target.
    private var lastRestore: String? {
        guard let file = try? host.files.open(historyFolder.restored, .read) else { return nil }
        defer { host.files.close(file) }
        return host.files.head(file, 1 << 10).map { String(decoding: $0, as: UTF8.self) }
    }
    private func noteRestore(_ text: String) {
        let note = OutputBuffer(capacity: 128)
        note.append(text: text)
        do throws(FileError) {
            let file = try host.files.open(historyFolder.restored, .appendEmpty)
            defer { host.files.close(file) }
            try host.files.writeAll(file, note.bytes, at: 0)
            try host.files.sync(file, .all)
        } catch {
            client.warn(
                "\(historyFolder.restored) cannot be written: start the server without --restore-to from now on")
        }
    }
}
