import Glibc

// Invariant of this file: socket addresses are read with the length that the system says they have.

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

    /// What went wrong on the socket, an errno, and 0 from then on.
    static func error(_ descriptor: Int32) -> Int32 {
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
        return code
    }

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
