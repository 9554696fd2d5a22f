import Glibc
import Storage

/// The middleware: takes requests from sessions, finds their commands, guards and executes them, and carries on what they
/// cause. It owns keyspace, sessions and the execution unit. Confined to the loop's thread.
final class Router {
    let services: Services
    let keyspace: Keyspace
    let config: Config
    let logger: Logger
    let statistics: Statistics
    let stream: PropagationStream
    let commands: CommandIndex
    let batch = RequestBatch()
    var execution = ExecutionUnit()
    /// What the end of the unit has to do that is executed.
    let work: PendingWork

    // MARK: Memory
    let memory: MemoryLimit
    let clientMemory: ClientMemory

    // MARK: Sessions
    private(set) var sessions: [UInt64: Session] = [:]
    private var lastSessionID: UInt64 = 0
    /// Who watches what; empty most of the time.
    let watchers: Watchers
    let pubsub: PubSub
    let tracking: Tracking
    let monitors: Monitors
    var pause = Pause()
    var sessionCount: Int { sessions.count }
    /// The clients that wait for keys; empty most of the time.
    let blocked: BlockedClients
    var blockedClientCount: Int { blocked.count + pause.waitingCount }

    // MARK: State that refuses commands
    var guards: Guards {
        get { services.guards }
        set { services.guards = newValue }
    }
    /// Why writes are refused while `guards` has `misconfigured`.
    var misconfiguration = CommandError.misconfigured
    /// What is answered while `guards` has `busyScript`.
    var busy = CommandError.busy

    // MARK: Time
    /// Another server says when keys expire.
    var followsExpiry = false {
        didSet {
            updateDueMode()
            memoryLimitChanged()
        }
    }
    /// What becomes of due keys that clients look at: they stay where another server says when they go, and where writes
    /// are deferred.
    var dueMode: DueMode { followsExpiry || !guards.isDisjoint(with: .paused) ? .hidden : .removed }
    func updateDueMode() { keyspace.dueMode = dueMode }
    /// DEBUG SET-ACTIVE-EXPIRE: whether keys that are due go without being looked up.
    var isActiveExpireEnabled = true
    /// DEBUG PAUSE-CRON: nothing is done that is done regularly.
    var isCronPaused = false
    /// Monotonic nanoseconds at the end of the last command.
    var clock: UInt64 = 0
    /// Commands that took at least so many nanoseconds go to the slow log, or are events of the latency monitor: the lesser
    /// of its threshold and the slow log's, which is tested after each command.
    private(set) var slowNanoseconds: UInt64 = .max
    private(set) var slowlogNanoseconds: UInt64 = .max
    private(set) var queryBufferLimit = 1 << 30

    // MARK: Other threads
    /// Has the loop call `woken`.
    let waker = Waker()
    let jobs: Jobs

    // MARK: Parts, and what is acknowledged
    var parts: [Part] = []
    /// The loop, once there is one.
    unowned(unsafe) var loop: (any LoopControl)?
    /// Replies whose `ackOffset` is beyond this wait. Advanced by whoever syncs the log, who then wakes the loop.
    var acknowledgedOffset = Int.max
    /// Clients that got replies since the log was last written.
    var clientsWithReplies = 0
    /// Writes that are not safe yet, while `PendingWork.AfterCall.holdReads` is set.
    var recentWrites = RecentWrites()

