import Storage

/// All values that something reads, typed, with Redis 7.2's defaults. A value type: CONFIG SET works on a copy and puts
/// it in place, or the old one back, in one assignment.
struct Settings: Sendable {
    // Network
    var bind = ["*", "-::*"]
    var port = 6379
    /// The address of this machine that connections to a master come from; empty: any.
    var bindSourceAddress: ByteString = ""
    var unixSocketPath: ByteString = ""
    /// 0: as the umask has it.
    var unixSocketPermissions = 0
    var tcpBacklog = 511
    /// Seconds between probes of an idle connection; 0: none.
    var tcpKeepalive = 300
    /// Seconds after which an idle client is closed; 0: never.
    var timeout = 0
    var maxClients = 10000
    var protectedMode = true
    var queryBufferLimit = 1 << 30
    var maxBulkLength = 512 << 20
    var outputBufferLimits = OutputBufferLimits()
    var tls = TLSSettings()

    // General
    var databases = 16
    var hz = 10
    var logLevel = LogLevel.notice
    var logFile: ByteString = ""
    var pidFile: ByteString = ""
    /// `dir`; absolute once the server has gone there.
    var directoryPath: ByteString = ""
    var daemonize = false
    var setsProcessTitle = true
    /// A crash leaves a report in the log.
    var reportsCrashes = true
    var usesSyslog = false
    var syslogIdentity: ByteString = "redis"
    var syslogFacility = SyslogFacility.local0
    var supervised = Supervision.no
    var enableProtectedConfigs = Permission.no
    var enableDebugCommand = Permission.no
    var shutdownTimeout = 10
    var shutdownOnSIGINT = ShutdownOptions()
    var shutdownOnSIGTERM = ShutdownOptions()
    var oomScoreAdjustment = OOMScoreAdjustment.no
    var oomScoreValues = OOMScoreValues()
    var procTitleTemplate: ByteString = "{title} {listen-addr} {server-mode}"
    var commandNames = CommandNames()

    // Security
    var requirePass: ByteString = ""
    /// The lines `user <name> <rule> …` of the configuration, without their first word.
    var userLines: [[ByteString]] = []
    /// The file with such lines, in their place.
    var aclFile: ByteString = ""
    var aclLogMaxLength = 128
    var aclPubSubDefault = ACLPubSubDefault.resetchannels

    // Persistence
    /// nil: nothing configured, `SavePoint.defaults` hold.
    var savePoints: [SavePoint]?
    var snapshotFileName = "dump.sqlite"
    var dbFileName = "dump.rdb"
    /// nil: nothing configured. Redis's default is no; ours is yes.
    var appendOnlyChoice: Bool?
    var appendOnly: Bool {
        get { appendOnlyChoice ?? true }
        set { appendOnlyChoice = newValue }
    }
    var appendFsync = AppendFsync.everysec
    var appendFileName = "appendonly.aof"
    var appendDirectoryName = "appendonlydir"
    var appendLoadTruncated = true
    /// The log asks for a checkpoint when it has grown by this share since the last one; 0: never.
    var rewritePercentage = 100
    var rewriteMinimumSize = 64 << 20
    var stopWritesOnSaveError = true
    /// How far back moments can be restored, in seconds; 0: not at all.
    var snapshotHistory = 0
    /// What that may take on the disk, in bytes.
    var snapshotHistoryMaxSize = 10 << 30
    /// Where BACKUP writes to, and nowhere else; relative to `dir`.
    var backupDirectory: ByteString = "backups"
    /// Of the command line: what the data directory is to be restored to, before it is loaded.
    var restore: RestoreRequest?
    var rdbCompression = true
    var rdbChecksum = true
    /// Microseconds that a checkpoint waits for each key: for tests that need a slow one.
    var saveDelayPerKey = 0
    /// Microseconds that loading waits for each key: for tests.
    var loadDelayPerKey = 0

    // Memory
    var maxMemory = 0
    var maxMemoryPolicy = EvictionPolicy.noeviction
    var maxMemorySamples = 5
    var maxMemoryClients = ClientMemoryLimit.bytes(0)
    var evictionTenacity = 10
    var lfuLogFactor = 10
    var lfuDecayTime = 1
    var lazyEviction = false
    var lazyExpire = false
    var lazyServerDelete = false
    var lazyUserDelete = false
    var lazyUserFlush = false
    var activeExpireEffort = 1
    var activeRehashing = true

    // Values
    var hashMaxListpackEntries = 512
    var hashMaxListpackValue = 64
    var listMaxListpackSize = -2
    var setMaxIntsetEntries = 512
    var setMaxListpackEntries = 128
    var setMaxListpackValue = 64
    var zsetMaxListpackEntries = 128
    var zsetMaxListpackValue = 64
    var streamNodeMaxBytes = 4096
    var streamNodeMaxEntries = 100
    var hllSparseMaxBytes = 3000

