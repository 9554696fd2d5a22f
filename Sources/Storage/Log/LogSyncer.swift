import Glibc
import Synchronization

/// The thread behind the log: syncs, writes under `always`, makes and deletes segments, all in the order asked for.
final class LogSyncer: Sendable {
    enum Message: Sendable {
        /// Write and sync, for so many clients. Several in a row share one sync.
        case write(Parcel, upTo: UInt64, waiters: Int)
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
    /// The file in use, its segment, and where its last whole batch ends: the loop's while no message is under way,
    /// else the thread's.
    private let file = Atomic<Int32>(-1)
    private let fileEnd = Atomic<Int64>(0)
    private let segment = Atomic<Int64>(0)

    /// Which files are not to be trusted after a failed sync. `synced`, `syncStart` and `poisoned` change with it held.
    private struct Trust {
        /// errno of the sync that failed; 0 while what all files should hold is known to be somewhere.
        var code: Int32 = 0
        /// The last segment that a sync failed for.
        var segment: Int64 = 0
        /// The file in use is that segment's: no sync of it proves anything.
        var isCurrent = false
        /// A batch could not be written to such a file. Nothing may follow it there.
        var isAbandoned = false
        /// How far trusted files and cuts reach, and when the sync that showed it began. Counts once a snapshot holds
        /// what came before.
        var reached: UInt64 = 0
        var reachedStart: UInt64 = 0
    }
    private let trust = Mutex(Trust())

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
    /// Of the last sync under `always`: clients it was for, nanoseconds it took.
    private typealias Pace = (waiters: Int, duration: UInt64)
    /// How long a sync may be put off for more to share it.
    private static let maxGatherNanoseconds: UInt64 = 1_000_000

    /// Segments made so far.
    var rotationsDone: UInt64 { rotations.load(ordering: .acquiring) }

    // MARK: The loop, while no message is under way

    func use(_ descriptor: Int32, segment number: Int64, end: Int64) {
        segment.store(number, ordering: .releasing)
        fileEnd.store(end, ordering: .releasing)
        file.store(descriptor, ordering: .releasing)
    }
    /// Appends whole batches to the file. Returns errno or 0.
    func append(_ batches: OutputBuffer) -> Int32 {
        var end = fileEnd.load(ordering: .acquiring)
        defer { fileEnd.store(end, ordering: .releasing) }
        return LogFile.append(batches, to: file.load(ordering: .acquiring), end: &end, files)
    }
    /// A durable snapshot holds all that segments up to `number` held: a failed sync of theirs is made up for. May be
    /// called at any time.
    func release(through number: Int64) {
        trust.withLock { trust in
            if trust.code == 0 || trust.segment > number || trust.isCurrent { return }
            trust.code = 0
            synced.store(max(syncedPosition, trust.reached), ordering: .releasing)
            syncStart.store(max(lastSyncStart, trust.reachedStart), ordering: .releasing)
            poisoned.store(0, ordering: .releasing)
        }
    }

    // MARK: The thread

    private func run() {
        var pace: Pace = (0, 0)
        while let first = mailbox.receive() {
            var message: Message? = first
            while let current = message {
                message = nil
                switch current {
                case .write(let batch, let upTo, let waiters): message = groupCommit(batch.buffer, upTo, waiters, &pace)
                case .sync(let upTo, let startedAt): sync(upTo, startedAt)
                case .rotate(let tail, let upTo, let directory, let base, let number, let header):
                    rotate(tail.buffer, upTo, directory, base, number, header.buffer)
                case .remove(let directory, let base, let through): LogSyncer.remove(directory, base, through)
                }
                onProgress()
            }
        }
        let last = file.load(ordering: .acquiring)
        if last >= 0 { close(last) }
    }

