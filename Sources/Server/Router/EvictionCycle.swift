import Storage

/// Keys go where more memory is in use than `maxmemory` allows: before a command, and in slices of time after that.
extension Router {
    /// Evicts keys, if need be, and says in `guards` whether what takes memory is refused. Between units.
    @inline(never) func makeRoom() {
        // What a script or a transaction does is not interrupted, and was asked about when it began.
        if execution.isInProgress { return }
        let outcome = evict()
        memory.isEvicting = outcome == .unfinished
        memory.note(isExceeded: outcome != .enough)
        setGuard(.outOfMemory, outcome == .failed)
    }

    private enum EvictionOutcome {
        /// No more is in use than may be.
        case enough
        /// The time was over first.
        case unfinished
        /// No key may go.
        case failed
    }

    private func evict() -> EvictionOutcome {
        let excess = memory.excess()
        if excess <= 0 || !guards.isDisjoint(with: Self.keepingKeys) { return .enough }
        // How much that gives is seen when it is done.
        if Reaper.shared.isFreeingDatabases { return .unfinished }
        if memory.evictor.policy == .noeviction { return .failed }
        let executing = services.executing
        // Nobody's command does this.
        services.executing = nil
        defer { services.executing = executing }
        return services.latency.measure(.evictionCycle) { unit(.eviction) { evictSlice(excess) } }
    }
    /// States in which no key goes, and nothing is refused for want of memory.
    private static let keepingKeys: Guards = [.loading, .replacing, .pausedWrites, .pausedAll, .busyScript]

    private func evictSlice(_ excess: Int) -> EvictionOutcome {
        let command: StaticString = config.settings.lazyEviction ? "UNLINK" : "DEL"
        let end = monotonicNanoseconds() + Self.evictionSlice(tenacity: config.settings.evictionTenacity)
        var missing = excess
        var evicted = 0
        var outcome = EvictionOutcome.enough
        while missing > 0 {
            let bytes = services.latency.measure(.evictionRemoval) {
                memory.evictor.evictNext { db, key in
                    stream.appendRemoval(db, key, by: command)
                    services.events.record(db, key, .evicted, "evicted")
                }
            }
            guard let bytes else {
                outcome = .failed
                break
            }
            missing -= bytes
            evicted += 1
            if evicted & 15 != 0 { continue }
            // Other threads may have freed something. What those who are told of it have to be sent is no reason to go on.
            if memory.excess() <= 0 { break }
            if missing > 0 && monotonicNanoseconds() > end {
                outcome = .unfinished
                break
            }
        }
        statistics.evictedKeys += evicted
        if evicted > 0 { memory.hasEvicted = true }
        if evicted > 0 && work.afterCall.contains(.holdReads) { recentWrites.noteAny(at: stream.offset) }
        return outcome
    }

    /// Nanoseconds of a slice by `maxmemory-eviction-tenacity`: up to 10 it grows by 50 µs each, from there by 15 % each;
    /// 100 has no limit.
    static func evictionSlice(tenacity: Int) -> UInt64 {
        if tenacity >= 100 { return UInt64(Int64.max) }
        if tenacity <= 10 { return UInt64(max(0, tenacity)) * 50_000 }
        var slice = 500_000.0
        for _ in 10..<tenacity { slice *= 1.15 }
        return UInt64(slice)
    }

    /// Ends the connections of the largest clients where all together have more than `maxmemory-clients` in buffers.
    func evictClients() {
        clientMemory.evict(sessions.values) { close($0) }
    }

    /// The limit, or who it is for, has changed.
    func memoryLimitChanged() {
        let settings = config.settings
        let before = memory.maximum
        memory.settingsChanged(settings, isExempt: followsExpiry && settings.replicaIgnoreMaxMemory)
        setGuard(.limitedMemory, memory.maximum != 0)
        if memory.maximum == 0 {
            memory.note(isExceeded: false)
            setGuard(.outOfMemory, false)
        } else if memory.maximum != before && memory.mustBeCounted {
            logger.warning(
                "maxmemory is \(memory.maximum) bytes, and more is in use: keys are evicted, or writes refused, as "
                    + "maxmemory-policy \(settings.maxMemoryPolicy.rawValue) says")
        }
    }
}
