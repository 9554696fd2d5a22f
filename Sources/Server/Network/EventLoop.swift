import CShims
import Glibc
import Storage

// Invariant of this file: descriptors belong to the loop and are open until it ends. `connections` is indexed by
// descriptor and holds each connection until it is closed at the end of a turn, so that until then events may name it by
// its address and `flushes` and `pushes` hold it unmanaged; none does beyond. A turn that nests in the execution of a command
// receives into bytes of its own, has events of its own, and closes no connection.

/// The loop that everything runs on: readiness by epoll, one turn after the other. A turn receives and executes what came
/// in on every ready connection; then the service ends it (the log is written), and the replies leave.
///
/// The loop is our own, not SwiftNIO's: with GET and SET from 50 clients, prototypes took 0.89 of redis-server's CPU a
/// request on a bare epoll loop and 1.05 on NIO, whose read event costs 3 to 4 µs. The goal is at most 1.0.
final class EventLoop<S: Service> {
    let service: S
    private let links: Links
    private let readiness: Readiness
    let acceptor: Acceptor
    let certificates: Certificates
    let handshakes: Handshakes
    private let signals: Int32
    private var connections: [Connection<S>?] = []
    private var busyPoll = BusyPoll()
    /// Whether looking for events is worth it while messages wait to be sent.
    private var pushPoll = BusyPoll()

    /// Connections with output that may leave at the end of this turn; those whose output waits for the log.
    private var flushes: [Unmanaged<Connection<S>>] = []
    private var waiting: [Connection<S>] = []
    /// Connections that have got only messages that they did not ask for: they leave once there is nothing else to do.
    private var pushes: [Unmanaged<Connection<S>>] = []
    /// Since when there are any, in monotonic nanoseconds; 0: there are none.
    private var pushesSince: UInt64 = 0
    /// What had been acknowledged at the end of the last turn: `waiting` is walked when that changes.
    private var lastAcknowledged = Int.min
    private var closing: [Connection<S>] = []
    private var resumes: [Connection<S>] = []
    /// Connections that may have more input than was received in this turn: edges tell only of new input.
    private var unread: [Connection<S>] = []
    /// Connections whose sockets are full, by descriptor.
    private var blocked: [Int32: Connection<S>] = [:]
    private var spare: [Connection<S>] = []
    private var spareFlushes: [Unmanaged<Connection<S>>] = []
    private var nextCron: UInt64 = 0
    /// Index of the connection that was maintained last.
    private var lastMaintained = 0

    /// What is received goes there; a request that lies in it whole is executed in place.
    private var scratch = UnsafeMutableRawPointer.allocate(byteCount: EventLoop.receiveSize, alignment: 16)
    /// As `scratch`, for turns that nest.
    private lazy var nestedScratch = UnsafeMutableRawPointer.allocate(byteCount: EventLoop.receiveSize, alignment: 16)
    private static var receiveSize: Int { 64 << 10 }
    /// Connections accepted in one turn, so that a flood of them does not starve the others.
    private static var acceptsPerTurn: Int { 100 }

    /// The words of events: those of connections are their addresses, which are larger.
    private static var wakeWord: UInt64 { 0 }
    private static var signalWord: UInt64 { 1 }
    private static var firstListenerWord: UInt64 { 2 }
    private static var lastListenerWord: UInt64 { 1023 }
    private static func word(_ connection: Connection<S>) -> UInt64 {
        UInt64(UInt(bitPattern: Unmanaged.passUnretained(connection).toOpaque()))
    }

    /// A connection's input, and its end.
    private static var input: UInt32 { EPOLLIN.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue }
    private static var output: UInt32 { EPOLLOUT.rawValue }
    private static var ends: UInt32 { EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue }

