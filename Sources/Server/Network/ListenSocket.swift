import Glibc

/// Makes listening sockets. Done without NIO, and at once, so that a bad `bind` or `port` can be refused before the old
/// listeners are given up.
enum ListenSocket {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Sockets for each address of the `bind` setting, at `port`. An address that begins with "-" may be missing from
    /// this machine; `*` and `::*` are all IPv4 and IPv6 addresses.
    static func tcp(_ addresses: [String], port: Int, backlog: Int) throws(Failure) -> [CInt] {
        var sockets: [CInt] = []
        for address in addresses {
            let isOptional = address.hasPrefix("-")
            let host = isOptional ? String(address.dropFirst()) : address
            do throws(Failure) {
                sockets.append(try tcp(host, port: port, backlog: backlog))
            } catch {
                if isOptional { continue }
                for socket in sockets { close(socket) }
                throw error
            }
        }
        if sockets.isEmpty { throw Failure(description: "Failed listening on port \(port): no address to listen on") }
        return sockets
    }

    private static func tcp(_ host: String, port: Int, backlog: Int) throws(Failure) -> CInt {
        var hints = addrinfo()
        hints.ai_family = host == "::*" ? AF_INET6 : host == "*" ? AF_INET : AF_UNSPEC
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host == "*" || host == "::*" ? nil : host, String(port), &hints, &found)
        defer { if let found { freeaddrinfo(found) } }
        guard code == 0, let info = found?.pointee else {
            throw Failure(description: "Could not create server TCP listening socket \(host):\(port): \(reason(code))")
        }
        let descriptor = socket(info.ai_family, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        if descriptor >= 0 {
            set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
            if info.ai_family == AF_INET6 { set(descriptor, CInt(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
            if bind(descriptor, info.ai_addr, info.ai_addrlen) == 0, listen(descriptor, CInt(clamping: backlog)) == 0 {
                return descriptor
            }
        }
        let failure = String(cString: strerror(errno))
        if descriptor >= 0 { close(descriptor) }
        throw Failure(description: "Could not create server TCP listening socket \(host):\(port): bind: \(failure)")
    }

    /// A socket at `path`, where an old one is removed. `permissions` 0: as the umask has it.
    static func unix(_ path: String, permissions: Int, backlog: Int) throws(Failure) -> CInt {
        unlink(path)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < room else {
            throw Failure(description: "Failed opening Unix socket: path too long: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        if descriptor >= 0 {
            let length = socklen_t(MemoryLayout<sockaddr_un>.size)
            let isBound = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) == 0 }
            }
            if isBound, permissions == 0 || chmod(path, mode_t(permissions & 0o777)) == 0,
                listen(descriptor, CInt(clamping: backlog)) == 0
            {
                return descriptor
            }
        }
        let failure = String(cString: strerror(errno))
        if descriptor >= 0 { close(descriptor) }
        throw Failure(description: "Failed opening Unix socket: bind: \(path): \(failure)")
    }

    private static func set(_ descriptor: CInt, _ level: CInt, _ option: CInt, _ value: CInt) {
        var value = value
        setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<CInt>.size))
    }
    private static func reason(_ code: CInt) -> String {
        code == EAI_SYSTEM ? String(cString: strerror(errno)) : String(cString: gai_strerror(code))
    }
}