    // Observability
    /// Microseconds; 0 logs everything, -1 nothing.
    var slowlogThreshold = 10000
    var slowlogMaxLength = 128
    /// Milliseconds; 0: off.
    var latencyThreshold = 0
    var latencyTracking = true
    var latencyPercentiles = ["50", "99", "99.9"]
    var notifyKeyspaceEvents = NotificationClasses()
    var trackingTableMaxKeys = 1_000_000
    /// Milliseconds after which a script may be killed.
    var busyReplyThreshold = 5000

    // SQL
    /// Milliseconds.
    var sqlTimeLimit = 5000
    /// Of an answer.
    var sqlMaxRows = 100_000
    var sqlMaxBytes = 16 << 20
    /// Bytes that a query may take.
    var sqlMaxMemory = 256 << 20
    /// Queries.
    var sqlMaxWaiting = 64

    // Replication
    var replicaOf: HostAndPort?
    var masterUser: ByteString = ""
    var masterAuth: ByteString = ""
    var replicaReadOnly = true
    var replicaServeStaleData = true
    var replicaPriority = 100
    var replicaAnnounceIP: ByteString = ""
    var replicaAnnouncePort = 0
    var replicaAnnounced = true
    var replicaIgnoreMaxMemory = true
    var replicaLazyFlush = false
    var disklessLoad = DisklessLoad.disabled
    var backlogSize = 1 << 20
    var backlogTTL = 3600
    var replicationTimeout = 60
    var pingPeriod = 10
    var minReplicasToWrite = 0
    var minReplicasMaxLag = 10
    /// Replicas that find a snapshot's end by a mark get it as it is read; else it is kept in a file first.
    var disklessSync = true
    /// Seconds for which a full sync waits for more replicas, and how many are enough (0: no number).
    var disklessSyncDelay = 5
    var disklessSyncMaxReplicas = 0

    /// Text of the settings that nothing reads, where they differ from the default.
    var unused: [ByteString: ByteString] = [:]
}

// MARK: - What they hold

enum SyslogFacility: String, SettingChoice {
    case user, local0, local1, local2, local3, local4, local5, local6, local7
}

enum LogLevel: String, SettingChoice { case debug, verbose, notice, warning, nothing }

enum AppendFsync: String, SettingChoice { case everysec, always, no }

/// How a replica takes a full sync, as far as clients can tell: what they get meanwhile.
enum DisklessLoad: String, SettingChoice {
    /// The old data until all of the new is here; then -LOADING.
    case disabled
    /// -LOADING from the beginning on, where there is nothing yet.
    case onEmptyDB = "on-empty-db"
    /// The old data until the new are loaded, where both are of one history; else -LOADING.
    case swapdb
}

/// How much the buffers of all clients may take: bytes (0: no limit), or a share of `maxmemory`.
enum ClientMemoryLimit: Equatable, Sendable {
    case bytes(Int)
    case percent(Int)
}

enum EvictionPolicy: String, SettingChoice {
    case volatileLRU = "volatile-lru"
    case volatileLFU = "volatile-lfu"
    case volatileRandom = "volatile-random"
    case volatileTTL = "volatile-ttl"
    case allkeysLRU = "allkeys-lru"
    case allkeysLFU = "allkeys-lfu"
    case allkeysRandom = "allkeys-random"
    case noeviction

    /// Whether keys go by when, or how often, they were used.
    var looksAtUse: Bool {
        switch self {
        case .allkeysLRU, .volatileLRU, .allkeysLFU, .volatileLFU: true
        case .noeviction, .allkeysRandom, .volatileRandom, .volatileTTL: false
        }
    }
}

/// Who may use DEBUG or change protected settings: nobody, everybody, or clients on this machine.
enum Permission: String, SettingChoice { case no, yes, local }

/// What started the server and wants to hear when it is ready.
enum Supervision: String, SettingChoice { case upstart, systemd, auto, no }

/// Whether `oom-score-adj-values` are in force, and whether they are added to what the process had.
enum OOMScoreAdjustment: String { case no, relative = "yes", absolute }

/// What a master's or replica's score is, and a child process's, of which there is none.
struct OOMScoreValues: Sendable, Equatable {
    var master = 0
    var replica = 200
    var child = 800
}

enum ACLPubSubDefault: String, SettingChoice { case allchannels, resetchannels }

/// A save point: a checkpoint is due `seconds` after the last one when `changes` or more happened since.
struct SavePoint: Sendable, Equatable {
    var seconds: Int
    var changes: Int

    static let defaults = [
        SavePoint(seconds: 3600, changes: 1), SavePoint(seconds: 300, changes: 100),
        SavePoint(seconds: 60, changes: 10000),
    ]
}

