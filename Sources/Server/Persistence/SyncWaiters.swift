import Storage

/// WAITAOF: clients that wait until what they wrote is on disk. They are looked at when the log's state is, so that
/// nothing is done for it while nobody waits.
struct SyncWaiters {
    private struct Place {
        let waiter: Waiter
        /// Up to where the stream must be on disk; nil until the turn is written.
        var target: Int?
    }
    private var places: [Place] = []

    var isEmpty: Bool { places.isEmpty }

    mutating func append(_ waiter: Waiter) { places.append(Place(waiter: waiter)) }

    /// Whether all that was said up to `position` is on disk.
    func isSynced(_ position: Int, _ data: DataDirectory?) -> Bool {
        guard let data, data.log != nil else { return false }
        return position <= data.syncedOffset
    }

    /// After a turn's commands went to the log, or its state changed: who waits no more.
    mutating func takeDone(_ data: DataDirectory?, _ stream: PropagationStream) -> [Waiter] {
        var done: [Waiter] = []
        for i in places.indices {
            let target = places[i].target ?? stream.offset
            places[i].target = target
            let isOver = places[i].waiter.session.waiter !== places[i].waiter
            if let data, data.log != nil, data.syncedOffset < target, !isOver { continue }
            if !isOver { done.append(places[i].waiter) }
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
        syncWaiters.isSynced(client.ackOffset, data)
    }

    /// Answers those who have waited for what is on disk by now.
    func answerSyncWaiters() {
        if syncWaiters.isEmpty { return }
        for waiter in syncWaiters.takeDone(data, server.stream) {
            if log == nil { server.abort(waiter, .waitsForNoLog) } else { server.timeOut(waiter) }
        }
    }
}
