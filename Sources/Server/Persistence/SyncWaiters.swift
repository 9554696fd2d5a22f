import Storage

/// WAITAOF: clients that wait until what they wrote is on disk. They are looked at when the log's state is, so that
/// nothing is done for it while nobody waits.
struct SyncWaiters {
    private struct Place {
        let waiter: Waiter
        /// Where the log must be synced to, and what the propagator had said by then; nil until the turn is written.
        var target: (log: UInt64, propagated: Int)?
    }
    private var places: [Place] = []
    /// What the propagator had said up to here is known to be on disk.
    private var syncedPosition = 0

    var isEmpty: Bool { places.isEmpty }

    mutating func append(_ waiter: Waiter) { places.append(Place(waiter: waiter)) }

    /// Whether all that was said up to `position` is on disk.
    func isSynced(_ position: Int, _ log: LogWriter?, _ propagator: Propagator) -> Bool {
        guard let log else { return false }
        return position <= syncedPosition || propagator.output.count == 0 && log.synced >= log.position
    }

    /// After a turn's commands went to the log, or its state changed: who waits no more.
    mutating func takeDone(_ log: LogWriter?, _ propagator: Propagator) -> [Waiter] {
        var done: [Waiter] = []
        for i in places.indices {
            let target = places[i].target ?? (log?.position ?? 0, propagator.position)
            places[i].target = target
            let isOver = places[i].waiter.client.waiter !== places[i].waiter
            if let log, log.synced < target.log, !isOver { continue }
            if !isOver { done.append(places[i].waiter) }
            if log != nil && !isOver { syncedPosition = max(syncedPosition, target.propagated) }
        }
        places.removeAll { place in
            done.contains { $0 === place.waiter } || place.waiter.client.waiter !== place.waiter
        }
        return done
    }
}

extension PersistenceControl {
    /// Whether all that the client wrote is on disk.
    func isSynced(_ client: Client) -> Bool {
        syncWaiters.isSynced(client.ackPosition, log, server.propagator)
    }

    /// Answers those who have waited for what is on disk by now.
    func answerSyncWaiters() {
        if syncWaiters.isEmpty { return }
        for waiter in syncWaiters.takeDone(log, server.propagator) {
            if log == nil { server.abort(waiter, .waitsForNoLog) } else { server.timeOut(waiter) }
        }
    }
}
