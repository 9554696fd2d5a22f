import Storage

/// The link of a replica to its master: the handshake, the full sync where one is needed, and then the stream. When it
/// ends, it is opened again, and goes on where it was. Confined to the loop.
final class MasterLink {
    /// How far the link is.
    enum Phase: Equatable {
        /// Nothing is under way: a connection is tried once a second.
        case waiting
        case connecting
        /// The answer to this is waited for.
        case handshake(HandshakeStep)
        /// The master makes an RDB, or sends it.
        case transfer
        /// The RDB is there, and takes the place of the data.
        case loading
        /// Commands of the master arrive and are executed.
        case up
    }

    let host: String
    let port: Int
    unowned let control: ReplicationControl
    var router: Router { control.router }
    var logger: Logger { control.router.logger }
    var stream: PropagationStream { control.router.stream }

    private(set) var phase = Phase.waiting
    private(set) var link: Link?
    /// Executes what the master says. It has the context of the stream, and outlives connections.
    let commands: RelayedCommands
    /// The line of the handshake that is coming in.
    private var line: [UInt8] = []
    /// What the answers that are to come answer, after the present one.
    var steps: ArraySlice<HandshakeStep> = []
    /// What is asked for: that history, behind that offset. nil: everything.
    var asked: (id: String, offset: Int)?
    /// The master is asked to let this server take its place.
    var asksForFailover = false

    /// The full sync that is under way.
    var transfer: FullSyncReceiver?

    /// Monotonic nanoseconds of the last byte that came from the master, or of the last change of phase.
    private(set) var lastHeard = monotonicNanoseconds()
    /// Seconds since 1970 since which the link is down; nil: it was not up yet.
    private(set) var downSince: Int64?
    private var upSince: UInt64 = 0
    /// Monotonic nanoseconds from which on `cron` has something to do.
    private var nextSecond = UInt64.max

    private static let second: UInt64 = 1_000_000_000
    /// A line of the handshake that is longer is none.
    private static let longestLine = 4096

    /// Nothing is connected before `start`.
    init(_ control: ReplicationControl, _ master: HostAndPort) {
        self.control = control
        host = "\(master.host)"
        port = master.port
        // It speaks only while a link is there, which belongs to the link's owner.
        var acknowledge: (Int) -> Void = { _ in }
        commands = RelayedCommands(control.router, address: "\(master.host):\(master.port)") { acknowledge($0) }
        acknowledge = { [unowned self] in sendAcknowledgement($0) }
    }

    /// Connects, now and whenever the link has ended. `failover`: asks the master to let this server take its place.
    func start(failover: Bool = false) {
        commands.session.db = stream.db
        connect(failover: failover)
    }

    func hasAddress(_ master: HostAndPort) -> Bool { "\(master.host)" == host && master.port == port }

    // MARK: For INFO and ROLE

    /// Commands of the master arrive and are executed.
    var isUp: Bool { phase == .up }
    /// ROLE's word for the phase.
    var phaseName: StaticString {
        switch phase {
        case .waiting: "connect"
        case .connecting: "connecting"
        case .handshake: "handshake"
        case .transfer, .loading: "sync"
        case .up: "connected"
        }
    }
    var isSyncing: Bool { phase == .transfer || phase == .loading }
    /// Seconds since something came from the master; -1: the link is not up.
    var secondsSinceHeard: Int { isUp ? secondsSince(lastHeard) : -1 }
    var secondsSinceTransfer: Int { secondsSince(lastHeard) }
    private func secondsSince(_ time: UInt64) -> Int { Int(nanosecondsSince(time) / Self.second) }
    private func nanosecondsSince(_ time: UInt64) -> UInt64 {
        let now = monotonicNanoseconds()
        return now - min(now, time)
    }
    /// Up to where the master's stream was received, and where it is executed.
    var readOffset: Int { stream.offset + commands.waiting }
    var executedOffset: Int { stream.offset }

    // MARK: Connecting

