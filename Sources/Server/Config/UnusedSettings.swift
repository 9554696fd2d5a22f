/// Settings of Redis 7.2 that Swiftlet has no use for: there is no fork to tune, no rewritten append-only file, no
/// cluster, no defragmentation of its own. They are accepted, checked and answered with Redis's defaults, so that a
/// redis.conf from elsewhere, and tools that read the configuration, work; the log names those that were set.
enum UnusedSettings {
    private static let int = SettingTable.int
    private static let long = SettingTable.long
    private static let port = 0...65535

    static let table: [Setting] = process + persistence + memory + network + cluster

    private static let process: [Setting] = [
        .unusedBool("always-show-logo", false, .startupOnly),
        .unusedText("locale-collate"),
        .unusedBool("crash-memcheck-enabled", true),
        .unusedInteger("watchdog-period", 0, int, .hidden),
        .unusedBool("disable-thp", true, .startupOnly),
        .unusedText("server_cpulist", "", .startupOnly),
        .unusedText("bio_cpulist", "", .startupOnly),
        .unusedText("aof_rewrite_cpulist", "", .startupOnly),
        .unusedText("bgsave_cpulist", "", .startupOnly),
        .unusedText("ignore-warnings"),
        .unusedBool("dynamic-hz", true),
        .unusedInteger("io-threads", 1, 1...128, .startupOnly),
        .unusedBool("io-threads-do-reads", false, .startupOnly),
        .unusedChoice("propagation-error-behavior", "ignore", ["ignore", "panic", "panic-on-replicas"]),
        .unusedChoice("enable-module-command", "no", ["no", "yes", "local"], .startupOnly),
    ]

    private static let persistence: [Setting] = [
        .unusedBool("no-appendfsync-on-rewrite", false),
        .unusedBool("aof-use-rdb-preamble", true),
        .unusedBool("aof-timestamp-enabled", false),
        .unusedBool("aof-rewrite-incremental-fsync", true),
        .unusedBool("aof-disable-auto-gc", false),
        .unusedBool("rdb-save-incremental-fsync", true),
        .unusedBool("rdb-del-sync-files", false),
        .unusedChoice("sanitize-dump-payload", "no", ["no", "yes", "clients"]),
        .unusedInteger(
            "loading-process-events-interval-bytes", 2 << 20, 1024...Int.max, form: .memory, .hidden),
        .unusedBool("use-exit-on-panic", false, [.hidden, .startupOnly]),
    ]

    /// As of a redis-server on a system's jemalloc, which this is too.
    private static let noDefragmentation = ByteString(
        "Active defragmentation cannot be enabled: it requires a Redis server compiled with a modified Jemalloc like the one "
            + "shipped by default with the Redis source distribution")

    private static let memory: [Setting] = [
        .unusedInteger("list-compress-depth", 0, int),
        .unusedBool("jemalloc-bg-thread", true),
        .unusedBool("activedefrag", false).refusingToSet("yes", because: noDefragmentation),
        .unusedInteger("active-defrag-ignore-bytes", 100 << 20, 1...Int.max, form: .memory),
        .unusedInteger("active-defrag-threshold-lower", 10, 0...1000),
        .unusedInteger("active-defrag-threshold-upper", 100, 0...1000),
        .unusedInteger("active-defrag-cycle-min", 1, 1...99),
        .unusedInteger("active-defrag-cycle-max", 25, 1...99),
        .unusedInteger("active-defrag-max-scan-fields", 1000, 1...Int.max),
    ]

    private static let network: [Setting] = [
        .unusedInteger("socket-mark-id", 0, 0...Int(UInt32.max), .startupOnly),
        .unusedBool("repl-disable-tcp-nodelay", false),
        .unusedBool("replica-ignore-disk-write-errors", false),
    ]

    private static let cluster: [Setting] = [
        .unusedChoice("cluster-enabled", "no", ["yes", "no"], .startupOnly).refusing("yes"),
        .unusedText("cluster-config-file", "nodes.conf", .startupOnly),
        .unusedInteger("cluster-port", 0, port, .startupOnly),
        .unusedInteger("cluster-node-timeout", 15000, long),
        .unusedText("cluster-announce-ip"),
        .unusedText("cluster-announce-hostname", check: checkHostname),
        .unusedText("cluster-announce-human-nodename"),
        .unusedInteger("cluster-announce-port", 0, port),
        .unusedInteger("cluster-announce-tls-port", 0, port),
        .unusedInteger("cluster-announce-bus-port", 0, port),
        .unusedChoice("cluster-preferred-endpoint-type", "ip", ["ip", "hostname", "unknown-endpoint"]),
        .unusedInteger("cluster-migration-barrier", 1, int),
        .unusedBool("cluster-allow-replica-migration", true),
        .unusedBool("cluster-require-full-coverage", true),
        .unusedBool("cluster-replica-no-failover", false).alias("cluster-slave-no-failover"),
        .unusedInteger("cluster-replica-validity-factor", 10, int).alias("cluster-slave-validity-factor"),
        .unusedBool("cluster-allow-reads-when-down", false),
        .unusedBool("cluster-allow-pubsubshard-when-down", true),
        .unusedInteger("cluster-link-sendbuf-limit", 0, long, form: .memory),
    ]

    @Sendable private static func checkHostname(_ name: ByteString) throws(SettingError) {
        if name.count >= 256 { throw SettingError("Hostnames must be less than 256 characters") }
        guard name.bytes.allSatisfy({ hostnameBytes.contains($0) }) else {
            throw SettingError("Hostnames may only contain alphanumeric characters, hyphens or dots")
        }
    }
    private static let hostnameBytes = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.".utf8)
}
