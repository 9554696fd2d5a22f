/// Gathers rows in a batch and sends each full one on. Lives on the loop's thread; what is sent changes hands.
final class RowSink {
    private(set) var batch = RowBatch(capacity: RowBatch.targetSize + 4096)
    private let send: (RowBatch) -> Void
    /// Bytes sent so far.
    private(set) var bytesSent = 0

    init(send: @escaping (RowBatch) -> Void) { self.send = send }

    @inline(__always) func sendIfFull() {
        if batch.byteCount >= RowBatch.targetSize { flush() }
    }
    func flush() {
        if batch.isEmpty { return }
        bytesSent += batch.byteCount
        send(batch)
        batch = RowBatch(capacity: RowBatch.targetSize + 4096)
    }
}