    init(config: Config, logger: Logger, commands rows: [Command]) {
        self.config = config
        self.logger = logger
        let statistics = Statistics()
        let names = config.settings.commandNames
        let catalog = CommandCatalog(rows)
        let declared = CommandIndex(
            rows.map { row in
                let name = ByteString("\(row.name)")
                return CommandEntry(row, statistics, catalog, isRenamed: names.name(of: name) != name)
            })
        commands = names.isEmpty ? declared : CommandIndex(declared.entries, names: names)
        self.statistics = statistics
        keyspace = Keyspace(databases: config.settings.databases)
        keyspace.now = wallClockMilliseconds()
        work = PendingWork()
        stream = PropagationStream(work)
        jobs = Jobs(waker)
        services = Services(
            keyspace: keyspace, config: config, logger: logger, statistics: statistics, stream: stream,
            events: EventQueue(keyspace, work), commands: commands, declaredCommands: declared,
            users: UserTable(catalog))
        memory = MemoryLimit(services)
        clientMemory = ClientMemory(services)
        pubsub = PubSub(services)
        tracking = Tracking(services, work)
        monitors = Monitors(services, work)
        blocked = BlockedClients(keyspace, work)
        watchers = Watchers(keyspace)
        services.install(self)
        services.users.defaultUser.rules.require(config.settings.requirePass)
        services.install(pubsub)
        services.install(tracking)
        services.install(monitors)
        services.install(memory)
        keyspace.observe(.expired, by: self)
        jobs.run = { [unowned self] completion in unit(.job, completion) }
        settingsChanged()
        config.apply = { [unowned self] (effect, old) throws(SettingError) in
            settingsChanged()
            if effect == .password { requirePasswordChanged() }
            for place in parts { try place.part.settingsChanged(effect, config.settings, old: old) }
        }
    }

    /// For replay: what a command was allowed once it is allowed again, whatever the settings say by now. Until
    /// `settingsChanged`.
    func liftLimits() {
        services.maximumBulkLength = max(services.maximumBulkLength, 1 << 40)
        slowlogNanoseconds = .max
        slowNanoseconds = .max
    }

    /// Copies out of the settings what is looked at often.
    func settingsChanged() {
        let settings = config.settings
        services.slowlog.capacity = settings.slowlogMaxLength
        slowlogNanoseconds = Self.nanoseconds(settings.slowlogThreshold, unit: 1000)
        services.latency.threshold = settings.latencyThreshold
        slowNanoseconds = min(
            slowlogNanoseconds,
            settings.latencyThreshold > 0 ? Self.nanoseconds(settings.latencyThreshold, unit: 1_000_000) : .max)
        statistics.tracksLatency = settings.latencyTracking
        services.maximumBulkLength = settings.maxBulkLength
        services.users.log.trim(to: settings.aclLogMaxLength)
        queryBufferLimit = settings.queryBufferLimit
        if services.outputLimits != settings.outputBufferLimits {
            services.outputLimits = settings.outputBufferLimits
            for session in sessions.values { session.updateOutputLimit() }
        }
        pubsub.notifications.settingsChanged(settings)
        keyspace.limits = Limits(settings)
        keyspace.accessTracking =
            switch settings.maxMemoryPolicy {
            case .allkeysLFU, .volatileLFU:
                .frequency(logFactor: settings.lfuLogFactor, decayMinutes: settings.lfuDecayTime)
            case .noeviction, .allkeysLRU, .allkeysRandom, .volatileLRU, .volatileRandom, .volatileTTL: .recency
            }
        memoryLimitChanged()
        clientMemory.settingsChanged(settings, sessions.values)
    }

    /// A threshold in units of so many nanoseconds; one that is negative, or too large, is never reached.
    private static func nanoseconds(_ threshold: Int, unit: Int) -> UInt64 {
        let (product, isTooLong) = threshold.multipliedReportingOverflow(by: unit)
        return product < 0 || isTooLong ? .max : UInt64(product)
    }

    // MARK: - Clients

    /// A new connection's session. nil: there are too many.
    func connect() -> Session? {
        if sessions.count >= config.settings.maxClients {
            statistics.connectionsRejected += 1
            return nil
        }
        let session = makeSession()
        beginAsDefault(session)
        sessions[session.id] = session
        statistics.connectionsReceived += 1
        return session
    }

    /// A client without a connection, which no list shows.
    func makeSession() -> Session {
        lastSessionID += 1
        return Session(id: lastSessionID, now: wallClockMilliseconds() / 1000, services: services)
    }

    /// Has the lists of clients show a session that was made without a connection, or is another server's.
    func list(_ session: Session) { sessions[session.id] = session }

