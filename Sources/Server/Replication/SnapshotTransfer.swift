import Glibc
import Storage
import Synchronization

// Invariant of this file: a part is written by the thread alone before it is handed over, and by nobody afterwards.

/// A snapshot on its way to one or more replicas that want it in the same form: read by a thread of its own within one
/// transaction, so that commits go on meanwhile, and handed to their connections piece by piece as the slowest of them
/// takes it. Confined to the loop, but for the thread's work.
final class SnapshotTransfer {
    /// What the thread hands over.
    private enum Part: @unchecked Sendable {
        /// The snapshot's place in the stream.
        case began(Meta)
        /// In the form without a mark: so many bytes follow.
        case length(Int64)
        case bytes(OutputBuffer)
    }

    /// What both sides see.
    private final class Shared: Sendable {
        let parts = Mailbox<Part>()
        /// One for each part that may be under way; closed to end the thread.
        let permits = Mailbox<Bool>()
        /// `rdb-key-save-delay`, live: microseconds for each key, or keys for each microsecond where it is negative.
        let delay = Atomic<Int>(0)
    }

    let form: SnapshotForm
    private(set) var replicas: [Replica]
    /// Where the stream goes on behind this snapshot; nil: not known yet.
    private(set) var offset: Int?
    /// 40 bytes that stand around a snapshot whose length is not told.
    private let mark: String
    private let shared = Shared()
    private var job: BackgroundJob?
    /// What came and does not fit yet.
    private var held: SharedChunk?
    private var hasEnded = false
    private unowned let sync: FullSync
    private var list: ReplicaList { sync.list }

    /// Bytes of a part, at least, and parts that may be under way; bytes that may wait on a connection before more are
    /// given to it. Both are small, as a turn writes what waits: the kernel takes 40 us for 128 KB, and clients wait.
    private static let partSize = 64 << 10
    private static let partsUnderWay = 8
    private static let window = 64 << 10

    init(_ form: SnapshotForm, _ replicas: [Replica], _ sync: FullSync) {
        self.form = form
        self.replicas = replicas
        self.sync = sync
        mark = Statistics.randomID()
    }

    /// Reads the snapshot at `path`.
    func start(_ path: String, directory: String, compresses: Bool, delay: Int, _ jobs: Jobs, _ waker: Waker) {
        for _ in 0..<Self.partsUnderWay { shared.permits.send(true) }
        shared.delay.store(delay, ordering: .relaxed)
        var options = RDBExporter.Options()
        options.version = form.hasFieldExpiries ? Self.ownVersion : Self.anyVersion
        options.compresses = compresses
        options.dropFieldExpiries = true
        options.hasKeys = form.hasKeys
        options.hasFunctions = form.hasFunctions
        let (form, shared, exported) = (form, shared, options)
        job = jobs.start("sync", isYielding: true) { (job) throws(StorageError) in
            try Self.read(path, directory, exported, form, shared, job, waker)
        } completion: { [self] outcome in
            hasEnded = true
            sync.read(self, outcome)
        }
    }
    /// Of the format: what Redis 7.0 reads, and what has the expiries of fields.
    private static let anyVersion = 10
    private static let ownVersion = 12

    func setDelay(_ microseconds: Int) { shared.delay.store(microseconds, ordering: .relaxed) }

    /// Nobody wants it any more.
    func cancel() {
        job?.cancel()
        shared.permits.close()
    }

    func remove(_ replica: Replica) {
        replicas.removeAll { $0 === replica }
        if replicas.isEmpty { cancel() }
    }

    // MARK: On the loop

    /// Hands on what has come, as far as the connections take it. True once the whole snapshot was handed on.
    func proceed() -> Bool {
        while !replicas.isEmpty {
            if let chunk = held {
                if replicas.contains(where: { $0.session.queue.pending > Self.window }) { return false }
                held = nil
                for replica in replicas { give(chunk, to: replica) }
                shared.permits.send(true)
            }
            switch shared.parts.poll() {
            case .began(let meta): begin(meta)
            case .length(let length):
                for replica in replicas { replica.state.snapshotMeasured() }
                give("$\(length)\r\n")
            case .bytes(let buffer): held = SharedChunk(buffer)
            case nil:
                if !hasEnded { return false }
                if form.isMarked { give(mark) }
                return true
            }
        }
        return false
    }

    private func begin(_ meta: Meta) {
        let position = Int(meta.replicationOffset)
        guard list.canFollow(meta.replicationID, position) else {
            return sync.failed(self, "the snapshot belongs to another history")
        }
        offset = position
        for replica in replicas {
            replica.start = position
            if !replica.isSilent {
                replica.session.send { $0.simple(text: "FULLRESYNC \(meta.replicationID) \(position)") }
            }
            replica.state.snapshotBegan(isMarked: form.isMarked)
            replica.sentAt = list.now
        }
        if form.isMarked { give("$EOF:\(mark)\r\n") }
    }

