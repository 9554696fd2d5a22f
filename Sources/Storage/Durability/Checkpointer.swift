import Synchronization

/// Runs checkpoints: the loop hands over in slices, a thread of its own writes the one SQLite transaction.
///
/// Lives on the loop's thread. A checkpoint is `begin` (after the log's cut), `step` until it says that all is handed
/// over, then `takeResult` after the wake-up. It never waits for the thread, but in `finishNow`. A replacement, whose rows
/// come from elsewhere, is `beginReplacement`, `endReplacement`, and `takeResult`.
public final class Checkpointer {
    private let keyspace: Keyspace
    private let threads: any Threads
    private let shared: Shared
    private var state = State.idle
    /// `changes` of the keyspace's libraries at the running checkpoint's cut.
    private var librariesAtCut = 0

    private enum State {
        case idle
        /// Behind the cut, before all is handed over.
        case handingOver(Handover, Meta)
        /// All is handed over, and the permission to commit is waited for.
        case complete(Handover, Meta)
        /// The writer has the last word.
        case committing(Handover, Meta)
        /// Rows come from elsewhere.
        case replacing(ReplacementRows)
        case committingReplacement(Meta)

        var handover: Handover? {
            switch self {
            case .idle, .replacing, .committingReplacement: nil
            case .handingOver(let handover, _), .complete(let handover, _), .committing(let handover, _): handover
            }
        }
    }

    /// Batches that may wait for the writer before slices pause, of 256 KB each: bounds the memory of a checkpoint.
    private static var maxBacklog: Int { StructureSizes.size(48, small: 2) }

    /// What the two threads share.
    private final class Shared: Sendable {
        let mailbox = Mailbox<Message>()
        /// Batches that were written, for the loop to fill again.
        let empty = Mailbox<RowBatch>()
        let result = Mutex<Result<SnapshotCommit, StorageError>?>(nil)
        let locked = Mailbox<StorageError?>()
        let wake: @Sendable () -> Void
        init(wake: @escaping @Sendable () -> Void) { self.wake = wake }
    }
    private enum Message: Sendable {
        case lock
        /// `functions`: nil where the snapshot has them as they are.
        case begin(SnapshotIdentity?, whole: Bool, functions: [FunctionLibrary.Text]?)
        case beginReplacement(SnapshotIdentity?, ReplacementRows)
        case batch(RowBatch)
        case item(ReplacementRows, ReplacementRows.Item)
        case commit(Meta)
        /// In the place of the commit.
        case fail(StorageError)
        case release
    }

    /// `wake` is called on the writer's thread when a result is there to take.
    public init(
        keyspace: Keyspace, path: String, host: Host = .real, wake: @escaping @Sendable () -> Void
    ) {
        self.keyspace = keyspace
        threads = host.threads
        let shared = Shared(wake: wake)
        self.shared = shared
        host.threads.serve(shared.mailbox, named: "snapshot", isYielding: true) { [files = host.files] in
            Checkpointer.writer(shared, SnapshotGuard(path: path, files))
        }
    }
    deinit { shared.mailbox.close() }

    /// Takes the write lock on the snapshot, which exists, before it is loaded; waits for the thread. Throws where another
    /// program holds it, and for a file that is no snapshot of ours.
    public func lock() throws(StorageError) {
        shared.mailbox.send(.lock)
        if let failure = threads.receive(shared.locked) ?? nil { throw failure }
    }

    /// Closes the snapshot and lets go of its lock; waits for the thread. None may be running.
    public func release() {
        shared.mailbox.send(.release)
        _ = threads.receive(shared.locked)
    }

