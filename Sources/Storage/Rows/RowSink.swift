/// Gathers rows in a batch and sends each full one on. Lives on the loop's thread; what is sent changes hands.
final class RowSink {
    private(set) var batch: RowBatch
    private let send: (RowBatch) -> Void
    private let empty: () -> RowBatch?
    /// Whether rows come in the order of their ids.
    var isOrdered = false { didSet { batch.isOrdered = isOrdered } }
    /// Bytes sent so far.
    private(set) var bytesSent = 0
    private(set) var rowsSent = 0

    /// `empty` answers a batch that was sent before and is empty again, where there is one: a checkpoint then needs as many
    /// as are under way at once, and not a new one for each 256 KB.
    init(send: @escaping (RowBatch) -> Void, empty: @escaping () -> RowBatch? = { nil }) {
        self.send = send
        self.empty = empty
        batch = empty() ?? RowBatch(capacity: RowSink.capacity)
        batch.isOrdered = false
    }
    private static let capacity = RowBatch.targetSize + 4096

    @inline(__always) func sendIfFull() {
        if batch.byteCount >= RowBatch.targetSize { flush() }
    }
    /// A batch of its own, after what was gathered before.
    func send(whole other: RowBatch) {
        flush()
        bytesSent += other.byteCount
        rowsSent += other.count
        send(other)
    }
    func flush() {
        if batch.isEmpty { return }
        bytesSent += batch.byteCount
        batch.countMemory()
        rowsSent += batch.count
        send(batch)
        batch = empty() ?? RowBatch(capacity: RowSink.capacity)
        batch.isOrdered = isOrdered
    }
}
