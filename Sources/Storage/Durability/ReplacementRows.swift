import Synchronization

/// Where the rows of a replacement go: from a thread that makes them, which waits, to the one that writes the snapshot.
public final class ReplacementRows: RowReceiver {
    enum Item: Sendable {
        case rows(RowBatch)
        case function(name: Parcel, code: Parcel)
    }

    private let deliver: @Sendable (ReplacementRows, Item) -> Void
    private let threads: any Threads
    private let empty = Mailbox<RowBatch>()
    private let failure = Mutex<StorageError?>(nil)

    /// Batches that are under way at most, of about `RowBatch.targetSize` bytes.
    private static var batches: Int { StructureSizes.size(16, small: 2) }

    init(_ threads: any Threads, _ deliver: @escaping @Sendable (ReplacementRows, Item) -> Void) {
        self.threads = threads
        self.deliver = deliver
        for _ in 0..<ReplacementRows.batches { empty.send(RowBatch(capacity: 2 * RowBatch.targetSize)) }
    }

    /// Reads RDB from `pipe` until it ends, and closes it. On a thread of its own: it waits for both ends. Throws for bytes
    /// that are damaged, cut or not supported, for a key that comes twice, and for what keeps the snapshot from being written;
    /// the replacement is to be abandoned then. O(bytes), in memory of a few times the largest string and 8 bytes a key.
    public func receive(
        from pipe: BytePipe, _ options: RDBImporter.Options = RDBImporter.Options()
    ) throws(StorageError) -> RDBSummary {
        try RDBImporter.rows(from: pipe, to: self, options)
    }

    func next() throws(StorageError) -> RowBatch {
        if let failed { throw failed }
        if let batch = threads.receive(empty) { return batch }
        throw failed ?? StorageError(file: "", message: "nobody takes the rows any more")
    }
    func write(_ batch: RowBatch) { deliver(self, .rows(batch)) }
    func put(function name: Bytes, _ code: Bytes) {
        deliver(self, .function(name: Parcel(OutputBuffer(copying: name)), code: Parcel(OutputBuffer(copying: code))))
    }

    /// What keeps the rows from being written; nil: nothing so far.
    var failed: StorageError? { failure.withLock { $0 } }

    // MARK: The writer's side

    /// `batch` was written.
    func giveBack(_ batch: RowBatch) {
        batch.removeAll()
        empty.send(batch)
    }
    /// Ends it: whoever makes the rows hears of it with the next batch.
    func fail(_ error: StorageError) {
        failure.withLock { $0 = $0 ?? error }
        empty.close()
    }
}
