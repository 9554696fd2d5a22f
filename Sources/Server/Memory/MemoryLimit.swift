import Storage

/// `maxmemory`: whether the process has more in use than it may. Between two counts of everything only what this thread has
/// allocated is looked at: two loads and a comparison. Confined to the loop.
final class MemoryLimit {
    private let services: Services
    private let thread: ThreadMemory
    let evictor: Evictor

    /// Bytes; 0: any number.
    private(set) var maximum = 0
    /// What the thread may have in use before everything is counted again.
    private var threadLimit = Int.max
    /// What `refresh` last said of the room that there is for tables.
    private var tableRoom = Int.max

    /// Keys went since the timer came last.
    var hasEvicted = false
    /// A slice of eviction has ended before enough was evicted.
    var isEvicting = false
    /// Monotonic nanoseconds since when too much is in use; 0: it is not.
    private var exceededSince: UInt64 = 0
    private var exceededNanoseconds: UInt64 = 0

    /// Bytes of the log that are not written: the part of the server that has it tells.
    var logBuffers: () -> Int = { 0 }
    var hasReplicas: () -> Bool = { false }
    /// Bytes that wait on the connections of replicas, besides what those share with the backlog.
    var replicaBuffers: () -> Int = { 0 }

    init(_ services: Services) {
        self.services = services
        thread = MemoryCounters.count()
        evictor = Evictor(services.keyspace)
    }

    /// More than any machine has, so that sums with it cannot overflow.
    private static let highestMaximum = 1 << 60

    /// `isExempt`: the limit is another server's, which says what goes.
    func settingsChanged(_ settings: Settings, isExempt: Bool) {
        evictor.policy = settings.maxMemoryPolicy
        evictor.samples = settings.maxMemorySamples
        let wanted = isExempt ? 0 : min(settings.maxMemory, Self.highestMaximum)
        if wanted != maximum {
            maximum = wanted
            if maximum == 0 { isEvicting = false }
            refresh()
        }
    }

    /// Whether `excess` is to be asked.
    @inline(__always) var mustBeCounted: Bool { thread.inUse > threadLimit }

    /// Bytes in use beyond the maximum; 0 or less: there is room. O(threads).
    func excess() -> Int {
        if maximum == 0 { return .min }
        let counted = MemoryCounters.inUse - uncounted - Reaper.shared.pendingBytes
        let excess = counted - maximum
        threadLimit = excess > 0 ? .min : thread.inUse - excess
        return excess
    }

    /// What is in use and not counted: buffers that eviction would fill as it goes on, and that empty by themselves.
    var uncounted: Int {
        var bytes = services.stream.pendingCapacity + logBuffers() + replicaBuffers() + Snapshot.memoryInUse
        if let backlog = services.stream.backlog {
            bytes += Self.beyondBacklog(backlog, services.settings, hasReplicas: hasReplicas())
        }
        return bytes
    }

    /// Bytes of the backlog that are there only as replicas have not read them.
    static func beyondBacklog(_ backlog: Backlog, _ settings: Settings, hasReplicas: Bool) -> Int {
        hasReplicas ? max(0, backlog.memoryUsage - settings.backlogSize) : 0
    }

    /// Takes account of what other threads have allocated, and of how far tables may grow. Called by the timer.
    func refresh() {
        hasEvicted = false
        let left = maximum == 0 ? Int.max : max(0, -excess())
        if maximum == 0 { threadLimit = .max }
        if left == tableRoom { return }
        tableRoom = left
        services.keyspace.limitTables(to: left)
    }

    // MARK: For how long the limit is exceeded

    func note(isExceeded: Bool) {
        if isExceeded {
            if exceededSince == 0 { exceededSince = monotonicNanoseconds() }
        } else if exceededSince != 0 {
            exceededNanoseconds += monotonicNanoseconds() - exceededSince
            exceededSince = 0
        }
    }
    var currentExceededMilliseconds: Int {
        exceededSince == 0 ? 0 : Int((monotonicNanoseconds() - exceededSince) / 1_000_000)
    }
    var totalExceededMilliseconds: Int { Int(exceededNanoseconds / 1_000_000) + currentExceededMilliseconds }
    func resetStatistics() {
        exceededNanoseconds = 0
        if exceededSince != 0 { exceededSince = monotonicNanoseconds() }
    }
}