    /// One sync for all batches that are there, and for those about to come: the clients that the last sync let go are
    /// likely to send their next commands at once, and a sync begun for the first of them would make the others wait for
    /// two. So it begins when half as many wait as then, or half a sync's time is over; a lone client never waits. With
    /// 50 clients this makes two groups take turns, one on the disk while the other is served (measured: 1.3 times the
    /// throughput). Returns the message that ended the gathering.
    private func groupCommit(
        _ first: OutputBuffer, _ end: UInt64, _ waiting: Int, _ pace: inout Pace
    ) -> Message? {
        var upTo = end
        var waiters = waiting
        var message: Message?
        let deadline = monotonicNanoseconds() + min(pace.duration / 2, LogSyncer.maxGatherNanoseconds)
        mailbox.waitForWeight((pace.waiters + 1) / 2 - waiters, until: deadline)
        while let next = mailbox.poll() {
            guard case .write(let more, let end, let waiting) = next else {
                message = next
                break
            }
            first.append(more.buffer.bytes)
            upTo = end
            waiters += waiting
        }
        writeUntilDone(first, upTo)
        let start = monotonicNanoseconds()
        sync(upTo, start)
        pace = (waiters, monotonicNanoseconds() - start)
        return message
    }

    /// Tries for as long as it takes: the order of what follows depends on it. Replies wait meanwhile.
    private func writeUntilDone(_ batch: OutputBuffer, _ upTo: UInt64) {
        if trust.withLock({ $0.isAbandoned }) { return }
        while batch.count > 0 {
            let failed = append(batch)
            writeFailure.store(failed, ordering: .releasing)
            if failed == 0 { break }
            // A file that is given up is no reason to wait; but then nothing may come behind the gap.
            let isGivenUp = trust.withLock { trust in
                trust.isAbandoned = trust.isCurrent
                return trust.isAbandoned
            }
            if isGivenUp { return }
            onProgress()
            sleepMilliseconds(100)
        }
        written.store(max(writtenPosition, upTo), ordering: .releasing)
    }

    private func sync(_ upTo: UInt64, _ startedAt: UInt64) {
        // After a failed sync the kernel may have dropped pages: another one that succeeds proves nothing.
        if trust.withLock({ $0.isCurrent }) { return }
        if files.sync(file.load(ordering: .acquiring)) != 0 {
            let code = lastError()
            trust.withLock { trust in
                trust.code = code
                trust.segment = segment.load(ordering: .acquiring)
                trust.isCurrent = true
                poisoned.store(code, ordering: .releasing)
            }
            return
        }
        reach(upTo, startedAt)
    }

    /// What is up to here is on disk, or will be in the snapshot that makes up for a failed sync.
    private func reach(_ upTo: UInt64, _ startedAt: UInt64) {
        trust.withLock { trust in
            trust.reached = max(trust.reached, upTo)
            trust.reachedStart = max(trust.reachedStart, startedAt)
            if trust.code != 0 { return }
            syncStart.store(trust.reachedStart, ordering: .releasing)
            synced.store(max(syncedPosition, trust.reached), ordering: .releasing)
        }
    }

    private func rotate(
        _ tail: OutputBuffer, _ upTo: UInt64, _ directory: String, _ base: String, _ number: Int64,
        _ header: OutputBuffer
    ) {
        writeUntilDone(tail, upTo)
        let startedAt = monotonicNanoseconds()
        sync(upTo, startedAt)
        while true {
            do throws(LogFile.CreationFailure) {
                let next = try LogFile.create(directory, base, number, header, files)
                close(file.load(ordering: .acquiring))
                use(next, segment: number, end: Int64(header.count))
                // The new file starts clean. What the old one may have lost stays in doubt until a snapshot has it.
                trust.withLock { trust in
                    trust.isCurrent = false
                    trust.isAbandoned = false
                }
                reach(upTo, startedAt)
                writeFailure.store(0, ordering: .releasing)
                written.store(max(writtenPosition, upTo), ordering: .releasing)
                rotations.add(1, ordering: .releasing)
                return
            } catch {
                writeFailure.store(error.code, ordering: .releasing)
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
