import Glibc
import Storage

/// The text of INFO: sections of `name:value` lines under the field names of Redis 7.2, which exporters and clients
/// look for. A field that means nothing here is left out, unless tools fail without it.
struct Info {
    private let services: Services
    private let out: OutputBuffer?

    init(_ services: Services) {
        self.services = services
        out = nil
    }
    private init(_ services: Services, _ out: OutputBuffer) {
        self.services = services
        self.out = out
    }

    private struct Section: Sendable {
        let name: String
        let title: StaticString
        /// Shown when INFO is asked for no section in particular.
        let isDefault: Bool
        let write: @Sendable (Info) -> Void
    }

    private static let sections: [Section] = [
        Section(name: "server", title: "Server", isDefault: true) { $0.serverSection() },
        Section(name: "clients", title: "Clients", isDefault: true) { $0.clientsSection() },
        Section(name: "memory", title: "Memory", isDefault: true) { $0.memorySection() },
        Section(name: "persistence", title: "Persistence", isDefault: true) { $0.persistenceSection() },
        Section(name: "stats", title: "Stats", isDefault: true) { $0.statsSection() },
        Section(name: "replication", title: "Replication", isDefault: true) { $0.replicationSection() },
        Section(name: "cpu", title: "CPU", isDefault: true) { $0.cpuSection() },
        Section(name: "modules", title: "Modules", isDefault: true) { _ in },
        Section(name: "commandstats", title: "Commandstats", isDefault: false) { $0.commandSection() },
        Section(name: "errorstats", title: "Errorstats", isDefault: true) { $0.errorSection() },
        Section(name: "latencystats", title: "Latencystats", isDefault: false) { $0.latencySection() },
        Section(name: "cluster", title: "Cluster", isDefault: true) { $0.field("cluster_enabled", 0) },
        Section(name: "keyspace", title: "Keyspace", isDefault: true) { $0.keyspaceSection() },
    ]

    /// Writes the sections that `names` ask for (lower case; none: the default ones), each once, in the table's order.
    func write(_ names: [String], to out: OutputBuffer) {
        let all = names.contains("all") || names.contains("everything")
        let standard = names.isEmpty || names.contains("default")
        let info = Info(services, out)
        for section in Self.sections {
            guard all || (standard && section.isDefault) || names.contains(section.name) else { continue }
            if out.count > 0 { out.appendLineEnd() }
            out.append("# ")
            out.append(section.title)
            out.appendLineEnd()
            section.write(info)
        }
    }

    // MARK: - Fields

    private func field(_ name: StaticString, _ value: String) {
        out?.append(name)
        out?.append(byte: UInt8(ascii: ":"))
        out?.append(text: value)
        out?.appendLineEnd()
    }
    private func field(_ name: StaticString, _ value: Int) { field(name, String(value)) }
    private func field(_ name: StaticString, _ value: Int64) { field(name, String(value)) }
    private func field(_ name: StaticString, _ value: Bool) { field(name, value ? 1 : 0) }
    private func field(_ name: StaticString, ok value: Bool) { field(name, value ? "ok" : "err") }

    /// With `digits` places after the point.
    static func fixed(_ value: Double, _ digits: Int) -> String {
        let scale = [1.0, 10, 100, 1000, 10000, 100_000, 1_000_000][min(6, digits)]
        guard value.isFinite, value.magnitude < 1e12 else { return "0" }
        let scaled = Int64((value * scale).rounded())
        if digits == 0 { return String(scaled) }
        let whole = scaled.magnitude / UInt64(scale)
        let rest = String(scaled.magnitude % UInt64(scale))
        let zeros = String(repeating: "0", count: max(0, digits - rest.count))
        return "\(scaled < 0 ? "-" : "")\(whole).\(zeros)\(rest)"
    }

    /// `12.34M`, in powers of 1024.
    static func human(_ bytes: Int) -> String {
        let units = ["B", "K", "M", "G", "T", "P"]
        var value = Double(bytes)
        var unit = 0
        while value >= 1024 && unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return unit == 0 ? "\(bytes)B" : fixed(value, 2) + units[unit]
    }

    /// `part` of `whole`; 0 when there is nothing to divide by.
    static func share(_ part: Int, _ whole: Int) -> Double { whole > 0 ? Double(part) / Double(whole) : 0 }

    // MARK: - Sections

