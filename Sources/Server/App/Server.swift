import Glibc
import Storage

/// Everything that commands work on, confined to the loop's thread: keyspace, clients, command table, configuration,
/// counters, and the hooks by which the other parts of the server plug in.
final class Server {
    let keyspace: Keyspace
    let config: Config
    let log: Logger
    /// By the names that clients use.
    let commands: CommandIndex
    /// By their own names, which the log has: the same index but where `rename-command` was used.
    let declaredCommands: CommandIndex
    let propagator = Propagator()
    let slowlog = Slowlog()
    let persistence: PersistenceControl
    let statistics = Statistics()

    // MARK: Clients
    private(set) var clients: [UInt64: Client] = [:]
    private var lastClientID: UInt64 = 0
    /// Who watches what; empty most of the time.
    var watchers = Watchers()
    var pause = Pause()
    var clientCount: Int { clients.count }
    /// Who waits for keys; empty most of the time.
    let blocked: BlockedClients
    var blockedClientCount: Int { blocked.count + pause.waitingCount }
    let batch = RequestBatch()
    private(set) lazy var migrations = Migrations(self)

    // MARK: State that refuses commands
    var guards: Guards = []
    /// Why writes are refused while `guards` has `misconfigured`.
    var misconfiguration = CommandError.misconfigured

    // MARK: Time
    /// DEBUG SET-ACTIVE-EXPIRE: whether keys that are due go without being looked up.
    var isActiveExpireEnabled = true
    /// DEBUG SET-SKIP-CHECKSUM-VALIDATION: RESTORE takes payloads with wrong checksums, for tests of what is in them.
    var skipsPayloadChecksum = false
    /// Monotonic nanoseconds at the end of the last command.
    var clock: UInt64 = 0
    /// Commands that took at least so many nanoseconds go to the slow log.
    private(set) var slowlogNanoseconds: UInt64 = .max
    private(set) var maximumBulkLength = 512 << 20
    private(set) var queryBufferLimit = 1 << 30
    private var outputLimits = OutputBufferLimits()
    /// Keys that expired while the command at hand was executed: they are changes that are not its own.
    var expiredInCommand = 0

    // MARK: Hooks
    /// Called once a turn, when commands have been executed and before replies leave: writes the log.
    var onEndOfTurn: (() -> Void)?
    /// Called `hz` times a second after the server's own periodic work.
    var onCron: (() -> Void)?
    /// Replies whose `ackPosition` is beyond this wait. Advanced by whoever syncs the log, who then calls
    /// `flushAcknowledged`.
    var acknowledgedPosition = Int.max
    /// Clients that got replies since the log was last written.
    var clientsWithReplies = 0
    /// Replies to reads wait too where they may show a write that is not safe yet: appendfsync always.
    var holdsReads = false
    /// What those are.
    var recentWrites = RecentWrites()
    /// May be called from any thread: on the loop, `acknowledge` runs, and what waited leaves.
    var flushAcknowledged: @Sendable () -> Void = {}
    /// On the loop, before waiting replies are looked at: brings `acknowledgedPosition` up to date.
    var onAcknowledge: (() -> Void)?
    /// RESET: what other parts hold for the client goes, such as subscriptions.
    var onReset: ((Client) -> Void)?
    /// A connection is gone.
    var onDisconnect: ((Client) -> Void)?
    /// SIGTERM or SIGINT came. The default stops at once.
    var requestShutdown: ((_ signal: Int32) -> Void)?
    /// What the service manager that started the server should hear, in its form; nil: there is none.
    var onSupervisorNews: ((String) -> Void)?
    /// Closes listeners and connections and ends the loop: the network's.
    var stop: () -> Void = {}
    /// Ends listening, and removes the file of a Unix socket: the network's.
    var closeListeners: () -> Void = {}
    /// A turn of the loop within other work, waiting so many milliseconds for something to happen: the network's.
    var turn: (_ milliseconds: Int32) -> Void = { _ in }
    /// A setting changed that another part must hear of; see `Config.apply`.
    var onSettingChange: ((SettingEffect, _ old: Settings) throws(SettingError) -> Void)?

    init(
        config: Config = Config(), log: Logger = Logger(level: .nothing),
        persistence: PersistenceControl = PersistenceControl(), commands: [Command] = CommandTable.all
    ) {
        self.config = config
        self.log = log
        self.persistence = persistence
        let statistics = statistics
        let names = config.settings.commandNames
        declaredCommands = CommandIndex(
            commands.map { row in
                let name = ByteString("\(row.name)")
                return CommandEntry(row, statistics, isRenamed: names.name(of: name) != name)
            })
        self.commands = names.isEmpty ? declaredCommands : CommandIndex(declaredCommands.entries, names: names)
        keyspace = Keyspace(databases: config.settings.databases)
        keyspace.now = wallClockMilliseconds()
        blocked = BlockedClients(keyspace)
        keyspace.onExpired = { [unowned self] db, key in
            expiredInCommand &+= 1
            propagator.appendRemoval(db, key)
        }
        keyspace.onFieldExpired = { [unowned self] db, key, field in
            expiredInCommand &+= 1
            propagator.appendRemoval(db, key, field: field)
        }
        settingsChanged()
        config.apply = { [unowned self] (effect, old) throws(SettingError) in
            settingsChanged()
            try onSettingChange?(effect, old)
        }
    }

