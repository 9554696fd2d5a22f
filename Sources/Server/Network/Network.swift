import Glibc
import NIOCore
import NIOPosix
import Storage

/// The event loop around a server: listeners, connections, the end of a turn, the timer. The only part that knows NIO.
///
/// A turn is what the loop does between two looks at the sockets. Commands run as their bytes come; when all are done,
/// the log is written once, and every reply that is safe leaves.
///
/// Sendable because NIO's closures hold it: made on one thread, which then hands it to the loop's and does not touch it
/// again.
final class Network: @unchecked Sendable {
    let server: Server
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let loop: any EventLoop
    private let finished: EventLoopPromise<Void>

    private var listeners: [any Channel] = []
    private var connections: [ObjectIdentifier: Connection] = [:]
    /// Where a reply is on its way to the socket: written at once nearly always, so one does for all connections.
    var scratch = ByteBufferAllocator().buffer(capacity: 64 << 10)

    // Lists keep their room from turn to turn, so that a turn allocates nothing.
    private var readyConnections: [Connection] = []
    private var flushing: [Connection] = []
    private var waiting: [Connection] = []
    private var resuming: [Connection] = []
    private var isTurnScheduled = false
    /// The loop has the server; until then whoever loads the data has it.
    private var isServing = false
    private var isStopping = false
    private lazy var turn: @Sendable () -> Void = { [unowned self] in endTurn() }

    /// `server` is the loop's from `run` on.
    init(_ server: Server) {
        self.server = server
        loop = group.next()
        finished = loop.makePromise()
        let loop = loop
        server.flushAcknowledged = { [unowned self] in loop.execute { [unowned self] in acknowledge() } }
        server.stop = { [unowned self] in stop() }
    }

    // MARK: - Start and end

    /// Listens where the settings say, and serves until `server.stop` is called. Throws when it cannot listen.
    func run() throws(ListenSocket.Failure) {
        Signals.install()
        raiseDescriptorLimit()
        let settings = server.config.settings
        let tcp = settings.port == 0 ? [] : try tcpSockets(settings)
        let unix = settings.unixSocket.isEmpty ? nil : try unixSocket(settings)
        do {
            try loop.submit { [self] in
                isServing = true
                for socket in tcp { listen(socket, isTCP: true) }
                if let unix { listen(unix, isTCP: false) }
                scheduleCron()
            }.wait()
            try finished.futureResult.wait()
            try group.syncShutdownGracefully()
        } catch {
            throw ListenSocket.Failure(description: "\(error)")
        }
        if unix != nil { unlink(settings.unixSocket) }
    }

    /// Listens on `bind` and `port` as they are now, in the place of the TCP listeners there are.
    func listenersChanged(_ old: Settings) throws(SettingError) {
        let settings = server.config.settings
        let sockets: [CInt]
        do throws(ListenSocket.Failure) {
            sockets = settings.port == 0 ? [] : try tcpSockets(settings)
        } catch {
            server.log.warning("\(error)")
            throw SettingError("Unable to listen on this port. Check server logs.")
        }
        let previous = listeners.filter { $0.localAddress?.port != nil }
        listeners.removeAll { $0.localAddress?.port != nil }
        for listener in previous { listener.close(promise: nil) }
        for socket in sockets { listen(socket, isTCP: true) }
    }

    private func tcpSockets(_ settings: Settings) throws(ListenSocket.Failure) -> [CInt] {
        try ListenSocket.tcp(settings.bind, port: settings.port, backlog: settings.tcpBacklog)
    }
    private func unixSocket(_ settings: Settings) throws(ListenSocket.Failure) -> CInt {
        try ListenSocket.unix(
            settings.unixSocket, permissions: settings.unixSocketPermissions, backlog: settings.tcpBacklog)
    }

