import Glibc

/// The system's log. One for the process, which outlives all who use it.
final class Syslog: Sendable {
    /// `identity` opens each line.
    init(_ identity: ByteString, _ facility: SyslogFacility) {
        // openlog(3) keeps the pointer.
        openlog(identity.withCString { strdup($0) }, LOG_PID | LOG_NDELAY | LOG_NOWAIT, facility.code)
    }

    func write(_ level: LogLevel, _ message: String) {
        message.withCString { text in withVaList([text]) { vsyslog(level.priority, "%s", $0) } }
    }
}

extension LogLevel {
    /// As Redis has it.
    fileprivate var priority: Int32 {
        switch self {
        case .debug: LOG_DEBUG
        case .verbose: LOG_INFO
        case .notice: LOG_NOTICE
        case .warning, .nothing: LOG_WARNING
        }
    }
}

extension SyslogFacility {
    /// The numbers of syslog(3), shifted: macros that Swift does not see.
    fileprivate var code: Int32 {
        switch self {
        case .user: 1 << 3
        case .local0: 16 << 3
        case .local1: 17 << 3
        case .local2: 18 << 3
        case .local3: 19 << 3
        case .local4: 20 << 3
        case .local5: 21 << 3
        case .local6: 22 << 3
        case .local7: 23 << 3
        }
    }
}