    private func connect(failover: Bool = false) {
        asksForFailover = failover
        nextSecond = monotonicNanoseconds() + Self.second
        logger.notice("Connecting to MASTER \(host):\(port)")
        enter(.connecting)
        let settings = router.config.settings
        link = control.links.open(
            host, "\(port)", from: settings.bindSourceAddress.description, timeout: timeout,
            isEncrypted: settings.tls.replication, self)
        logger.notice("MASTER <-> REPLICA sync started")
    }
    private var timeout: UInt64 { UInt64(router.config.settings.replicationTimeout) * Self.second }

    func enter(_ new: Phase) {
        phase = new
        lastHeard = monotonicNanoseconds()
        control.linkChanged()
    }

    /// Ends the connection, if there is one; the next attempt is made within a second.
    func drop() {
        let wasUp = phase == .up
        if let link {
            self.link = nil
            link.close()
        }
        line = []
        steps = []
        if phase == .transfer { abandonTransfer() }
        // What has come whole is loaded, whatever became of the connection.
        if phase == .loading { return }
        commands.forgetRest()
        if wasUp { downSince = wallClockMilliseconds() / 1000 }
        enter(.waiting)
    }

    /// Ends the link for good: this server follows another one, or none.
    func end() {
        if phase == .loading { phase = .transfer }
        drop()
    }

    private func abandonTransfer() {
        transfer?.abandon()
        transfer = nil
    }

    /// Ends the connection for what the master has said.
    func fail(_ message: String) {
        logger.warning("\(message)")
        drop()
    }

    // MARK: Sending

    func send(_ words: [Bytes]) {
        let request = OutputBuffer(capacity: 128)
        RESPEncoder.command(words, to: request)
        link?.send(request.bytes)
    }

    /// REPLCONF ACK: leaves only when the log has what it says.
    private func sendAcknowledgement(_ offset: Int) {
        guard let session = link?.session, isUp else { return }
        session.ackOffset = max(session.ackOffset, offset)
        var words = ["REPLCONF", "ACK", "\(offset)"]
        if let data = control.persistence.data, data.log != nil {
            words += ["FACK", "\(max(0, min(data.syncedOffset, offset)))"]
        }
        let request = OutputBuffer(capacity: 128)
        RESPEncoder.command(texts: words, to: request)
        link?.send(request.bytes)
    }

    /// The stream begins.
    func goUp() {
        upSince = monotonicNanoseconds()
        downSince = nil
        asksForFailover = false
        if let session = link?.session {
            session.flags.insert(.master)
            session.address = "\(host):\(port)"
            session.name = ""
            router.list(session)
        }
        enter(.up)
        sendAcknowledgement(stream.offset)
    }

    // MARK: The full sync

    private func received(payload: Bytes) -> Int {
        guard let transfer else { return payload.count }
        do throws(FullSyncFraming.Failure) {
            return try transfer.receive(payload)
        } catch {
            switch error {
            case .refused(let text):
                fail("MASTER aborted replication with an error: \(String(decoding: text, as: UTF8.self))")
            case .badHeader(let text):
                let shown = text.withUnsafeBytes { $0.baseAddress.map { Bytes($0, text.count).quoted } ?? "" }
                fail(
                    "Bad protocol from MASTER, the first byte is not '$' (we received \(shown)), are you sure the host and "
                        + "port are right?")
            }
            return payload.count
        }
    }

    /// Looks at how the transfer goes on on other threads.
    private func proceedWithTransfer() {
        guard let transfer else { return }
        if phase == .transfer && transfer.hasAll {
            phase = .loading
            lastHeard = monotonicNanoseconds()
        }
        switch transfer.proceed() {
        case .underWay: link?.isPaused = phase == .loading || transfer.isFull
        case .failed(let error):
            logger.warning("Failed trying to load the MASTER synchronization DB: \(error)")
            self.transfer = nil
            if phase == .loading { phase = .transfer }
            drop()
            return
        case .loaded(let db):
            self.transfer = nil
            logger.notice("MASTER <-> REPLICA sync: Finished with success")
            commands.session.db = db
            guard let link else {
                // What the old connection said behind the RDB comes again.
                commands.forgetRest()
                phase = .waiting
                downSince = wallClockMilliseconds() / 1000
                return control.linkChanged()
            }
            goUp()
            link.isPaused = false
            execute { () throws(RelayedCommands.Refusal) in try commands.proceed() }
        }
    }

