/// When what is written is forced to disk.
public enum FsyncPolicy: Sendable { case always, everysec, no }

/// The writing end of the log. Lives on the loop's thread, which only ever copies bytes and, under `everysec` and `no`,
/// calls write(2) once a turn; fdatasync, and under `always` the writing, happen on the syncer's thread.
///
/// Commands of a turn are appended to `buffer`; `endTurn` seals them as a batch. A reply may go out once
/// `acknowledgedOffset` has reached what `offset` was after its command: under `always` when the batch is on disk, else
/// when the kernel has it and nothing older has waited for the disk for more than two seconds.
///
/// All offsets are positions in what is logged, in bytes, which only grow. What the log adds to it, checks, headers and
/// other records of its own, does not count.
public final class LogWriter {
    /// Whether what is appended reaches the file.
    public enum State: Sendable, Equatable {
        case ok
        /// No space, or another failed write: the file ends with a whole batch, the bytes are kept and tried again. When the
        /// disk is full, what is appended still reaches the file for as long as the reserve lasts.
        case writeFailed(Int32)
        /// An fsync failed: the kernel may have dropped what it held, so that this file is never trusted again, and
        /// nothing more is acknowledged. A cut, its checkpoint and `removeSegments` bring the log back.
        case poisoned(Int32)
    }

    public let directory: String
    public let baseName: String
    private let server: String
    private let syncer: LogSyncer
    private let host: Host
    private let reserve: Reserve
    private let onProgress: @Sendable () -> Void

    public private(set) var policy: FsyncPolicy
    private var file: SegmentFile?
    public var segment: Int64 { file?.number ?? 0 }
    /// Where the segment ends, what this thread still holds and what is on its way included; and the last check.
    private var end = SegmentEnd()
    private var version = LogFormat.Version.chained
    private var lastDatabase: Int32 = -1
    /// Each second in which something is appended is noted, for `--restore-to`.
    public var notesTime = false
    /// The last one that the segment notes, since 1970.
    private var notedSecond = Int64.min

    /// How far what was appended reaches, the turn under way included.
    public private(set) var offset: Int
    /// How far it reaches without the turn under way, and how far this thread has written.
    private var sealed: Int
    private var written: Int
    /// Bytes appended since the start, over all segments, checks and headers left out.
    public private(set) var appendedBytes = 0
    /// Batches sealed and not yet written by this thread.
    private let held = OutputBuffer()
    /// Bytes of commands that are not written yet, and of buffers that have grown for such.
    public var bufferedBytes: Int {
        max(0, buffer.capacity - LogWriter.initialCapacity) + max(0, held.capacity - LogWriter.initialCapacity)
            + max(0, sealed - written)
    }
    private static let initialCapacity = 1 << 16
    /// errno of the last write that failed; 0: it succeeded.
    private var writeError: Int32 = 0
    private var firstUnsynced: UInt64?
    private var lastSyncRequest: UInt64 = 0
    /// How far the last sync that was asked for goes.
    private var lastSyncPosition = 0
    private var lastRefill: UInt64 = 0
    private var rotations: UInt64 = 0
    /// The last segment that was whole on disk, with all before it.
    public private(set) var durableSegment: Int64 = 0
    /// The next segment's file, made ahead of the cut.
    private var next: PreparedSegment?

    /// The turn's commands as RESP.
    private let buffer = OutputBuffer(capacity: LogWriter.initialCapacity)

    /// How old the oldest byte that is not on disk may be under `everysec` before replies wait, in nanoseconds.
    private static let maxUnsyncedAge: UInt64 = 2_000_000_000
    private static let syncInterval: UInt64 = 1_000_000_000
    /// How often it is tried to set the reserve aside again.
    private static let refillInterval: UInt64 = 100_000_000

    /// `server` is a uuid of 36 characters. `offset`: where the stream goes on. `onProgress` is called on the syncer's
    /// thread when `acknowledgedOffset` or `state` may have changed.
    public init(
        directory: String, baseName: String, server: String, policy: FsyncPolicy, from offset: Int = 0,
        host: Host = .real, onProgress: @escaping @Sendable () -> Void
    ) {
        self.offset = offset
        sealed = offset
        written = offset
        self.directory = directory
        self.baseName = baseName
        self.server = server
        self.policy = policy
        self.host = host
        self.onProgress = onProgress
        reserve = Reserve(directory: directory, host)
        syncer = LogSyncer(from: offset, threads: host.threads, reserve: reserve, onProgress: onProgress)
    }
    deinit { syncer.mailbox.close() }

    // MARK: Segments

