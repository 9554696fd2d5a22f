import Synchronization

/// How far back a directory can be restored, and at what price.
public struct HistoryLimits: Sendable, Equatable {
    /// How old a moment may be that can be restored, in milliseconds.
    public var span: Int64
    /// How much kept checkpoints and segments may take, in bytes: what is oldest goes, until that holds.
    public var bytes: Int64

    public init(span: Int64, bytes: Int64) {
        self.span = span
        self.bytes = bytes
    }
}

/// What there is of the history, for INFO.
public struct HistoryStatus: Sendable {
    /// Kept checkpoints, and bytes of them and of segments.
    public var checkpoints = 0
    public var segments = 0
    public var bytes: Int64 = 0
    /// The first moment that can be restored, in milliseconds since 1970; nil: there is none.
    public var oldest: Int64?
    /// Places since then that no kept checkpoint and no segment covers: moments there are refused.
    public var gaps = 0
    /// A checkpoint is being copied: so many bytes of so many.
    public var isCopying = false
    public var copied: Int64 = 0
    public var toCopy: Int64 = 0
    /// Why the last attempt to keep something failed; nil: it did not.
    public var failure: StorageError?

    public init() {}
}

/// Keeps checkpoints and segments that a newer checkpoint has overtaken, and lets go of those that are too old, on a thread
/// of its own.
///
/// It works behind each checkpoint: first it takes the segments in, then copies the snapshot if that is due, then deletes.
/// A segment is deleted only if no kept checkpoint needs it, and the last kept checkpoint that is older than the span stays,
/// as moments within it begin there.
public final class HistoryKeeper: Sendable {
    private enum Message: Sendable {
        case checkpoint(server: String, through: Int64, isNewData: Bool, HistoryLimits)
        case rest(Mailbox<Void>)
    }

    private let mailbox = Mailbox<Message>()
    private let state = Mutex(HistoryStatus())
    private let threads: any Threads

    /// Log that a restart from a kept checkpoint may have to replay at least before another is kept, in bytes.
    private static let leastLog: Int64 = 64 << 20
    /// Checkpoints that are kept at least in a span.
    private static let parts: Int64 = 4

    init(_ folder: HistoryFolder, snapshot: String, _ host: Host, warn: @escaping @Sendable (String) -> Void) {
        threads = host.threads
        // The thread ends with the keeper.
        host.threads.serve(mailbox, named: "history", isYielding: true) { [weak self] in
            folder.removeLeftovers()
            var hasNewData = false
            return { [weak self] message in
                guard let self else { return }
                switch message {
                case .rest(let done): done.send(())
                case .checkpoint(let server, let through, let isNewData, let limits):
                    hasNewData = hasNewData || isNewData
                    do throws(StorageError) {
                        try work(folder, snapshot, server, through, limits, isDue: hasNewData)
                        hasNewData = false
                        state.withLock { $0.failure = nil }
                    } catch {
                        let isNew = state.withLock { state in
                            defer { state.failure = error }
                            return state.failure?.description != error.description
                        }
                        if isNew { warn("The history is incomplete: \(error)") }
                    }
                    look(folder)
                }
            }
        }
    }
    deinit { mailbox.close() }

    public var status: HistoryStatus { state.withLock { $0 } }

    /// Segments up to `through` are not needed any more to restart, as of a commit that is durable. `isNewData`: what it holds
    /// did not come out of them.
    func overtaken(server: String, through: Int64, isNewData: Bool, _ limits: HistoryLimits) {
        mailbox.send(.checkpoint(server: server, through: through, isNewData: isNewData, limits))
    }

    /// Waits until all that was asked for is done.
    func rest() {
        let done = Mailbox<Void>()
        mailbox.send(.rest(done))
        _ = threads.receive(done)
    }

    // MARK: The thread

    private func work(
        _ folder: HistoryFolder, _ snapshot: String, _ server: String, _ through: Int64, _ limits: HistoryLimits,
        isDue: Bool
    ) throws(StorageError) {
        try folder.take(segmentsOf: server, through: through, removing: true)
        let size = folder.files.size(snapshot) ?? 0
        if size > limits.bytes {
            prune(folder, limits)
            throw StorageError(
                file: snapshot,
                message: "the snapshot alone is larger than snapshot-history-max-size: no checkpoint is kept")
        }
        var failure: StorageError?
        if isDue || isCheckpointDue(folder, server, limits) {
            state.withLock { $0.isCopying = true }
            do throws(StorageError) {
                try folder.keep(snapshot) { done, all in
                    self.state.withLock { ($0.copied, $0.toCopy) = (done, all) }
                    return true
                }
            } catch {
                failure = error
            }
            state.withLock { ($0.isCopying, $0.copied, $0.toCopy) = (false, 0, 0) }
        }
        prune(folder, limits)
        if let failure { throw failure }
    }

    private func isCheckpointDue(_ folder: HistoryFolder, _ server: String, _ limits: HistoryLimits) -> Bool {
        let kept = folder.kept()
        guard let last = kept.last(where: { $0.server == server }) else { return true }
        // A clock that was set back makes it due, too.
        let age = wallClockMilliseconds() - last.savedAt
        if age < 0 || age > limits.span / HistoryKeeper.parts { return true }
        let log = folder.segments().filter { $0.server == server && $0.number >= last.segment }
            .reduce(Int64(0)) { $0 + $1.bytes }
        return log > max(last.bytes, HistoryKeeper.leastLog) || last.bytes + log > limits.bytes / HistoryKeeper.parts
    }

    /// Deletes what is older than the span or beyond the size, and what no kept checkpoint leads to.
    private func prune(_ folder: HistoryFolder, _ limits: HistoryLimits) {
        var kept = folder.kept()
        var segments = folder.segments()
        let oldest = wallClockMilliseconds() - limits.span
        while kept.count > 1 && kept[1].savedAt <= oldest { remove(kept.removeFirst().path, folder) }
        while true {
            let needed = kept.filter { $0.segment > 0 }
            segments.removeAll { segment in
                if needed.contains(where: { $0.server == segment.server && $0.segment <= segment.number }) {
                    return false
                }
                remove(segment.path, folder)
                return true
            }
            let bytes = segments.reduce(kept.reduce(Int64(0)) { $0 + $1.bytes }) { $0 + $1.bytes }
            if bytes <= limits.bytes || kept.isEmpty { break }
            remove(kept.removeFirst().path, folder)
        }
        try? folder.files.syncNames(in: folder.path)
    }
    private func remove(_ path: String, _ folder: HistoryFolder) { folder.files.remove(path) }

    private func look(_ folder: HistoryFolder) {
        let found = HistoryKeeper.status(folder)
        state.withLock {
            ($0.checkpoints, $0.segments, $0.bytes) = (found.checkpoints, found.segments, found.bytes)
            ($0.oldest, $0.gaps) = (found.oldest, found.gaps)
        }
    }

    /// What there is, by the files' names and their last bytes.
    static func status(_ folder: HistoryFolder) -> HistoryStatus {
        var status = HistoryStatus()
        let kept = folder.kept()
        let segments = folder.segments()
        let bytes = segments.reduce(kept.reduce(Int64(0)) { $0 + $1.bytes }) { $0 + $1.bytes }
        (status.checkpoints, status.segments, status.bytes) = (kept.count, segments.count, bytes)
        status.oldest = kept.first?.savedAt
        for (segment, next) in zip(segments, segments.dropFirst()) where segment.server == next.server {
            if next.number != segment.number + 1 || folder.endsInRupture(segment.path) { status.gaps += 1 }
        }
        return status
    }
}
