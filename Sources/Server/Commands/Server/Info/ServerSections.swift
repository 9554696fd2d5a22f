import Glibc
import Storage

/// Server, Clients and CPU.
extension Info {
    func serverSection() {
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
        // Redis's names of its compiler's atomics and its compiler's version: Swift's, and no gcc.
        field("atomicvar_api", "swift-synchronization")
        field("gcc_version", "0.0.0")
        field("monotonic_clock", "POSIX clock_gettime")
        field("multiplexing_api", "epoll")
        field("process_id", Int(getpid()))
        field("process_supervised", "\(services.statistics.supervisor)")
        field("run_id", services.statistics.runID)
        field("tcp_port", settings.port != 0 ? settings.port : settings.tls.port)
        field("server_time_usec", wallClockMilliseconds() * 1000)
        field("uptime_in_seconds", uptime)
        field("uptime_in_days", uptime / 86400)
        field("hz", settings.hz)
        field("configured_hz", settings.hz)
        field("lru_clock", Int(services.keyspace.now / 1000) & 0xff_ffff)
        field("executable", services.config.executable.description)
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

    func clientsSection() {
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

    func cpuSection() {
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

    private static let operatingSystem: String = {
        var names = utsname()
        guard uname(&names) == 0 else { return "Linux" }
        func text<T>(_ field: T) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        return "\(text(names.sysname)) \(text(names.release)) \(text(names.machine))"
    }()
}
