/// A snapshot that is to be loaded once and then goes: what a master sends to a cache that keeps nothing.
public final class TemporarySnapshot: Sendable {
    /// Nobody else's.
    public let path: String
    private let files: any FileSystem

    private static let verb = "receiving"

    fileprivate init(beside path: String, _ files: any FileSystem) {
        self.path = OutputFile.temporary(path, TemporarySnapshot.verb)
        self.files = files
        OutputFile.removeDatabase(self.path, files)
    }

    /// As `ReplacementRows.receive`; what comes is in the file when this returns, which is not synced. After a throw nothing is
    /// left of it.
    public func receive(
        from pipe: BytePipe, _ options: RDBImporter.Options = RDBImporter.Options()
    ) throws(StorageError) -> RDBSummary {
        let writer = BackgroundWriter(path: path, files)
        do throws(StorageError) {
            let summary = try RDBImporter.rows(from: pipe, to: writer, options)
            let stream = DataDirectory.Stream(id: DataDirectory.makeStreamID(), offset: 0)
            try writer.finish(
                Meta(server: DataDirectory.makeServerID(), checkpoint: 1, segment: 0, stream), isDurable: false)
            return summary
        } catch {
            writer.cancel()
            remove()
            throw error
        }
    }

    /// Call once it is loaded. May wait for the disk.
    public func remove() { OutputFile.removeDatabase(path, files) }

    /// Deletes what processes that were killed have left.
    static func removeLeftovers(of path: String, _ files: any FileSystem) {
        OutputFile.removeLeftovers(of: path, verb, isOurs: true, files)
    }
}

extension DataDirectory {
    /// For a directory in which nothing is to be kept. The keyspace that is loaded from it counts as changed to any checkpoint
    /// that is made later on. Throws where the directory cannot be written.
    public func makeTemporarySnapshot() throws(StorageError) -> TemporarySnapshot {
        try refuseUnwritable()
        return TemporarySnapshot(beside: snapshotPath, host.files)
    }

    func refuseUnwritable() throws(StorageError) {
        if lock != nil { return }
        throw StorageError(
            file: options.directory,
            message: "the directory cannot be written, where the data of a master is put: make it writable")
    }
}