    /// Continues the last segment of a recovered log, which is on disk when it returns: clients see what was replayed.
    /// Waits for the disk. Throws when the file cannot be opened or synced, or is not what was read.
    public func resume(_ recovered: RecoveredLog) throws(StorageError) {
        let path = directory + "/" + LogFormat.fileName(baseName, recovered.segment)
        try checkServer(path)
        try LogWriter.sync(recovered, directory: directory, baseName: baseName, host)
        let opened = try host.files.open(path, .append, or: "cannot open the log")
        let file = SegmentFile(
            opened, number: recovered.segment, path: path, end: recovered.end.offset, host.files)
        if (try? host.files.facts(opened))?.size != recovered.end.offset {
            throw StorageError(
                file: path, offset: recovered.end.offset, message: "the log has changed since it was read")
        }
        self.file = file
        end = recovered.end
        version = recovered.version
        lastDatabase = -1
        durableSegment = file.number
        reserve.fill()
    }

    /// Has all of a recovered log on disk: a process that was killed may have gone on in a segment before the ones in front of it
    /// were, and clients see what was replayed. Waits for the disk.
    static func sync(
        _ recovered: RecoveredLog, directory: String, baseName: String, _ host: Host
    ) throws(StorageError) {
        for number in recovered.first...max(recovered.first, recovered.segment) {
            try OutputFile.sync(directory + "/" + LogFormat.fileName(baseName, number), host.files)
        }
    }

    /// Starts the log with a new segment, durably: for the start of a server, as it waits for the disk.
    public func openSegment(_ number: Int64) throws(StorageError) {
        let path = directory + "/" + LogFormat.fileName(baseName, number)
        try checkServer(path)
        let file = try SegmentFile.prepare(directory: directory, baseName: baseName, number: number, host.files)
        try file.begin(LogWriter.header(number, server, SegmentEnd()), host.files)
        begin(file)
        reserve.fill()
    }

    /// Starts the log with a segment that was made ahead. Waits for nothing.
    func open(_ first: PreparedSegment) throws(StorageError) {
        guard case .success(let file)? = first.result else {
            throw StorageError(file: directory, message: "the log has no segment to begin in")
        }
        try checkServer(file.path)
        begin(file)
        reserve.inBackground({ $0.fill() }, onProgress)
    }
    /// The log begins in a segment whose header is on disk.
    private func begin(_ file: SegmentFile) {
        begin(file, LogWriter.header(file.number, server, SegmentEnd()))
        durableSegment = file.number
    }

    /// A header with another name for the server could not be read back.
    private func checkServer(_ path: String) throws(StorageError) {
        if server.utf8.count != LogFormat.serverSize {
            throw StorageError(file: path, message: "the server's name \(server) is no uuid: the snapshot is damaged")
        }
    }
    private func begin(_ file: SegmentFile, _ header: OutputBuffer) {
        self.file = file
        let record = header.bytes[header.count - 21..<header.count - 2]
        end = SegmentEnd(offset: Int64(header.count), check: LogFormat.check(in: record) ?? 0)
        version = .chained
        lastDatabase = 0
        notedSecond = .min
    }
    static func header(_ number: Int64, _ server: String, _ previous: SegmentEnd) -> OutputBuffer {
        let header = OutputBuffer()
        LogFormat.appendHeader(server: server, segment: number, previous: previous, to: header)
        let check = LogFormat.Version.chained.check(header.bytes, after: 0, at: Int64(header.count))
        LogFormat.appendCheck(check, to: header)
        return header
    }

    // MARK: The cut

    /// Has the next segment's file made, durably, on a thread in the background, which then calls `onProgress`. True once
    /// it is there: `cut` then waits for nothing. Throws, once, when it cannot be made.
    public func prepareCut() throws(StorageError) -> Bool {
        try PreparedSegment.isReady(&next) {
            PreparedSegment(host, onProgress) {
                [directory, baseName, number = segment + 1, host] () throws(StorageError) in
                try SegmentFile.prepare(directory: directory, baseName: baseName, number: number, host.files)
            }
        }
    }

