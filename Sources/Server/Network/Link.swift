import Glibc
import Storage

// Invariant of this file: the list that getaddrinfo made is freed after the last look at it; a socket address is handed
// to the system with its true length.

/// What happens on an outbound connection, told on the loop to whoever opened it.
protocol LinkHandler: AnyObject {
    func connected(_ link: Link)
    /// `bytes` live until this returns.
    func received(_ bytes: Bytes, on link: Link)
    /// Nothing more happens on the link.
    func ended(_ link: Link, _ reason: Link.End)
}

/// A connection to another server, opened by `Links`. Confined to the loop.
final class Link {
    enum End: Equatable {
        case unknownHost
        /// None of the host's addresses could be reached.
        case unreachable
        /// The other side has closed, or the connection failed.
        case closed
        case timedOut
    }

    /// The link ends when for so many nanoseconds no byte has come and none has left; nil: it may be idle.
    var patience: UInt64? { didSet { restart() } }
    /// Monotonic nanoseconds at which that is looked at; `.max`: never.
    fileprivate var deadline = UInt64.max
    private var pendingAtRestart = 0
    private(set) var isConnected = false
    /// Of the other side: host and port.
    let name: String
    fileprivate let timeout: UInt64
    fileprivate let isEncrypted: Bool
    /// Ends the TLS handshake that is under way, if one is, and its socket.
    fileprivate var cancelHandshake: (() -> Void)?
    fileprivate var addresses: ArraySlice<SocketAddress> = []
    /// Addresses of this machine that the connection may come from; empty: any.
    fileprivate var sources: [SocketAddress] = []
    /// The session of the connection that is open or being opened.
    private(set) var session: Session?
    /// Nothing is received: what comes stays with the system, and at last with the other side.
    var isPaused = false {
        didSet { if oldValue && !isPaused { session?.transport?.scheduleReceive() } }
    }
    private unowned let links: Links
    private weak var handler: (any LinkHandler)?
    private var isEnded = false

    fileprivate init(
        _ links: Links, _ name: String, timeout: UInt64, isEncrypted: Bool, _ handler: any LinkHandler
    ) {
        self.links = links
        self.name = name
        self.timeout = timeout
        self.isEncrypted = isEncrypted
        self.handler = handler
    }

    /// Bytes that have not left.
    var pending: Int { session?.queue.pending ?? 0 }

    func send(_ bytes: Bytes) {
        guard let session else { return }
        session.output.append(bytes)
        session.transport?.scheduleFlush()
    }
    func send(_ chunk: SharedChunk) { session?.send(shared: chunk) }

    /// Ends the link; the handler hears nothing more.
    func close() {
        isEnded = true
        links.remove(self)
        endHandshake()
        session?.transport?.close()
    }

    private func endHandshake() {
        cancelHandshake?()
        cancelHandshake = nil
    }

    // MARK: For the network

    /// `session` is the session of the connection that is being opened.
    func opening(_ session: Session) {
        cancelHandshake = nil
        self.session = session
    }

    func connected() {
        isConnected = true
        patience = nil
        handler?.connected(self)
    }
    func received(_ bytes: Bytes) {
        if patience != nil { restart() }
        if !isEnded { handler?.received(bytes, on: self) }
    }

    /// The connection is closing, or was never made.
    func closed() {
        if isConnected { end(.closed) }
        cancelHandshake = nil
        session = nil
        if !isEnded { links.openNext(self) }
    }

    fileprivate func end(_ reason: End) {
        if isEnded { return }
        isEnded = true
        links.remove(self)
        handler?.ended(self, reason)
        session?.transport?.close()
    }

    private func restart() {
        pendingAtRestart = pending
        deadline = patience.map { monotonicNanoseconds() &+ $0 } ?? .max
        links.noteDeadline(deadline)
    }

    fileprivate func deadlinePassed() {
        if isConnected && pending < pendingAtRestart { return restart() }
        if isConnected { return end(.timedOut) }
        // The next address has its own time.
        patience = nil
        if cancelHandshake != nil {
            endHandshake()
            return closed()
        }
        session?.transport?.close()
    }
}

/// The address of a socket of another server.
struct SocketAddress: Sendable {
    private let bytes: [UInt8]
    private let family: Int32

