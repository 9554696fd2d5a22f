import Synchronization

/// Loads a snapshot into an empty keyspace, a slice at a time: a thread reads rows ahead, the caller's thread builds the
/// keyspace. Dropped before it is done, it stops reading; the keyspace is to be thrown away then.
public final class SnapshotLoading {
    private enum Message: Sendable {
        /// The first: how many keys there should be.
        case opened(keys: Int)
        case batch(RowBatch)
        case functions([FunctionLibrary.Text])
        case done(Meta)
        case failed(StorageError)
    }

    public enum Progress {
        /// Rows are to come; `wake` is called when they have.
        case waiting
        /// Call again, after a look at what else there is.
        case more
        /// All is loaded, and counts as unchanged.
        case done(Meta)
    }

    /// Batches of 256 KB read ahead at most.
    private static var readAhead: Int { StructureSizes.size(32, small: 2) }
    /// Nanoseconds.
    private static let longestSilence: UInt64 = 10_000_000
    private static let slice: UInt64 = 2_000_000

    private let path: String
    private let keyspace: Keyspace
    private let loader: KeyspaceLoader
    private let filled = Mailbox<Message>()
    private let empty = Mailbox<RowBatch>()
    /// The batch in hand, and how much of it is loaded.
    private var batch: RowBatch?
    private var offset = 0
    /// Bytes of rows loaded so far.
    public private(set) var bytesLoaded = 0
    /// Keys loaded so far.
    public var keysLoaded: Int { loader.keys }

    /// `wake` is called on the reading thread.
    public init(
        _ path: String, into keyspace: Keyspace, files: any FileSystem = Host.real.files,
        wake: @escaping @Sendable () -> Void = {}
    ) {
        self.path = path
        self.keyspace = keyspace
        loader = KeyspaceLoader(keyspace)
        let (filled, empty) = (filled, empty)
        for _ in 0..<SnapshotLoading.readAhead { empty.send(RowBatch(capacity: RowBatch.targetSize + 4096)) }
        startThread(named: "reader") {
            SnapshotLoading.read(path, files, empty) {
                filled.send($0)
                wake()
            }
            filled.close()
            wake()
        }
    }
    // Whatever happens, the reader must not wait for batches for ever.
    deinit { empty.close() }

    /// Loads for about `budgetNanoseconds`. Throws when the file is damaged, foreign, or does not fit the keyspace, which is to
    /// be thrown away then. Nothing else may write to the keyspace until it is done.
    public func step(budgetNanoseconds: UInt64) throws(StorageError) -> Progress {
        let (end, isOver) = monotonicNanoseconds().addingReportingOverflow(budgetNanoseconds)
        let deadline = isOver ? .max : end
        repeat {
            if batch != nil {
                try load(until: deadline)
                continue
            }
            guard let message = filled.poll() else {
                if filled.isFinished { throw StorageError(file: path, message: "reading the snapshot ended early") }
                return .waiting
            }
            switch message {
            case .opened(let keys): loader.expected = keys
            case .batch(let next): batch = next
            case .functions(let libraries): keyspace.libraries.load(libraries)
            case .failed(let error): throw error
            case .done(let meta):
                try damage { () throws(SnapshotDamage) in try loader.finish() }
                keyspace.loaded(meta.identity, rows: meta.rowCounts.total)
                return .done(meta)
            }
        } while monotonicNanoseconds() < deadline
        return .more
    }

    private func load(until deadline: UInt64) throws(StorageError) {
        guard let current = batch else { return }
        let before = offset
        var isDone = false
        try damage { () throws(SnapshotDamage) in
            isDone = try loader.load(current, from: &offset, until: deadline)
        }
        bytesLoaded += offset - before
        if !isDone { return }
        current.removeAll()
        empty.send(current)
        batch = nil
        offset = 0
    }

    private func damage(_ body: () throws(SnapshotDamage) -> Void) throws(StorageError) {
        do throws(SnapshotDamage) {
            try body()
        } catch {
            throw StorageError(file: path, message: "\(error)", reason: .unusable)
        }
    }

    /// All at once. `progress` is told, as rows come and each few milliseconds while none do, how many bytes of rows came since
    /// the last time. O(n).
    public static func load(
        _ path: String, into keyspace: Keyspace, files: any FileSystem = Host.real.files,
        progress: (Int) -> Void = { _ in }
    ) throws(StorageError) -> Meta {
        let loading = SnapshotLoading(path, into: keyspace, files: files)
        var told = 0
        while true {
            let state = try loading.step(budgetNanoseconds: slice)
            progress(loading.bytesLoaded - told)
            told = loading.bytesLoaded
            switch state {
            case .waiting: loading.filled.waitForWeight(1, until: monotonicNanoseconds() + longestSilence)
            case .more: break
            case .done(let meta): return meta
            }
        }
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
        _ path: String, _ files: any FileSystem, _ empty: Mailbox<RowBatch>, _ send: (Message) -> Void
    ) {
        struct Abandoned: Error {}
        /// When it returns, the file is closed.
        func readAll() throws -> Meta {
            let reader = try SnapshotReader(path: path, files: files)
            send(.opened(keys: expectedKeys(reader.meta, files.size(path) ?? 0)))
            send(.functions(try reader.functions()))
            try reader.readExchanging { batch in
                send(.batch(batch))
                guard let next = empty.receive() else { throw Abandoned() }
                return next
            }
            return reader.meta
        }
        do {
            send(.done(try readAll()))
        } catch let error as StorageError {
            send(.failed(error))
        } catch {}
    }
}
