import Storage

/// Loads the snapshot that a full sync has made, a slice at a time: into the keyspace, which is emptied for it, or into one
/// beside, which takes its place in a moment. Confined to the loop.
final class ReplacementLoading {
    private unowned let persistence: PersistenceControl
    private let keyspace: Keyspace
    private let target: Keyspace
    private let loading: SnapshotLoading
    private let path: String
    private let began = monotonicNanoseconds()
    private var isLoaded = false

    /// Of a turn, in nanoseconds: where nobody is answered meanwhile, and where clients are.
    private static let slice: UInt64 = 5_000_000
    private static let sliceBeside: UInt64 = 300_000

    private var isBeside: Bool { target !== keyspace }

    /// `isBeside`: the old data stay until the new are loaded.
    init(_ persistence: PersistenceControl, _ path: String, isBeside: Bool) {
        self.persistence = persistence
        self.path = path
        keyspace = persistence.server.keyspace
        target = isBeside ? keyspace.makeSibling() : keyspace
        if !isBeside { keyspace.emptyForLoading() }
        loading = SnapshotLoading(path, into: target) { [waker = persistence.server.waker] in waker.wake() }
    }

    /// Goes on for a while. True when all is loaded and served. Throws where the snapshot cannot be loaded: then the keyspace is
    /// empty, or what it was.
    func step() throws(StorageError) -> Bool {
        if isDelayed { return false }
        if !isLoaded {
            do throws(StorageError) {
                switch try loading.step(budgetNanoseconds: isBeside ? Self.sliceBeside : Self.slice) {
                case .waiting: break
                case .more: persistence.server.waker.wake()
                case .done: isLoaded = true
                }
            } catch {
                if !isBeside { keyspace.emptyForLoading() }
                throw error
            }
            persistence.loadingLoadedBytes = min(persistence.loadingTotalBytes, loading.bytesLoaded)
        }
        if !isLoaded || isDelayed { return false }
        if isBeside { keyspace.adopt(target) }
        try persistence.server.dataLoaded(from: path)
        return true
    }

    /// `key-load-delay`, with which tests have loading take its time: microseconds a key, or keys a microsecond.
    private var isDelayed: Bool {
        let delay = persistence.server.config.settings.loadDelayPerKey
        if delay == 0 { return false }
        let keys = UInt64(loading.keysLoaded)
        let nanoseconds = delay > 0 ? keys * UInt64(delay) * 1000 : keys * 1000 / UInt64(delay.magnitude)
        return monotonicNanoseconds() - began < nanoseconds
    }
}
