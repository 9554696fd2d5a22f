/// Settings of other servers, and of Redis's past, which a configuration from there may hold: accepted, whatever their
/// value, not shown by CONFIG GET but to who asks by name, and named in the log where they are not the default.
enum ForeignSettings {
    static let table: [Setting] = (redis2 + redis3To6 + redis8 + valkey).map { .foreign($0.0, $0.1) }

    private static let redis2: [(ByteString, ByteString)] = [
        ("vm-enabled", "no"), ("vm-swap-file", "/tmp/redis.swap"), ("vm-max-memory", "0"), ("vm-page-size", "32"),
        ("vm-pages", "134217728"), ("vm-max-threads", "4"), ("really-use-vm", "no"), ("glueoutputbuf", "yes"),
        ("shareobjects", "no"), ("shareobjectspoolsize", "1024"), ("hash-max-zipmap-entries", "512"),
        ("hash-max-zipmap-value", "64"), ("list-max-ziplist-entries", "512"), ("list-max-ziplist-value", "64"),
        ("list-max-zipmap-entries", "512"), ("list-max-zipmap-value", "64"), ("diskstore-enabled", "no"),
        ("diskstore-path", "redis.ds"), ("cache-max-memory", "0"), ("cache-flush-delay", "0"),
    ]

    private static let redis3To6: [(ByteString, ByteString)] = [
        ("gopher-enabled", "no"), ("tracking-table-max-fill", "10"),
        ("slave-announced", "yes"), ("cluster-slave-migration-barrier", "1"), ("lua-replicate-commands", "yes"),
        ("list-max-quicklist-size", "-2"), ("memory-limit", "0"),
    ]

    private static let redis8: [(ByteString, ByteString)] = [
        ("cluster-compatibility-sample-ratio", "0"), ("cluster-slot-stats-enabled", "no"),
        ("hide-user-data-from-log", "no"), ("key-memory-histograms", "no"), ("lookahead", "16"),
        ("max-new-connections-per-cycle", "10"), ("max-new-tls-connections-per-cycle", "1"),
        ("replica-full-sync-buffer-limit", "0"), ("repl-rdb-channel", "no"), ("repl-diskless-sync-period", "0"),
        ("tls-auth-clients-user", "off"), ("stream-idmp-duration", "100"), ("stream-idmp-maxsize", "100"),
        ("client-default-resp", "2"), ("req-res-logfile", ""), ("hotkeys-tracking", "no"),
    ]

    private static let valkey: [(ByteString, ByteString)] = [
        ("active-defrag-cycle-us", "500"), ("aof-rewrite-cpulist", ""), ("availability-zone", ""),
        ("bgsave-cpulist", ""), ("bio-cpulist", ""),
        ("cluster-announce-client-ipv4", ""), ("cluster-announce-client-ipv6", ""),
        ("cluster-announce-client-port", "0"), ("cluster-announce-client-tls-port", "0"),
        ("cluster-blacklist-ttl", "60"), ("cluster-config-save-behavior", "sync"), ("cluster-databases", "1"),
        ("cluster-manual-failover-timeout", "5000"), ("cluster-message-gossip-perc", "10"),
        ("cluster-ping-interval", "0"), ("cluster-slot-migration-log-max-len", "1000"),
        ("commandlog-large-reply-max-len", "128"), ("commandlog-large-request-max-len", "128"),
        ("commandlog-reply-larger-than", "1048576"), ("commandlog-request-larger-than", "1048576"),
        ("debug-assert-enabled", "no"), ("debug-context", ""), ("dual-channel-replication-enabled", "no"),
        ("enable-debug-assert", "no"), ("events-per-io-thread", "2"), ("extended-redis-compatibility", "no"),
        ("hash-seed", ""), ("import-mode", "no"), ("io-threads-always-active", "no"), ("log-format", "legacy"),
        ("log-timestamp-format", "legacy"), ("lua-enable-deprecated-api", "no"), ("lua-enable-insecure-api", "no"),
        ("maxmemory-reserved-scale", "0"), ("min-io-threads-avoid-copy-reply", "7"),
        ("min-string-size-avoid-copy-reply", "16384"), ("min-string-size-avoid-copy-reply-threaded", "65536"),
        ("mptcp", "no"), ("prefetch-batch-max-size", "16"), ("rdb-version-check", "strict"), ("rdma-bind", ""),
        ("rdma-completion-vector", "-1"), ("rdma-port", "0"), ("rdma-rx-size", "1048576"), ("repl-mptcp", "no"),
        ("replica-reserved-clients", "0"), ("server-cpulist", ""), ("slot-migration-max-failover-repl-bytes", "0"),
        ("tls-auto-reload-interval", "0"), ("unixsocketgroup", ""),
    ]
}

extension Setting {
    /// Takes any words, but only at start.
    fileprivate static func foreign(_ name: ByteString, _ value: ByteString) -> Setting {
        unusedWords(name, value.words, [.hidden, .startupOnly]) { (_) throws(SettingError) in }
    }
}