    private func serverSection() {
        let settings = services.config.settings
        let uptime = services.statistics.uptimeSeconds
        field("redis_version", Version.redis)
        field("swiftlet_version", Version.number)
        field("redis_git_sha1", "00000000")
        field("redis_git_dirty", 0)
        field("redis_build_id", "0")
        field("redis_mode", "standalone")
        field("os", Self.operatingSystem)
        field("arch_bits", Int.bitWidth)
        field("monotonic_clock", "POSIX clock_gettime")
        field("multiplexing_api", "epoll")
        field("process_id", Int(getpid()))
        field("process_supervised", "no")
        field("run_id", services.statistics.runID)
        field("tcp_port", settings.port != 0 ? settings.port : settings.tls.port)
        field("server_time_usec", wallClockMilliseconds() * 1000)
        field("uptime_in_seconds", uptime)
        field("uptime_in_days", uptime / 86400)
        field("hz", settings.hz)
        field("configured_hz", settings.hz)
        field("lru_clock", Int(services.keyspace.now / 1000) & 0xff_ffff)
        field(
            "executable",
            CommandLine.arguments.first.map { "\(absolutePath(ByteString($0), from: currentDirectory()))" } ?? "")
        field("config_file", services.config.file?.description ?? "")
        field("io_threads_active", 0)
        listenerFields(settings)
    }

    /// A line for each kind of listener, with the number that Redis 7.2 has for the kind.
    private func listenerFields(_ settings: Settings) {
        let addresses = settings.bind.map { ",bind=\($0)" }.joined()
        if settings.port != 0 { field("listener0", "name=tcp\(addresses),port=\(settings.port)") }
        if !settings.unixSocketPath.isEmpty { field("listener1", "name=unix,bind=\(settings.unixSocketPath)") }
        if settings.tls.port != 0 { field("listener2", "name=tls\(addresses),port=\(settings.tls.port)") }
    }

    private func clientsSection() {
        field("connected_clients", services.router.sessionCount)
        field("cluster_connections", 0)
        field("maxclients", services.config.settings.maxClients)
        var input = services.statistics.inputMaximum
        var output = services.statistics.outputMaximum
        for session in services.router.sessions.values {
            input.note(session.input.count)
            output.note(session.queue.pending)
        }
        field("client_recent_max_input_buffer", input.value)
        field("client_recent_max_output_buffer", output.value)
        field("blocked_clients", services.router.blockedClientCount)
        field("tracking_clients", services.tracking.clientCount)
        field("pubsub_clients", services.pubsub.subscriberCount)
        field("clients_in_timeout_table", services.router.blocked.deadlineCount)
        field("total_blocking_keys", services.router.blocked.keyCount)
        field("total_blocking_keys_on_nokey", services.router.blocked.removalKeyCount)
    }

    private func memorySection() {
        let report = MemoryReport(services, besides: out?.capacity ?? 0)
        let now = report.now
        let settings = services.config.settings
        field("used_memory", now.inUse)
        field("used_memory_human", Self.human(now.inUse))
        field("used_memory_rss", now.residentSetSize)
        field("used_memory_rss_human", Self.human(now.residentSetSize))
        field("used_memory_peak", report.peak)
        field("used_memory_peak_human", Self.human(report.peak))
        field("used_memory_peak_perc", Self.fixed(report.peakPercentage, 2) + "%")
        field("used_memory_overhead", report.overhead)
        field("used_memory_startup", report.startup)
        field("used_memory_dataset", report.dataset)
        field("used_memory_dataset_perc", Self.fixed(report.datasetPercentage, 2) + "%")
        field("allocator_allocated", now.allocated)
        field("allocator_active", now.active)
        field("allocator_resident", now.resident)
        field("total_system_memory", MemoryStatistics.totalSystemMemory)
        field("total_system_memory_human", Self.human(MemoryStatistics.totalSystemMemory))
        scriptFields()
        field("maxmemory", settings.maxMemory)
        field("maxmemory_human", Self.human(settings.maxMemory))
        field("maxmemory_policy", settings.maxMemoryPolicy.rawValue)
        field("allocator_frag_ratio", Self.fixed(report.allocatorFragmentation, 2))
        field("allocator_frag_bytes", now.active - now.allocated)
        field("allocator_rss_ratio", Self.fixed(report.allocatorResidency, 2))
        field("allocator_rss_bytes", now.resident - now.active)
        field("rss_overhead_ratio", Self.fixed(report.processOverhead, 2))
        field("rss_overhead_bytes", now.residentSetSize - now.resident)
        field("mem_fragmentation_ratio", Self.fixed(report.fragmentation, 2))
        field("mem_fragmentation_bytes", now.residentSetSize - now.inUse)
        field("mem_not_counted_for_evict", report.uncounted)
        field("mem_replication_backlog", report.backlog)
        field("mem_total_replication_buffers", report.replicationBuffers)
        field("mem_clients_slaves", report.replicas)
        field("mem_clients_normal", report.clients)
        field("mem_cluster_links", 0)
        field("mem_aof_buffer", report.log)
        field("mem_allocator", MemoryStatistics.allocator)
        field("active_defrag_running", 0)
        field("lazyfree_pending_objects", Reaper.shared.backlog)
        field("lazyfreed_objects", max(0, Reaper.shared.freed - services.statistics.freedBase))
    }

