import Synchronization

/// Runs checkpoints: the loop hands over in slices, a thread of its own writes the one SQLite transaction.
///
/// Lives on the loop's thread. A checkpoint is `begin` (after the log's cut), `step` until it says that all is handed
/// over, then `takeResult` after the wake-up. It never waits for the thread, but in `finishNow`.
public final class Checkpointer {
    private let keyspace: Keyspace
    private let path: String
    private let shared: Shared
    private var handover: Handover?
    private var meta: Meta?
    private var isHandingOver = false
    /// All is handed over, and `mayCommit` is waited for.
    private var isComplete = false

    /// Batches that may wait for the writer before slices pause, of 256 KB each: bounds the memory of a checkpoint.
    private static let maxBacklog = 48

    /// What the two threads share.
    private final class Shared: Sendable {
        let mailbox = Mailbox<Message>()
        let result = Mutex<Result<SnapshotCommit, StorageError>?>(nil)
        let wake: @Sendable () -> Void
        init(wake: @escaping @Sendable () -> Void) { self.wake = wake }
    }
    private enum Message: Sendable {
        case batch(RowBatch)
        case commit(Meta)
    }

    /// `wake` is called on the writer's thread when a result is there to take.
    public init(keyspace: Keyspace, path: String, wake: @escaping @Sendable () -> Void) {
        self.keyspace = keyspace
        self.path = path
        let shared = Shared(wake: wake)
        self.shared = shared
        startThread(named: "snapshot", isYielding: true) { Checkpointer.run(shared, path) }
    }
    deinit { shared.mailbox.close() }

    public var isRunning: Bool { handover != nil }
    /// Keys handed over so far by the running checkpoint.
    public var keysHandedOver: Int { handover?.keys ?? 0 }
    /// `Keyspace.changes` at the running checkpoint's cut.
    public var changesAtCut: Int? { handover?.changesAtCut }

    /// The cut: from here on the checkpoint's state is fixed. None may be running. `meta` says where to replay from.
    public func begin(_ meta: Meta) {
        let mailbox = shared.mailbox
        handover = Handover(keyspace, sink: RowSink { mailbox.send(.batch($0)) })
        self.meta = meta
        isHandingOver = true
        isComplete = false
    }

    /// The writer has as much as may wait for it: `step` does nothing until `wake` is called.
    public var isBlocked: Bool { shared.mailbox.count > Checkpointer.maxBacklog }

    /// Hands over for about `budgetNanoseconds`, and lets the writer commit once all is handed over and `mayCommit`:
    /// the log's segment that `meta` names must be there before. True while there is work to do here.
    @discardableResult
    public func step(budgetNanoseconds: UInt64, mayCommit: Bool = true) -> Bool {
        guard isHandingOver, let handover, let meta else { return false }
        if !isComplete {
            if isBlocked { return true }
            isComplete = handover.step(budgetNanoseconds: budgetNanoseconds)
        }
        if isComplete && mayCommit {
            isHandingOver = false
            shared.mailbox.send(.commit(meta))
        }
        return isHandingOver && !isComplete
    }

    /// The result of the running checkpoint, once there is one; none is running then any more. After a failure
    /// everything that was handed over counts as changed again.
    public func takeResult() -> (meta: Meta, result: Result<SnapshotCommit, StorageError>)? {
        guard let handover, let meta, !isHandingOver else { return nil }
        let taken = shared.result.withLock { result in
            defer { result = nil }
            return result
        }
        guard let taken else { return nil }
        if case .success = taken { handover.finish(committed: true) } else { handover.finish(committed: false) }
        self.handover = nil
        self.meta = nil
        return (meta, taken)
    }

    /// Drives the running checkpoint to its end, waiting as long as it takes: for SAVE and shutdown, when the log's segment
    /// is there.
    public func finishNow() -> (meta: Meta, result: Result<SnapshotCommit, StorageError>)? {
        guard isRunning else { return nil }
        while true {
            if isHandingOver {
                if step(budgetNanoseconds: 100_000_000), isBlocked { sleepMilliseconds(1) }
            } else if let result = takeResult() {
                return result
            } else {
                sleepMilliseconds(1)
            }
        }
    }

    // MARK: The writer's thread

    private static func run(_ shared: Shared, _ path: String) {
        var writer: SnapshotWriter?
        var failure: StorageError?
        while let message = shared.mailbox.receive() {
            do throws(StorageError) {
                switch message {
                case .batch(let batch):
                    if failure != nil { continue }
                    if writer == nil { writer = try SnapshotWriter(path: path) }
                    try writer?.apply(batch)
                    if shared.mailbox.count == maxBacklog / 2 { shared.wake() }
                case .commit(let meta):
                    if let error = failure { throw error }
                    if writer == nil { writer = try SnapshotWriter(path: path) }
                    guard let commit = try writer?.commit(meta) else { continue }
                    report(.success(commit), shared)
                }
            } catch {
                if failure == nil {
                    writer?.rollback()
                    // What SQLite holds in memory after an I/O error is not trusted: the next attempt opens anew.
                    writer = nil
                }
                failure = error
                if case .commit = message {
                    failure = nil
                    report(.failure(error), shared)
                }
            }
        }
    }

    private static func report(_ result: Result<SnapshotCommit, StorageError>, _ shared: Shared) {
        shared.result.withLock { $0 = result }
        shared.wake()
    }
}
