import Storage

/// Every setting that something reads: name, property, what is allowed. The default is the property's initial value.
enum SettingTable {
    static let all: [Setting] =
        network + TLSSettings.table + general + persistence + memory + values + observability + sql + replication
        + UnusedSettings.table + ForeignSettings.table

    /// By all names, in lower case.
    static let byName: [ByteString: Setting] = {
        var names: [ByteString: Setting] = [:]
        for setting in all {
            for name in setting.names { names[name] = setting }
        }
        return names
    }()

    private static let port = 0...65535
    /// Where Redis keeps a C `int`.
    static let int = 0...Int(Int32.max)
    /// Where Redis keeps 64 bits.
    static let long = 0...Int.max

    private static let network: [Setting] = [
        .several("bind", [], .listeners) {
            $0.bind.map { ByteString($0) }
        } write: { (settings, words, _) throws(SettingError) in
            let addresses = words.filter { !$0.isEmpty }.compactMap(\.text)
            guard addresses.count == words.count(where: { !$0.isEmpty }) else { throw .notUTF8 }
            settings.bind = addresses
        },
        .text("bind-source-addr", \.bindSourceAddress),
        .integer("port", \.port, port, [], .listeners),
        .path("unixsocket", \.unixSocketPath, .startupOnly),
        .integer("unixsocketperm", \.unixSocketPermissions, 0...0o777, form: .octal, .startupOnly),
        .integer("tcp-backlog", \.tcpBacklog, int, .startupOnly),
        .integer("tcp-keepalive", \.tcpKeepalive, int),
        .integer("timeout", \.timeout, int),
        .integer("maxclients", \.maxClients, 1...Int(UInt32.max), [], .clients),
        .bool("protected-mode", \.protectedMode),
        .memory("client-query-buffer-limit", \.queryBufferLimit, 1 << 20...Int.max, [], .limits),
        .memory("proto-max-bulk-len", \.maxBulkLength, 1 << 20...RowLimits.maximumValue, [], .limits),
        .several("client-output-buffer-limit", [], .clients) {
            SettingForms.bufferLimitLines($0).flatMap { $0 }
        } write: { (settings, words, _) throws(SettingError) in
            try SettingForms.setBufferLimits(&settings, words)
        }.lines(SettingForms.bufferLimitLines),
    ]

    private static let general: [Setting] = [
        .integer("databases", \.databases, 1...Int(Int32.max), .startupOnly),
        // Out of range is not refused, as in Redis, but brought into 1...500.
        .word("hz", .limits) {
            "\($0.hz)"
        } write: { (settings, word) throws(SettingError) in
            settings.hz = min(500, max(1, try parseInteger(word, int, .decimal)))
        },
        .choice("loglevel", \.logLevel, [], .log),
        .path("logfile", \.logFile, .startupOnly),
        .path("pidfile", \.pidFile, .startupOnly),
        .text("dir", \.directoryPath, [.protected, .notWhileLoading], .directory, check: SettingForms.checkDirectory),
        .choice("enable-protected-configs", \.enableProtectedConfigs, .startupOnly),
        .choice("enable-debug-command", \.enableDebugCommand, .startupOnly),
        .bool("daemonize", \.daemonize, .startupOnly),
        .choice("supervised", \.supervised, .startupOnly),
        .integer("shutdown-timeout", \.shutdownTimeout, int),
        .several("shutdown-on-sigint") {
            SettingForms.words(of: $0.shutdownOnSIGINT)
        } write: { (settings, words, _) throws(SettingError) in
            settings.shutdownOnSIGINT = try SettingForms.shutdownOptions(words)
        },
        .several("shutdown-on-sigterm") {
            SettingForms.words(of: $0.shutdownOnSIGTERM)
        } write: { (settings, words, _) throws(SettingError) in
            settings.shutdownOnSIGTERM = try SettingForms.shutdownOptions(words)
        },
        .word("oom-score-adj", .oomScore) {
            ByteString($0.oomScoreAdjustment.rawValue)
        } write: { (settings, word) throws(SettingError) in
            settings.oomScoreAdjustment = try SettingForms.oomScoreAdjustment(word)
        },
        .several("oom-score-adj-values", [], .oomScore) {
            SettingForms.words(of: $0.oomScoreValues)
        } write: { (settings, words, _) throws(SettingError) in
            settings.oomScoreValues = try SettingForms.oomScoreValues(words)
        },
        .text("proc-title-template", \.procTitleTemplate, [], .process, check: SettingForms.checkTitleTemplate),
        .bool("set-proc-title", \.setsProcessTitle, .startupOnly),
        .bool("crash-log-enabled", \.reportsCrashes, [], .process),
        .bool("syslog-enabled", \.usesSyslog, .startupOnly),
        .text("syslog-ident", \.syslogIdentity, .startupOnly),
        .choice("syslog-facility", \.syslogFacility, .startupOnly),
        .text("requirepass", \.requirePass, .secret, .password),
        .path("aclfile", \.aclFile, .startupOnly),
        .integer("acllog-max-len", \.aclLogMaxLength, long, [], .limits),
        .choice("acl-pubsub-default", \.aclPubSubDefault),
    ]