    private func scriptFields() {
        let scripting = services.scripting
        let states = scripting.scriptMemory + scripting.functionMemory
        let texts = scripting.cache.memory + scripting.libraryMemory
        field("used_memory_lua", scripting.scriptMemory)
        field("used_memory_vm_eval", scripting.scriptMemory)
        field("used_memory_lua_human", Self.human(scripting.scriptMemory))
        field("used_memory_scripts_eval", scripting.cache.memory)
        field("number_of_cached_scripts", scripting.cache.count)
        field("number_of_functions", scripting.functionCount)
        field("number_of_libraries", scripting.libraryCount)
        field("used_memory_vm_functions", scripting.functionMemory)
        field("used_memory_vm_total", states)
        field("used_memory_vm_total_human", Self.human(states))
        field("used_memory_functions", scripting.libraryMemory)
        field("used_memory_scripts", texts)
        field("used_memory_scripts_human", Self.human(texts))
    }

    private func persistenceSection() {
        let persistence = services.persistence
        let seconds = services.keyspace.now / 1000
        let isLogging = services.config.settings.appendOnly
        field("loading", services.guards.contains(.loading))
        field("async_loading", services.guards.contains(.replacing))
        field("current_cow_peak", 0)
        field("current_cow_size", 0)
        field("current_fork_perc", "0.00")
        field("current_save_keys_processed", 0)
        field("current_save_keys_total", 0)
        field("rdb_changes_since_last_save", persistence.unsaved(services.keyspace.dirty))
        field("rdb_bgsave_in_progress", persistence.isSaving || services.replication.replicas.sync.isSending)
        field("rdb_last_save_time", persistence.lastSaveTime)
        field("rdb_last_bgsave_status", ok: persistence.lastSaveSucceeded)
        field("rdb_last_bgsave_time_sec", persistence.lastSaveDuration)
        field("rdb_current_bgsave_time_sec", persistence.isSaving ? max(0, seconds - persistence.saveStarted) : -1)
        field("rdb_saves", persistence.saves)
        field("rdb_last_cow_size", 0)
        field("rdb_last_load_keys_expired", persistence.keysExpiredWhileLoading)
        field("rdb_last_load_keys_loaded", persistence.keysLoaded)
        field("aof_enabled", isLogging)
        // A checkpoint is both of Redis's kinds of save; it shows as the one that clients wait for after asking.
        field("aof_rewrite_in_progress", isLogging && persistence.isSaving)
        field("aof_rewrite_scheduled", persistence.isLogRewriteScheduled)
        field("aof_last_rewrite_time_sec", isLogging ? persistence.lastSaveDuration : -1)
        field(
            "aof_current_rewrite_time_sec",
            isLogging && persistence.isSaving ? max(0, seconds - persistence.saveStarted) : -1)
        field("aof_last_bgrewrite_status", ok: persistence.lastSaveSucceeded)
        field("aof_rewrites", isLogging ? persistence.saves : 0)
        field("aof_rewrites_consecutive_failures", 0)
        field("aof_last_write_status", ok: persistence.lastAppendSucceeded)
        field("aof_last_cow_size", 0)
        field("module_fork_in_progress", 0)
        field("module_fork_last_cow_size", 0)
        if isLogging {
            field("aof_current_size", persistence.logBytes)
            field("aof_base_size", persistence.logBytesAtLastSave)
            field("aof_pending_rewrite", 0)
            field("aof_buffer_length", 0)
            field("aof_pending_bio_fsync", persistence.oldestUnsyncedMilliseconds > 0)
            field("aof_delayed_fsync", 0)
        }
        field("swiftlet_oldest_unsynced_ms", persistence.oldestUnsyncedMilliseconds)
        field("swiftlet_log_poisoned", persistence.isLogPoisoned)
        if !services.guards.isDisjoint(with: [.loading, .replacing]) {
            let loaded = persistence.loadingLoadedBytes
            let total = persistence.loadingTotalBytes
            let elapsed = max(0, wallClockMilliseconds() / 1000 - persistence.loadingStarted)
            let share = Self.share(loaded, total)
            field("loading_start_time", persistence.loadingStarted)
            field("loading_total_bytes", total)
            field("loading_loaded_bytes", loaded)
            field("loading_loaded_perc", Self.fixed(share * 100, 2))
            field("loading_eta_seconds", share > 0 ? Int(min(1e9, Double(elapsed) * (1 / share - 1))) : 1)
        }
    }

