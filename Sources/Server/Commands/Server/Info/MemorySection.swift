import Storage

/// Memory.
extension Info {
    func memorySection() {
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
}
