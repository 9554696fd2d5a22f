import Glibc
import Storage

/// BACKUP and SNAPSHOT: copies of the snapshot, each made by a job behind a checkpoint of its own, so that a copy holds
/// what was there when it was asked for. One at a time. The client waits; INFO tells how far it is. Confined to the loop.
final class Backups {
    struct Current {
        let waiter: Waiter
        let path: String
        let replaces: Bool
        /// What `endedCheckpoints` is once the checkpoint has ended that is to be copied.
        let awaited: Int
        /// nil until that is so.
        var job: BackgroundJob?
    }

    private unowned let persistence: PersistenceControl
    private var server: Router { persistence.server }
    private(set) var current: Current?
    /// nil: none has failed since.
    private(set) var lastError: String?
    private(set) var lastFile = ""
    /// Seconds since 1970.
    private(set) var lastTime: Int64 = 0

    init(_ persistence: PersistenceControl) { self.persistence = persistence }

    /// A snapshot is being read for a copy.
    var isCopying: Bool { current?.job != nil }
    /// In bytes.
    var progress: (done: Int, total: Int) {
        guard let job = current?.job else { return (0, 0) }
        return (job.done.load(ordering: .relaxed), job.total.load(ordering: .relaxed))
    }
    private var directory: String { server.config.settings.directory }

    // MARK: BACKUP and SNAPSHOT KEEP

    /// Where BACKUP writes `name`, which stands below `backup-dir`: a relative path, or an absolute one that begins with it.
    func path(_ name: Bytes) throws(CommandError) -> String {
        let base = absolutePath(server.config.settings.backupDirectory, from: ByteString(directory))
        guard let folder = base.text, var path = ByteString(name).text else {
            throw CommandError("ERR the path must be UTF-8")
        }
        if path.hasPrefix(folder + "/") { path = String(path.dropFirst(folder.utf8.count + 1)) }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        if parts.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." || $0.utf8.contains(0) }) {
            throw CommandError(
                "ERR the path must be one below backup-dir (\(folder)), without '..': relative to it, or beginning "
                    + "with it")
        }
        return folder + "/" + path
    }

    /// Answers `session`, whose command `request` is, when the copy is whole and synced under its name.
    func begin(_ session: Session, _ request: Arguments, at path: String, replaces: Bool) throws(CommandError) {
        if current != nil { throw CommandError("ERR another backup is in progress") }
        if persistence.isReplacing {
            throw CommandError("ERR the data of a master are being received: try again later")
        }
        guard let waiter = server.wait(session, request) else { return }
        let start = persistence.request(.save)
        let awaited = persistence.endedCheckpoints + (start == .started ? 1 : 2)
        current = Current(waiter: waiter, path: path, replaces: replaces, awaited: awaited)
    }

    func checkpointEnded(_ result: Result<SnapshotCommit, StorageError>) {
        guard let current, current.job == nil, persistence.endedCheckpoints >= current.awaited else { return }
        switch result {
        case .success: copy(current)
        case .failure(let error): finish("no checkpoint could be made: \(error)")
        }
    }

    private func copy(_ wanted: Current) {
        let (path, replaces, directory) = (wanted.path, wanted.replaces, directory)
        let snapshot = persistence.data?.snapshotPath ?? ""
        current?.job = server.jobs.start("backup", isYielding: true) { job throws(StorageError) in
            try Self.check(path, replaces, outside: directory)
            _ = try SnapshotCopy.make(of: snapshot, at: path, .alone, overwrite: replaces) { done, all in
                job.total.store(Int(clamping: all), ordering: .relaxed)
                job.done.store(Int(clamping: done), ordering: .relaxed)
                return !job.isCancelled
            }
        } completion: { [unowned self] outcome in
            switch outcome {
            case .success:
                (lastFile, lastTime) = (path, wallClockMilliseconds() / 1000)
                finish(nil)
            case .failure(let error): finish("\(error)")
            }
        }
    }

    /// Another snapshot may be replaced, and no other file. What lies in the data directory itself is the server's.
    private static func check(_ path: String, _ replaces: Bool, outside directory: String) throws(StorageError) {
        let folder = FileFacts.of(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]))
        if let folder, folder.identity == FileFacts.of(directory)?.identity {
            throw StorageError(file: path, message: "is in the data directory itself: set backup-dir to another one")
        }
        if FileFacts.of(path) == nil { return }
        if !replaces { throw StorageError(file: path, message: "exists already: REPLACE replaces it") }
        _ = try SnapshotCopy.facts(path)
    }

    private func finish(_ failure: String?) {
        guard let done = current else { return }
        current = nil
        lastError = failure
        if let failure {
            server.logger.warning("The backup \(done.path) failed: \(failure)")
        } else {
            server.logger.notice("The backup \(done.path) is complete")
        }
        // The client may be gone.
        guard done.waiter.session.waiter === done.waiter else { return }
        server.answer(done.waiter, failure.map(Self.refusal))
    }

    /// On one line.
    private static func refusal(_ text: String) -> CommandError {
        CommandError("ERR " + String(text.map { $0.isNewline ? " " : $0 }))
    }

    // MARK: SNAPSHOT LIST and DROP

    /// Answers with what is kept: files are looked at by a job.
    func list(_ session: Session, _ request: Arguments) {
        guard let waiter = server.wait(session, request) else { return }
        server.jobs.start("snapshots", isYielding: true) { [directory] _ in
            KeptSnapshot.all(in: directory)
        } completion: { [unowned self] (outcome: Result<[KeptSnapshot.Facts], Never>) in
            answer(waiter) { reply in
                let all = outcome.get()
                reply.array(all.count)
                for kept in all { Self.write(kept, to: reply) }
            }
        }
    }
    private static func write(_ kept: KeptSnapshot.Facts, to reply: ReplyWriter) {
        reply.map(6)
        reply.bulk("name")
        reply.bulk(kept.name)
        let numbers = [
            ("saved_at_ms", kept.meta.savedAtMs), ("checkpoint", kept.meta.checkpoint), ("bytes", kept.bytes),
            ("keys", kept.meta.keys), ("replication_offset", kept.meta.replicationOffset),
        ]
        for (name, value) in numbers {
            reply.bulk(name)
            reply.integer(value)
        }
    }

    func drop(_ session: Session, _ request: Arguments, _ kept: KeptSnapshot) {
        guard let waiter = server.wait(session, request) else { return }
        server.jobs.start("snapshots", isYielding: true) { [directory] _ throws(StorageError) in
            try kept.drop(from: directory)
        } completion: { [unowned self] outcome in
            switch outcome {
            case .success(true): server.answer(waiter, nil)
            case .success(false): refuse(waiter, "no snapshot is kept under the name \(kept.name)")
            case .failure(let error): refuse(waiter, "\(error)")
            }
        }
    }

    private func refuse(_ waiter: Waiter, _ text: String) {
        if waiter.session.waiter === waiter { server.answer(waiter, Self.refusal(text)) }
    }
    private func answer(_ waiter: Waiter, _ write: (ReplyWriter) -> Void) {
        guard waiter.session.waiter === waiter else { return }
        let start = waiter.session.output.count
        write(waiter.session.reply)
        server.finishWaiting(waiter, start, failed: false)
    }
}
