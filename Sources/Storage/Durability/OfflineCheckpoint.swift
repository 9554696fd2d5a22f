/// A checkpoint while nobody is served: after an import, on the caller's thread.
public enum OfflineCheckpoint {
    /// Writes all of `keyspace` as the new database `path`, which takes the place of one that is there, and
    /// makes it durable but for its name. The keyspace then counts as saved by it. After a throw the file is to be thrown
    /// away. O(keyspace).
    public static func write(
        _ keyspace: Keyspace, to path: String, _ meta: Meta, files: any FileSystem = Host.real.files
    ) throws(StorageError) {
        OutputFile.removeDatabase(path, files)
        let writer = try WholeSnapshotWriter(path: path, files)
        let functions = keyspace.libraries
        for (name, code) in functions.all {
            name.lend { name in code.lend { writer.put(function: name, $0) } }
        }
        var failure: StorageError?
        let sink = RowSink { batch in
            if failure != nil { return }
            do throws(StorageError) { try writer.apply(batch) } catch { failure = error }
        }
        keyspace.markAll()
        while keyspace.mark(budgetNanoseconds: .max) {}
        let handover = Handover(keyspace, isWhole: true, sink: sink)
        while !handover.step(budgetNanoseconds: .max / 2) {}
        var rows: Int64 = 0
        if failure == nil {
            do throws(StorageError) { rows = try writer.finish(meta) } catch { failure = error }
        }
        handover.finish(committed: failure == nil)
        if let failure { throw failure }
        keyspace.libraries.saved(functions.changes)
        keyspace.snapshot = meta.identity
        keyspace.snapshotRows = rows
        keyspace.writesAtSnapshot = handover.writesAtCut
        keyspace.isAllMarked = false
    }
}
