import Glibc
import Storage

/// The text of INFO: sections of `name:value` lines under the field names of Redis 7.2, which exporters and clients
/// look for. A field that means nothing here is left out, unless tools fail without it.
struct Info {
    let services: Services
    let out: OutputBuffer?

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
        /// When it is shown without being named.
        let isPartOf: Whole
        let write: @Sendable (Info) -> Void
    }

    private enum Whole: Sendable { case standard, all, none }

    private static let sections: [Section] = [
        Section(name: "server", title: "Server", isPartOf: .standard) { $0.serverSection() },
        Section(name: "clients", title: "Clients", isPartOf: .standard) { $0.clientsSection() },
        Section(name: "memory", title: "Memory", isPartOf: .standard) { $0.memorySection() },
        Section(name: "persistence", title: "Persistence", isPartOf: .standard) { $0.persistenceSection() },
        Section(name: "snapshot", title: "Snapshot", isPartOf: .standard) { $0.snapshotSection() },
        Section(name: "stats", title: "Stats", isPartOf: .standard) { $0.statsSection() },
        Section(name: "replication", title: "Replication", isPartOf: .standard) { $0.replicationSection() },
        Section(name: "cpu", title: "CPU", isPartOf: .standard) { $0.cpuSection() },
        Section(name: "modules", title: "Modules", isPartOf: .standard) { _ in },
        Section(name: "commandstats", title: "Commandstats", isPartOf: .all) { $0.commandSection() },
        Section(name: "errorstats", title: "Errorstats", isPartOf: .standard) { $0.errorSection() },
        Section(name: "latencystats", title: "Latencystats", isPartOf: .all) { $0.latencySection() },
        Section(name: "cluster", title: "Cluster", isPartOf: .standard) { $0.field("cluster_enabled", 0) },
        Section(name: "keyspace", title: "Keyspace", isPartOf: .standard) { $0.keyspaceSection() },
        Section(name: "keysizes", title: "Keysizes", isPartOf: .all) { $0.keySizesSection() },
        Section(name: "debug", title: "Debug", isPartOf: .none) { $0.debugSection() },
    ]

    /// Writes the sections that `names` ask for (lower case; none: the default ones), each once, in the table's order.
    func write(_ names: [String], to out: OutputBuffer) {
        let all = names.contains("all") || names.contains("everything")
        let standard = names.isEmpty || names.contains("default")
        let info = Info(services, out)
        for section in Self.sections {
            let isWanted =
                switch section.isPartOf {
                case .standard: all || standard
                case .all: all
                case .none: false
                }
            guard isWanted || names.contains(section.name) else { continue }
            if out.count > 0 { out.appendLineEnd() }
            out.append("# ")
            out.append(section.title)
            out.appendLineEnd()
            section.write(info)
        }
    }

    // MARK: - Fields

    func field(_ name: StaticString, _ value: String) {
        out?.append(name)
        out?.append(byte: UInt8(ascii: ":"))
        out?.append(text: value)
        out?.appendLineEnd()
    }
    func field(_ name: StaticString, _ value: Int) { field(name, String(value)) }
    func field(_ name: StaticString, _ value: Int64) { field(name, String(value)) }
    func field(_ name: StaticString, _ value: Bool) { field(name, value ? 1 : 0) }
    func field(_ name: StaticString, ok value: Bool) { field(name, value ? "ok" : "err") }

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

    private func memorySection() {
        let now = MemoryStatistics()
        let statistics = services.statistics
        let settings = services.config.settings
        statistics.peakMemory = max(statistics.peakMemory, now.allocated)
        let data = max(0, now.allocated - statistics.startupMemory)
        field("used_memory", now.allocated)
        field("used_memory_human", Self.human(now.allocated))
        field("used_memory_rss", now.residentSetSize)
        field("used_memory_rss_human", Self.human(now.residentSetSize))
        field("used_memory_peak", statistics.peakMemory)
        field("used_memory_peak_human", Self.human(statistics.peakMemory))
        field("used_memory_peak_perc", Self.fixed(Self.share(now.allocated, statistics.peakMemory) * 100, 2) + "%")
        field("used_memory_overhead", statistics.startupMemory)
        field("used_memory_startup", statistics.startupMemory)
        field("used_memory_dataset", data)
        field("used_memory_dataset_perc", Self.fixed(Self.share(data, now.allocated) * 100, 2) + "%")
        field("allocator_allocated", now.allocated)
        field("allocator_active", now.active)
        field("allocator_resident", now.resident)
        field("total_system_memory", MemoryStatistics.totalSystemMemory)
        field("total_system_memory_human", Self.human(MemoryStatistics.totalSystemMemory))
        scriptFields()
        field("maxmemory", settings.maxMemory)
        field("maxmemory_human", Self.human(settings.maxMemory))
        field("maxmemory_policy", settings.maxMemoryPolicy.rawValue)
        field("allocator_frag_ratio", Self.fixed(Self.share(now.active, now.allocated), 2))
        field("allocator_frag_bytes", now.active - now.allocated)
        field("allocator_rss_ratio", Self.fixed(Self.share(now.resident, now.active), 2))
        field("allocator_rss_bytes", now.resident - now.active)
        field("rss_overhead_ratio", Self.fixed(Self.share(now.residentSetSize, now.resident), 2))
        field("rss_overhead_bytes", now.residentSetSize - now.resident)
        field("mem_fragmentation_ratio", Self.fixed(Self.share(now.residentSetSize, now.allocated), 2))
        field("mem_fragmentation_bytes", now.residentSetSize - now.allocated)
        let backlog = services.stream.backlog?.count ?? 0
        field("mem_not_counted_for_evict", max(0, backlog - settings.backlogSize))
        field("mem_replication_backlog", min(backlog, settings.backlogSize))
        field("mem_total_replication_buffers", backlog)
        // What waits for replicas beyond the backlog's size is theirs, and there once.
        var replicas = max(0, backlog - settings.backlogSize)
        var others = 0
        for session in services.router.sessions.values {
            if ClientType(session) == .replica {
                replicas += session.memoryUsage - session.queue.sharedCount
            } else {
                others += session.memoryUsage
            }
        }
        field("mem_clients_slaves", replicas)
        field("mem_clients_normal", others)
        field("mem_cluster_links", 0)
        field("mem_aof_buffer", 0)
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

}