    private func statsSection() {
        let statistics = services.statistics
        field("total_connections_received", statistics.connectionsReceived)
        field("total_commands_processed", statistics.commandsProcessed)
        field("instantaneous_ops_per_sec", statistics.operationsPerSecond)
        field("total_net_input_bytes", statistics.bytesRead)
        field("total_net_output_bytes", statistics.bytesWritten)
        field("total_net_repl_input_bytes", statistics.replicationBytesRead)
        field("total_net_repl_output_bytes", statistics.replicationBytesWritten)
        field("instantaneous_input_kbps", Self.fixed(statistics.inputKilobytesPerSecond, 2))
        field("instantaneous_output_kbps", Self.fixed(statistics.outputKilobytesPerSecond, 2))
        field("instantaneous_input_repl_kbps", Self.fixed(statistics.replicationInputKilobytesPerSecond, 2))
        field("instantaneous_output_repl_kbps", Self.fixed(statistics.replicationOutputKilobytesPerSecond, 2))
        field("rejected_connections", statistics.connectionsRejected)
        field("sync_full", statistics.fullSyncs)
        field("sync_partial_ok", statistics.partialSyncs)
        field("sync_partial_err", statistics.partialSyncsRefused)
        field("expired_keys", max(0, services.keyspace.expired - statistics.expiredBase))
        field("expired_subkeys", max(0, services.keyspace.expiredFields - statistics.expiredFieldsBase))
        field("expired_stale_perc", "0.00")
        field("expired_time_cap_reached_count", 0)
        field("expire_cycle_cpu_milliseconds", 0)
        field("evicted_keys", statistics.evictedKeys)
        field("evicted_clients", statistics.evictedClients)
        field("evicted_scripts", services.scripting.evicted)
        field("total_eviction_exceeded_time", services.router.memory.totalExceededMilliseconds)
        field("current_eviction_exceeded_time", services.router.memory.currentExceededMilliseconds)
        field("keyspace_hits", statistics.keyspaceHits)
        field("keyspace_misses", statistics.keyspaceMisses)
        field("pubsub_channels", services.pubsub.count(of: .channel))
        field("pubsub_patterns", services.pubsub.count(of: .pattern))
        field("pubsubshard_channels", services.pubsub.count(of: .shardChannel))
        field("latest_fork_usec", 0)
        field("total_forks", 0)
        field("migrate_cached_sockets", services.migrations.connectionCount)
        field("slave_expires_tracked_keys", services.replication.localExpiries.count)
        field("active_defrag_hits", 0)
        field("active_defrag_misses", 0)
        field("active_defrag_key_hits", 0)
        field("active_defrag_key_misses", 0)
        field("total_active_defrag_time", 0)
        field("current_active_defrag_time", 0)
        field("tracking_total_keys", services.tracking.keyCount)
        field("tracking_total_items", services.tracking.itemCount)
        field("tracking_total_prefixes", services.tracking.prefixCount)
        field("unexpected_error_replies", statistics.unexpectedErrorReplies)
        field("total_error_replies", statistics.errorReplies)
        field("dump_payload_sanitizations", 0)
        field("total_reads_processed", statistics.reads)
        field("total_writes_processed", statistics.writes)
        field("io_threaded_reads_processed", 0)
        field("io_threaded_writes_processed", 0)
        field("client_query_buffer_limit_disconnections", statistics.queryBufferDisconnections)
        field("client_output_buffer_limit_disconnections", statistics.outputBufferDisconnections)
        field("reply_buffer_shrinks", 0)
        field("reply_buffer_expands", 0)
        field("eventloop_cycles", statistics.turns)
        field("eventloop_duration_sum", statistics.turnNanoseconds / 1000)
        field("eventloop_duration_cmd_sum", statistics.commandMicroseconds)
        field("instantaneous_eventloop_cycles_per_sec", statistics.turnsPerSecond)
        field("instantaneous_eventloop_duration_usec", statistics.microsecondsPerTurn)
    }

