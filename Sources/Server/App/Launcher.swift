import Glibc
import Storage

// Invariant of this file: argv holds argc C strings, which live as long as the process; what is retained without owner is
// the server and what reports to the service manager, once, for as long as the process lives.

/// From the command line to a server that accepts connections.
public enum Launcher {
    /// Starts the server that the command line asks for. Its arguments are taken as bytes: `CommandLine.arguments` replaces
    /// what is not UTF-8.
    public static func main() -> Never {
        let arguments = (1..<max(1, Int(CommandLine.argc))).compactMap { index in
            CommandLine.unsafeArgv[index].map { ByteString(cString: $0) }
        }
        run(arguments)
    }

    private static func run(_ arguments: [ByteString]) -> Never {
        answer(arguments)
        let config = configuration(arguments)
        let settings = config.settings
        if let restore = settings.restore, restore.isCheck { check(restore, settings) }
        let syslog = settings.usesSyslog ? Syslog(settings.syslogIdentity, settings.syslogFacility) : nil
        let log = Logger(path: settings.logFile, level: settings.logLevel, syslog: syslog)
        if let reason = log.check() { fail(reason) }
        let isSupervised = ServiceManager.isThere(settings.supervised)
        if let reason = ProcessControl.daemonize(settings, isSupervised: isSupervised) { fail(reason) }
        log.notice("\(Version.name) is starting")
        log.notice("\(Version.name) version=\(Version.number), pid=\(getpid()), just started")
        ProcessControl.setTitle(settings, configFile: config.file)
        ProcessControl.reportCrashes(settings)
        let manager = ServiceManager(settings.supervised, log)

        let server = Server(config: config, logger: log)
        let router = server.router
        router.statistics.supervisor = manager == nil ? "no" : "systemd"
        server.reportSettings()
        server.oomScore.start()
        declareUsers(router, log)
        if let manager { router.add(manager) }
        // Until the process ends: the router keeps its parts no more alive than a delegate, and what stands behind a call that
        // never returns keeps nothing.
        _ = Unmanaged.passRetained(server)
        if let manager { _ = Unmanaged.passRetained(manager) }
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
            // Not before: where another one listens, it is the one that the file names.
            PidFile.write(settings, log)
            router.report("STATUS=Loading the data")
            server.followSettings()
            router.statistics.isReadyForData()
            do throws(StorageError) {
                try server.persistence.start()
            } catch {
                loop.closeListeners()
                PidFile.remove(settings)
                throw error
            }
            server.persistence.isAttached = true
            server.replication.start()
            sayReady(settings, log)
            router.report("READY=1\nSTATUS=Ready to accept connections")
            loop.run()
        } catch {
            log.warning("\(error)")
            // Once: the log may be what is on the screen.
            if log.isStandardOutput { exit(1) }
            fail("\(error)")
        }
    }

    /// The configuration, in its directory; ends the process where that cannot be.
    private static func configuration(_ arguments: [ByteString]) -> Config {
        let config: Config
        do throws(ConfigError) {
            config = try self.config(arguments)
        } catch {
            fail(error.text)
        }
        do throws(SettingError) {
            try config.enterDirectory()
        } catch {
            fail(error.message)
        }
        return config
    }

    /// Says how a moment would be restored, or why it cannot be, and ends the process.
    private static func check(_ restore: RestoreRequest, _ settings: Settings) -> Never {
        do throws(StorageError) {
            let options = PersistenceControl.options(settings)
            let plan = try DataDirectory.restorePlan(restore.target, options)
            print("\(restore.text) can be restored: \(plan.description)")
        } catch {
            fail("\(error)")
        }
        exit(0)
    }

    /// Ends the process where the arguments ask for something else than a server.
    private static func answer(_ arguments: [ByteString]) {
        if let text = ConfigLoader.information(arguments) {
            print(text)
            exit(0)
        }
        if arguments.first == Completion.option {
            guard arguments.count == 2, let script = Completion.script(for: arguments[1]) else {
                fail("Usage: swiftlet-server --completion bash|zsh|fish")
            }
            print(script)
            exit(0)
        }
        if arguments.first == ConfigCheck.option {
            let (lines, isGood) = ConfigCheck.run(Array(arguments.dropFirst()))
            for line in lines { print(line) }
            exit(isGood ? 0 : 1)
        }
    }

    /// The configuration that the arguments ask for, its users checked. With `faults`, lines that are refused go there.
    static func config(_ arguments: [ByteString], faults: ConfigFaults? = nil) throws(ConfigError) -> Config {
        var users = UserDeclarations()
        let context = RuleContext(catalog: CommandCatalog(CommandTable.all))
        return try ConfigLoader.load(arguments: arguments, commands: CommandTable.names, faults: faults) {
            (words) throws(SettingError) in try users.add(words, context)
        }
    }

    private static func declareUsers(_ router: Router, _ log: Logger) {
        do throws(SettingError) {
            try router.declareUsers()
        } catch {
            log.warning("\(error.message)")
            // Once: the log may be what is on the screen.
            if log.isStandardOutput { exit(1) }
            fail(error.message)
        }
    }

    /// In Redis's words, a line for each kind of listener.
    private static func sayReady(_ settings: Settings, _ log: Logger) {
        let kinds = [
            ("tcp", settings.port != 0), ("unix", !settings.unixSocket.isEmpty), ("tls", settings.tls.port != 0),
        ]
        for (kind, listens) in kinds where listens { log.notice("Ready to accept connections \(kind)") }
    }

    private static func fail(_ message: ByteString) -> Never {
        let text = message.bytes + [10]
        _ = write(2, text, text.count)
        exit(1)
    }
}
