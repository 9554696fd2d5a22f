import Storage

/// A message that tells clients what they have to forget, encoded once in each form that one of them takes: a push of RESP3, or
/// a message of the channel `__redis__:invalidate` for a client of RESP2 that others redirect theirs to.
final class Invalidation {
    /// The array of keys, or null.
    private let body: Bytes
    private let scratch: OutputBuffer
    private var push: Range<Int>?
    private var message: Range<Int>?
    private var pushChunk: SharedChunk?
    private var messageChunk: SharedChunk?

    /// `scratch` is emptied, and has the short forms as long as this lives, as `body` must.
    init(_ body: Bytes, _ scratch: OutputBuffer) {
        self.body = body
        self.scratch = scratch
        scratch.removeAll(keepingAtMost: Self.keptScratch)
    }
    private static let keptScratch = 4096
    /// Bytes before the body, at most.
    private static let maximumHead = 64
    private var isShort: Bool { body.count + Self.maximumHead <= SharedChunk.copiedLength }

    private static func encodePush(_ body: Bytes, to output: OutputBuffer) {
        RESPEncoder.pushHeader(2, resp3: true, to: output)
        RESPEncoder.argument(Bytes("invalidate"), to: output)
        output.append(body)
    }
    private static func encodeMessage(_ body: Bytes, to output: OutputBuffer) {
        RESPEncoder.pushHeader(3, resp3: false, to: output)
        RESPEncoder.argument(Bytes("message"), to: output)
        RESPEncoder.argument(Bytes("__redis__:invalidate"), to: output)
        output.append(body)
    }

    /// Sends it to a client that speaks RESP3.
    func sendPush(to session: Session, after offset: Int) {
        send(to: session, after: offset, &push, &pushChunk, Self.encodePush)
    }
    /// Sends it to a client that is subscribed to channels.
    func sendMessage(to session: Session, after offset: Int) {
        send(to: session, after: offset, &message, &messageChunk, Self.encodeMessage)
    }
    private func send(
        to session: Session, after offset: Int, _ short: inout Range<Int>?, _ long: inout SharedChunk?,
        _ encode: (Bytes, OutputBuffer) -> Void
    ) {
        if isShort {
            let range: Range<Int>
            if let short {
                range = short
            } else {
                let start = scratch.count
                encode(body, scratch)
                range = start..<scratch.count
                short = range
            }
            session.push(scratch.bytes[range], after: offset)
        } else {
            let chunk = long ?? SharedChunk { encode(body, $0) }
            long = chunk
            session.push(chunk, after: offset)
        }
    }

    // MARK: Bodies

    /// An array of one key.
    static func writeBody(_ key: Bytes, to output: OutputBuffer) {
        beginBody(1, to: output)
        RESPEncoder.argument(key, to: output)
    }
    /// The head of an array of keys.
    static func beginBody(_ keys: Int, to output: OutputBuffer) {
        output.append(byte: UInt8(ascii: "*"))
        output.append(decimal: Int64(keys))
        output.appendLineEnd()
    }
    /// That all keys are to be forgotten; in the protocol of the client that tracks, whoever gets it.
    static func everything(resp3: Bool) -> Bytes { resp3 ? Bytes("_\r\n") : Bytes("$-1\r\n") }
}
