import Glibc
import Synchronization

/// When what is written is forced to disk.
public enum FsyncPolicy: Sendable { case always, everysec, no }

/// The writing end of the log. Lives on the loop's thread, which only ever copies bytes and, under `everysec` and `no`,
/// calls write(2) once a turn; fdatasync, and under `always` the writing, happen on the syncer's thread.
///
/// Commands of a turn are appended to `buffer`; `endTurn` seals them as a batch. A reply may go out once `acknowledged`
/// has reached what `position` was after its command: under `always` when the batch is on disk, else when the kernel
/// has it and nothing older has waited for the disk for more than two seconds.
public final class LogWriter {
    /// Whether what is appended reaches the file.
    public enum State: Sendable, Equatable {
        case ok
        /// No space, or another failed write: the file ends with a whole batch, the bytes are kept and tried again.
        case writeFailed(Int32)
        /// An fsync failed: the kernel may have dropped what it held, so that this file is never trusted again, and
        /// nothing more is acknowledged. A cut, its checkpoint and `removeSegments` bring the log back.
        case poisoned(Int32)
    }

    public let directory: String
    public let baseName: String
    private let server: String
    private let syncer: LogSyncer
    private let files: FileOperations

    public private(set) var policy: FsyncPolicy
    public private(set) var segment: Int64 = 0
    private var segmentOffset: Int64 = 0
    private var lastCheck: UInt32 = 0
    private var lastDatabase: Int32 = -1

    /// Bytes accepted since the start, over all segments; those of the turn under way count.
    public var position: UInt64 { sealed + UInt64(buffer.count) }
    private var sealed: UInt64 = 0
    /// Batches sealed and not yet written by this thread.
    private let held = OutputBuffer()
    private var written: UInt64 = 0
    private var writeError: Int32 = 0
    private var firstUnsynced: UInt64?
    private var lastSyncRequest: UInt64 = 0
    /// Segments asked for. While one is being made nothing is written by this thread.
    private var rotations: UInt64 = 0
    /// A cut's segment is not there yet: no snapshot may name it.
    public private(set) var isRotating = false

    /// The turn's commands as RESP.
    private let buffer = OutputBuffer(capacity: 1 << 16)

    /// How old the oldest byte that is not on disk may be under `everysec` before replies wait, in nanoseconds.
    private static let maxUnsyncedAge: UInt64 = 2_000_000_000
    private static let syncInterval: UInt64 = 1_000_000_000

    /// `server` is a uuid of 36 characters. `onProgress` is called on the syncer's thread when `acknowledged` or `state`
    /// may have changed.
    public init(
        directory: String, baseName: String, server: String, policy: FsyncPolicy, files: FileOperations = .real,
        onProgress: @escaping @Sendable () -> Void
    ) {
        self.directory = directory
        self.baseName = baseName
        self.server = server
        self.policy = policy
        self.files = files
        syncer = LogSyncer(files: files, onProgress: onProgress)
    }
    deinit { syncer.mailbox.close() }

    // MARK: Segments

    /// Continues the last segment of a recovered log, which is on disk when it returns: clients see what was replayed.
    /// Waits for the disk. Throws when the file cannot be opened or synced, or is not what was read.
    public func resume(_ recovered: RecoveredLog) throws(StorageError) {
        let path = directory + "/" + LogFormat.fileName(baseName, recovered.segment)
        try checkServer(path)
        let file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
        if file < 0 { throw .system(path, "cannot open the log") }
        if Int64(lseek(file, 0, SEEK_END)) != recovered.end.offset {
            close(file)
            throw StorageError(
                file: path, offset: recovered.end.offset, message: "the log has changed since it was read")
        }
        if files.sync(file) != 0 {
            let code = lastError()
            close(file)
            throw .system(path, "cannot sync the log", code: code)
        }
        segment = recovered.segment
        segmentOffset = recovered.end.offset
        lastCheck = recovered.end.check
        lastDatabase = -1
        syncer.use(file, segment: segment, end: segmentOffset)
    }

