import Glibc
import Storage
import Synchronization

/// The server's log, in Redis's form, which log shippers and test suites parse:
/// `PID:M 23 Nov 2026 01:02:03.456 * message`. swift-log is not used: its front end would give this one backend
/// metadata and labels that the form has no place for, at the price of a dependency.
final class Logger: Sendable {
    /// What the process is: the letter before the date.
    enum Role: UInt8, Sendable {
        case starting = 67  // C
        case master = 77  // M
        case replica = 83  // S
    }

    /// Empty: standard output.
    private let path: ByteString
    private let syslog: Syslog?
    private let threshold: Atomic<Int>
    private let role = Atomic<UInt8>(Role.starting.rawValue)

    init(path: ByteString = "", level: LogLevel = .notice, syslog: Syslog? = nil) {
        self.path = path
        self.syslog = syslog
        threshold = Atomic(Self.rank(level))
    }

    func setLevel(_ level: LogLevel) { threshold.store(Self.rank(level), ordering: .relaxed) }
    func setRole(_ new: Role) { role.store(new.rawValue, ordering: .relaxed) }

    func debug(_ message: @autoclosure () -> String) { write(.debug, ".", message) }
    func verbose(_ message: @autoclosure () -> String) { write(.verbose, "-", message) }
    func notice(_ message: @autoclosure () -> String) { write(.notice, "*", message) }
    func warning(_ message: @autoclosure () -> String) { write(.warning, "#", message) }

    /// Lines go to standard output.
    var isStandardOutput: Bool { path.isEmpty }

    /// Whether the file can be written; startup refuses one that cannot. nil or the reason.
    func check() -> ByteString? {
        if path.isEmpty { return nil }
        let descriptor = openFile()
        guard descriptor >= 0 else { return "Can't open the log file '\(path)': \(systemReason())" }
        close(descriptor)
        return nil
    }

    private static func rank(_ level: LogLevel) -> Int { LogLevel.allCases.firstIndex(of: level) ?? 0 }

    private func write(_ level: LogLevel, _ sign: String, _ message: () -> String) {
        guard Self.rank(level) >= threshold.load(ordering: .relaxed) else { return }
        let message = message()
        syslog?.write(level, message)
        let letter = Character(Unicode.Scalar(role.load(ordering: .relaxed)))
        var line = "\(getpid()):\(letter) \(Self.timestamp()) \(sign) \(message)\n"
        // Opened for each line, so that the file can be rotated under the server; one write, so that threads' lines do
        // not mix.
        let descriptor = path.isEmpty ? 1 : openFile()
        guard descriptor >= 0 else { return }
        line.withUTF8 { _ = Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if !path.isEmpty { close(descriptor) }
    }

    private func openFile() -> Int32 { path.withCString { open($0, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644) } }

    /// Local time, milliseconds: `23 Nov 2026 01:02:03.456`.
    private static func timestamp() -> String {
        let now = wallClockMilliseconds()
        var seconds = Int(now / 1000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer -> String in
            guard let base = buffer.baseAddress else { return "" }
            let length = strftime(base, 64, "%d %b %Y %H:%M:%S", &parts)
            return String(decoding: UnsafeRawBufferPointer(start: base, count: length), as: UTF8.self)
        }
        let milliseconds = String(now % 1000)
        return text + "." + String(repeating: "0", count: 3 - min(3, milliseconds.count)) + milliseconds
    }
}