    /// The cut: ends the segment here and goes on in the next, whose number is returned. Under `everysec` and `no` what is
    /// appended from here on is written at once, though the old segment's end may not be on disk: a power cut then takes
    /// the new segment with it, which the reader knows. Waits for nothing after `prepareCut` when no other cut is under
    /// way, else for the disk. Throws when what was appended before cannot be written; then nothing has changed.
    public func cut() throws(StorageError) -> Int64 {
        while try !prepareCut() { host.threads.pause(microseconds: 200) }
        guard let old = file, case .success(let file)? = next?.result else {
            throw StorageError(file: directory, message: "the log has not begun")
        }
        try waitForSegment()
        seal()
        let isGivenUp = syncer.poisonedBy != 0
        // Blocks are on their way to the file or from it, a moment: what is held is not to be lost.
        while policy != .always && held.count > 0 && reserve.isBusy { host.threads.pause(microseconds: 200) }
        if policy != .always && held.count > 0 { writeHeld() }
        let failed = writeError != 0 ? writeError : syncer.failedWrite
        if failed != 0 && !isGivenUp { throw .system(old.path, "cannot write the log", code: failed) }
        let header = LogWriter.header(file.number, server, end)
        let tail = OutputBuffer(capacity: max(held.count, 16))
        let rest = OutputBuffer(capacity: 256)
        if policy == .always {
            tail.append(held.bytes)
            rest.append(header.bytes)
        } else {
            do throws(FileError) {
                try file.append(header)
            } catch {
                throw .system(file.path, "cannot write the log", error)
            }
            // A file that is given up gets nothing behind what it could not take: the snapshot will have it.
            written = sealed
        }
        held.removeAll(keepingAtMost: 1 << 20)
        writeError = 0
        next = nil
        begin(file, header)
        rotations += 1
        // What is appended from here on is younger than this, however late the syncer gets to it.
        syncer.mailbox.send(
            .rotate(
                from: old, tail: Parcel(tail), upTo: sealed, to: file, header: Parcel(rest),
                startedAt: host.threads.now))
        return file.number
    }

    /// The last cut's segment is not known to be on disk yet: no snapshot may name it.
    public var isRotating: Bool { syncer.rotationsDone != rotations }

    /// Waits until the last cut's segment is on disk. Throws when it cannot be written.
    public func waitForSegment() throws(StorageError) {
        while isRotating {
            endTurn()
            let code = syncer.failedWrite
            if code != 0 { throw .system(path, "cannot write the log", code: code) }
            host.threads.pause(microseconds: 200)
        }
    }

    /// Deletes the segments up to `number` in the background. Call it only when a snapshot that holds all of theirs is
    /// durable: it also ends `.poisoned`, if the failed sync was of one of them.
    public func removeSegments(through number: Int64) {
        release(through: number)
        LogWriter.removeInBackground(directory: directory, baseName: baseName, through: number, host)
    }

    /// A durable snapshot holds all that segments up to `number` held: ends `.poisoned`, if the failed sync was of one of
    /// them.
    func release(through number: Int64) { syncer.release(through: number) }

    // MARK: Appending

    /// Appends commands that select their databases themselves. `offset`: where the stream stands behind them.
    public func append(_ commands: Bytes, upTo offset: Int) {
        if notesTime && buffer.count == 0 { noteTime() }
        lastDatabase = -1
        buffer.append(commands)
        self.offset = offset
    }
    /// Appends a command, already RESP, and selects its database where another one is selected.
    public func append(database: Int32, _ command: Bytes) {
        let before = buffer.count
        if database != lastDatabase { select(database) }
        buffer.append(command)
        offset += buffer.count - before
    }
    private func select(_ database: Int32) {
        lastDatabase = database
        LogFormat.appendSelect(Int(database), to: buffer)
    }
    /// As `append(_:upTo:)`; but the commands are not part of the stream, whose offset does not count them at recovery.
    func appendLocal(_ commands: Bytes, upTo offset: Int) {
        if notesTime && buffer.count == 0 { noteTime() }
        LogFormat.appendLocal(commands.count, to: buffer)
        append(commands, upTo: offset)
    }
    /// The stream has another history from here on.
    func append(_ history: LogHistory, upTo offset: Int) {
        LogFormat.appendHistory(history, to: buffer)
        self.offset = offset
    }
    /// What follows may not be all that happens, or go on from other data.
    func appendRupture(upTo offset: Int) {
        endTurn()
        LogFormat.appendRupture(to: buffer)
        self.offset = offset
    }

    /// At a batch's beginning. A clock that was set back is a time as any other.
    private func noteTime() {
        let now = wallClockMilliseconds()
        if now / 1000 == notedSecond { return }
        notedSecond = now / 1000
        LogFormat.appendTime(now, to: buffer)
    }

    /// Seals what the turn appended and writes it, or hands it to the syncer. Also tries again what failed before:
    /// call it regularly. `waiters`: clients that wait for what the turn appended, at least 1.
    public func endTurn(waiters: Int = 1) {
        seal()
        if durableSegment != segment && !isRotating && syncer.poisonedBy == 0 { durableSegment = segment }
        if reserve.takenFor != 0 { refillReserve() }
        if policy == .always {
            written = syncer.writtenPosition
            if held.count > 0, let file {
                let batch = OutputBuffer(capacity: held.count)
                batch.append(held.bytes)
                held.removeAll(keepingAtMost: 1 << 20)
                syncer.mailbox.send(.write(Parcel(batch), to: file, upTo: sealed, waiters: waiters), weight: waiters)
            }
            return
        }
        if held.count > 0 { writeHeld() }
        requestSync()
    }

