import Glibc
import Synchronization

/// The thread behind the log: syncs, writes under `always`, makes and deletes segments, all in the order asked for.
final class LogSyncer: Sendable {
    enum Message: Sendable {
        /// Write and sync. Several in a row share one sync.
        case write(Parcel, upTo: UInt64)
        case sync(upTo: UInt64, startedAt: UInt64)
        /// Write the tail, sync, make the next segment and go on in it.
        case rotate(tail: Parcel, upTo: UInt64, String, String, Int64, header: Parcel)
        case remove(String, String, through: Int64)
    }

    let mailbox = Mailbox<Message>()
    private let files: FileOperations
    private let onProgress: @Sendable () -> Void

    private let synced = Atomic<UInt64>(0)
    private let written = Atomic<UInt64>(0)
    private let syncStart = Atomic<UInt64>(0)
    private let rotations = Atomic<UInt64>(0)
    private let poisoned = Atomic<Int32>(0)
    private let writeFailure = Atomic<Int32>(0)
    /// The file in use; set by the loop before the first message, then the thread's.
    private let file = Atomic<Int32>(-1)

    init(files: FileOperations, onProgress: @escaping @Sendable () -> Void) {
        self.files = files
        self.onProgress = onProgress
        startThread(named: "log") { [self] in run() }
    }

    var syncedPosition: UInt64 { synced.load(ordering: .acquiring) }
    var writtenPosition: UInt64 { written.load(ordering: .acquiring) }
    /// When the last sync that succeeded began.
    var lastSyncStart: UInt64 { syncStart.load(ordering: .acquiring) }
    var poisonedBy: Int32 { poisoned.load(ordering: .acquiring) }
    var failedWrite: Int32 { writeFailure.load(ordering: .acquiring) }
    func use(_ descriptor: Int32) { file.store(descriptor, ordering: .releasing) }
    /// The file in use: the loop's to write to while no message is under way.
    var descriptor: Int32 { file.load(ordering: .acquiring) }
    /// Segments made so far.
    var rotationsDone: UInt64 { rotations.load(ordering: .acquiring) }

    // MARK: The thread

    private func run() {
        while let first = mailbox.receive() {
            var message: Message? = first
            while let current = message {
                message = nil
                switch current {
                case .write(let batch, var upTo):
                    writeUntilDone(batch.buffer, upTo)
                    // Group commit: what arrived meanwhile is written too, and one sync is for all.
                    gather: while mailbox.count > 0, let next = mailbox.receive() {
                        if case .write(let more, let end) = next {
                            writeUntilDone(more.buffer, end)
                            upTo = end
                        } else {
                            message = next
                            break gather
                        }
                    }
                    sync(upTo, monotonicNanoseconds())
                case .sync(let upTo, let startedAt): sync(upTo, startedAt)
                case .rotate(let tail, let upTo, let directory, let base, let number, let header):
                    rotate(tail.buffer, upTo, directory, base, number, header.buffer)
                case .remove(let directory, let base, let through): LogSyncer.remove(directory, base, through)
                }
                onProgress()
            }
        }
    }

    /// Tries for as long as it takes: the order of what follows depends on it. Replies wait meanwhile.
    private func writeUntilDone(_ batch: OutputBuffer, _ upTo: UInt64) {
        if poisonedBy != 0 { return }
        while batch.count > 0 {
            let failed = LogFile.append(batch, to: file.load(ordering: .acquiring), files)
            writeFailure.store(failed, ordering: .releasing)
            if failed == 0 { break }
            onProgress()
            sleepMilliseconds(100)
        }
        written.store(max(writtenPosition, upTo), ordering: .releasing)
    }

    private func sync(_ upTo: UInt64, _ startedAt: UInt64) {
        // After a failed sync the kernel may have dropped pages: another one that succeeds proves nothing.
        if poisonedBy != 0 { return }
        if files.sync(file.load(ordering: .acquiring)) != 0 {
            poisoned.store(errno == 0 ? EIO : errno, ordering: .releasing)
            return
        }
        syncStart.store(startedAt, ordering: .releasing)
        synced.store(max(syncedPosition, upTo), ordering: .releasing)
    }

    private func rotate(
        _ tail: OutputBuffer, _ upTo: UInt64, _ directory: String, _ base: String, _ number: Int64,
        _ header: OutputBuffer
    ) {
        writeUntilDone(tail, upTo)
        sync(upTo, monotonicNanoseconds())
        while true {
            do throws(StorageError) {
                let next = try LogSyncer.createSegment(directory, base, number, header)
                close(file.load(ordering: .acquiring))
                file.store(next, ordering: .releasing)
                // A checkpoint makes up for what the old file may have lost; the new one starts clean.
                poisoned.store(0, ordering: .releasing)
                writeFailure.store(0, ordering: .releasing)
                synced.store(max(syncedPosition, upTo), ordering: .releasing)
                written.store(max(writtenPosition, upTo), ordering: .releasing)
                rotations.add(1, ordering: .releasing)
                return
            } catch {
                writeFailure.store(ENOSPC, ordering: .releasing)
                onProgress()
                sleepMilliseconds(100)
            }
        }
    }

    static func remove(_ directory: String, _ base: String, _ through: Int64) {
        // A segment that cannot be deleted now is below the snapshot's and is deleted at the next start.
        guard let numbers = try? LogFormat.segments(directory: directory, base: base) else { return }
        for number in numbers where number <= through { unlink(directory + "/" + LogFormat.fileName(base, number)) }
        try? syncDirectory(directory)
    }
}
