import Storage

/// What the process's memory is in use for, as INFO and MEMORY show it, in bytes. What the data takes is what is left when all
/// that can be counted otherwise is taken off.
struct MemoryReport {
    private(set) var now = MemoryStatistics()
    let startup: Int
    let peak: Int
    let maximum: Int
    let backlog: Int
    let replicationBuffers: Int
    let replicas: Int
    let clients: Int
    let log: Int
    let uncounted: Int
    /// Code of scripts and of functions, with the tables that they stand in.
    let scripts: Int
    let functions: Int
    /// Of each database that has keys: the hash table with what each key has beside its bytes, and the heap of those that expire.
    let databases: [(index: Int, keys: Int, expiries: Int)]
    let keys: Int

    /// `besides`: bytes that the report itself takes. O(clients and databases).
    init(_ services: Services, besides: Int = 0) {
        now.inUse -= besides
        let statistics = services.statistics
        let settings = services.settings
        statistics.peakMemory = max(statistics.peakMemory, now.inUse)
        startup = statistics.startupMemory
        peak = statistics.peakMemory
        maximum = settings.maxMemory
        replicationBuffers = services.stream.backlog?.memoryUsage ?? 0
        // What waits for replicas beyond the backlog's size is theirs, and there once.
        var replicas =
            services.stream.backlog.map {
                MemoryLimit.beyondBacklog($0, settings, hasReplicas: services.router.memory.hasReplicas())
            } ?? 0
        backlog = replicationBuffers - replicas
        var clients = 0
        for session in services.router.sessions.values {
            if ClientType(session) == .replica {
                replicas += session.memoryUsage - session.queue.sharedCount
            } else {
                clients += session.memoryUsage
            }
        }
        self.replicas = replicas
        self.clients = clients
        log = services.router.memory.logBuffers()
        uncounted = services.router.memory.uncounted
        scripts = services.scripting.cache.memory
        functions = services.scripting.libraryMemory
        databases = services.keyspace.databases.filter { $0.count > 0 }.map {
            (
                $0.index, $0.tableSize.bytes + $0.count * Database.entryOverhead,
                $0.expiringCount * Database.expiryOverhead
            )
        }
        keys = services.keyspace.count
    }

    var overhead: Int {
        startup + backlog + replicas + clients + log + scripts + functions
            + databases.reduce(0) { $0 + $1.keys + $1.expiries }
    }
    var dataset: Int { max(0, now.inUse - overhead) }
    /// In use beyond what an empty server has.
    var net: Int { max(0, now.inUse - startup) }
    var bytesPerKey: Int { keys > 0 ? net / keys : 0 }
    var datasetPercentage: Double { Info.share(dataset, net) * 100 }
    var peakPercentage: Double { Info.share(now.inUse, peak) * 100 }
    /// By how much the process's pages outdo what is in use.
    var fragmentation: Double { Info.share(now.residentSetSize, now.inUse) }
    var allocatorFragmentation: Double { Info.share(now.active, now.allocated) }
    var allocatorResidency: Double { Info.share(now.resident, now.active) }
    var processOverhead: Double { Info.share(now.residentSetSize, now.resident) }
}