    private func seal() {
        if buffer.count == 0 { return }
        appendedBytes += buffer.count
        let check = version.check(buffer.bytes, after: end.check, at: end.offset + Int64(buffer.count))
        LogFormat.appendCheck(check, to: buffer)
        held.append(buffer.bytes)
        sealed = offset
        end = SegmentEnd(offset: end.offset + Int64(buffer.count), check: check)
        buffer.removeAll(keepingAtMost: 1 << 20)
    }

    private func writeHeld() {
        // Blocks are on their way behind the file's end, which a short write would cut off again.
        guard let file, !reserve.isBusy else { return }
        do throws(FileError) {
            try file.append(held)
            writeError = 0
        } catch {
            writeError = error.code
            if error.isNoSpace && reserve.isAvailable {
                reserve.inBackground({ $0.spend(on: file, error.code) }, onProgress)
            }
            return
        }
        let now = host.threads.now
        if firstUnsynced == nil { firstUnsynced = now }
        written = sealed
        held.removeAll(keepingAtMost: 1 << 20)
    }

    private func refillReserve() {
        let now = host.threads.now
        if now - lastRefill < LogWriter.refillInterval || held.count > 0 { return }
        lastRefill = now
        // What was held back meanwhile is written then.
        reserve.inBackground({ $0.fill() }, onProgress)
    }

    private func requestSync() {
        if syncer.syncedPosition >= written {
            firstUnsynced = nil
            return
        }
        let now = host.threads.now
        if policy == .everysec && now - lastSyncRequest >= LogWriter.syncInterval && syncer.mailbox.count == 0 {
            lastSyncRequest = now
            lastSyncPosition = written
            if let file { syncer.mailbox.send(.sync(file, upTo: written, startedAt: now)) }
        }
    }

    // MARK: What is safe

    /// What stands before this is on disk.
    public var syncedOffset: Int { syncer.syncedPosition }

    /// Replies to commands up to this position may go out.
    public var acknowledgedOffset: Int {
        let isSafeOnlyOnDisk =
            policy == .always || syncer.poisonedBy != 0
            || (policy == .everysec && oldestUnsyncedAge > LogWriter.maxUnsyncedAge)
        return isSafeOnlyOnDisk ? syncer.syncedPosition : max(written, syncer.writtenPosition)
    }

    /// For how long the oldest byte that is not known to be on disk has waited, in nanoseconds; 0: all is there.
    public var oldestUnsyncedAge: UInt64 {
        if max(written, syncer.writtenPosition) <= syncer.syncedPosition { return 0 }
        // Bytes written after the sync under way began are younger than that beginning.
        guard let first = firstUnsynced else { return 0 }
        let since = max(first, syncer.lastSyncStart)
        let now = host.threads.now
        return now > since ? now - since : 0
    }

    /// The turn has something to write, or an earlier one still has.
    public var hasAppended: Bool { buffer.count > 0 || held.count > 0 }
    /// A sync that was asked for under `everysec` has not ended.
    public var isSyncing: Bool { syncer.syncedPosition < lastSyncPosition }

    /// The last segment that a sync failed for, until a snapshot makes up for it; nil: there is none.
    public var lostSegment: Int64? { syncer.lostSegment }

    public var state: State {
        let poisoned = syncer.poisonedBy
        if poisoned != 0 { return .poisoned(poisoned) }
        if writeError != 0 { return .writeFailed(writeError) }
        let failed = syncer.failedWrite != 0 ? syncer.failedWrite : reserve.takenFor
        return failed != 0 ? .writeFailed(failed) : .ok
    }

    /// Bytes of the current segment, those of the turn under way left out.
    public var segmentSize: Int64 { end.offset }
    /// The current segment's file.
    public var path: String { directory + "/" + LogFormat.fileName(baseName, segment) }

    /// Changes the policy; what is written is on disk when it returns. Waits for the disk. Throws when that fails.
    public func setPolicy(_ new: FsyncPolicy) throws(StorageError) {
        try flush()
        policy = new
    }

    /// Writes and syncs everything; waits for the disk. Throws when the log is not whole on disk afterwards.
    public func flush() throws(StorageError) {
        seal()
        let deadline = host.threads.now + 30_000_000_000
        var requested = false
        while syncer.syncedPosition < sealed || isRotating {
            endTurn()
            if policy != .always && written == sealed && !requested, let file {
                requested = true
                syncer.mailbox.send(.sync(file, upTo: written, startedAt: host.threads.now))
            }
            let poisoned = syncer.poisonedBy
            if poisoned != 0 { throw .system(path, "cannot sync the log", code: poisoned) }
            let failed = writeError != 0 ? writeError : syncer.failedWrite
            if failed != 0 && !reserve.isBusy { throw .system(path, "cannot write the log", code: failed) }
            if host.threads.now > deadline { throw StorageError(file: path, message: "the disk does not answer") }
            host.threads.pause(microseconds: 200)
        }
    }
}