    private static let persistence: [Setting] = [
        .several("save", [], .persistence) {
            $0.effectiveSavePoints.flatMap { ["\($0.seconds)", "\($0.changes)"] }
        } write: { (settings, words, source) throws(SettingError) in
            try SettingForms.setSavePoints(&settings, words, source)
        }.lines(SettingForms.saveLines),
        .fileName("snapshotfilename", \.snapshotFileName, [], .directory),
        .fileName("dbfilename", \.dbFileName, .protected, mayBeEmpty: true),
        .bool("appendonly", \.appendOnly, .notWhileLoading, .persistence),
        .choice("appendfsync", \.appendFsync, [], .persistence),
        .fileName("appendfilename", \.appendFileName, .startupOnly),
        .fileName("appenddirname", \.appendDirectoryName, .startupOnly),
        .bool("aof-load-truncated", \.appendLoadTruncated),
        .integer("auto-aof-rewrite-percentage", \.rewritePercentage, int),
        .memory("auto-aof-rewrite-min-size", \.rewriteMinimumSize),
        .bool("stop-writes-on-bgsave-error", \.stopWritesOnSaveError),
        .word("snapshot-history", .persistence) {
            SettingForms.duration($0.snapshotHistory)
        } write: { (settings, word) throws(SettingError) in
            settings.snapshotHistory = try SettingForms.seconds(word)
        },
        .memory("snapshot-history-max-size", \.snapshotHistoryMaxSize, 1 << 20...Int.max, [], .persistence),
        .path("backup-dir", \.backupDirectory, .protected),
        .bool("rdbcompression", \.rdbCompression),
        .bool("rdbchecksum", \.rdbChecksum, [.startupOnly, .unused]),
        .integer("rdb-key-save-delay", \.saveDelayPerKey, Int(Int32.min)...Int(Int32.max), .hidden, .replication),
        .integer("key-load-delay", \.loadDelayPerKey, Int(Int32.min)...Int(Int32.max), [.hidden, .unused]),
    ]

    private static let memory: [Setting] = [
        .memory("maxmemory", \.maxMemory, long, [], .limits),
        .choice("maxmemory-policy", \.maxMemoryPolicy, [], .limits),
        .bytesOrPercent("maxmemory-clients", \.maxMemoryClients, .limits),
        .integer("maxmemory-samples", \.maxMemorySamples, 1...Int(Int32.max), [], .limits),
        .integer("maxmemory-eviction-tenacity", \.evictionTenacity, 0...100, [], .limits),
        .integer("lfu-log-factor", \.lfuLogFactor, int, [], .limits),
        .integer("lfu-decay-time", \.lfuDecayTime, int, [], .limits),
        .bool("lazyfree-lazy-eviction", \.lazyEviction),
        .bool("lazyfree-lazy-expire", \.lazyExpire),
        .bool("lazyfree-lazy-server-del", \.lazyServerDelete),
        .bool("lazyfree-lazy-user-del", \.lazyUserDelete, .unused),
        .bool("lazyfree-lazy-user-flush", \.lazyUserFlush, .unused),
        .integer("active-expire-effort", \.activeExpireEffort, 1...10).later(),
        .bool("activerehashing", \.activeRehashing, .unused),
    ]

    private static let values: [Setting] = [
        .integer("hash-max-listpack-entries", \.hashMaxListpackEntries, long, [], .limits)
            .alias("hash-max-ziplist-entries"),
        .memory("hash-max-listpack-value", \.hashMaxListpackValue, long, [], .limits).alias("hash-max-ziplist-value"),
        .integer(
            "list-max-listpack-size", \.listMaxListpackSize, Int(Int32.min)...Int(Int32.max), [], .limits
        ).alias("list-max-ziplist-size"),
        .integer("set-max-intset-entries", \.setMaxIntsetEntries, long, [], .limits),
        .integer("set-max-listpack-entries", \.setMaxListpackEntries, long, [], .limits),
        .memory("set-max-listpack-value", \.setMaxListpackValue, long, [], .limits),
        .integer("zset-max-listpack-entries", \.zsetMaxListpackEntries, long, [], .limits)
            .alias("zset-max-ziplist-entries"),
        .memory("zset-max-listpack-value", \.zsetMaxListpackValue, long, [], .limits).alias("zset-max-ziplist-value"),
        .memory("stream-node-max-bytes", \.streamNodeMaxBytes, long, [], .limits),
        .integer("stream-node-max-entries", \.streamNodeMaxEntries, long, [], .limits),
        .memory("hll-sparse-max-bytes", \.hllSparseMaxBytes),
    ]

