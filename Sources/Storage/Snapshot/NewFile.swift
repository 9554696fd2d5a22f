/// A file, no snapshot, that is made under another name, and takes its place when it is whole and durable.
public enum NewFile {
    private static let verb = "exporting"

    /// Calls `body` with a file that is open for writing and its name, in the directory of `path`. What it made is then synced and
    /// put in the place of `path`. On any failure nothing is left of it, and what stood at `path` stands; what earlier calls have
    /// left that were killed goes first. Throws where a database or something else than a regular file stands there, or where a file
    /// does and `overwrite` is false.
    public static func make<Result>(
        _ path: String, overwrite: Bool, files: any FileSystem = Host.real.files,
        _ body: (OpenFile, _ temporary: String) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        let path = OutputFile.resolved(path, files)
        try OutputFile.checkFree(path, overwrite: overwrite, files)
        if FileForm.isDatabase(path, files) {
            throw StorageError(file: path, message: "is a database, which an RDB file or text does not replace")
        }
        removeLeftovers(of: path, files: files)
        let temporary = OutputFile.temporary(path, verb)
        let file = try files.open(temporary, .new(isPrivate: false), or: "cannot be created")
        defer { files.close(file) }
        do throws(StorageError) {
            let result = try body(file, temporary)
            do throws(FileError) { try files.sync(file, .all) } catch { throw .system(path, "cannot be synced", error) }
            try OutputFile.checkFree(path, overwrite: overwrite, files)
            try OutputFile.publish(temporary, as: path, overwrite: overwrite, files)
            return result
        } catch {
            files.remove(temporary)
            throw error
        }
    }

    /// Deletes what processes that were killed have left of writing `path`.
    public static func removeLeftovers(of path: String, files: any FileSystem = Host.real.files) {
        OutputFile.removeLeftovers(of: path, verb, files)
    }
}
