import Synchronization

/// Loads a snapshot into an empty keyspace: a thread reads rows ahead, the caller's thread builds the keyspace.
public enum SnapshotLoading {
    private enum Message: Sendable {
        /// The first: how many keys there should be.
        case opened(keys: Int)
        case batch(RowBatch)
        case done(Meta)
        case failed(StorageError)
    }

    /// Batches of 256 KB read ahead at most.
    private static var readAhead: Int { StructureSizes.size(32, small: 2) }
    /// Nanoseconds.
    private static let longestSilence: UInt64 = 10_000_000

    /// Throws when the file is damaged, foreign, or does not fit the keyspace; the keyspace is to be thrown away then.
    /// `progress` is told, as rows come and each few milliseconds while none do, how many bytes of rows came since the
    /// last time. O(n).
    public static func load(
        _ path: String, into keyspace: Keyspace, files: any FileSystem = Host.real.files,
        progress: (Int) -> Void = { _ in }
    ) throws(StorageError) -> Meta {
        let filled = Mailbox<Message>()
        let empty = Mailbox<RowBatch>()
        for _ in 0..<readAhead { empty.send(RowBatch(capacity: RowBatch.targetSize + 4096)) }
        startThread(named: "reader") { read(path, files, filled, empty) }
        // Whatever happens here, the reader must not wait for batches for ever.
        defer { empty.close() }

        let loader = KeyspaceLoader(keyspace)
        while !filled.isFinished {
            guard let message = filled.receive(until: monotonicNanoseconds() + longestSilence) else {
                progress(0)
                continue
            }
            switch message {
            case .opened(let keys): loader.expected = keys
            case .batch(let batch):
                do throws(SnapshotDamage) {
                    try loader.load(batch)
                } catch {
                    throw StorageError(file: path, message: "\(error)", reason: .unusable)
                }
                let bytes = batch.byteCount
                batch.removeAll()
                empty.send(batch)
                progress(bytes)
            case .failed(let error): throw error
            case .done(let meta):
                do throws(SnapshotDamage) {
                    try loader.finish()
                } catch {
                    throw StorageError(file: path, message: "\(error)", reason: .unusable)
                }
                keyspace.snapshot = meta.identity
                keyspace.snapshotRows = meta.rowCounts.total
                keyspace.writesAtSnapshot = keyspace.writes
                return meta
            }
        }
        throw StorageError(file: path, message: "reading the snapshot ended early")
    }

    /// What the last checkpoint wrote down, but not more than the file can hold: memory is taken for it before a row is
    /// read.
    private static func expectedKeys(_ meta: Meta, _ size: Int64) -> Int {
        let tables = [SnapshotTable.strings] + CollectionTables.all.map(\.owners)
        let claimed = tables.reduce(0) { $0 &+ max(0, meta.rowCounts[$1]) }
        return Int(max(0, min(claimed, size / smallestRow)))
    }
    /// Bytes that a key takes in the file at least.
    private static let smallestRow: Int64 = 8

    private static func read(
        _ path: String, _ files: any FileSystem, _ filled: Mailbox<Message>, _ empty: Mailbox<RowBatch>
    ) {
        struct Abandoned: Error {}
        /// When it returns, the file is closed.
        func readAll() throws -> Meta {
            let reader = try SnapshotReader(path: path, files: files)
            filled.send(.opened(keys: expectedKeys(reader.meta, files.size(path) ?? 0)))
            try reader.readExchanging { batch in
                filled.send(.batch(batch))
                guard let next = empty.receive() else { throw Abandoned() }
                return next
            }
            return reader.meta
        }
        do {
            filled.send(.done(try readAll()))
        } catch let error as StorageError {
            filled.send(.failed(error))
        } catch {
            filled.close()
        }
    }
}