    private func execute(_ body: () throws(RelayedCommands.Refusal) -> Void) {
        do throws(RelayedCommands.Refusal) {
            try body()
        } catch {
            return fail("Closing the connection to the master, as its stream cannot be followed: \(error.message)")
        }
        link?.session?.lastCommand = commands.session.lastCommand
        link?.session?.db = commands.session.db
        link?.session?.lastInteraction = router.keyspace.now / 1000
        link?.isPaused = commands.isFull
    }

    // MARK: Turns

    func turnEnded() {
        if phase == .up && commands.isHeld && router.guards.isDisjoint(with: .paused) {
            execute { () throws(RelayedCommands.Refusal) in try commands.proceed() }
        }
        if transfer != nil { proceedWithTransfer() }
    }
    func woken() { if transfer != nil { proceedWithTransfer() } }

    /// Once a second.
    func cron() {
        if transfer != nil { proceedWithTransfer() }
        let now = monotonicNanoseconds()
        if now < nextSecond { return }
        nextSecond = now + Self.second
        let isSilent = nanosecondsSince(lastHeard) > timeout
        switch phase {
        case .waiting: connect()
        case .connecting, .handshake:
            if isSilent { fail("Timeout connecting to the MASTER...") }
        case .transfer:
            if isSilent && link?.isPaused == false {
                fail(
                    "Timeout receiving bulk data from MASTER... If the problem persists try to set the 'repl-timeout' "
                        + "parameter in redis.conf to a larger value.")
            }
        // The master hears that this server is alive.
        case .loading: link?.send(Bytes("\n"))
        case .up:
            if isSilent && link?.isPaused == false { return fail("MASTER timeout: no data nor PING received...") }
            sendAcknowledgement(stream.offset)
        }
    }
}

extension MasterLink: LinkHandler {
    func connected(_ link: Link) {
        if link !== self.link { return }
        logger.notice("Non blocking connect for SYNC fired the event.")
        begin(.ping)
    }

    func received(_ bytes: Bytes, on link: Link) {
        if link !== self.link { return }
        lastHeard = monotonicNanoseconds()
        router.statistics.replicationBytesRead &+= bytes.count
        var rest = bytes
        while !rest.isEmpty, link === self.link {
            switch phase {
            case .waiting, .connecting: return
            case .handshake(let step):
                guard let end = rest.buffer.firstIndex(of: UInt8(ascii: "\n")) else {
                    line += rest.buffer
                    if line.count > Self.longestLine { fail("The MASTER's answer is too long for one: the link ends") }
                    return
                }
                line += rest.buffer[..<end]
                if line.count > Self.longestLine {
                    return fail("The MASTER's answer is too long for one: the link ends")
                }
                rest = rest[end + 1..<rest.count]
                if line.last == UInt8(ascii: "\r") { line.removeLast() }
                let answer = line
                line = []
                answered(step, answer)
            case .transfer:
                let used = received(payload: rest)
                rest = rest[used..<rest.count]
                if transfer?.hasAll == true { proceedWithTransfer() }
                if transfer?.isFull == true { link.isPaused = true }
            case .loading:
                // The beginning of the stream; the link is paused by now.
                link.isPaused = true
                commands.keep(rest)
                return
            case .up:
                return execute { () throws(RelayedCommands.Refusal) in try commands.receive(rest) }
            }
        }
    }

    func ended(_ link: Link, _ reason: Link.End) {
        if link !== self.link { return }
        self.link = nil
        switch phase {
        case .waiting: break
        case .connecting:
            switch reason {
            case .unknownHost: logger.warning("Unable to connect to MASTER: the host \(host) is unknown")
            case .unreachable, .closed: logger.warning("Error condition on socket for SYNC: the host cannot be reached")
            case .timedOut: logger.warning("Timeout connecting to the MASTER...")
            }
        case .handshake: logger.warning("Master did not respond to command during SYNC handshake")
        case .transfer: logger.warning("I/O error trying to sync with MASTER: connection lost")
        case .loading: break
        case .up: logger.notice("Connection with master lost.")
        }
        let mayReconnect = phase == .up && nanosecondsSince(upSince) > Self.second / 10
        drop()
        if mayReconnect {
            logger.notice("Reconnecting to MASTER \(host):\(port)")
            connect()
        }
    }
}
