import Glibc
import Storage

/// From the command line to a server that accepts connections.
enum Launcher {
    static func run(_ arguments: [ByteString]) -> Never {
        if let text = ConfigLoader.information(arguments) {
            print(text)
            exit(0)
        }
        let config: Config
        do throws(ConfigError) {
            config = try ConfigLoader.load(arguments: arguments, commands: CommandTable.names)
        } catch {
            fail(error.text)
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
        let manager = ServiceManager(settings.supervised, log)

        let server = Server(config: config, logger: log)
        let router = server.router
        server.reportSettings()
        if let manager { router.add(manager) }
        // The router keeps its parts no more alive than a delegate.
        defer { withExtendedLifetime((server, manager)) {} }
        do throws(StorageError) {
            let loop = try EventLoop(router, server.links, config)
            router.loop = loop
            router.add(loop)
            log.setRole(.master)
            server.replication.prepare()
            // Redis's banner; its test suite waits for this form.
            log.notice("Port: \(settings.port), PID: \(getpid())")
            log.notice("Server initialized")
            try loop.listen()
            router.report("STATUS=Loading the data")
            server.followSettings()
            router.statistics.isReadyForData()
            do throws(StorageError) {
                try server.persistence.start()
            } catch {
                loop.closeListeners()
                throw error
            }
            server.persistence.isAttached = true
            server.replication.start()
            if settings.port != 0 { log.notice("Ready to accept connections tcp") }
            if !settings.unixSocket.isEmpty { log.notice("Ready to accept connections unix") }
            router.report("READY=1\nSTATUS=Ready to accept connections")
            loop.run()
        } catch {
            log.warning("\(error)")
            // Once: the log may be what is on the screen.
            if log.isStandardOutput { exit(1) }
            fail("\(error)")
        }
    }

    private static func writeProcessID(_ path: ByteString, _ log: Logger) {
        if path.isEmpty { return }
        let file = path.withCString { open($0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644) }
        var text = "\(getpid())\n"
        let isWritten = file >= 0 && text.withUTF8 { write(file, $0.baseAddress, $0.count) } > 0
        if !isWritten { log.warning("Cannot write the pid file \(path): \(systemReason())") }
        if file >= 0 { close(file) }
    }

    private static func fail(_ message: ByteString) -> Never {
        let text = message.bytes + [10]
        _ = write(2, text, text.count)
        exit(1)
    }
}
