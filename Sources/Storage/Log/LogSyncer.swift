import Synchronization

/// The thread behind the log: syncs, writes under `always`, and goes from segment to segment, in the order asked for.
final class LogSyncer: Sendable {
    enum Message: Sendable {
        /// Write and sync, for so many clients. Several in a row share one sync.
        case write(Parcel, to: SegmentFile, upTo: Int, waiters: Int)
        case sync(SegmentFile, upTo: Int, startedAt: UInt64)
        /// What the first segment still gets is written and synced, then the next one's header, which under `everysec` and
        /// `no` is there already.
        case rotate(
            from: SegmentFile, tail: Parcel, upTo: Int, to: SegmentFile, header: Parcel, startedAt: UInt64)
    }

    let mailbox = Mailbox<Message>()
    let reserve: Reserve
    private let threads: any Threads
    private let onProgress: @Sendable () -> Void

    /// Positions in the stream that is logged.
    private let synced = Atomic<Int>(0)
    private let written = Atomic<Int>(0)
    private let syncStart = Atomic<UInt64>(0)
    private let rotations = Atomic<UInt64>(0)
    private let poisoned = Atomic<Int32>(0)
    private let writeFailure = Atomic<Int32>(0)

    /// Which files are not to be trusted after a failed sync. `synced`, `syncStart` and `poisoned` change with it held.
    private struct Trust {
        /// errno of the sync that failed; 0 while what all files should hold is known to be somewhere.
        var code: Int32 = 0
        /// The last segment that a sync failed for: no later sync of it proves anything.
        var segment: Int64 = 0
        /// The last such segment that a batch could not be written to. Nothing may follow it there.
        var abandoned: Int64 = 0
        /// How far trusted files and cuts reach, and when the sync that showed it began. Counts once a snapshot holds
        /// what came before.
        var reached = 0
        var reachedStart: UInt64 = 0

        func distrusts(_ file: SegmentFile) -> Bool { code != 0 && segment == file.number }
    }
    private let trust = Mutex(Trust())

    /// `position`: how far the stream goes that the log holds so far.
    init(from position: Int, threads: any Threads, reserve: Reserve, onProgress: @escaping @Sendable () -> Void) {
        self.threads = threads
        self.reserve = reserve
        self.onProgress = onProgress
        synced.store(position, ordering: .relaxed)
        written.store(position, ordering: .relaxed)
        threads.serve(mailbox, named: "log", isYielding: false) { [self] in
            var pace: Pace = (0, 0)
            return { [self] in handle($0, &pace) }
        }
    }

    var syncedPosition: Int { synced.load(ordering: .acquiring) }
    var writtenPosition: Int { written.load(ordering: .acquiring) }
    /// When the last sync that succeeded began.
    var lastSyncStart: UInt64 { syncStart.load(ordering: .acquiring) }
    var poisonedBy: Int32 { poisoned.load(ordering: .acquiring) }
    /// The last segment that a sync failed for, while that is not made up for.
    var lostSegment: Int64? { trust.withLock { $0.code == 0 ? nil : $0.segment } }
    var failedWrite: Int32 { writeFailure.load(ordering: .acquiring) }
    /// Segments gone over to so far, with header and all before it on disk, or in doubt as `poisonedBy` says.
    var rotationsDone: UInt64 { rotations.load(ordering: .acquiring) }

    /// Of the last sync under `always`: clients it was for, nanoseconds it took.
    private typealias Pace = (waiters: Int, duration: UInt64)
    /// How long a sync may be deferred for more to share it.
    private static let maxGatherNanoseconds: UInt64 = 1_000_000

    /// A durable snapshot holds all that segments up to `number` held: a failed sync of theirs is made up for. May be
    /// called at any time.
    func release(through number: Int64) {
        trust.withLock { trust in
            if trust.code == 0 || trust.segment > number { return }
            trust.code = 0
            synced.store(max(syncedPosition, trust.reached), ordering: .releasing)
            syncStart.store(max(lastSyncStart, trust.reachedStart), ordering: .releasing)
            poisoned.store(0, ordering: .releasing)
        }
    }

    // MARK: The thread

