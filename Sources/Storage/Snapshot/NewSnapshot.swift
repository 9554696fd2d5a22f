/// A snapshot that is made under another name, and takes its place when it is whole and durable.
public enum NewSnapshot {
    private static let verb = "importing"

    /// The name under which this process writes a snapshot that is to take the place of `path`.
    static func temporary(_ path: String) -> String { OutputFile.temporary(path, verb) }

    /// Makes an empty snapshot, durably, for readers that come before the first checkpoint.
    static func makeEmpty(_ path: String, files: any FileSystem) throws(StorageError) {
        try make(path, overwrite: true, forServer: true, files: files) { (temporary) throws(StorageError) in
            _ = try SnapshotWriter(path: temporary, isScratch: true, files: files)
        }
    }

    /// Switches a database that nobody else has open to write-ahead logging, and syncs it. Done before it gets a server's
    /// name: the switch locks readers out.
    static func prepareForServer(_ path: String, _ files: any FileSystem) throws(StorageError) {
        try switchToWAL(path, files)
        try OutputFile.sync(path, files)
    }
    private static func switchToWAL(_ path: String, _ files: any FileSystem) throws(StorageError) {
        let connection = try SQLiteConnection(path: path, mode: .write, files)
        try connection.execute(named: "writer.scratch")
        guard try connection.string(named: "writer.wal") == "wal" else {
            throw connection.error("cannot switch the new snapshot to write-ahead logging")
        }
    }

    /// Calls `body` with a path in the directory of `path`, which makes a database there and closes it. What it made is
    /// then synced and put in the place of `path`. On any failure nothing is left of it, and what stood at `path` stands;
    /// what earlier calls have left that were killed goes first. Throws where something else than a regular file stands
    /// there, or where a file does and `overwrite` is false. `forServer`: one is about to open it.
    public static func make<Result>(
        _ path: String, overwrite: Bool, forServer: Bool = false, files: any FileSystem = Host.real.files,
        _ body: (String) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        let path = OutputFile.resolved(path, files)
        try OutputFile.checkFree(path, overwrite: overwrite, files)
        removeLeftovers(of: path, files: files)
        let temporary = temporary(path)
        do throws(StorageError) {
            let result = try body(temporary)
            if forServer { try prepareForServer(temporary, files) } else { try OutputFile.sync(temporary, files) }
            try OutputFile.checkFree(path, overwrite: overwrite, files)
            try OutputFile.publish(temporary, as: path, overwrite: overwrite, files)
            return result
        } catch {
            OutputFile.removeDatabase(temporary, files)
            throw error
        }
    }

    /// Deletes what a process that was killed has left of making `path`. `isOurs`: nobody else may be making it.
    public static func removeLeftovers(
        of path: String, isOurs: Bool = false, files: any FileSystem = Host.real.files
    ) {
        OutputFile.removeLeftovers(of: path, verb, isOurs: isOurs, files)
    }
}
