import Glibc

// Invariant of this file: a socket's address is handed to the system with its true length.

/// systemd, or who speaks its sd_notify protocol: datagrams of `NAME=value` lines to the Unix socket that the
/// environment's NOTIFY_SOCKET names.
final class ServiceManager: ServerPart {
    private let address: ByteString
    private let logger: Logger

    /// Whether somebody supervises the process, so that it is to stay in the foreground.
    static func isThere(_ supervised: Supervision) -> Bool {
        switch supervised {
        case .no, .upstart: false
        case .auto, .systemd: getenv("NOTIFY_SOCKET") != nil
        }
    }

    /// nil where `supervised` does not ask for it, or nobody listens; the log says what the user should know.
    init?(_ supervised: Supervision, _ logger: Logger) {
        self.logger = logger
        let variable = getenv("NOTIFY_SOCKET").map { ByteString(cString: $0) } ?? ""
        switch supervised {
        case .no: return nil
        case .upstart:
            logger.warning("supervised upstart has no effect: use systemd")
            return nil
        case .auto where variable.isEmpty: return nil
        case .systemd where variable.isEmpty:
            logger.warning("supervised systemd is set, but there is no NOTIFY_SOCKET to notify")
            return nil
        case .auto, .systemd: break
        }
        guard variable.hasPrefix("/") || variable.hasPrefix("@"), variable.count > 1,
            variable.count < MemoryLayout<sockaddr_un>.size - MemoryLayout<sa_family_t>.size
        else {
            logger.warning("NOTIFY_SOCKET is neither the path of a socket nor an abstract name: '\(variable)'")
            return nil
        }
        address = variable
    }

    func reported(_ progress: String) {
        if let reason = notify(progress) { logger.warning("Cannot notify the service manager: \(reason)") }
    }

    /// Sends `lines`; returns why that failed, or nil. Does not wait.
    private func notify(_ lines: String) -> String? {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { return "\(systemReason())" }
        defer { close(descriptor) }
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        // An abstract name begins with NUL, and its length counts; `@` stands for the NUL.
        var path = address.bytes
        if path[0] == UInt8(ascii: "@") { path[0] = 0 }
        withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + path.count)
        let text = Array(lines.utf8)
        let sent = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, text, text.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
        return sent == text.count ? nil : "\(systemReason())"
    }
}
