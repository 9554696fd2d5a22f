import Glibc
import Storage

// Invariant of this file: `socket` is open until the loop closes the connection at the end of a turn; after `isClosing`
// nothing is read or written any more.

/// One socket and its client.
final class Connection: Transport {
    let socket: Int32
    private unowned(unsafe) let loop: EventLoop
    private unowned(unsafe) let server: Server
    var client: Client?
    private var isFlushScheduled = false
    private var isClosing = false
    private var wantsWritable = false
    /// Bytes of the client's output that have left.
    private var sent = 0

    /// Output capacity that an idle connection keeps.
    private static let keptOutput = 64 << 10

    init(_ socket: Int32, _ loop: EventLoop, _ server: Server) {
        self.socket = socket
        self.loop = loop
        self.server = server
        super.init()
    }

    override var descriptor: Int { Int(socket) }

    // MARK: Input

    func read(_ scratch: UnsafeMutableRawPointer, _ size: Int) {
        guard let client, !isClosing else { return }
        let count = Glibc.read(socket, scratch, size)
        if count <= 0 {
            if count < 0 && (errno == EAGAIN || errno == EINTR) { return }
            return close()
        }
        server.receive(client, Bytes(scratch, count))
        afterExecution(client)
    }

    /// Goes on with input that was kept while the client was blocked.
    func resume() {
        guard let client, !isClosing else { return }
        server.resume(client)
        afterExecution(client)
    }

    @inline(__always) private func afterExecution(_ client: Client) {
        if client.output.count > 0 || client.flags.contains(.closeAfterReply) { scheduleFlush() }
    }

    // MARK: Output

    override func scheduleFlush() {
        if isFlushScheduled || isClosing { return }
        isFlushScheduled = true
        if !wantsWritable { loop.scheduleFlush(self) }
    }

    func canWrite() {
        guard wantsWritable else { return }
        wantsWritable = false
        loop.watchWritable(socket, false)
        if !isFlushScheduled {
            isFlushScheduled = true
            loop.scheduleFlush(self)
        } else {
            loop.scheduleFlush(self)
        }
    }

    /// At the end of a turn: what may leave leaves.
    func flush() {
        guard let client, !isClosing else { return }
        if client.ackPosition > server.acknowledgedPosition { return loop.waitForLog(self) }
        isFlushScheduled = false
        let output = client.output
        while sent < output.count {
            let count = Glibc.write(socket, output.base + sent, output.count - sent)
            if count < 0 {
                if errno == EINTR { continue }
                if errno != EAGAIN { return close() }
                isFlushScheduled = true
                wantsWritable = true
                return loop.watchWritable(socket, true)
            }
            sent += count
        }
        server.statistics.bytesWritten &+= sent
        sent = 0
        output.removeAll(keepingAtMost: Connection.keptOutput)
        if client.flags.contains(.closeAfterReply) { close() }
    }

    override func close() {
        if isClosing { return }
        isClosing = true
        loop.scheduleClose(self)
    }

    override func scheduleResume() { loop.scheduleResume(self) }
}