    /// For replay: what a command was allowed once it is allowed again, whatever the settings say by now. Until
    /// `settingsChanged`.
    func liftLimits() {
        maximumBulkLength = max(maximumBulkLength, 1 << 40)
        slowlogNanoseconds = .max
    }

    /// Copies out of the settings what is looked at often.
    func settingsChanged() {
        let settings = config.settings
        slowlog.capacity = settings.slowlogMaxLength
        let threshold = settings.slowlogThreshold.multipliedReportingOverflow(by: 1000)
        slowlogNanoseconds = threshold.partialValue < 0 || threshold.overflow ? .max : UInt64(threshold.partialValue)
        maximumBulkLength = settings.maxBulkLength
        queryBufferLimit = settings.queryBufferLimit
        if outputLimits != settings.outputBufferLimits {
            outputLimits = settings.outputBufferLimits
            for client in clients.values { client.updateOutputLimit() }
        }
        var limits = Limits()
        limits.listMaxListpackSize = settings.listMaxListpackSize
        limits.hashMaxListpackEntries = settings.hashMaxListpackEntries
        limits.hashMaxListpackValue = settings.hashMaxListpackValue
        limits.setMaxIntsetEntries = settings.setMaxIntsetEntries
        limits.setMaxListpackEntries = settings.setMaxListpackEntries
        limits.setMaxListpackValue = settings.setMaxListpackValue
        limits.zsetMaxListpackEntries = settings.zsetMaxListpackEntries
        limits.streamNodeMaxBytes = settings.streamNodeMaxBytes
        limits.streamNodeMaxEntries = settings.streamNodeMaxEntries
        limits.zsetMaxListpackValue = settings.zsetMaxListpackValue
        keyspace.limits = limits
        keyspace.accessTracking =
            switch settings.maxMemoryPolicy {
            case .allkeysLFU, .volatileLFU:
                .frequency(logFactor: settings.lfuLogFactor, decayMinutes: settings.lfuDecayTime)
            default: .recency
            }
    }

    // MARK: - Clients

    /// A new connection's client. nil: too many, with the error to send.
    func connect(_ transport: Transport) -> Client? {
        if clients.count >= config.settings.maxClients {
            statistics.connectionsRejected += 1
            return nil
        }
        let client = makeClient()
        client.transport = transport
        requireAuthentication(client)
        clients[client.id] = client
        statistics.connectionsReceived += 1
        return client
    }

    /// A client without a connection, which no list shows.
    func makeClient() -> Client {
        lastClientID += 1
        return Client(id: lastClientID, now: wallClockMilliseconds() / 1000, server: self)
    }

    /// What `client-output-buffer-limit` says for the client's class. It is for what is beyond `Client.fixedOutput`.
    func outputBufferLimit(of client: Client) -> OutputBufferLimits.Limit {
        switch ClientType(client) {
        case .normal, .master: outputLimits.normal
        case .replica: outputLimits.replica
        case .pubsub: outputLimits.pubsub
        }
    }

    /// Bytes that may wait for a client, as a hard limit; `.max`: there is none.
    func outputLimit(of client: Client) -> Int {
        // To strangers not more is given than that.
        if client.flags.contains(.unauthenticated) { return Client.fixedOutput }
        let limit = outputBufferLimit(of: client).hard
        return limit > 0 && limit < .max - Client.fixedOutput ? limit + Client.fixedOutput : .max
    }

    /// The connection is gone.
    func disconnect(_ client: Client) {
        if client.flags.contains(.closed) { return }
        client.flags.insert(.closed)
        clients[client.id] = nil
        unwatchAll(client)
        client.transaction.removeQueue()
        stopWaiting(client)
        onDisconnect?(client)
    }

    /// Ends a client's connection, whoever it is: at once, or after its output when it is `current`.
    func close(_ client: Client, current: Client? = nil) {
        if client === current {
            client.flags.insert(.closeAfterReply)
        } else {
            client.transport?.close()
        }
    }

    // MARK: - Time

    /// Once a batch of commands, so that one time holds for all of it.
    @inline(__always) func beginBatch() {
        keyspace.now = wallClockMilliseconds()
        clock = monotonicNanoseconds()
    }

    /// `hz` times a second.
    func cron() {
        beginBatch()
        statistics.sample()
        pause.endIfDue(self)
        if isActiveExpireEnabled && !guards.contains(.loading) && guards.isDisjoint(with: .paused) {
            // A quarter of the time at most, when more is due than can be done.
            _ = keyspace.activeExpire(budgetNanoseconds: 250_000_000 / UInt64(max(1, config.settings.hz)))
        }
        // A stream that expired is what some wait for.
        if blocked.hasReady { serveReady() }
        if !guards.contains(.loading) { keyspace.rehash(budgetNanoseconds: 1_000_000) }
        closeIdleClients()
        onCron?()
    }

    private func closeIdleClients() {
        let timeout = Int64(config.settings.timeout)
        if timeout == 0 { return }
        let now = keyspace.now / 1000
        for client in Array(clients.values)
        where now - client.lastInteraction > timeout
            && client.flags.isDisjoint(with: [.blocked, .replica, .master, .pubsub])
        {
            log.verbose("Closing idle client")
            close(client)
        }
    }
}
