import Storage

@testable import Server

/// A reader of a propagation stream, which collects what was said.
final class StreamCollector: StreamReader {
    private let stream: PropagationStream
    private let bytes = OutputBuffer()

    init(_ stream: PropagationStream) {
        self.stream = stream
        stream.add(self)
    }

    func receive(_ said: Bytes, upTo offset: Int) { bytes.append(said) }

    /// What was said since `take`.
    var text: String {
        stream.deliver()
        return bytes.bytes.string
    }
    /// Calls `body` with each byte that was said.
    func forEachByte(_ body: (UInt8) -> Void) {
        stream.deliver()
        for byte in bytes.bytes.array { body(byte) }
    }
    /// `text`, once.
    func take() -> String {
        defer { bytes.removeAll() }
        return text
    }
}
