/// Digests what it is told on a thread of its own, so that a file is read meanwhile. Used by one thread; keeps no more
/// than `batches` of calls, and waits until a long value that it did not copy has been digested.
final class DigestWorker {
    private static let batches = 4

    private let filled = Mailbox<VisitBatch>()
    private let empty = Mailbox<VisitBatch>()
    private let result = Mailbox<Result<StreamingDigest, StorageError>>()
    private(set) var batch = VisitBatch()
    /// Those that came back while another one was awaited.
    private var spare: [VisitBatch] = []

    /// `file` is for messages.
    init(file: String) {
        for _ in 1..<DigestWorker.batches { empty.send(VisitBatch()) }
        let (filled, empty, result) = (filled, empty, result)
        startThread(named: "digest") {
            var visitor = DigestingVisitor(file: file)
            var failure: StorageError?
            while let batch = filled.receive() {
                if failure == nil {
                    do throws(StorageError) { try batch.replay(to: &visitor) } catch { failure = error }
                }
                batch.removeAll()
                empty.send(batch)
            }
            result.send(failure.map { .failure($0) } ?? .success(visitor.digest))
        }
    }
    deinit { filled.close() }

    /// To be called after each call that was recorded in `batch`.
    @inline(__always) func recorded() { if batch.isFull { handOver() } }

    private func handOver() {
        let sent = batch
        let mustReturn = sent.isBorrowing
        filled.send(sent)
        while mustReturn, let back = empty.receive() {
            spare.append(back)
            if back === sent { break }
        }
        if let next = spare.popLast() ?? empty.receive() { batch = next }
    }

    /// The digest of all that was recorded. Throws what was found wrong with it. To be called once.
    func finish() throws(StorageError) -> StreamingDigest {
        filled.send(batch)
        filled.close()
        guard let result = result.receive() else { return StreamingDigest() }
        return try result.get()
    }
}

/// Digests what it is told.
private struct DigestingVisitor: KeyVisitor {
    let file: String
    private(set) var digest = StreamingDigest()
    private var type = ValueType.string
    private var pairs: [Bytes] = []

    init(file: String) { self.file = file }

    mutating func string(_ key: VisitedKey, _ value: Bytes) {
        digest.begin(.string, key.key, database: key.database, expiresMs: key.expiresMs)
        digest.ordered(value)
        digest.end()
    }
    mutating func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) {
        self.type = type
        digest.begin(type, key.key, database: key.database, expiresMs: key.expiresMs)
    }
    mutating func element(_ value: Bytes) {
        if type == .list { digest.ordered(value) } else { digest.member(value) }
    }
    mutating func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) {
        digest.pair(field, value, expiresMs: expiresMs)
    }
    mutating func scored(_ member: Bytes, _ score: Double) { digest.scored(member, score) }
    mutating func streamRow(_ row: StreamRow) throws(StorageError) {
        guard digest.streamRow(row) else {
            throw StorageError(file: file, message: "a stream's row belongs to a group or consumer that is not there")
        }
    }
    mutating func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) {
        guard StreamFields.unpack(fields, into: &pairs) else {
            throw StorageError(file: file, message: "the fields of a stream's entry cannot be read")
        }
        withUnsafeTemporaryAllocation(byteCount: StreamID.textLimit, alignment: 1) { text in
            if let text = text.baseAddress { digest.ordered(id.text(into: text, separator: UInt8(ascii: "."))) }
        }
        for element in pairs { digest.ordered(element) }
    }
    mutating func end() { digest.end() }
    mutating func function(_ name: Bytes, _ code: Bytes) { digest.function(code) }
}