    /// The addresses of a host; `port` is a number in decimal. Waits for the network: not for the loop. Throws when there
    /// are none.
    static func resolve(_ host: String, _ port: String) throws(Unresolved) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, port, &hints, &found) == 0 else { throw Unresolved() }
        defer { freeaddrinfo(found) }
        var addresses: [SocketAddress] = []
        var next = found
        while let address = next?.pointee {
            let bytes = UnsafeRawBufferPointer(start: address.ai_addr, count: Int(address.ai_addrlen))
            addresses.append(SocketAddress(bytes: Array(bytes), family: address.ai_family))
            next = address.ai_next
        }
        return addresses
    }
    struct Unresolved: Error {}

    /// A socket that is connected or on its way, from the first of `sources` that is of its family; nil where the system
    /// refuses that at once.
    fileprivate func connect(from sources: [SocketAddress]) -> Int32? {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, type, 0)
        if descriptor < 0 { return nil }
        SocketOptions.prepare(descriptor, keepalive: 0)
        let source = sources.first { $0.family == family }
        let isBound = sources.isEmpty || source?.withPointer { bind(descriptor, $0, $1) } == 0
        if isBound, withPointer({ Glibc.connect(descriptor, $0, $1) }) == 0 || errno == EINPROGRESS {
            return descriptor
        }
        Glibc.close(descriptor)
        return nil
    }

    private func withPointer(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        bytes.withUnsafeBytes {
            guard let base = $0.baseAddress else { return -1 }
            return body(base.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
        }
    }
}

/// The outbound connections of the server. Confined to the loop.
final class Links {
    private let jobs: Jobs
    private var links: [ObjectIdentifier: Link] = [:]
    /// Takes over the socket of a link: the loop's.
    var adopt: (ByteStream, Link) -> Void = { stream, link in
        stream.close()
        link.closed()
    }
    /// Takes over a socket that is to have a TLS handshake first, and returns how to cancel that; nil: the socket is closed,
    /// as there are no certificates. The loop's.
    var encrypt: (_ socket: Int32, Link) -> (() -> Void)? = { socket, _ in
        Glibc.close(socket)
        return nil
    }
    /// No deadline of a link is before this; `.max`: there is none.
    private(set) var nextDeadline = UInt64.max

    init(_ jobs: Jobs) { self.jobs = jobs }

    /// Opens a connection to the first of the host's addresses that answers within `timeout` nanoseconds, `from` an address
    /// of this machine unless it is empty, with TLS where it is to be encrypted. The handler, which is not retained, hears of
    /// it later.
    func open(
        _ host: String, _ port: String, from source: String = "", timeout: UInt64, isEncrypted: Bool = false,
        _ handler: any LinkHandler
    ) -> Link {
        let link = Link(self, "\(host):\(port)", timeout: timeout, isEncrypted: isEncrypted, handler)
        links[ObjectIdentifier(link)] = link
        jobs.start("resolve") { (_) throws(SocketAddress.Unresolved) in
            let sources = source.isEmpty ? [] : try SocketAddress.resolve(source, "0")
            return (addresses: try SocketAddress.resolve(host, port), sources: sources)
        } completion: { [self] outcome in
            switch outcome {
            case .success(let found):
                link.addresses = found.addresses[...]
                link.sources = found.sources
                openNext(link)
            case .failure: link.end(.unknownHost)
            }
        }
        return link
    }

    fileprivate func openNext(_ link: Link) {
        guard links[ObjectIdentifier(link)] != nil else { return }
        while let address = link.addresses.popFirst() {
            guard let descriptor = address.connect(from: link.sources) else { continue }
            link.patience = link.timeout
            if !link.isEncrypted { return adopt(ByteStream(socket: descriptor), link) }
            link.cancelHandshake = encrypt(descriptor, link)
            if link.cancelHandshake != nil { return }
        }
        link.end(.unreachable)
    }

    fileprivate func remove(_ link: Link) { links[ObjectIdentifier(link)] = nil }
    fileprivate func noteDeadline(_ deadline: UInt64) { nextDeadline = min(nextDeadline, deadline) }

    /// Ends the links whose deadline has passed.
    func expire(_ now: UInt64) {
        nextDeadline = .max
        for link in Array(links.values) {
            if link.deadline <= now { link.deadlinePassed() } else { noteDeadline(link.deadline) }
        }
    }
}
