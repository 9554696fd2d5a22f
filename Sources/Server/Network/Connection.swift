import Glibc
import Storage

// Invariant of this file: the stream is open, and the loop holds the connection, until the loop closes it at the end of
// a turn; the loop and its service outlive it. After `closing` nothing is read or written any more.

/// One socket and its session.
final class Connection<S: Service>: Transport {
    let stream: ByteStream
    let session: Session
    /// Whoever opened an outbound connection; nil for a client's.
    let link: Link?
    private(set) var state: ConnectionState
    private unowned(unsafe) let loop: EventLoop<S>
    private unowned(unsafe) let service: S

    /// Since when the output has been above the soft limit, in seconds since 1970; 0: it is not.
    private var overSoftLimitSince: Int64 = 0

    /// The output has only messages that nobody asked for, and leaves with others of that kind.
    private var hasOnlyPushes = false

    /// Output capacity that an idle connection keeps.
    private static var keptOutput: Int { 64 << 10 }
    /// As above, where memory is short.
    private static var leastOutput: Int { 256 }

    /// Bytes of output with chunks in it that leave in one turn: a system call moves them in some 50 µs.
    private static var chunksOfTurn: Int { 128 << 10 }

    /// A client's connection, from `peer`. Throws what to tell the other side instead.
    init(_ stream: ByteStream, from peer: Peer, _ loop: EventLoop<S>, _ service: S) throws(CommandError) {
        session = try service.connect(peer)
        self.stream = stream
        self.loop = loop
        self.service = service
        link = nil
        state = .open
        super.init()
        session.transport = self
    }

    /// A connection that `link` is opening.
    init(_ stream: ByteStream, to link: Link, _ loop: EventLoop<S>, _ service: S) {
        session = service.makeSession()
        self.stream = stream
        self.loop = loop
        self.service = service
        self.link = link
        state = .connecting
        super.init()
        session.flags.insert(.internal)
        session.transport = self
    }

    deinit { session.transport = nil }

    override var descriptor: Int { Int(stream.socket) }

    // MARK: Input

    /// Takes what has come, at most `size` bytes; returns how many. Fewer mean that an event tells of what follows, 0 that
    /// nothing is to be expected.
    @inline(__always) func receive(_ scratch: UnsafeMutableRawPointer, _ size: Int) -> Int {
        if !state.receives || link?.isPaused == true { return 0 }
        switch stream.receive(scratch, size) {
        case .moved(let count):
            let bytes = Bytes(scratch, count)
            if let link { link.received(bytes) } else { service.receive(session, bytes) }
            afterExecution()
            return stream.hasUnseenEnd ? size : count
        case .needsRead: break
        case .needsWrite: perform(state.blocked())
        case .ended: perform(link == nil ? state.ended() : state.close())
        }
        return 0
    }

    /// Goes on with input that was kept while the session was blocked.
    func resume() {
        if !state.receives { return }
        service.resume(session)
        afterExecution()
    }

    @inline(__always) private func afterExecution() {
        if session.output.count > 0 || session.flags.contains(.closeAfterReply) || session.output.isOverflowed {
            scheduleFlush()
            if state.isBlocked { setAside() }
            // What waits for the end of the turn counts where keys would have to go for it.
            if session.output.count > Self.keptOutput { service.outputGrew(session) }
        }
    }

    // MARK: Output

    /// What a full socket does not take waits in pieces: a buffer that doubles would take three times what waits while it grows,
    /// and keys would be evicted for it.
    @inline(never) private func setAside() {
        if session.output.isOverflowed || session.flags.contains(.replica) { return }
        session.queue.setAside(least: Self.keptOutput)
    }

    override func scheduleFlush() {
        if session.output.isOverflowed && state != .closing { return closeOverLimit() }
        if hasOnlyPushes {
            hasOnlyPushes = false
            loop.scheduleFlush(self)
        }
        perform(state.outputAdded(isLast: session.flags.contains(.closeAfterReply)))
    }

    override func schedulePushes() {
        if session.output.isOverflowed && state != .closing { return closeOverLimit() }
        service.outputGrew(session)
        let action = state.outputAdded(isLast: false)
        if action != .scheduleFlush { return perform(action) }
        hasOnlyPushes = true
        loop.schedulePushes(self)
    }

