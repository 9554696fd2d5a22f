import Glibc
import Storage

/// The file that says which process the server is: `pidfile`, or one of its own name for a server in the background.
enum PidFile {
    private static func path(_ settings: Settings) -> ByteString {
        settings.pidFile.isEmpty && settings.daemonize ? "/var/run/swiftlet.pid" : settings.pidFile
    }

    static func write(_ settings: Settings, _ log: Logger) {
        let path = path(settings)
        if path.isEmpty { return }
        let file = path.withCString { open($0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644) }
        var text = "\(getpid())\n"
        let isWritten = file >= 0 && text.withUTF8 { Glibc.write(file, $0.baseAddress, $0.count) } > 0
        if !isWritten { log.warning("Cannot write the pid file \(path): \(systemReason())") }
        if file >= 0 { close(file) }
    }

    static func remove(_ settings: Settings) {
        let path = path(settings)
        if !path.isEmpty { _ = path.withCString { unlink($0) } }
    }
}