    public var isRunning: Bool { state.handover != nil }
    /// After a failed checkpoint its keys, or all, are marked as changed again: `mark` goes on with it, and none should begin
    /// before it is done.
    public var isMarking: Bool { keyspace.marking != nil }
    /// The snapshot may not hold what was loaded: the next checkpoint writes every key.
    public func writeAllNext() { keyspace.markAll() }
    /// Where a checkpoint would change most rows of a large snapshot, it writes all keys into a new file instead, which takes
    /// less time and writes each row once: marks them, then. Call before a cut that may still wait for `mark`.
    public func prepare() { if keyspace.isMostlyChanged { keyspace.markAll() } }
    /// Marks for about `budgetNanoseconds`. True while there is more to do.
    public func mark(budgetNanoseconds: UInt64) -> Bool { keyspace.mark(budgetNanoseconds: budgetNanoseconds) }
    /// `Keyspace.writes` at the running checkpoint's cut.
    public var writesAtCut: Int? { state.handover?.writesAtCut }

    /// What the last checkpoint that ended has handed over: rows of all kinds, in so many bytes.
    public private(set) var handedOver = (rows: 0, bytes: 0)

    /// The cut: from here on the checkpoint's state is fixed. None may be running. `meta` says where to replay from.
    public func begin(_ meta: Meta) {
        while keyspace.mark(budgetNanoseconds: .max) {}
        let mailbox = shared.mailbox
        // Nothing of a keyspace that has no snapshot counts as unchanged.
        let isWhole = keyspace.isAllMarked || keyspace.snapshot == nil
        let libraries = keyspace.libraries
        librariesAtCut = libraries.changes
        let functions = isWhole || libraries.hasUnsaved ? libraries.all : nil
        mailbox.send(.begin(keyspace.snapshot, whole: isWhole, functions: functions))
        let empty = shared.empty
        let handover = Handover(
            keyspace, isWhole: isWhole, sink: RowSink(send: { mailbox.send(.batch($0)) }, empty: { empty.poll() }))
        state = .handingOver(handover, meta)
    }

    /// The writer has as much as may wait for it: `step` does nothing until `wake` is called.
    public var isBlocked: Bool { shared.mailbox.count > Checkpointer.maxBacklog }

    /// Whether what the commit hangs on is there: the log's segment that `meta` names.
    public enum Permission: Sendable {
        /// Not yet.
        case pending
        case granted
        /// It will not be: the checkpoint fails with this.
        case refused(StorageError)
    }

    /// Hands over for about `budgetNanoseconds`, and lets the writer commit once all is handed over and that is permitted.
    /// True while there is work to do here.
    @discardableResult
    public func step(budgetNanoseconds: UInt64, commit permission: Permission = .granted) -> Bool {
        if case .handingOver(let handover, let meta) = state {
            if isBlocked || !handover.step(budgetNanoseconds: budgetNanoseconds) { return true }
            state = .complete(handover, meta)
        }
        if case .complete(let handover, let meta) = state {
            switch permission {
            case .pending: return false
            case .granted: shared.mailbox.send(.commit(meta))
            case .refused(let error): shared.mailbox.send(.fail(error))
            }
            state = .committing(handover, meta)
        }
        return false
    }

    /// From here on the rows that the result is given are written beside the snapshot, which must be `known` (nil: there is
    /// none). None may be running. The keyspace is not looked at: it changes as it likes.
    func beginReplacement(_ known: SnapshotIdentity?) -> ReplacementRows {
        let mailbox = shared.mailbox
        let rows = ReplacementRows(threads) { mailbox.send(.item($0, $1)) }
        mailbox.send(.beginReplacement(known, rows))
        state = .replacing(rows)
        return rows
    }

    /// Has what came committed as `meta`, in the place of the snapshot, or thrown away where there was a failure: `takeResult`
    /// tells. Rows that come after this are thrown away.
    func endReplacement(_ meta: Meta, failure: StorageError? = nil) {
        guard case .replacing(let rows) = state else { return }
        if let failure {
            rows.fail(failure)
            shared.mailbox.send(.fail(failure))
        } else {
            shared.mailbox.send(.commit(meta))
        }
        state = .committingReplacement(meta)
    }

