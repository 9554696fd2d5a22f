import Storage

/// The bytes of an answer in pieces, so that the loop moves and frees each of them in a short time. Made on a query's thread.
final class AnswerOutput {
    /// Bytes of a piece, about.
    static let pieceLength = 64 << 10

    /// For what is not long. `flush` comes behind each row.
    let reply: ReplyWriter
    private(set) var pieces: [SharedChunk] = []
    private var sealed = 0
    private let limit: Int

    /// `limit`: bytes of all pieces.
    init(limit: Int, resp3: Bool) {
        self.limit = limit
        reply = ReplyWriter(OutputBuffer(capacity: Self.pieceLength + 4096))
        reply.resp3 = resp3
    }

    /// Bytes so far.
    var count: Int { sealed + reply.output.count }

    /// Throws where the answer has become too long. Ends a piece that has its length.
    @inline(__always) func flush() throws(QueryFailure) {
        if count > limit { throw .byteLimit }
        if reply.output.count >= Self.pieceLength { seal() }
    }

    /// A bulk string of any length.
    func bulk(_ bytes: Bytes) throws(QueryFailure) {
        if bytes.count < Self.pieceLength {
            reply.bulk(bytes)
            return try flush()
        }
        appendLength(bytes.count)
        try append(bytes)
        reply.output.appendLineEnd()
    }

    /// Bytes as they are, any number of them.
    func append(_ bytes: Bytes) throws(QueryFailure) {
        if count > limit - bytes.count { throw .byteLimit }
        var at = 0
        while at < bytes.count {
            let end = min(bytes.count, at + Self.pieceLength)
            reply.output.append(bytes[at..<end])
            at = end
            try flush()
        }
    }

    /// The pieces, behind a head that is known at the end only.
    func finish(head: (AnswerOutput) -> Void) -> [SharedChunk] {
        seal()
        let body = pieces
        pieces = []
        head(self)
        seal()
        return pieces + body
    }

    /// The line before a bulk string of so many bytes.
    func appendLength(_ length: Int) {
        reply.output.append(byte: UInt8(ascii: "$"))
        reply.output.append(decimal: Int64(length))
        reply.output.appendLineEnd()
    }

    private func seal() {
        if reply.output.count == 0 { return }
        sealed += reply.output.count
        pieces.append(SharedChunk(OutputBuffer(copying: reply.output.bytes)))
        reply.output.removeAll(keepingAtMost: Self.pieceLength + 4096)
    }
}
