@testable import Storage

/// Restores a moment of the past on a copy of a disk, and then what was there before: each must be exactly what it was,
/// or be refused.
struct HistoryProbe {
    /// What there was when a log had been written up to a place.
    struct Moment {
        let server: String
        let place: LogPlace
        let digest: String
    }

    static let limits = HistoryLimits(span: 3_600_000, bytes: 1 << 40)

    let seed: UInt64
    let keepsLog: Bool
    let policy: FsyncPolicy

    init(seed: UInt64, keepsLog: Bool, _ policy: FsyncPolicy) {
        self.seed = seed
        self.keepsLog = keepsLog
        self.policy = policy
    }

    /// False where the moment is refused.
    func run(_ disk: MemoryFileSystem, _ moment: Moment, _ context: String) throws -> Bool {
        let now = try open(disk.crash(.kill, seed: seed), nil, context)
        let copy = disk.crash(.kill, seed: seed)
        guard let then = try open(copy, .place(server: moment.server, moment.place), context) else { return false }
        if then != moment.digest {
            throw SimulationFailure(
                description: "\(context): other keys than there were at \(moment.place) of \(moment.server); there are "
                    + copy.summary)
        }
        guard let again = try open(copy, .beforeRestore, context) else {
            throw SimulationFailure(description: "\(context): a restore cannot be undone; there are \(copy.summary)")
        }
        if again != now {
            throw SimulationFailure(description: "\(context): other keys after a restore that was undone")
        }
        return true
    }

    /// A digest of what a server finds, which goes back to `target` first; nil where that is refused.
    private func open(_ disk: MemoryFileSystem, _ target: RestoreTarget?, _ context: String) throws -> String? {
        let store = SimulatedStore()
        let threads = SteppedThreads(seed: seed)
        let options = DataDirectory.Options(
            directory: MemoryFileSystem.directory, keepsLog: keepsLog, fsync: policy, history: HistoryProbe.limits)
        let data = DataDirectory(
            options, keyspace: store.keyspace, client: store, host: Host(files: disk, threads: threads), wake: {})
        defer { threads.abandon() }
        if let target {
            do throws(StorageError) { _ = try data.restore(target, text: "\(target)") } catch {
                return nil
            }
        }
        do throws(StorageError) { _ = try data.open() } catch {
            throw SimulationFailure(
                description: "\(context): refuses to start, for \(target.map { "\($0)" } ?? "no restore"): \(error)")
        }
        return store.digest
    }
}

extension LogWriter {
    /// Behind what was appended so far.
    var place: LogPlace { LogPlace(segment: segment, offset: segmentSize) }
}