    /// The result of the running checkpoint, once there is one; none is running then any more. After a failure
    /// everything that was handed over counts as changed again, once `mark` has been through with it. After one with the
    /// reason `.replaced` every key does: the next checkpoint writes all of them, into a new file or the emptied one.
    public func takeResult() -> (meta: Meta, result: Result<SnapshotCommit, StorageError>)? {
        let (handover, meta): (Handover?, Meta)
        switch state {
        case .committing(let running, let its): (handover, meta) = (running, its)
        case .committingReplacement(let its): (handover, meta) = (nil, its)
        case .idle, .handingOver, .complete, .replacing: return nil
        }
        let taken = shared.result.withLock { result in
            defer { result = nil }
            return result
        }
        guard let taken else { return nil }
        defer { state = .idle }
        guard let handover else { return (meta, taken) }
        handedOver = (handover.sink.rowsSent, handover.sink.bytesSent)
        switch taken {
        case .success(let commit):
            handover.finish(committed: true)
            keyspace.snapshot = meta.identity
            keyspace.snapshotRows = commit.rows
            keyspace.libraries.saved(librariesAtCut)
            keyspace.writesAtSnapshot = handover.writesAtCut
            keyspace.isAllMarked = false
        case .failure(let error):
            handover.finish(committed: false)
            if error.reason == .replaced { keyspace.markAll() }
        }
        return (meta, taken)
    }

    /// Drives the running checkpoint to its end, waiting as long as it takes: for SAVE and shutdown, when the log's segment
    /// is there.
    public func finishNow() -> (meta: Meta, result: Result<SnapshotCommit, StorageError>)? {
        while isRunning {
            let isMore = step(budgetNanoseconds: 100_000_000)
            if let result = takeResult() { return result }
            if !isMore || isBlocked { threads.pause(microseconds: 1000) }
        }
        return nil
    }

    // MARK: The writer's thread

    private static func writer(_ shared: Shared, _ snapshot: SnapshotGuard) -> (Message) -> Void {
        var failure: StorageError?
        // Whose rows are written; those of another are what is left of one that has ended.
        var source: ReplacementRows?
        return { message in
            do throws(StorageError) {
                switch message {
                case .lock:
                    try snapshot.lock()
                    shared.locked.send(nil)
                case .begin(let known, let whole, let functions):
                    try snapshot.begin(known, whole: whole, functions: functions)
                case .beginReplacement(let known, let rows):
                    source = rows
                    try snapshot.begin(known, whole: true)
                case .item(let rows, let item):
                    if rows !== source || failure != nil { return }
                    switch item {
                    case .rows(let batch):
                        try snapshot.apply(batch)
                        rows.giveBack(batch)
                    case .function(let name, let code):
                        try snapshot.put(function: name.buffer.bytes, code.buffer.bytes)
                    }
                case .batch(let batch):
                    if failure != nil { return }
                    try snapshot.apply(batch)
                    batch.removeAll()
                    shared.empty.send(batch)
                    if shared.mailbox.count == maxBacklog / 2 { shared.wake() }
                case .commit(let meta):
                    source = nil
                    if let error = failure { throw error }
                    report(.success(try snapshot.commit(meta)), shared)
                case .fail(let error): throw failure ?? error
                case .release:
                    snapshot.close()
                    shared.locked.send(nil)
                }
            } catch {
                if failure == nil { snapshot.failed(error) }
                failure = error
                source?.fail(error)
                switch message {
                case .lock:
                    failure = nil
                    shared.locked.send(error)
                case .commit, .fail:
                    failure = nil
                    source = nil
                    report(.failure(error), shared)
                case .begin, .beginReplacement, .batch, .item, .release: break
                }
            }
        }
    }

    private static func report(_ result: Result<SnapshotCommit, StorageError>, _ shared: Shared) {
        shared.result.withLock { $0 = result }
        shared.wake()
    }
}
