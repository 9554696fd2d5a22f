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
        isLoading = true
        loadingStarted = wallClockMilliseconds() / 1000
        nextTurn = monotonicNanoseconds() + Self.turnInterval
        server.guards.insert(.loading)
    }

    func endLoading() {
        isLoading = false
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
        server.turn(milliseconds)
        if isReplaying { server.liftLimits() }
        keyspace.now = now
        keyspace.touchesOnAccess = touches
        nextTurn = monotonicNanoseconds() + Self.turnInterval
    }

    /// Has turns until `work`, which another thread does, is done. `work` tells the progress, and ends early when that
    /// says so.
    func loadElsewhere<T: Sendable>(
        _ work: @escaping @Sendable (LoadingProgress) throws(StorageError) -> T
    ) throws(StorageError) -> T {
        let progress = LoadingProgress()
        let outcome = Mailbox<Result<T, StorageError>>()
        let wake = server.flushAcknowledged
        startThread(named: "import") {
            defer { progress.hasEnded.store(true, ordering: .releasing) }
            do throws(StorageError) {
                outcome.send(.success(try work(progress)))
            } catch {
                outcome.send(.failure(error))
            }
            wake()
        }
        loadingElsewhere = progress
        defer { loadingElsewhere = nil }
        while true {
            if let outcome = outcome.poll() { return try outcome.get() }
            expectLoading(bytes: progress.total.load(ordering: .relaxed))
            loadingLoadedBytes = progress.loaded.load(ordering: .relaxed)
            haveTurn(waiting: Self.turnWait)
        }
    }

    /// The server ends while it loads: nothing is saved, as nothing has changed.
    func endWhileLoading() -> Never {
        if let progress = loadingElsewhere {
            progress.isCancelled.store(true, ordering: .relaxed)
            let deadline = monotonicNanoseconds() + Self.cancelWait
            while !progress.hasEnded.load(ordering: .acquiring) && monotonicNanoseconds() < deadline { usleep(1000) }
        }
        // Of an import nothing is left, unless the directory is another server's.
        if lock != nil { NewSnapshot.removeLeftovers(of: snapshotPath, isOurs: true) }
        leave(0)
    }
    private static let cancelWait: UInt64 = 500_000_000
}

/// How far work on another thread has come. Shared by that thread and the loop.
final class LoadingProgress: Sendable {
    let total = Atomic<Int>(0)
    let loaded = Atomic<Int>(0)
    /// The work is to end.
    let isCancelled = Atomic<Bool>(false)
    let hasEnded = Atomic<Bool>(false)
}