    /// Starts the log with a new segment, durably: for the start of a server, as it waits for the disk.
    public func openSegment(_ number: Int64, previous: SegmentEnd) throws(StorageError) {
        try checkServer(directory + "/" + LogFormat.fileName(baseName, number))
        let header = header(number, previous)
        let file: Int32
        do throws(LogFile.CreationFailure) {
            file = try LogFile.create(directory, baseName, number, header, files)
        } catch {
            throw error.error
        }
        begin(number, header)
        syncer.use(file, segment: number, end: segmentOffset)
    }

    /// A header with another name for the server could not be read back.
    private func checkServer(_ path: String) throws(StorageError) {
        if server.utf8.count != LogFormat.serverSize {
            throw StorageError(file: path, message: "the server's name \(server) is no uuid: the snapshot is damaged")
        }
    }
    private func begin(_ number: Int64, _ header: OutputBuffer) {
        segment = number
        segmentOffset = Int64(header.count)
        lastCheck = LogFormat.crc(header.bytes[0..<header.count - LogFormat.checkSize])
        lastDatabase = 0
    }
    private func header(_ number: Int64, _ previous: SegmentEnd) -> OutputBuffer {
        let header = OutputBuffer()
        LogFormat.appendHeader(server: server, segment: number, previous: previous, to: header)
        LogFormat.appendCheck(LogFormat.crc(header.bytes), to: header)
        return header
    }

    /// The cut: ends the segment here and goes on in the next, whose number is returned. What is appended before the
    /// old segment is on disk and the new one made waits, as a later segment must not outlive the end of an earlier one.
    public func cut() -> Int64 {
        seal()
        let previous = SegmentEnd(offset: segmentOffset, check: lastCheck)
        let header = header(segment + 1, previous)
        // What the loop holds goes to the old segment first, through the syncer, which has the order.
        let tail = OutputBuffer(capacity: max(held.count, 16))
        tail.append(held.bytes)
        held.removeAll(keepingAtMost: 1 << 20)
        writeError = 0
        begin(segment + 1, header)
        isRotating = true
        rotations += 1
        syncer.mailbox.send(
            .rotate(tail: Parcel(tail), upTo: sealed, directory, baseName, segment, header: Parcel(header)))
        return segment
    }

    /// Deletes the segments up to `number`, durably, on the syncer's thread. Call it only when a snapshot that holds
    /// all of theirs is durable: it also ends `.poisoned`, if the failed sync was of one of them.
    public func removeSegments(through number: Int64) {
        syncer.release(through: number)
        syncer.mailbox.send(.remove(directory, baseName, through: number))
    }

    /// The same without a writer, waiting for the disk; what cannot be deleted is below the snapshot's segment, and is
    /// ignored and deleted at the next start.
    public static func removeSegments(directory: String, baseName: String, through number: Int64) {
        LogSyncer.remove(directory, baseName, number)
    }
    /// A segment's file name.
    public static func fileName(_ baseName: String, _ segment: Int64) -> String {
        LogFormat.fileName(baseName, segment)
    }

    // MARK: Appending

    /// Appends a command, already RESP.
    @inline(__always) public func append(database: Int32, _ command: Bytes) {
        if database != lastDatabase { select(database) }
        buffer.append(command)
    }
    /// Appends commands that select their databases themselves.
    public func append(_ commands: Bytes) {
        lastDatabase = -1
        buffer.append(commands)
    }
    private func select(_ database: Int32) {
        lastDatabase = database
        let digits = String(database)
        buffer.append(text: "*2\r\n$6\r\nSELECT\r\n$\(digits.utf8.count)\r\n\(digits)\r\n")
    }

    /// Seals what the turn appended and writes it, or hands it to the syncer. Also tries again what failed before:
    /// call it regularly. `waiters`: clients that wait for what the turn appended, at least 1.
    public func endTurn(waiters: Int = 1) {
        seal()
        if isRotating && syncer.rotationsDone == rotations {
            isRotating = false
            written = max(written, syncer.writtenPosition)
        }
        if isRotating { return }
        if policy == .always {
            written = syncer.writtenPosition
            if held.count > 0 {
                let batch = OutputBuffer(capacity: held.count)
                batch.append(held.bytes)
                held.removeAll(keepingAtMost: 1 << 20)
                syncer.mailbox.send(.write(Parcel(batch), upTo: sealed, waiters: waiters), weight: waiters)
            }
            return
        }
        if held.count > 0 { writeHeld() }
        requestSync()
    }

