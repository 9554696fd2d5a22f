import Glibc
import Storage

// Invariant of this file: `socket` is open until the loop closes the connection at the end of a turn; after `isClosing`
// nothing is read or written any more.

/// One socket and its client.
final class Connection: Transport {
    let socket: Int32
    private unowned(unsafe) let loop: EventLoop
    private unowned(unsafe) let server: Router
    var client: Session?
    private var isFlushScheduled = false
    private var isClosing = false
    private var wantsWritable = false
    /// Is among the loop's stalled connections.
    private var isCountedStalled = false
    private var sentBytes = 0
    override var sent: Int { sentBytes }

    /// Since when the output has been above the soft limit, in seconds since 1970; 0: it is not.
    private var overSoftLimitSince: Int64 = 0

    /// Output capacity that an idle connection keeps.
    private static let keptOutput = 64 << 10

    init(_ socket: Int32, _ loop: EventLoop, _ server: Router) {
        self.socket = socket
        self.loop = loop
        self.server = server
        super.init()
    }

    override var descriptor: Int { Int(socket) }

    // MARK: Input

    func read(_ scratch: UnsafeMutableRawPointer, _ size: Int) {
        guard let client, !isClosing else { return }
        // Not read and write, which first find out what kind of file this is: 2 % of a GET's time.
        let count = recv(socket, scratch, size, 0)
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

    @inline(__always) private func afterExecution(_ client: Session) {
        if client.output.count > 0 || client.flags.contains(.closeAfterReply) || client.output.isOverflowed {
            scheduleFlush()
        }
    }

    // MARK: Output

    override func scheduleFlush() {
        if isClosing { return }
        guard let client else { return }
        // While the socket is full, no flush looks at how much has piled up.
        if client.output.isOverflowed || (wantsWritable && isOverLimit(client)) { return closeOverLimit(client) }
        if isFlushScheduled { return }
        isFlushScheduled = true
        if !wantsWritable { loop.scheduleFlush(self) }
    }

    func canWrite() {
        guard wantsWritable else { return }
        wantsWritable = false
        loop.watchWritable(socket, false)
        isFlushScheduled = true
        loop.scheduleFlush(self)
    }

    /// At the end of a turn: what may leave leaves.
    func flush() {
        guard let client, !isClosing else { return }
        if client.ackOffset > server.acknowledgedOffset { return loop.waitForLog(self) }
        isFlushScheduled = false
        let output = client.output
        if output.isOverflowed { return closeOverLimit(client) }
        server.statistics.outputMaximum.note(output.count - sentBytes)
        while sentBytes < output.count {
            let count = send(socket, output.base + sentBytes, output.count - sentBytes, Int32(MSG_NOSIGNAL))
            if count < 0 {
                if errno == EINTR { continue }
                if errno != EAGAIN { return close() }
                isFlushScheduled = true
                wantsWritable = true
                loop.watchWritable(socket, true)
                if !isCountedStalled { loop.addStalled(self) }
                isCountedStalled = true
                return keepRest(client)
            }
            sentBytes += count
            server.statistics.bytesWritten &+= count
        }
        sentBytes = 0
        overSoftLimitSince = 0
        output.removeAll(keepingAtMost: Connection.keptOutput)
        output.limit = client.outputLimit
        if client.flags.contains(.closeAfterReply) { close() }
    }

    /// The socket is full. What has left goes out of the buffer too once it is most of it: a client that never quite
    /// catches up must not have all its output kept.
    private func keepRest(_ client: Session) {
        if sentBytes > 1 << 20 && sentBytes > client.output.count / 2 {
            client.output.removeFirst(sentBytes)
            sentBytes = 0
        }
        client.updateOutputLimit()
        if isOverLimit(client) { closeOverLimit(client) }
    }

    /// Whether more waits to be sent than `client-output-buffer-limit` has for this class of client.
    private func isOverLimit(_ client: Session) -> Bool {
        let limit = client.outputBufferLimit
        let waiting = client.output.count - sentBytes
        if waiting > client.outputLimit { return true }
        guard limit.soft > 0 && waiting - Session.fixedOutput > limit.soft else {
            overSoftLimitSince = 0
            return false
        }
        let now = server.keyspace.now / 1000
        if overSoftLimitSince == 0 { overSoftLimitSince = now }
        return now - overSoftLimitSince > limit.softSeconds
    }

    /// The socket is full. Called by the timer, which forgets those that are not.
    func isStillStalled() -> Bool {
        isCountedStalled = wantsWritable && !isClosing
        return isCountedStalled
    }
    /// The soft limit is one of time too: it is looked at also while nothing is written.
    func checkOutputLimit() { if let client, isOverLimit(client) { closeOverLimit(client) } }

    private func closeOverLimit(_ client: Session) {
        server.statistics.outputBufferDisconnections += 1
        server.logger.warning(
            "Client id=\(client.id) addr=\(client.address) is closed: its output is over client-output-buffer-limit.")
        close()
    }

    override func close() {
        if isClosing { return }
        isClosing = true
        // At once, as it is to take no element of a list any more.
        if let client { server.stopWaiting(client) }
        loop.scheduleClose(self)
    }

    override func scheduleResume() { loop.scheduleResume(self) }
}
