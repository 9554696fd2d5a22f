import Glibc
import Storage
import Synchronization

/// While data loads, the loop has a turn now and then: who is connected hears that it has to wait, and a signal ends the
/// server at once. Nobody sees the keyspace meanwhile, and nothing is written.
extension PersistenceControl {
    /// Nanoseconds of loading between two turns.
    private static let turnInterval: UInt64 = 10_000_000
    /// For which the loop waits, in ms, while another thread does the work.
    private static let turnWait: Int32 = 10

    func beginLoading() {
        stage = .loading
        loadingStarted = wallClockMilliseconds() / 1000
        nextTurn = monotonicNanoseconds() + Self.turnInterval
        server.guards.insert(.loading)
    }

    func endLoading() {
        stage = .serving
        nextTurn = .max
        server.guards.remove(.loading)
    }

    /// What is loaded from here on has so many bytes.
    func expectLoading(bytes: Int) {
        loadingTotalBytes = bytes
        loadingLoadedBytes = 0
    }

    /// `bytes` more are loaded: has a turn if it is time. The times that loading goes by stay as they are.
    func loaded(bytes: Int) {
        loadingLoadedBytes = min(loadingTotalBytes, loadingLoadedBytes &+ bytes)
        if monotonicNanoseconds() >= nextTurn { haveTurn(waiting: 0) }
    }

    private func haveTurn(waiting milliseconds: Int32) {
        let keyspace = server.keyspace
        let (now, touches) = (keyspace.now, keyspace.touchesOnAccess)
        // The limits are lifted for the log, not for clients.
        if isReplaying { server.settingsChanged() }
        server.loop?.turn(waiting: milliseconds)
        if isReplaying { server.liftLimits() }
        keyspace.now = now
        keyspace.touchesOnAccess = touches
        nextTurn = monotonicNanoseconds() + Self.turnInterval
    }

    /// Has turns until `work`, which another thread does, is done. `work` tells the progress in bytes, and ends early when
    /// it is cancelled.
    func loadElsewhere<T: Sendable>(
        _ work: @escaping @Sendable (BackgroundJob) throws(StorageError) -> T
    ) throws(StorageError) -> T {
        var outcome: Result<T, StorageError>?
        let job = server.jobs.start("import", work) { outcome = $0 }
        while true {
            server.jobs.complete()
            if let outcome { return try outcome.get() }
            expectLoading(bytes: job.total.load(ordering: .relaxed))
            loadingLoadedBytes = job.done.load(ordering: .relaxed)
            haveTurn(waiting: Self.turnWait)
        }
    }

    /// The server ends while it loads: nothing is saved, as nothing has changed.
    func endWhileLoading() -> Never {
        server.jobs.cancelAll(within: Self.cancelWait)
        // Of an import nothing is left, unless the directory is another server's.
        if let data, data.isLocked { NewSnapshot.removeLeftovers(of: data.snapshotPath, isOurs: true) }
        leave(0)
    }
    private static let cancelWait: UInt64 = 500_000_000
}