    private func listen(_ socket: CInt, isTCP: Bool) {
        let settings = server.config.settings
        var bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Int32(clamping: settings.tcpBacklog))
            .childChannelOption(.maxMessagesPerRead, value: 1)
            // Who sends a request and closes that direction still wants the reply.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 256, initial: 2048, maximum: 65536)
            )
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 64 << 10, high: 256 << 10))
            .childChannelInitializer { [unowned self] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Connection(self))
                }
            }
        if isTCP {
            bootstrap = bootstrap.childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            if settings.tcpKeepalive > 0 { bootstrap = Self.keepalive(bootstrap, settings.tcpKeepalive) }
        }
        bootstrap.withBoundSocket(socket).whenComplete { [self] result in
            switch result {
            case .success(let channel): listeners.append(channel)
            case .failure(let error): server.log.warning("Cannot listen: \(error)")
            }
        }
    }

    /// A probe after `seconds` of silence, then three more before the connection counts as dead.
    private static func keepalive(_ bootstrap: ServerBootstrap, _ seconds: Int) -> ServerBootstrap {
        func option(_ name: CInt) -> ChannelOptions.Types.SocketOption {
            .init(level: .tcp, name: NIOBSDSocket.Option(rawValue: name))
        }
        return bootstrap.childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(option(TCP_KEEPIDLE), value: SocketOptionValue(clamping: seconds))
            .childChannelOption(option(TCP_KEEPINTVL), value: SocketOptionValue(clamping: max(1, seconds / 3)))
            .childChannelOption(option(TCP_KEEPCNT), value: 3)
    }

    /// Every client takes a descriptor, and some are for files.
    private func raiseDescriptorLimit() {
        let wanted = rlim_t(server.config.settings.maxClients + 32)
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, limit.rlim_cur < wanted else {
            return
        }
        limit.rlim_cur = min(wanted, limit.rlim_max)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        if limit.rlim_cur < wanted {
            server.log.warning(
                "The limit of open files, \(limit.rlim_cur), is too low for maxclients \(server.config.settings.maxClients)")
        }
    }

    /// Sends what is safe, then closes everything.
    private func stop() {
        if isStopping { return }
        isStopping = true
        endTurn()
        for listener in listeners { listener.close(promise: nil) }
        for connection in connections.values { connection.close() }
        finished.succeed()
    }

    // MARK: - Connections

    func add(_ connection: Connection) { connections[ObjectIdentifier(connection)] = connection }
    func remove(_ connection: Connection) { connections[ObjectIdentifier(connection)] = nil }

    // MARK: - The turn

    /// A connection has executed something, or has output.
    func ready(_ connection: Connection) {
        if !connection.isReady {
            connection.isReady = true
            readyConnections.append(connection)
        }
        scheduleTurn()
    }

    func resume(_ connection: Connection) {
        if connection.isResuming { return }
        connection.isResuming = true
        resuming.append(connection)
        scheduleTurn()
    }

    @inline(__always) private func scheduleTurn() {
        if isTurnScheduled { return }
        isTurnScheduled = true
        loop.execute(turn)
    }

    private func endTurn() {
        isTurnScheduled = false
        if !resuming.isEmpty { resumeAll() }
        server.onEndOfTurn?()
        swap(&readyConnections, &flushing)
        for connection in flushing {
            connection.isReady = false
            flush(connection)
        }
        flushing.removeAll(keepingCapacity: true)
    }

    @inline(__always) private func flush(_ connection: Connection) {
        if !connection.flush() && !connection.isWaiting {
            connection.isWaiting = true
            waiting.append(connection)
        }
    }

    /// Clients that were blocked go on with what they have sent since.
    private func resumeAll() {
        let resumed = resuming
        resuming.removeAll()
        for connection in resumed {
            connection.isResuming = false
            if let client = connection.client { server.resume(client) }
            ready(connection)
        }
    }

    /// The log is safe further on: replies that waited for it leave.
    private func acknowledge() {
        if !isServing { return }
        server.onAcknowledge?()
        if waiting.isEmpty { return }
        let held = waiting
        waiting.removeAll()
        for connection in held {
            connection.isWaiting = false
            flush(connection)
        }
    }

    // MARK: - The timer

    private func scheduleCron() {
        let period = TimeAmount.nanoseconds(1_000_000_000 / Int64(max(1, server.config.settings.hz)))
        loop.scheduleTask(in: period) { [self] in
            if isStopping { return }
            server.cron()
            // What expired must be logged though no command ran.
            scheduleTurn()
            if let signal = Signals.take() { terminate(signal) }
            scheduleCron()
        }
    }

    private func terminate(_ signal: CInt) {
        if let requestShutdown = server.requestShutdown {
            requestShutdown(signal)
        } else {
            stop()
        }
    }
}
