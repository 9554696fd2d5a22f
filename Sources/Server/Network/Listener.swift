import Glibc
import Storage

// Invariant of this file: socket addresses are handed to the system with their true length.

/// A socket that is listened on.
struct Listener {
    let descriptor: Int32
    /// Of a Unix socket.
    let path: ByteString
    var isUnix: Bool { !path.isEmpty }

    func close() {
        Glibc.close(descriptor)
        if isUnix { _ = path.withCString { unlink($0) } }
    }

    static func open(_ settings: Settings) throws(StorageError) -> [Listener] {
        var opened = try openTCP(settings)
        if !settings.unixSocket.isEmpty { opened.append(try openUnix(settings)) }
        return opened
    }

    /// `bind`'s addresses on `port`; none for port 0. A leading "-" makes an address optional.
    static func openTCP(_ settings: Settings) throws(StorageError) -> [Listener] {
        if settings.port == 0 { return [] }
        var opened: [Listener] = []
        for word in settings.bind {
            let isOptional = word.hasPrefix("-")
            let address = isOptional ? String(word.dropFirst()) : word
            do throws(StorageError) {
                opened.append(try bind(address, settings))
            } catch {
                // The default is every address of either kind, whatever kinds the machine has.
                if isOptional || (word == "*" && !opened.isEmpty) { continue }
                for listener in opened { listener.close() }
                throw error
            }
        }
        return opened
    }

    private static func bind(_ address: String, _ settings: Settings) throws(StorageError) -> Listener {
        let isIPv6 = address.contains(":")
        let host = address == "*" ? "0.0.0.0" : address
        let name = "\(address):\(settings.port)"
        var hints = addrinfo()
        hints.ai_family = isIPv6 ? AF_INET6 : AF_INET
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE
        var found: UnsafeMutablePointer<addrinfo>?
        let failed = getaddrinfo(host, String(settings.port), &hints, &found)
        guard failed == 0, let found else {
            throw StorageError(
                file: name, message: "cannot resolve the address: \(String(cString: gai_strerror(failed)))")
        }
        defer { freeaddrinfo(found) }
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(found.pointee.ai_family, type, 0)
        if descriptor < 0 { throw .system(name, "cannot make a socket") }
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, 4)
        if isIPv6 { setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &on, 4) }
        guard Glibc.bind(descriptor, found.pointee.ai_addr, found.pointee.ai_addrlen) == 0,
            Glibc.listen(descriptor, Int32(clamping: settings.tcpBacklog)) == 0
        else {
            let code = errno
            Glibc.close(descriptor)
            throw .system(name, "Failed listening on port \(settings.port)", code: code)
        }
        return Listener(descriptor: descriptor, path: "")
    }

    private static func openUnix(_ settings: Settings) throws(StorageError) -> Listener {
        let path = settings.unixSocketPath
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard path.count < room else {
            throw StorageError(file: path.description, message: "the unixsocket path is too long")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.bytes) }
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        if descriptor < 0 { throw .system(path.description, "cannot make a socket") }
        _ = path.withCString { unlink($0) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0, Glibc.listen(descriptor, Int32(clamping: settings.tcpBacklog)) == 0 else {
            let code = errno
            Glibc.close(descriptor)
            throw .system(path.description, "cannot listen", code: code)
        }
        if settings.unixSocketPermissions != 0 {
            _ = path.withCString { chmod($0, mode_t(settings.unixSocketPermissions)) }
        }
        return Listener(descriptor: descriptor, path: path)
    }
}

enum SocketOptions {
    /// No delay; probes of idle connections every `keepalive` seconds, if any.
    static func prepare(_ descriptor: Int32, keepalive: Int) {
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
        if keepalive == 0 { return }
        setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, 4)
        var idle = Int32(clamping: keepalive)
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_KEEPIDLE, &idle, 4)
        var interval = max(1, idle / 3)
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_KEEPINTVL, &interval, 4)
        var probes: Int32 = 3
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_KEEPCNT, &probes, 4)
    }

    /// Whether an address that `peer` gave is this machine itself.
    static func isLoopback(_ address: String) -> Bool { address.hasPrefix("127.") || address.hasPrefix("[::1]") }

    static func peer(_ descriptor: Int32) -> String { name(descriptor, getpeername) }
    static func local(_ descriptor: Int32) -> String { name(descriptor, getsockname) }

    /// `host:port`, or empty.
    private static func name(
        _ descriptor: Int32, _ ask: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) -> String {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard ask(descriptor, address, &length) == 0 else { return "" }
                var host = [CChar](repeating: 0, count: 64)
                var port = [CChar](repeating: 0, count: 8)
                let flags = NI_NUMERICHOST | NI_NUMERICSERV
                guard getnameinfo(address, length, &host, 64, &port, 8, flags) == 0 else { return "" }
                let text = { (bytes: [CChar]) in
                    String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
                }
                let isIPv6 = Int32(address.pointee.sa_family) == AF_INET6
                return isIPv6 ? "[\(text(host))]:\(text(port))" : "\(text(host)):\(text(port))"
            }
        }
    }
}
