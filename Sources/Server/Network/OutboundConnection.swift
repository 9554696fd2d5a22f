import Glibc
import Storage

// Invariant of this file: `socket` is open from init to deinit; the list that getaddrinfo made is freed after the last
// look at it.

/// A TCP connection to another server, for a thread that may wait. Not for the loop.
final class OutboundConnection {
    enum Failure: Error, Equatable {
        case unknownHost
        case writing(isTimeout: Bool)
        case reading(isTimeout: Bool)

        var isTimeout: Bool { self == .writing(isTimeout: true) || self == .reading(isTimeout: true) }
    }

    private let socket: Int32
    private var received: [UInt8] = []
    private var taken = 0
    private static let readSize = 16 << 10
    /// A reply line that is longer than this is not one.
    private static let longestLine = 64 << 10

    /// Connects to the first of the host's addresses that answers. `timeout` is in ms for each.
    init(host: String, port: String, timeout: Int) throws(Failure) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, port, &hints, &found) == 0 else { throw .unknownHost }
        defer { freeaddrinfo(found) }
        var failure = Failure.unknownHost
        var next = found
        while let address = next {
            do throws(Failure) {
                socket = try OutboundConnection.connect(address.pointee, timeout)
                SocketOptions.prepare(socket, keepalive: 0)
                return
            } catch {
                failure = error
            }
            next = address.pointee.ai_next
        }
        throw failure
    }
    deinit { close(socket) }

    private static func connect(_ address: addrinfo, _ timeout: Int) throws(Failure) -> Int32 {
        let type = address.ai_socktype | Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let socket = Glibc.socket(address.ai_family, type, address.ai_protocol)
        if socket < 0 { throw .writing(isTimeout: false) }
        do throws(Failure) {
            if Glibc.connect(socket, address.ai_addr, address.ai_addrlen) != 0 {
                guard errno == EINPROGRESS else { throw Failure.writing(isTimeout: false) }
                guard wait(socket, POLLOUT, timeout) else { throw Failure.writing(isTimeout: true) }
                var code: Int32 = 0
                var size = socklen_t(MemoryLayout<Int32>.size)
                getsockopt(socket, SOL_SOCKET, SO_ERROR, &code, &size)
                if code != 0 { throw Failure.writing(isTimeout: false) }
            }
        } catch {
            close(socket)
            throw error
        }
        return socket
    }

    /// False when nothing happened for `timeout` ms.
    private static func wait(_ socket: Int32, _ events: Int32, _ timeout: Int) -> Bool {
        var descriptor = pollfd(fd: socket, events: Int16(events), revents: 0)
        while true {
            let count = poll(&descriptor, 1, Int32(clamping: timeout))
            if count >= 0 || errno != EINTR { return count > 0 }
        }
    }

    /// Sends everything; `timeout`, in ms, is for each part that the other side takes.
    func send(_ bytes: [UInt8], timeout: Int) throws(Failure) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress.map { $0 + sent }, $0.count - sent, 0)
            }
            if count > 0 {
                sent += count
            } else if count < 0 && errno == EAGAIN {
                guard OutboundConnection.wait(socket, POLLOUT, timeout) else { throw .writing(isTimeout: true) }
            } else if errno != EINTR {
                throw .writing(isTimeout: false)
            }
        }
    }

    /// The next line, without its end. `timeout`, in ms, is for each part that comes.
    func readLine(timeout: Int) throws(Failure) -> [UInt8] {
        var searched = taken
        while true {
            if let end = received[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = received[taken..<end]
                taken = end + 1
                return line.last == UInt8(ascii: "\r") ? Array(line.dropLast()) : Array(line)
            }
            if received.count - taken > OutboundConnection.longestLine { throw .reading(isTimeout: false) }
            received.removeFirst(taken)
            taken = 0
            searched = received.count
            try receive(timeout)
        }
    }

    private func receive(_ timeout: Int) throws(Failure) {
        while true {
            let start = received.count
            received.append(contentsOf: repeatElement(0, count: OutboundConnection.readSize))
            let count = received.withUnsafeMutableBytes {
                read(socket, $0.baseAddress.map { $0 + start }, OutboundConnection.readSize)
            }
            received.removeLast(OutboundConnection.readSize - max(0, count))
            if count > 0 { return }
            if count < 0 && errno == EINTR { continue }
            guard count < 0 && errno == EAGAIN else { throw .reading(isTimeout: false) }
            guard OutboundConnection.wait(socket, POLLIN, timeout) else { throw .reading(isTimeout: true) }
        }
    }
}
