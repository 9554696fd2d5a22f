import Synchronization

/// Makes a new snapshot on a thread of its own, so that SQLite works on one batch of rows while the next is read. Used
/// by one thread; the file appears step by step and is of use to nobody before `finish` has returned.
final class BackgroundWriter: RowReceiver {
    private enum Message: Sendable {
        case rows(RowBatch)
        case function(name: Parcel, code: Parcel)
        case finish(Meta, isDurable: Bool)
    }

    /// Batches that are under way at most, of about `RowBatch.targetSize` bytes.
    private static var batches: Int { StructureSizes.size(8, small: 2) }

    private let filled = Mailbox<Message>()
    private let empty = Mailbox<RowBatch>()
    /// The thread's only word, once it has closed the database: what went wrong, or nil.
    private let ended = Mailbox<StorageError?>()
    private let hasEnded = Atomic<Bool>(false)

    init(path: String, _ files: any FileSystem) {
        for _ in 0..<BackgroundWriter.batches { empty.send(RowBatch(capacity: 2 * RowBatch.targetSize)) }
        let (filled, empty, ended) = (filled, empty, ended)
        startThread(named: "writer") {
            var failure: StorageError?
            do throws(StorageError) {
                try BackgroundWriter.write(path, files, filled, empty)
            } catch {
                failure = error
            }
            empty.close()
            ended.send(failure)
        }
    }

    private static func write(
        _ path: String, _ files: any FileSystem, _ filled: Mailbox<Message>, _ empty: Mailbox<RowBatch>
    ) throws(StorageError) {
        let writer = try WholeSnapshotWriter(path: path, files)
        while let message = filled.receive() {
            switch message {
            case .rows(let batch):
                try writer.apply(batch)
                batch.removeAll()
                empty.send(batch)
            case .function(let name, let code):
                writer.put(function: name.buffer.bytes, code.buffer.bytes)
            case .finish(let meta, let isDurable):
                try writer.finish(meta, isDurable: isDurable)
                return
            }
        }
    }

    /// An empty batch; waits for one. Throws what stopped the thread.
    func next() throws(StorageError) -> RowBatch {
        if let batch = empty.receive() { return batch }
        try join()
        throw StorageError(file: "", message: "the writer of the snapshot ended early")
    }
    /// Hands over a batch of `next`'s; it is not to be touched any more.
    func write(_ batch: RowBatch) { filled.send(.rows(batch)) }

    func put(function name: Bytes, _ code: Bytes) {
        func copy(_ bytes: Bytes) -> Parcel { Parcel(OutputBuffer(copying: bytes)) }
        filled.send(.function(name: copy(name), code: copy(code)))
    }

    /// Writes the rest and `meta`, and closes the database, which is durable then, but for its name.
    func finish(_ meta: Meta, isDurable: Bool = true) throws(StorageError) {
        filled.send(.finish(meta, isDurable: isDurable))
        try join()
    }
    /// Gives up: when this returns the database is closed.
    func cancel() {
        filled.close()
        try? join()
    }

    private func join() throws(StorageError) {
        if hasEnded.exchange(true, ordering: .acquiringAndReleasing) { return }
        if let failure = ended.receive() ?? nil { throw failure }
    }
}