extension Settings {
    var effectiveSavePoints: [SavePoint] { savePoints ?? SavePoint.defaults }

    /// The directory as the engine opens it. One that is not UTF-8 is where the process is, as `Config.enterDirectory`
    /// has gone there.
    var directory: String { directoryPath.text ?? "." }
    /// For messages, and to ask whether there is one.
    var unixSocket: String { unixSocketPath.description }
    /// Nothing is ever written: no save points, no log.
    var isPureCache: Bool { !appendOnly && effectiveSavePoints.isEmpty }
}

/// `--restore-to` and `--restore-check`.
struct RestoreRequest: Sendable {
    let target: RestoreTarget
    /// As it was written.
    let text: String
    /// Only says what a restore would do.
    let isCheck: Bool
}

struct HostAndPort: Sendable, Equatable {
    var host: ByteString
    var port: Int
}

/// How much unsent output a client may pile up, by class of client; 0: any.
struct OutputBufferLimits: Sendable, Equatable {
    struct Limit: Sendable, Equatable {
        var hard = 0
        var soft = 0
        var softSeconds = 0
    }
    var normal = Limit()
    var replica = Limit(hard: 256 << 20, soft: 64 << 20, softSeconds: 60)
    var pubsub = Limit(hard: 32 << 20, soft: 8 << 20, softSeconds: 60)
}

/// What SHUTDOWN does on a signal; `default` is none of these.
struct ShutdownOptions: OptionSet, Sendable, Equatable {
    let rawValue: UInt8
    static let save = ShutdownOptions(rawValue: 1)
    static let noSave = ShutdownOptions(rawValue: 2)
    static let now = ShutdownOptions(rawValue: 4)
    static let force = ShutdownOptions(rawValue: 8)
    /// In the order in which CONFIG GET answers them.
    static let names: [(ByteString, ShutdownOptions)] = [
        ("default", []), ("save", .save), ("nosave", .noSave), ("now", .now), ("force", .force),
    ]
}

/// Classes of keyspace events, a letter each.
struct NotificationClasses: OptionSet, Sendable, Equatable {
    let rawValue: UInt32
    /// Letter and bit. `A` stands for all that are `inAll`.
    static let letters: [(letter: UnicodeScalar, bit: UInt32, inAll: Bool)] = [
        ("n", 1 << 14, false), ("K", 1 << 0, false), ("E", 1 << 1, false), ("g", 1 << 2, true), ("$", 1 << 3, true),
        ("l", 1 << 4, true), ("s", 1 << 5, true), ("h", 1 << 6, true), ("z", 1 << 7, true), ("x", 1 << 8, true),
        ("e", 1 << 9, true), ("t", 1 << 10, true), ("m", 1 << 11, false), ("d", 1 << 13, true),
    ]
    static let keyspace = NotificationClasses(rawValue: 1 << 0)
    static let keyevent = NotificationClasses(rawValue: 1 << 1)
    static let generic = NotificationClasses(rawValue: 1 << 2)
    static let string = NotificationClasses(rawValue: 1 << 3)
    static let list = NotificationClasses(rawValue: 1 << 4)
    static let set = NotificationClasses(rawValue: 1 << 5)
    static let hash = NotificationClasses(rawValue: 1 << 6)
    static let zset = NotificationClasses(rawValue: 1 << 7)
    static let expired = NotificationClasses(rawValue: 1 << 8)
    static let evicted = NotificationClasses(rawValue: 1 << 9)
    static let stream = NotificationClasses(rawValue: 1 << 10)
    static let keyMiss = NotificationClasses(rawValue: 1 << 11)
    static let module = NotificationClasses(rawValue: 1 << 13)
    static let new = NotificationClasses(rawValue: 1 << 14)
    static let all = NotificationClasses(rawValue: letters.reduce(0) { $1.inAll ? $0 | $1.bit : $0 })

    /// nil when a letter is none.
    init?(letters text: ByteString) {
        var bits: UInt32 = 0
        for letter in text.bytes.map(UnicodeScalar.init) {
            if letter == "A" {
                bits |= Self.all.rawValue
            } else if let row = Self.letters.first(where: { $0.letter == letter }) {
                bits |= row.bit
            } else {
                return nil
            }
        }
        self.init(rawValue: bits)
    }
    init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The letters, `A` first when it can stand for its classes, as Redis answers. `n`, which redis-server 7.0 leaves out behind
    /// `A`, is there: CONFIG REWRITE would lose it.
    var text: ByteString {
        var text = String.UnicodeScalarView()
        if isSuperset(of: .all) {
            text.append("A")
        } else {
            for row in Self.letters where row.inAll && rawValue & row.bit != 0 { text.append(row.letter) }
        }
        for row in Self.letters where !row.inAll && rawValue & row.bit != 0 { text.append(row.letter) }
        return ByteString(String(text))
    }
}
