import Glibc
import Storage

/// Ends the process before it serves anyone.
func fail(_ message: String) -> Never {
    var text = message + "\n"
    text.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
    exit(1)
}

let config: Config
do {
    config = try ConfigLoader.load(arguments: Array(CommandLine.arguments.dropFirst()))
    try config.enterDirectory()
} catch let error as ConfigError {
    fail("\(error)")
} catch let error as SettingError {
    fail(error.message)
}

let log = Logger(path: config.settings.logFile, level: config.settings.logLevel)
if let problem = log.check() { fail(problem) }
let server = Server(config: config, log: log, persistence: PersistenceControl())
let network = Network(server)
server.followSettings { (old) throws(SettingError) in try network.listenersChanged(old) }
do {
    try server.persistence.start(server)
    server.persistence.attach()
    server.requestShutdown = { server.persistence.signalled($0) }
    log.setRole(.master)
    log.notice("Ready to accept connections")
    try network.run()
} catch {
    log.warning("\(error)")
    exit(1)
}
