import Glibc
import Storage

// Invariant of this file: socket addresses are handed to the system with their true length.

/// A socket that is listened on.
struct Listener {
    let descriptor: Int32
    /// Of a Unix socket.
    let path: ByteString
    let isEncrypted: Bool
    /// The Unix socket's file, so that another server's is not taken for it.
    private let file: FileIdentity?
    var isUnix: Bool { !path.isEmpty }

    /// The file of a Unix socket goes, unless another server has put its own there.
    func close() {
        Glibc.close(descriptor)
        if isUnix, let file, file == FileIdentity(path) { _ = path.withCString { unlink($0) } }
    }

    /// Sockets for `bind`, `port`, `tls-port` and `unixsocket`; none where these name none. Throws when one cannot be listened on.
    static func open(_ settings: Settings, _ log: Logger) throws(StorageError) -> [Listener] {
        var opened = try openTCP(settings, log)
        if settings.unixSocket.isEmpty { return opened }
        do throws(StorageError) {
            opened.append(try openUnix(settings))
        } catch {
            for listener in opened { listener.close() }
            throw error
        }
        return opened
    }

    // MARK: TCP

    /// `bind`'s addresses on `port` and `tls-port`; none for port 0. An address whose kind this machine does not have is
    /// left out, and so is one that it does not have at all where a leading "-" makes it optional.
    static func openTCP(_ settings: Settings, _ log: Logger) throws(StorageError) -> [Listener] {
        let plain = try open(settings, log, port: settings.port, isEncrypted: false)
        do throws(StorageError) {
            return plain + (try open(settings, log, port: settings.tls.port, isEncrypted: true))
        } catch {
            for listener in plain { listener.close() }
            throw error
        }
    }

    private static func open(_ settings: Settings, _ log: Logger, port: Int, isEncrypted: Bool) throws(StorageError)
        -> [Listener]
    {
        if port == 0 { return [] }
        var opened: [Listener] = []
        for word in settings.bind {
            let isOptional = word.hasPrefix("-")
            let address = isOptional ? String(word.dropFirst()) : word
            do throws(BindError) {
                let descriptor = try bind(address, port, settings)
                opened.append(Listener(descriptor: descriptor, path: "", isEncrypted: isEncrypted, file: nil))
            } catch {
                log.warning("Could not create server TCP listening socket \(address):\(port): \(error.text)")
                if error.code == EADDRNOTAVAIL && isOptional || unsupported.contains(error.code) { continue }
                for listener in opened { listener.close() }
                let kind = isEncrypted ? "TLS" : "TCP"
                throw StorageError(
                    file: "\(address):\(port)",
                    message: "Failed listening on port \(port) (\(kind)), aborting: \(error.text)")
            }
        }
        return opened
    }

    private struct BindError: Error {
        let code: Int32
        let text: String

        init(_ code: Int32) {
            self.code = code
            text = String(cString: strerror(code))
        }
        init(resolving code: Int32) {
            self.code = code == EAI_NONAME ? EADDRNOTAVAIL : 0
            text = String(cString: gai_strerror(code))
        }
    }
    /// Errors that say that this machine has no addresses of the kind.
    private static let unsupported = [ENOPROTOOPT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EPFNOSUPPORT, EAFNOSUPPORT]

    /// "*" stands for all addresses of IPv4, "::*" for those of IPv6. A name may have several: the first that works.
    private static func bind(_ address: String, _ port: Int, _ settings: Settings) throws(BindError) -> Int32 {
        var hints = addrinfo()
        hints.ai_family = address.contains(":") ? AF_INET6 : AF_INET
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE
        var found: UnsafeMutablePointer<addrinfo>?
        let isEvery = address == "*" || address == "::*"
        let failed = getaddrinfo(isEvery ? nil : address, String(port), &hints, &found)
        if failed != 0 { throw BindError(resolving: failed) }
        defer { freeaddrinfo(found) }
        var failure = BindError(EADDRNOTAVAIL)
        var next = found
        while let candidate = next {
            do throws(BindError) {
                return try bind(candidate.pointee, settings)
            } catch {
                failure = error
            }
            next = candidate.pointee.ai_next
        }
        throw failure
    }

    private static func bind(_ address: addrinfo, _ settings: Settings) throws(BindError) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.ai_family, type, 0)
        if descriptor < 0 { throw BindError(errno) }
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, 4)
        if address.ai_family == AF_INET6 { setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &on, 4) }
        guard Glibc.bind(descriptor, address.ai_addr, address.ai_addrlen) == 0,
            Glibc.listen(descriptor, Int32(clamping: settings.tcpBacklog)) == 0
        else {
            let code = errno
            Glibc.close(descriptor)
            throw BindError(code)
        }
        return descriptor
    }

    // MARK: Unix

    /// What an earlier server left at the path is replaced; a file that is no socket is not.
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
        if let old = FileIdentity(path) {
            guard old.isSocket else {
                Glibc.close(descriptor)
                throw StorageError(
                    file: path.description, message: "unixsocket names a file that is no socket: move it away")
            }
            _ = path.withCString { unlink($0) }
        }
        let mode = mode_t(settings.unixSocketPermissions)
        // The file gets the socket's mode less the umask: never, not for a moment, more than it is to have. What the
        // umask takes away comes back before anybody can connect.
        if mode != 0 { fchmod(descriptor, mode) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0, mode == 0 || path.withCString({ chmod($0, mode) }) == 0,
            Glibc.listen(descriptor, Int32(clamping: settings.tcpBacklog)) == 0
        else {
            let code = errno
            Glibc.close(descriptor)
            throw .system(path.description, "cannot listen", code: code)
        }
        return Listener(descriptor: descriptor, path: path, isEncrypted: false, file: FileIdentity(path))
    }
}

/// Which file a path names.
private struct FileIdentity: Equatable {
    private let device: UInt
    private let number: UInt
    let isSocket: Bool

    /// nil where there is nothing. A symbolic link is not followed.
    init?(_ path: ByteString) {
        var information = stat()
        guard path.withCString({ lstat($0, &information) }) == 0 else { return nil }
        device = UInt(information.st_dev)
        number = UInt(information.st_ino)
        isSocket = information.st_mode & S_IFMT == S_IFSOCK
    }
}
