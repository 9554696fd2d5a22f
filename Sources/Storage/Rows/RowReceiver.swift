/// Takes rows from a thread that makes them, and writes them on another one.
protocol RowReceiver: Sendable {
    /// An empty batch; waits for one. Throws what stopped the writing.
    func next() throws(StorageError) -> RowBatch
    /// Takes over a batch of `next`'s.
    func write(_ batch: RowBatch)
    /// Takes a library of functions.
    func put(function name: Bytes, _ code: Bytes)
}