    private static let observability: [Setting] = [
        .integer("slowlog-log-slower-than", \.slowlogThreshold, -1...Int.max, [], .slowlog).valkey(
            "commandlog-execution-slower-than"),
        .integer("slowlog-max-len", \.slowlogMaxLength, long, [], .slowlog).valkey("commandlog-slow-execution-max-len"),
        .integer("latency-monitor-threshold", \.latencyThreshold, long, [], .slowlog),
        .bool("latency-tracking", \.latencyTracking, [], .slowlog),
        .several("latency-tracking-info-percentiles") {
            $0.latencyPercentiles.map { ByteString($0) }
        } write: { (settings, words, _) throws(SettingError) in
            settings.latencyPercentiles = try SettingForms.percentiles(words)
        },
        .word("notify-keyspace-events", .notifications) {
            $0.notifyKeyspaceEvents.text
        } write: { (settings, word) throws(SettingError) in
            guard let classes = NotificationClasses(letters: word) else {
                throw SettingError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
            }
            settings.notifyKeyspaceEvents = classes
        },
        .integer("tracking-table-max-keys", \.trackingTableMaxKeys, long),
        .integer("busy-reply-threshold", \.busyReplyThreshold, long).alias("lua-time-limit"),
    ]

    private static let sql: [Setting] = [
        .integer("sql-time-limit", \.sqlTimeLimit, 1...Int(Int32.max)),
        .integer("sql-max-rows", \.sqlMaxRows, 1...Int(Int32.max)),
        .memory("sql-max-bytes", \.sqlMaxBytes, 1...1 << 40),
        .memory("sql-max-memory", \.sqlMaxMemory, 4 << 20...1 << 40),
        .integer("sql-max-waiting", \.sqlMaxWaiting, int),
    ]

    private static let replication: [Setting] = [
        .several("replicaof", .startupOnly) {
            $0.replicaOf.map { [$0.host, "\($0.port)"] } ?? []
        } write: { (settings, words, _) throws(SettingError) in
            settings.replicaOf = try SettingForms.master(words)
        }.alias("slaveof").lines { $0.replicaOf.map { [[$0.host, "\($0.port)"]] } ?? [] },
        .text("masteruser", \.masterUser, .secret).valkey("primaryuser"),
        .text("masterauth", \.masterAuth, .secret).valkey("primaryauth"),
        .bool("replica-read-only", \.replicaReadOnly, [], .replication).alias("slave-read-only"),
        .bool("replica-serve-stale-data", \.replicaServeStaleData, [], .replication).alias("slave-serve-stale-data"),
        .integer("replica-priority", \.replicaPriority, int).alias("slave-priority"),
        .text("replica-announce-ip", \.replicaAnnounceIP).alias("slave-announce-ip"),
        .integer("replica-announce-port", \.replicaAnnouncePort, port).alias("slave-announce-port"),
        .choice("repl-diskless-load", \.disklessLoad),
        .bool("replica-announced", \.replicaAnnounced),
        .bool("replica-ignore-maxmemory", \.replicaIgnoreMaxMemory, [], .limits).alias("slave-ignore-maxmemory"),
        .bool("replica-lazy-flush", \.replicaLazyFlush, .unused).alias("slave-lazy-flush"),
        .memory("repl-backlog-size", \.backlogSize, 1...Int.max, [], .replication),
        .integer("repl-backlog-ttl", \.backlogTTL, long),
        .integer("repl-timeout", \.replicationTimeout, 1...Int(Int32.max)),
        .integer("repl-ping-replica-period", \.pingPeriod, 1...Int(Int32.max)).alias("repl-ping-slave-period"),
        .integer("min-replicas-to-write", \.minReplicasToWrite, int, [], .replication).alias("min-slaves-to-write"),
        .integer("min-replicas-max-lag", \.minReplicasMaxLag, int, [], .replication).alias("min-slaves-max-lag"),
        .bool("repl-diskless-sync", \.disklessSync),
        .integer("repl-diskless-sync-delay", \.disklessSyncDelay, int),
        .integer("repl-diskless-sync-max-replicas", \.disklessSyncMaxReplicas, int),
    ]
}