    private func handle(_ first: Message, _ pace: inout Pace) {
        var message: Message? = first
        while let current = message {
            message = nil
            switch current {
            case .write(let batch, let file, let upTo, let waiters):
                message = groupCommit(batch.buffer, file, upTo, waiters, &pace)
            case .sync(let file, let upTo, let startedAt): sync(file, upTo, startedAt)
            case .rotate(let old, let tail, let upTo, let next, let header, let startedAt):
                rotate(old, tail.buffer, upTo, next, header.buffer, startedAt)
            }
            onProgress()
        }
    }

    /// One sync for all batches that are there, and for those about to come: the clients that the last sync let go are
    /// likely to send their next commands at once, and a sync begun for the first of them would make the others wait for
    /// two. So it begins when half as many wait as then, or half a sync's time is over; a lone client never waits. With
    /// 50 clients this makes two groups take turns, one on the disk while the other is served (measured: 1.3 times the
    /// throughput). Returns the message that ended the gathering.
    private func groupCommit(
        _ first: OutputBuffer, _ file: SegmentFile, _ end: Int, _ waiting: Int, _ pace: inout Pace
    ) -> Message? {
        var upTo = end
        var waiters = waiting
        var message: Message?
        let deadline = threads.now + min(pace.duration / 2, LogSyncer.maxGatherNanoseconds)
        mailbox.waitForWeight((pace.waiters + 1) / 2 - waiters, until: deadline)
        while let next = mailbox.poll() {
            guard case .write(let more, let other, let end, let waiting) = next, other === file else {
                message = next
                break
            }
            first.append(more.buffer.bytes)
            upTo = end
            waiters += waiting
        }
        writeUntilDone(first, file, upTo)
        let start = threads.now
        sync(file, upTo, start)
        pace = (waiters, threads.now - start)
        return message
    }

    /// Tries for as long as it takes: the order of what follows depends on it. Replies wait meanwhile.
    private func writeUntilDone(_ batch: OutputBuffer, _ file: SegmentFile, _ upTo: Int) {
        if trust.withLock({ $0.abandoned == file.number }) { return }
        while batch.count > 0 {
            do throws(FileError) {
                try file.append(batch)
                writeFailure.store(0, ordering: .releasing)
                break
            } catch {
                if error.isNoSpace && reserve.isAvailable {
                    reserve.spend(on: file, error.code)
                    continue
                }
                writeFailure.store(error.code, ordering: .releasing)
            }
            // A file that is given up is no reason to wait; but then nothing may come behind the gap.
            let isGivenUp = trust.withLock { trust in
                if trust.distrusts(file) { trust.abandoned = file.number }
                return trust.distrusts(file)
            }
            if isGivenUp { return }
            onProgress()
            threads.pause(microseconds: 100_000)
        }
        written.store(max(writtenPosition, upTo), ordering: .releasing)
    }

    private func sync(_ file: SegmentFile, _ upTo: Int, _ startedAt: UInt64) {
        // After a failed sync the kernel may have dropped pages: another one that succeeds proves nothing.
        if trust.withLock({ $0.distrusts(file) }) { return }
        do throws(FileError) {
            try file.sync()
        } catch {
            trust.withLock { trust in
                trust.code = error.code
                trust.segment = file.number
                poisoned.store(error.code, ordering: .releasing)
            }
            return
        }
        reach(upTo, startedAt)
    }

    /// What is up to here is on disk, or will be in the snapshot that makes up for a failed sync.
    private func reach(_ upTo: Int, _ startedAt: UInt64) {
        trust.withLock { trust in
            trust.reached = max(trust.reached, upTo)
            trust.reachedStart = max(trust.reachedStart, startedAt)
            if trust.code != 0 { return }
            syncStart.store(trust.reachedStart, ordering: .releasing)
            synced.store(max(syncedPosition, trust.reached), ordering: .releasing)
        }
    }

    private func rotate(
        _ old: SegmentFile, _ tail: OutputBuffer, _ upTo: Int, _ next: SegmentFile, _ header: OutputBuffer,
        _ startedAt: UInt64
    ) {
        writeUntilDone(tail, old, upTo)
        sync(old, upTo, startedAt)
        writeUntilDone(header, next, upTo)
        // What the old file may have lost stays in doubt until a snapshot has it; the new one starts clean.
        sync(next, upTo, startedAt)
        writeFailure.store(0, ordering: .releasing)
        rotations.add(1, ordering: .releasing)
    }
}