    /// Messages leave, unless they have left with a reply.
    func flushPushes() {
        hasOnlyPushes = false
        flush()
        if service.isShortOfMemory && session.queue.pending == 0 {
            _ = session.queue.reset(keepingAtMost: Self.leastOutput)
        }
    }

    /// The socket can be written.
    func canWrite() { perform(state.writable()) }

    /// At the end of a turn: what may leave leaves.
    func flush() {
        switch state {
        case .flushing, .closingAfterReply: break
        case .connecting, .open, .writingBlocked, .closingBlocked, .closing: return
        }
        if session.ackOffset > service.acknowledgedOffset { return loop.waitForLog(self) }
        if session.output.isOverflowed { return closeOverLimit() }
        service.statistics.outputMaximum.note(session.queue.pending)
        var left = Self.chunksOfTurn
        while session.queue.pending > 0 {
            // Others go first.
            if left <= 0 && session.queue.sharedCount > 0 { return loop.scheduleFlush(self) }
            switch send() {
            case .moved(let count):
                left &-= count
                session.queue.remove(count)
                service.statistics.bytesWritten &+= count
            case .needsWrite:
                perform(state.blocked())
                return keepRest()
            // Behind the handshake nothing has to come before something can be sent.
            case .needsRead, .ended: return close()
            }
        }
        overSoftLimitSince = 0
        let hadChunks = session.queue.reset(keepingAtMost: Self.keptOutput)
        perform(state.flushed())
        if hadChunks { service.chunksSent(session) }
    }

    /// One system call: for the buffer alone, but where chunks of others stand in it.
    @inline(__always) private func send() -> ByteStream.Outcome {
        if session.queue.sharedCount == 0 {
            return stream.send(session.output.base + session.queue.sent, session.queue.pending)
        }
        return session.queue.withVectors(upTo: Self.chunksOfTurn) { stream.send($0, $1) }
    }

    /// The socket is full. What has left is freed too once it is most of it: a client that never quite catches up must
    /// not have all its output kept.
    private func keepRest() {
        if session.queue.isMostlySent { session.queue.compact() }
        setAside()
        service.outputGrew(session)
        checkOutputLimit()
    }

    /// Ends the connection when more waits to be sent than `client-output-buffer-limit` has for this class of client. The
    /// soft limit is one of time too: it is looked at also while nothing is written.
    func checkOutputLimit() { if state != .closing && isOverLimit() { closeOverLimit() } }

    /// About once a second.
    func maintain() {
        if state == .closing { return }
        if link == nil { service.maintain(session) }
        checkOutputLimit()
    }

    private func isOverLimit() -> Bool {
        let limit = session.outputBufferLimit
        let waiting = session.queue.pending
        if waiting > session.queue.limit { return true }
        guard limit.soft > 0 && waiting - Session.fixedOutput > limit.soft else {
            overSoftLimitSince = 0
            return false
        }
        let now = wallClockMilliseconds() / 1000
        if overSoftLimitSince == 0 { overSoftLimitSince = now }
        return now - overSoftLimitSince > limit.softSeconds
    }

    private func closeOverLimit() {
        service.statistics.outputBufferDisconnections += 1
        service.logger.warning(
            "Client id=\(session.id) addr=\(session.address) is closed: its output is over client-output-buffer-limit.")
        close()
    }

    // MARK: State

    @inline(__always) private func perform(_ action: ConnectionState.Action) {
        if action == .none { return }
        if action == .scheduleFlush { return loop.scheduleFlush(self) }
        performRarely(action)
    }
    @inline(never) private func performRarely(_ action: ConnectionState.Action) {
        switch action {
        case .none, .scheduleFlush: break
        case .checkLimit: checkOutputLimit()
        case .watchWritable: loop.watchWritable(self, true)
        case .unwatchWritable:
            loop.watchWritable(self, false)
            loop.scheduleFlush(self)
            // It may be what receiving waited for.
            if stream.isEncrypted { loop.scheduleReceive(self) }
        case .finishConnecting: finishConnecting()
        case .close:
            // At once, as it is to take no element of a list any more.
            service.stopWaiting(session)
            loop.scheduleClose(self)
            link?.closed()
        }
    }

    private func finishConnecting() {
        if SocketOptions.error(stream.socket) != 0 { return close() }
        perform(state.connected())
        link?.connected()
    }

    override func close() { perform(state.close()) }

    override func scheduleResume() { loop.scheduleResume(self) }
    override func scheduleReceive() { loop.scheduleReceive(self) }
}