    /// Throws when the system refuses descriptors. SIGTERM and SIGINT come to the loop from here on: make it before other
    /// threads start.
    init(_ service: S, _ links: Links, _ config: Config) throws(StorageError) {
        self.service = service
        self.links = links
        signal(SIGPIPE, SIG_IGN)
        signal(SIGHUP, SIG_IGN)
        // A file at the limit of `ulimit -f` is an error of write(2), as a full disk is.
        signal(SIGXFSZ, SIG_IGN)
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGTERM)
        sigaddset(&set, SIGINT)
        pthread_sigmask(SIG_BLOCK, &set, nil)
        readiness = try Readiness()
        acceptor = Acceptor(config, service.logger, readiness, firstWord: Self.firstListenerWord)
        certificates = Certificates(service.logger)
        handshakes = Handshakes(service.logger, loop: service.waker)
        signals = signalfd(-1, &set, Int32(SFD_NONBLOCK | SFD_CLOEXEC))
        if signals < 0 || service.waker.descriptor < 0 { throw .system("epoll", "cannot make the event loop") }
        readiness.watch(service.waker.descriptor, EPOLLIN.rawValue | EPOLLET.rawValue, Self.wakeWord)
        readiness.watch(signals, EPOLLIN.rawValue, Self.signalWord)
        links.adopt = { [unowned self] in adopt($0, $1) }
        links.encrypt = { [unowned self] in encrypt($0, $1) }
    }
    deinit {
        Glibc.close(signals)
        for connection in connections { connection?.stream.close() }
        scratch.deallocate()
    }

    // MARK: Listening

    /// Listens as the settings say, for as many clients as the limit of descriptors allows. Throws when nothing could be
    /// bound, an address is refused for another reason than that this machine has none of its kind, or the limit leaves
    /// nothing for clients.
    func listen() throws(StorageError) {
        try configureTLS()
        try acceptor.listen()
    }
    /// Ends listening, and removes the file of a Unix socket.
    func closeListeners() { acceptor.close() }

    // MARK: The loop

    /// Runs until the process ends.
    func run() -> Never {
        // Where a checkpoint shares the core, the loop takes it back at once.
        cshims_run_in_short_slices()
        var hadEvents = false
        while true {
            let now = monotonicNanoseconds()
            service.statistics.endTurn(now)
            runTimers(now)
            var began = now
            var events = UnsafeBufferPointer<epoll_event>(start: nil, count: 0)
            if !pushes.isEmpty { events = eventsBeforePushes(now) }
            let wait = events.isEmpty ? milliseconds(from: now) : 0
            if wait > 0 && hadEvents && busyPoll.isWorthIt() { events = poll(from: now, &busyPoll) }
            if events.isEmpty {
                events = readiness.wait(wait)
                began = monotonicNanoseconds()
            }
            hadEvents = !events.isEmpty
            service.statistics.beginTurn(began)
            handle(events)
            endTurn()
        }
    }

    /// A turn within other work on this thread, which is loading: who is connected hears at once that it has to wait, and
    /// signals are seen. Waits for `milliseconds` at most for something to happen.
    func turn(waiting milliseconds: Int32) {
        let now = monotonicNanoseconds()
        runTimers(now)
        handle(readiness.wait(min(milliseconds, self.milliseconds(from: now))))
        endTurn()
        flushPushes()
    }

    /// A turn within the execution of a command: a script that has run for long. Clients and replicas are served, but for the
    /// one whose command it is; nothing else goes on. What happens to others than clients is seen in the turn after this.
    func turn(besides client: Transport?) {
        swap(&scratch, &nestedScratch)
        readiness.exchangeEvents()
        let resuming = resumes
        resumes = []
        for connection in resuming {
            if connection === client { resumes.append(connection) } else { connection.resume() }
        }
        receiveUnread(besides: client, isNested: true)
        for event in readiness.wait(0) { handleNested(event, client) }
        var kept: [Unmanaged<Connection<S>>] = []
        swap(&flushes, &spareFlushes)
        for connection in spareFlushes {
            connection._withUnsafeGuaranteedRef { if $0 === client { kept.append(connection) } else { $0.flush() } }
        }
        spareFlushes.removeAll(keepingCapacity: true)
        flushes += kept
        // Those who are gone are so for the script too; their connections are closed at the end of the turn.
        for connection in closing { service.disconnect(connection.session) }
        readiness.exchangeEvents()
        swap(&scratch, &nestedScratch)
    }

    /// What has come and was not looked at yet, as the turn in which it did is not over, is reported anew.
    func beginNesting() {
        for case let connection? in connections where connection.state != .closing { rewatch(connection) }
    }
    private func rewatch(_ connection: Connection<S>) {
        let socket = connection.stream.socket
        let isWriting = connection.link != nil || blocked[socket] != nil
        readiness.rewatch(socket, isWriting ? Self.input | Self.output : Self.input, Self.word(connection))
    }

    private func handleNested(_ event: epoll_event, _ client: Transport?) {
        let word = event.data.u64
        if word >= Self.firstListenerWord && word <= Self.lastListenerWord { return handleOwn(word) }
        // Edges that nobody would tell of again: they are reported until somebody acts on them.
        if word == Self.wakeWord {
            return readiness.rewatch(service.waker.descriptor, EPOLLIN.rawValue | EPOLLET.rawValue, Self.wakeWord)
        }
        guard word > Self.lastListenerWord, let address = UnsafeRawPointer(bitPattern: UInt(word)) else { return }
        Unmanaged<Connection<S>>.fromOpaque(address)._withUnsafeGuaranteedRef {
            if $0 === client || $0.link != nil { return rewatch($0) }
            if event.events & Self.output != 0 { $0.canWrite() }
            let count = $0.receive(scratch, Self.receiveSize)
            if count == Self.receiveSize || event.events & Self.ends != 0 { unread.append($0) }
        }
    }

    // MARK: Pushes

    /// Events that came meanwhile, which are dealt with before messages are sent: who publishes has an answer before others
    /// have the messages, and what several publish to one client is sent in one piece, a system call being most of what
    /// sending costs. Without events, or after `longestPushDelay`, messages are sent. Before a thread that has nothing else to do
    /// sends them it looks for events a little longer, as it would do behind that; not where clients wait for the messages
    /// before they say more.
    @inline(never) private func eventsBeforePushes(_ now: UInt64) -> UnsafeBufferPointer<epoll_event> {
        if pushesSince == 0 { pushesSince = now }
        if now &- pushesSince < Self.longestPushDelay && !service.isShortOfMemory {
            let events = readiness.wait(0)
            if !(events.isEmpty && unread.isEmpty && resumes.isEmpty) { return events }
            if pushPoll.isWorthIt() {
                let events = poll(from: now, &pushPoll)
                if !events.isEmpty { return events }
            }
        }
        flushPushes()
        return UnsafeBufferPointer(start: nil, count: 0)
    }
    private static var longestPushDelay: UInt64 { 500_000 }

    private func flushPushes() {
        pushesSince = 0
        if pushes.isEmpty { return }
        swap(&pushes, &spareFlushes)
        for connection in spareFlushes { connection._withUnsafeGuaranteedRef { $0.flushPushes() } }
        spareFlushes.removeAll(keepingCapacity: true)
        if !closing.isEmpty { closeConnections() }
    }

    /// How long the loop may wait for events.
    @inline(__always) private func milliseconds(from now: UInt64) -> Int32 {
        if !(resumes.isEmpty && unread.isEmpty && flushes.isEmpty) { return 0 }
        let next = min(nextCron, service.nextDeadline, links.nextDeadline)
        return Int32(clamping: (next - min(now, next)) / 1_000_000 + 1)
    }

    /// Looks for events without sleeping.
    @inline(__always) private func poll(from now: UInt64, _ poll: inout BusyPoll) -> UnsafeBufferPointer<epoll_event> {
        var events: UnsafeBufferPointer<epoll_event>
        let end = now &+ BusyPoll.nanoseconds
        repeat { events = readiness.wait(0) } while events.isEmpty && monotonicNanoseconds() < end
        poll.ended(foundEvents: !events.isEmpty)
        return events
    }

    /// What is due at `now`.
    @inline(__always) private func runTimers(_ now: UInt64) {
        if now >= min(nextCron, service.nextDeadline, links.nextDeadline) { runDueTimers(now) }
    }
    @inline(never) private func runDueTimers(_ now: UInt64) {
        if now >= service.nextDeadline { service.deadlinePassed() }
        if now >= links.nextDeadline { links.expire(now) }
        if now >= nextCron {
            nextCron = now + 1_000_000_000 / UInt64(max(1, service.settings.hz))
            service.cron()
            acceptor.resume()
            maintainConnections()
        }
        endTurn()
    }

    /// Visits a share of the connections, so that each has its turn about once a second, and none of a server's turns is
    /// long, however many there are.
    private func maintainConnections() {
        let share = max(Self.leastMaintained, connections.count / max(1, service.settings.hz))
        for _ in 0..<min(share, connections.count) {
            lastMaintained = lastMaintained + 1 < connections.count ? lastMaintained + 1 : 0
            connections[lastMaintained]?.maintain()
        }
    }
    private static var leastMaintained: Int { 64 }

    @inline(__always) private func handle(_ events: UnsafeBufferPointer<epoll_event>) {
        if !unread.isEmpty { receiveUnread() }
        for event in events {
            let word = event.data.u64
            if word <= Self.lastListenerWord {
                handleOwn(word)
                continue
            }
            guard let address = UnsafeRawPointer(bitPattern: UInt(word)) else { continue }
            Unmanaged<Connection<S>>.fromOpaque(address)._withUnsafeGuaranteedRef {
                if event.events & Self.output != 0 { $0.canWrite() }
                let count = $0.receive(scratch, Self.receiveSize)
                if count == Self.receiveSize || event.events & Self.ends != 0 { unread.append($0) }
            }
        }
    }

    /// `client`: whose command is executed, with all that is no client's, waits for a turn that does not nest.
    @inline(never) private func receiveUnread(besides client: Transport? = nil, isNested: Bool = false) {
        let connections = unread
        unread = []
        // Also after a part that was not full: the edge that told of an end has been there already.
        for connection in connections {
            let waits = isNested && (connection === client || connection.link != nil)
            if waits || connection.receive(scratch, Self.receiveSize) > 0 { unread.append(connection) }
        }
    }

    /// Descriptors that are no connections.
    @inline(never) private func handleOwn(_ word: UInt64) {
        switch word {
        case Self.wakeWord:
            service.waker.acknowledge()
            takeHandshaken()
            service.woken()
        case Self.signalWord:
            var information = signalfd_siginfo()
            guard read(signals, &information, MemoryLayout<signalfd_siginfo>.size) > 0 else { return }
            service.signalled(Int32(information.ssi_signo))
        default:
            for _ in 0..<Self.acceptsPerTurn {
                guard let (socket, peer, isEncrypted) = acceptor.accept(word) else { return }
                if isEncrypted { beginHandshake(socket, peer) } else { _ = open(ByteStream(socket: socket), peer) }
            }
        }
    }

    /// The service ends the turn; then replies leave that may, and those of commands that are not safe yet wait.
    private func endTurn() {
        if !resumes.isEmpty {
            // Connections that these let go on are for the next turn.
            swap(&resumes, &spare)
            for connection in spare { connection.resume() }
            spare.removeAll(keepingCapacity: true)
        }
        service.endTurn(repliesTo: flushes.count)
        // Also while nobody waits: it may go back, where another history begins.
        if service.acknowledgedOffset != lastAcknowledged {
            lastAcknowledged = service.acknowledgedOffset
            swap(&waiting, &spare)
            for connection in spare { connection.flush() }
            spare.removeAll(keepingCapacity: true)
        }
        if !flushes.isEmpty {
            swap(&flushes, &spareFlushes)
            for connection in spareFlushes { connection._withUnsafeGuaranteedRef { $0.flush() } }
            spareFlushes.removeAll(keepingCapacity: true)
        }
        if !closing.isEmpty { closeConnections() }
    }

    // MARK: Connections

    /// A client's connection, where the service lets it in.
    func open(_ stream: ByteStream, _ peer: Peer) -> Connection<S>? {
        do throws(CommandError) {
            let connection = try Connection(stream, from: peer, self, service)
            add(connection, Self.input)
            return connection
        } catch {
            // Says why, as far as the socket takes it.
            let reply = ReplyWriter()
            reply.error(error)
            _ = stream.send(reply.output.base, reply.output.count)
            stream.close()
            return nil
        }
    }

    func adopt(_ stream: ByteStream, _ link: Link) {
        let connection = Connection(stream, to: link, self, service)
        link.opening(connection.session)
        add(connection, Self.input | Self.output)
    }

    private func add(_ connection: Connection<S>, _ events: UInt32) {
        let index = Int(connection.stream.socket)
        while connections.count <= index { connections.append(nil) }
        connections[index] = connection
        readiness.watch(connection.stream.socket, events, Self.word(connection))
    }

    @inline(__always) func scheduleFlush(_ connection: Connection<S>) {
        flushes.append(Unmanaged.passUnretained(connection))
    }
    func schedulePushes(_ connection: Connection<S>) { pushes.append(Unmanaged.passUnretained(connection)) }
    func waitForLog(_ connection: Connection<S>) { waiting.append(connection) }
    func scheduleClose(_ connection: Connection<S>) { closing.append(connection) }
    func scheduleResume(_ connection: Connection<S>) { resumes.append(connection) }
    func scheduleReceive(_ connection: Connection<S>) { unread.append(connection) }
    func watchWritable(_ connection: Connection<S>, _ isWanted: Bool) {
        blocked[connection.stream.socket] = isWanted ? connection : nil
        readiness.rewatch(
            connection.stream.socket, isWanted ? Self.input | Self.output : Self.input, Self.word(connection))
    }

    private func closeConnections() {
        flushes.removeAll { $0._withUnsafeGuaranteedRef { $0.state == .closing } }
        pushes.removeAll { $0._withUnsafeGuaranteedRef { $0.state == .closing } }
        for connection in closing {
            let index = Int(connection.stream.socket)
            guard index < connections.count, connections[index] === connection else { continue }
            connections[index] = nil
            blocked[connection.stream.socket] = nil
            connection.session.queue.removeChunks()
            service.disconnect(connection.session)
            connection.stream.close()
        }
        closing.removeAll(keepingCapacity: true)
        acceptor.resume()
    }
}

extension EventLoop: ServerPart, LoopControl {
    func acknowledgedAnew() { lastAcknowledged = .min }

    /// Listens on `bind`, `port` and `tls-port` as they are now, has the certificates, and has descriptors for `maxclients`, or
    /// throws and stays as it was.
    func settingsChanged(_ effect: SettingEffect, _ settings: Settings, old: Settings) throws(SettingError) {
        switch effect {
        case .listeners:
            if settings.tls.isUsed && !old.tls.isUsed { try readCertificates(settings.tls) }
            try acceptor.listenAgain(hasOtherAddresses: settings.bind != old.bind)
        case .tls: try readCertificates(settings.tls)
        case .clients: if settings.maxClients > old.maxClients { try acceptor.clientLimitChanged() }
        case .log, .password, .persistence, .directory, .limits, .slowlog, .notifications, .replication, .oomScore,
            .process:
            break
        }
    }
}
