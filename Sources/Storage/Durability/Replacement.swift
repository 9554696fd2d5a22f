/// A checkpoint whose rows come from elsewhere, and take the place of all that is here: a replica's full synchronisation.
///
/// A thread writes the rows beside the snapshot, while the keyspace lives on. Once all have come, the log is cut as for any
/// checkpoint, and one commit puts the new rows under `meta` with the new history and the new segment. A crash before the
/// commit leaves the old snapshot and all segments, of which the last one holds nothing; after it, the new one alone.
struct Replacement {
    let rows: ReplacementRows
    /// Where the stream is to go on; nil while rows come.
    var stream: DataDirectory.Stream?
    /// The meta that is to be committed, once the log is cut.
    var meta: Meta?
    /// The writer was told to commit.
    var isSent = false
    var failure: StorageError?

    var isCut: Bool { meta != nil }
    /// Nothing from elsewhere is waited for.
    var isEnding: Bool { stream != nil || failure != nil }
}

extension DataDirectory {
    /// Begins a replacement: from here on no checkpoint begins. The rows that the result is given, on a thread of its own,
    /// are to end in `commitReplacement` or `abandonReplacement`, both on this thread; `checkpointEnded` tells what came of it.
    /// Throws while a checkpoint is under way (`checkpoint` says so), and where the directory cannot be written.
    public func beginReplacement() throws(StorageError) -> ReplacementRows {
        guard state == .open, checkpoint == .idle || checkpoint == .replaced else {
            throw StorageError(file: snapshotPath, message: "a checkpoint is under way", reason: .busy)
        }
        try refuseUnwritable()
        let rows = checkpointer.beginReplacement(checkpoint == .replaced ? replacedIdentity : keyspace.snapshot)
        replacement = Replacement(rows: rows)
        checkpoint = .replacing
        purpose = .replacement
        return rows
    }

    /// All rows were given: what was here is to end with the turn under way, and `stream` to go on. Nothing may be appended
    /// until `checkpointEnded`. After a success the keyspace still is the old one, and no checkpoint begins: the caller empties it,
    /// loads the snapshot, and calls `replacementLoaded`. After a failure all is as it was.
    public func commitReplacement(_ stream: Stream) {
        guard checkpoint == .replacing, replacement?.isEnding == false else { return }
        replacement?.stream = stream
        wake()
    }

    /// What was here stays, as far as the commit was not asked for yet: `checkpointEnded` tells.
    public func abandonReplacement(_ error: StorageError) {
        guard checkpoint == .replacing, replacement?.isEnding == false else { return }
        endReplacement(failure: error)
    }

    /// The keyspace holds what was committed.
    public func replacementLoaded() {
        guard checkpoint == .replaced else { return }
        replacedIdentity = nil
        checkpoint = .idle
        beginFollowing()
    }

    func refuseWhileReplacing() throws(StorageError) {
        if checkpoint != .replacing && checkpoint != .replaced { return }
        throw StorageError(
            file: snapshotPath, message: "the data of a master is being received or loaded, which is saved with it",
            reason: .busy)
    }

    func advanceReplacement() -> Progress {
        guard let current = replacement else { return .idle }
        if let (meta, result) = checkpointer.takeResult() {
            replacementEnded(meta, result)
            return .more
        }
        guard let stream = current.stream, current.failure == nil, !current.isSent else { return .waiting }
        guard let meta = current.meta else {
            do throws(StorageError) {
                if let log, try !log.prepareCut() { return .waiting }
                client.directoryWillCut()
                noteRupture()
                let segment = try cutLog()
                replacement?.meta = Meta(server: serverID, checkpoint: checkpointNumber, segment: segment, stream)
            } catch {
                endReplacement(failure: error)
            }
            return .more
        }
        switch commitPermission {
        case .pending: break
        case .granted:
            replacement?.isSent = true
            checkpointer.endReplacement(meta)
        case .refused(let error): endReplacement(failure: error)
        }
        return .waiting
    }

    private func endReplacement(failure: StorageError) {
        replacement?.failure = failure
        let meta = replacement?.meta ?? Meta(server: serverID, checkpoint: checkpointNumber, segment: 0, stream)
        checkpointer.endReplacement(meta, failure: failure)
    }

    private func replacementEnded(_ meta: Meta, _ result: Result<SnapshotCommit, StorageError>) {
        let end = replacement
        replacement = nil
        guard case .success = result, let stream = end?.stream else { return tell(meta, result, next: .idle) }
        excess += self.stream.offset - stream.offset
        self.stream = stream
        if isStartingLog { logStart = stream.offset }
        replacedIdentity = meta.identity
        commitEnded(meta, isNewData: true)
        if stream.db != 0 { selectStreamDatabase() }
        tell(meta, result, next: .replaced)
    }
}
