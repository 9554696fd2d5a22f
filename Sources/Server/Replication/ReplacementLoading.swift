import Storage

/// Loads a snapshot that has taken the place of another one into the keyspace, which is emptied for it. Confined to the loop.
final class ReplacementLoading {
    private let persistence: PersistenceControl

    init(_ persistence: PersistenceControl) {
        self.persistence = persistence
        persistence.beginLoading()
        persistence.nextTurn = .max
    }

    /// Goes on for a while. True when all is loaded. Throws where the snapshot cannot be loaded: then the keyspace is empty.
    func step() throws(StorageError) -> Bool {
        guard let data = persistence.data else { return true }
        let keyspace = persistence.server.keyspace
        keyspace.reset()
        let now = keyspace.now
        keyspace.now = 0
        defer {
            keyspace.now = now
            persistence.endLoading()
        }
        do throws(StorageError) {
            _ = try SnapshotLoading.load(data.snapshotPath, into: keyspace)
        } catch {
            keyspace.reset()
            throw error
        }
        data.replacementLoaded()
        persistence.replacementLoaded()
        return true
    }
}