    private func replicationSection() {
        let replication = services.replication
        let stream = services.stream
        let attached = replication.replicas.attached
        let settings = services.settings
        field("role", replication.isReplica ? "slave" : "master")
        for (name, value) in replication.master?.fields ?? [] { field(name, value) }
        field("connected_slaves", attached.count)
        if settings.minReplicasToWrite > 0 && settings.minReplicasMaxLag > 0 {
            field("min_slaves_good_slaves", replication.replicas.goodCount)
        }
        let now = replication.replicas.now
        for (i, replica) in attached.enumerated() {
            out?.append(
                text: "slave\(i):ip=\(replica.host),port=\(replica.listeningPort),state=\(replica.state.name),"
                    + "offset=\(replica.acknowledged),lag=\(replica.lag(now))\r\n")
        }
        field("master_failover_state", "\(replication.failover.state.name)")
        field("master_replid", stream.id)
        field("master_replid2", stream.shownSecondID)
        field("master_repl_offset", stream.offset)
        field("second_repl_offset", stream.secondID == nil ? -1 : stream.secondOffset + 1)
        field("repl_backlog_active", stream.backlog != nil)
        field("repl_backlog_size", settings.backlogSize)
        // Offsets of bytes count from 1.
        field("repl_backlog_first_byte_offset", stream.backlog.map { $0.start + 1 } ?? 0)
        field("repl_backlog_histlen", stream.backlog?.count ?? 0)
    }

    private func cpuSection() {
        func usage(_ who: Int32) -> (system: String, user: String) {
            var usage = rusage()
            getrusage(who, &usage)
            func seconds(_ time: timeval) -> String {
                Self.fixed(Double(time.tv_sec) + Double(time.tv_usec) / 1e6, 6)
            }
            return (seconds(usage.ru_stime), seconds(usage.ru_utime))
        }
        let own = usage(RUSAGE_SELF.rawValue)
        let children = usage(RUSAGE_CHILDREN.rawValue)
        // RUSAGE_THREAD, which the header defines behind _GNU_SOURCE.
        let thread = usage(1)
        field("used_cpu_sys", own.system)
        field("used_cpu_user", own.user)
        field("used_cpu_sys_children", children.system)
        field("used_cpu_user_children", children.user)
        field("used_cpu_sys_main_thread", thread.system)
        field("used_cpu_user_main_thread", thread.user)
    }

    private func commandSection() {
        for command in services.statistics.commands
        where command.calls > 0 || command.rejected > 0 || command.failed > 0 {
            let mean = Self.fixed(Self.share(command.microseconds, command.calls), 2)
            out?.append(
                text:
                    "cmdstat_\(command.name):calls=\(command.calls),usec=\(command.microseconds),usec_per_call=\(mean),"
                    + "rejected_calls=\(command.rejected),failed_calls=\(command.failed)\r\n")
        }
    }

    private func errorSection() {
        for (code, count) in services.statistics.errors.sorted(by: { $0.key < $1.key }) {
            out?.append(text: "errorstat_\(code):count=\(count)\r\n")
        }
    }

    private func latencySection() {
        let settings = services.config.settings
        guard settings.latencyTracking else { return }
        for command in services.statistics.commands where command.calls > 0 {
            let parts = settings.latencyPercentiles.map {
                "p\($0)=" + Self.fixed(command.microseconds(percentile: Double($0) ?? 0), 3)
            }
            out?.append(text: "latency_percentiles_usec_\(command.name):\(parts.joined(separator: ","))\r\n")
        }
    }

    private func keyspaceSection() {
        // Half of the data says nothing.
        if services.guards.contains(.loading) { return }
        for database in services.keyspace.databases where database.count > 0 {
            out?.append(
                text:
                    "db\(database.index):keys=\(database.count),expires=\(database.expiringCount),"
                    + "avg_ttl=\(database.expiringCount > 0 ? averageTTL(database) : 0)")
            // Since Redis 7.4; left out where there are none, as readers of older formats expect three numbers.
            let subexpiry = database.hashesWithExpiringFields
            if subexpiry > 0 { out?.append(text: ",subexpiry=\(subexpiry)") }
            out?.appendLineEnd()
        }
    }

    /// Of a sample, in milliseconds: INFO must not walk a large database.
    private func averageTTL(_ database: Database) -> Int64 {
        var sum: Int64 = 0
        var found: Int64 = 0
        for _ in 0..<64 {
            guard let entry = database.sampleKey() else { break }
            if let expiry = database.expiry(of: entry) {
                sum = sum.addingReportingOverflow(max(0, expiry &- services.keyspace.now)).partialValue
                found += 1
            }
        }
        return found > 0 ? max(0, sum / found) : 0
    }

    private static let operatingSystem: String = {
        var names = utsname()
        guard uname(&names) == 0 else { return "Linux" }
        func text<T>(_ field: T) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        return "\(text(names.sysname)) \(text(names.release)) \(text(names.machine))"
    }()
}