    private func seal() {
        if buffer.count == 0 { return }
        let check = LogFormat.crc(buffer.bytes)
        LogFormat.appendCheck(check, to: buffer)
        held.append(buffer.bytes)
        sealed += UInt64(buffer.count)
        segmentOffset += Int64(buffer.count)
        lastCheck = check
        buffer.removeAll(keepingAtMost: 1 << 20)
    }

    private func writeHeld() {
        writeError = syncer.append(held)
        if writeError != 0 { return }
        let now = monotonicNanoseconds()
        if firstUnsynced == nil { firstUnsynced = now }
        written = sealed
        held.removeAll(keepingAtMost: 1 << 20)
    }

    private func requestSync() {
        if syncer.syncedPosition >= written {
            firstUnsynced = nil
            return
        }
        let now = monotonicNanoseconds()
        if policy == .everysec && now - lastSyncRequest >= LogWriter.syncInterval && syncer.mailbox.count == 0 {
            lastSyncRequest = now
            syncer.mailbox.send(.sync(upTo: written, startedAt: now))
        }
    }

    /// Waits until the last cut's segment is there. Throws when it cannot be made.
    public func waitForSegment() throws(StorageError) {
        while isRotating {
            endTurn()
            let code = syncer.failedWrite
            if code != 0 {
                throw .system(
                    directory + "/" + LogFormat.fileName(baseName, segment), "cannot make a log segment", code: code)
            }
            usleep(200)
        }
    }

    // MARK: What is safe

    /// What stands before this is on disk.
    public var synced: UInt64 { syncer.syncedPosition }

    /// Replies to commands up to this position may go out.
    public var acknowledged: UInt64 {
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
        let now = monotonicNanoseconds()
        return now > since ? now - since : 0
    }

    public var state: State {
        let poisoned = syncer.poisonedBy
        if poisoned != 0 { return .poisoned(poisoned) }
        if writeError != 0 { return .writeFailed(writeError) }
        let failed = syncer.failedWrite
        return failed != 0 ? .writeFailed(failed) : .ok
    }

    /// Bytes of the current segment, those of the turn under way left out.
    public var segmentSize: Int64 { segmentOffset }

    /// Changes the policy; what is written is on disk when it returns. Waits for the disk. Throws when that fails.
    public func setPolicy(_ new: FsyncPolicy) throws(StorageError) {
        try flush()
        policy = new
    }

    /// Writes and syncs everything; waits for the disk. Throws when the log is not whole on disk afterwards.
    public func flush() throws(StorageError) {
        seal()
        let deadline = monotonicNanoseconds() + 30_000_000_000
        var requested = false
        while syncer.syncedPosition < sealed {
            endTurn()
            if policy != .always && !isRotating && written == sealed && !requested {
                requested = true
                syncer.mailbox.send(.sync(upTo: written, startedAt: monotonicNanoseconds()))
            }
            let failed: (String, Int32)? =
                switch state {
                case .ok: nil
                case .writeFailed(let code): ("cannot write the log", code)
                case .poisoned(let code): ("cannot sync the log", code)
                }
            let path = directory + "/" + LogFormat.fileName(baseName, segment)
            if let failed { throw .system(path, failed.0, code: failed.1) }
            if monotonicNanoseconds() > deadline { throw StorageError(file: path, message: "the disk does not answer") }
            usleep(200)
        }
    }
}

/// A buffer that changes hands: its maker does not touch it again.
struct Parcel: @unchecked Sendable {
    // @unchecked: it belongs to one thread at a time, by the rule above.
    let buffer: OutputBuffer
    init(_ buffer: OutputBuffer) { self.buffer = buffer }
}
