import Glibc
import Storage

// Invariant of this file: `descriptor` is open until `deinit`; the list that getaddrinfo made is freed after the last look at
// it; received bytes go to room that `OutputBuffer` has just made for them.

/// A connection as a run of bytes in each direction, plain or TLS. Every call waits, at most as long as `patience` says
/// without a byte moved, and ends early where the user interrupts.
final class Wire {
    private let descriptor: Int32
    private var session: TLSSession?
    private let patience: Double

    private static let slice: Int32 = 200
    private static let receiveSize = 256 << 10

    /// Connects. Throws where nobody answers in time.
    init(_ access: ServerAccess) throws(RemoteError) {
        patience = access.patience
        switch access.endpoint {
        case .path(let path): descriptor = try Self.connect(path: path)
        case .host(let host, let port): descriptor = try Self.connect(host, port, access.patience)
        }
        guard let encryption = access.encryption else { return }
        var host: String?
        if case .host(let name, _) = access.endpoint { host = name }
        let session = try TLSSession(encryption, descriptor, host: host)
        self.session = session
        try move { session.handshake() }
    }
    deinit { close(descriptor) }

    // MARK: - Connecting

    private static func connect(path: String) throws(RemoteError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < room else { throw RemoteError("the path of a socket has less than \(room) bytes") }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        let result = withUnsafeBytes(of: &address) {
            guard let base = $0.baseAddress else { return -1 }
            return Int(Glibc.connect(descriptor, base.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count)))
        }
        if descriptor < 0 || result != 0 {
            defer { if descriptor >= 0 { close(descriptor) } }
            throw RemoteError("cannot connect: \(String(cString: strerror(errno)))", isLost: true)
        }
        return prepared(descriptor)
    }

    private static func connect(_ host: String, _ port: String, _ patience: Double) throws(RemoteError) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        let failure = getaddrinfo(host, port, &hints, &found)
        guard failure == 0 else { throw RemoteError("no address: \(String(cString: gai_strerror(failure)))") }
        defer { freeaddrinfo(found) }
        var reason = "no address"
        var next = found
        while let address = next?.pointee {
            next = address.ai_next
            let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
            let descriptor = socket(address.ai_family, type, 0)
            if descriptor < 0 { continue }
            if Glibc.connect(descriptor, address.ai_addr, address.ai_addrlen) == 0
                || (errno == EINPROGRESS && isConnected(descriptor, patience))
            {
                return prepared(descriptor)
            }
            reason = String(cString: strerror(errno))
            close(descriptor)
        }
        throw RemoteError("cannot connect: \(reason)", isLost: true)
    }

    /// Waits for the connection; else `errno` says why there is none.
    private static func isConnected(_ descriptor: Int32, _ patience: Double) -> Bool {
        let deadline = monotonicSeconds + patience
        while poll(descriptor, Int16(POLLOUT)) == 0 {
            if monotonicSeconds > deadline || Interruption.happened {
                errno = ETIMEDOUT
                return false
            }
        }
        var failure: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &size)
        errno = failure
        return failure == 0
    }

    private static func prepared(_ descriptor: Int32) -> Int32 {
        var one: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, size)
        setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &one, size)
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL, 0) | O_NONBLOCK)
        return descriptor
    }

    private static func poll(_ descriptor: Int32, _ events: Int16) -> Int32 {
        var entry = pollfd(fd: descriptor, events: events, revents: 0)
        return Glibc.poll(&entry, 1, slice)
    }

    // MARK: - Bytes

    /// Sends all of `bytes`.
    func send(_ bytes: Bytes) throws(RemoteError) {
        var sent = 0
        while sent < bytes.count {
            sent += try move { [descriptor, session] in
                let (base, count) = (bytes.base + sent, bytes.count - sent)
                if let session { return session.send(base, count) }
                return Self.outcome(Glibc.send(descriptor, base, count, Int32(MSG_NOSIGNAL)), .needsWrite)
            }
        }
    }

    /// Appends what has come to `buffer`: one byte or more.
    func receive(into buffer: OutputBuffer, atMost limit: Int = receiveSize) throws(RemoteError) {
        let size = min(limit, Self.receiveSize)
        let room = buffer.appendUninitialized(size)
        var count = 0
        defer { buffer.truncate(to: buffer.count - size + count) }
        count = try move { [descriptor, session] in
            if let session { return session.receive(room, size) }
            return Self.outcome(Glibc.recv(descriptor, room, size, 0), .needsRead)
        }
    }

    private static func outcome(_ result: Int, _ waiting: TLSSession.Outcome) -> TLSSession.Outcome {
        if result > 0 { return .moved(result) }
        if result == 0 { return .ended("the server closed the connection") }
        return errno == EAGAIN || errno == EINTR ? waiting : .ended(String(cString: strerror(errno)))
    }

    /// Tries `step` until something was moved, and waits for the socket between.
    @discardableResult
    private func move(_ step: () -> TLSSession.Outcome) throws(RemoteError) -> Int {
        var deadline: Double?
        while true {
            var events = Int16(POLLIN)
            switch step() {
            case .moved(let count): return count
            case .needsRead: break
            case .needsWrite: events = Int16(POLLOUT)
            case .ended(let reason): throw RemoteError(reason, isLost: true)
            }
            let ready = Self.poll(descriptor, events)
            if Interruption.happened { throw RemoteError("interrupted") }
            if ready != 0 { continue }
            let now = monotonicSeconds
            if let deadline, now > deadline {
                throw RemoteError("nothing has come for \(Int(patience)) s (--timeout)", isLost: true)
            }
            deadline = deadline ?? now + patience
        }
    }
}