    /// The connection is gone.
    func disconnect(_ session: Session) {
        if session.flags.contains(.closed) { return }
        session.flags.insert(.closed)
        sessions[session.id] = nil
        clientMemory.remove(session)
        watchers.unwatchAll(session)
        pubsub.end(session)
        tracking.end(session)
        monitors.remove(session)
        session.transaction.removeQueue()
        stopWaiting(session)
        for place in parts { place.part.sessionEnded(session) }
    }

    /// Ends a client's connection, whoever it is: at once, or after its output when it is `current`.
    func close(_ session: Session, current: Session? = nil) {
        if session === current {
            session.flags.insert(.closeAfterReply)
        } else {
            session.transport?.close()
        }
    }

    /// Sets or takes back a state in which some commands are refused.
    func setGuard(_ guarded: Guards, _ isOn: Bool) {
        if isOn { guards.insert(guarded) } else { guards.remove(guarded) }
    }

    /// The stream has other offsets from here on: nobody waits for one of before any more.
    func forgetOffsets() {
        for session in sessions.values { session.ackOffset = 0 }
        recentWrites = RecentWrites()
        loop?.acknowledgedAnew()
    }

    /// The server is another than those who wait took it for: they are told, and their connections end.
    func unblockAll(_ error: CommandError) {
        for session in Array(sessions.values) {
            guard let waiter = session.waiter, waiter.wait.canBeEnded else { continue }
            abort(waiter, error)
            session.flags.insert(.closeAfterReply)
            session.transport?.scheduleFlush()
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
        if isCronPaused { return }
        beginBatch()
        let began = clock
        statistics.sample()
        pause.endIfDue(self)
        if isActiveExpireEnabled && !guards.contains(.loading) && guards.isDisjoint(with: .paused) {
            // A quarter of the time at most, when more is due than can be done.
            services.latency.measure(.expireCycle) {
                unit(.expiry) {
                    _ = keyspace.activeExpire(budgetNanoseconds: 250_000_000 / UInt64(max(1, config.settings.hz)))
                }
            }
        }
        if guards.isDisjoint(with: [.loading, .pausedAll]) { keyspace.rehash(budgetNanoseconds: 1_000_000) }
        if memory.maximum != 0 { memory.refresh() }
        if clientMemory.isLimited { clientMemory.countAll(sessions.values) }
        tracking.limitKeys()
        services.keySizes.step()
        for place in parts { place.part.cron() }
        statistics.timerNanoseconds &+= monotonicNanoseconds() &- began
    }

    /// About once a second for each client: ends what `timeout` ends, and gives back what an idle client needs no more.
    func maintain(_ session: Session) {
        let idle = keyspace.now / 1000 - session.lastInteraction
        if idle >= Self.secondsToIdle { session.shrinkBuffers() }
        let timeout = Int64(config.settings.timeout)
        if timeout > 0 && idle > timeout
            && session.flags.isDisjoint(with: [.blocked, .replica, .master, .pubsub, .monitor])
        {
            logger.verbose("Closing idle client")
            close(session)
        }
    }
    /// Seconds without a command after which a client's buffers shrink, as in Redis.
    private static let secondsToIdle = 3
}

extension Limits {
    /// Those that the settings give.
    fileprivate init(_ settings: Settings) {
        self.init()
        listMaxListpackSize = settings.listMaxListpackSize
        hashMaxListpackEntries = settings.hashMaxListpackEntries
        hashMaxListpackValue = settings.hashMaxListpackValue
        setMaxIntsetEntries = settings.setMaxIntsetEntries
        setMaxListpackEntries = settings.setMaxListpackEntries
        setMaxListpackValue = settings.setMaxListpackValue
        zsetMaxListpackEntries = settings.zsetMaxListpackEntries
        zsetMaxListpackValue = settings.zsetMaxListpackValue
        streamNodeMaxBytes = settings.streamNodeMaxBytes
        streamNodeMaxEntries = settings.streamNodeMaxEntries
    }
}
