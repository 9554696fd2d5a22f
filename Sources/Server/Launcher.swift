import Glibc
import Storage

/// From the command line to a server that accepts connections.
enum Launcher {
    static func run(_ arguments: [String]) -> Never {
        if let text = ConfigLoader.information(arguments) {
            print(text)
            exit(0)
        }
        let config: Config
        do throws(ConfigError) {
            config = try ConfigLoader.load(arguments: arguments)
        } catch {
            fail(error.description)
        }
        do throws(SettingError) {
            try config.enterDirectory()
        } catch {
            fail(error.message)
        }
        let settings = config.settings
        let log = Logger(path: settings.logFile, level: settings.logLevel)
        if let reason = log.check() { fail(reason) }
        log.notice("\(Version.name) is starting")
        log.notice("\(Version.name) version=\(Version.number), pid=\(getpid()), just started")
        writeProcessID(settings.pidFile, log)

        let server = Server(config: config, log: log)
        do throws(StorageError) {
            let loop = try EventLoop(server)
            log.setRole(.master)
            // Redis's banner; its test suite waits for this form.
            log.notice("Port: \(settings.port), PID: \(getpid())")
            log.notice("Server initialized")
            try loop.listen()
            try server.persistence.start(server)
            server.persistence.attach()
            server.requestShutdown = { [unowned server] in server.persistence.signalled($0) }
            server.followSettings(listenersChanged: { _ throws(SettingError) in try loop.listenAgain() })
            if settings.port != 0 { log.notice("Ready to accept connections tcp") }
            if !settings.unixSocket.isEmpty { log.notice("Ready to accept connections unix") }
            loop.run()
        } catch {
            log.warning("\(error)")
            fail("\(error)")
        }
        exit(0)
    }

    private static func writeProcessID(_ path: String, _ log: Logger) {
        if path.isEmpty { return }
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        var text = "\(getpid())\n"
        let isWritten = file >= 0 && text.withUTF8 { write(file, $0.baseAddress, $0.count) } > 0
        if !isWritten { log.warning("Cannot write the pid file \(path)") }
        if file >= 0 { close(file) }
    }

    private static func fail(_ message: String) -> Never {
        var text = message + "\n"
        text.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
        exit(1)
    }
}
