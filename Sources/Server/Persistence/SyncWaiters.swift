import Storage

/// WAITAOF: clients that wait until what they wrote is on disk. They are looked at when the log's state is, so that
/// nothing is done for it while nobody waits.
struct SyncWaiters {
    private struct Place {
        let waiter: Waiter
        /// Where the log must be synced to, and what the stream had said by then; nil until the turn is written.
        var target: (log: UInt64, propagated: Int)?
    }
    private var places: [Place] = []
    /// What the stream had said up to here is known to be on disk.
    private var syncedPosition = 0

    var isEmpty: Bool { places.isEmpty }

    mutating func append(_ waiter: Waiter) { places.append(Place(waiter: waiter)) }

    /// Whether all that was said up to `position` is on disk.
    func isSynced(_ position: Int, _ log: LogWriter?, _ stream: PropagationStream) -> Bool {
        guard let log else { return false }
        return position <= syncedPosition || stream.isDelivered && log.synced >= log.position
    }

    /// After a turn's commands went to the log, or its state changed: who waits no more.
    mutating func takeDone(_ log: LogWriter?, _ stream: PropagationStream) -> [Waiter] {
        var done: [Waiter] = []
        for i in places.indices {
            let target = places[i].target ?? (log?.position ?? 0, stream.offset)
            places[i].target = target
            let isOver = places[i].waiter.session.waiter !== places[i].waiter
            if let log, log.synced < target.log, !isOver { continue }
            if !isOver { done.append(places[i].waiter) }
            if log != nil && !isOver { syncedPosition = max(syncedPosition, target.propagated) }
        }
        places.removeAll { place in
            done.contains { $0 === place.waiter } || place.waiter.session.waiter !== place.waiter
        }
        return done
    }
}

extension PersistenceControl {
    /// Whether all that the client wrote is on disk.
    func isSynced(_ client: Session) -> Bool {
        syncWaiters.isSynced(client.ackOffset, log, server.stream)
    }

    /// Answers those who have waited for what is on disk by now.
    func answerSyncWaiters() {
        if syncWaiters.isEmpty { return }
        for waiter in syncWaiters.takeDone(log, server.stream) {
            if log == nil { server.abort(waiter, .waitsForNoLog) } else { server.timeOut(waiter) }
        }
    }
}
