/// A checkpoint while nobody is served: after an import, on the caller's thread.
public enum OfflineCheckpoint {
    /// Writes all of `keyspace` and `functions` as the new database `path`, which takes the place of one that is there, and
    /// makes it durable but for its name. The keyspace then counts as saved by it. After a throw the file is to be thrown
    /// away. O(keyspace).
    public static func write(
        _ keyspace: Keyspace, to path: String, _ meta: Meta, functions: [FunctionLibrary.Text],
        files: any FileSystem = Host.real.files
    ) throws(StorageError) {
        OutputFile.removeDatabase(path, files)
        let writer = try WholeSnapshotWriter(path: path, files)
        for (name, code) in functions {
            let text = OutputBuffer(capacity: name.count + code.count)
            for byte in name { text.append(byte: byte) }
            for byte in code { text.append(byte: byte) }
            let bytes = text.bytes
            writer.put(function: bytes[0..<name.count], bytes[name.count..<bytes.count])
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
        keyspace.snapshot = meta.identity
        keyspace.snapshotRows = rows
        keyspace.writesAtSnapshot = handover.writesAtCut
        keyspace.isAllMarked = false
    }
}