    private func give(_ text: String) {
        let buffer = OutputBuffer(capacity: text.utf8.count)
        buffer.append(text: text)
        let chunk = SharedChunk(buffer)
        for replica in replicas { give(chunk, to: replica) }
    }
    private func give(_ chunk: SharedChunk, to replica: Replica) {
        replica.given += chunk.count
        list.router.statistics.replicationBytesWritten += chunk.count
        replica.session.send(shared: chunk)
    }

    // MARK: On the thread

    private static func read(
        _ path: String, _ directory: String, _ options: RDBExporter.Options, _ form: SnapshotForm, _ shared: Shared,
        _ job: BackgroundJob, _ waker: Waker
    ) throws(StorageError) -> RDBExporter.Summary {
        let spool = form.isMarked ? nil : try Spool(directory)
        var options = options
        let pace = Pace()
        options.progress = { progress in
            pace.wait(progress.keys, shared.delay, job)
            return !job.isCancelled
        }
        var buffer = OutputBuffer(capacity: partSize + partSize / 2)
        func send() throws(StorageError) {
            // nil: closed.
            if shared.permits.receive() == nil {
                throw StorageError(file: path, message: "the synchronisation was given up")
            }
            shared.parts.send(.bytes(buffer))
            buffer = OutputBuffer(capacity: partSize + partSize / 2)
            waker.wake()
        }
        let summary = try RDBExporter.stream(from: path, options: options) { (meta) throws(StorageError) in
            shared.parts.send(.began(meta))
            waker.wake()
        } send: { (bytes) throws(StorageError) in
            if let spool { return try spool.append(bytes) }
            buffer.append(bytes)
            if buffer.count >= partSize { try send() }
        }
        if let spool {
            shared.parts.send(.length(spool.count))
            while try spool.read(into: buffer, partSize) { try send() }
        } else if buffer.count > 0 {
            try send()
        }
        return summary
    }

    /// Slows the reading down, for tests.
    private final class Pace: Sendable {
        private let done = Atomic<Int>(0)
        private static let step = 10_000

        /// `keys` were read so far.
        func wait(_ keys: Int, _ delay: borrowing Atomic<Int>, _ job: BackgroundJob) {
            let new = keys - done.exchange(keys, ordering: .relaxed)
            var waited = 0
            // In steps, so that a change of the setting and the end of it all are seen.
            while !job.isCancelled {
                let each = delay.load(ordering: .relaxed)
                let (product, isHuge) = new.multipliedReportingOverflow(by: each)
                let due = (isHuge ? .max : each > 0 ? product : each < 0 ? new / -each : 0) - waited
                if due <= 0 { return }
                usleep(UInt32(min(due, Self.step)))
                waited += min(due, Self.step)
            }
        }
    }
}

/// A file without a name, in which a snapshot is kept whose length must be known before it is sent. Used by one thread.
private final class Spool {
    private let path: String
    private let files = Host.real.files
    private let file: OpenFile
    private(set) var count: Int64 = 0
    private var position: Int64 = 0

    init(_ directory: String) throws(StorageError) {
        path = "\(directory)/temp-\(getpid())-\(monotonicNanoseconds()).rdb"
        do throws(FileError) {
            file = try files.open(path, .new(isPrivate: true))
            try files.unlink(path)
        } catch {
            throw Self.error(path, "cannot be made", error)
        }
    }
    deinit { files.close(file) }

    func append(_ bytes: Bytes) throws(StorageError) {
        var done = 0
        while done < bytes.count {
            do throws(FileError) {
                done += try files.write(file, bytes[done..<bytes.count], at: count + Int64(done))
            } catch {
                throw Self.error(path, "cannot be written", error)
            }
        }
        count += Int64(done)
    }

    /// Appends up to `size` bytes; false at the end.
    func read(into buffer: OutputBuffer, _ size: Int) throws(StorageError) -> Bool {
        let length = Int(min(Int64(size), count - position))
        if length == 0 { return false }
        let target = buffer.appendUninitialized(length)
        var done = 0
        while done < length {
            do throws(FileError) {
                let got = try files.read(file, into: target + done, length - done, at: position + Int64(done))
                if got == 0 { throw FileError(EIO) }
                done += got
            } catch {
                throw Self.error(path, "cannot be read", error)
            }
        }
        position += Int64(length)
        return true
    }

    private static func error(_ path: String, _ what: String, _ error: FileError) -> StorageError {
        StorageError(file: path, message: "\(what): \(String(cString: strerror(error.code)))")
    }
}
