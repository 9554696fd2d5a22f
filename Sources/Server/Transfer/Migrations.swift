import Storage

/// MIGRATE, on the loop's side. While keys are on their way, commands that write are put off: what is deleted here is
/// exactly what the other server has. Everything else goes on. Confined to the loop.
final class Migrations {
    private struct Current {
        let waiter: Waiter
        let database: Database
        let keys: [[UInt8]]
        let isCopy: Bool
    }
    private unowned let server: Router
    private var worker: MigrationWorker?
    private var current: Current?

    init(_ server: Router) {
        self.server = server
        server.onWake.append { [unowned self] in takeOutcome() }
    }

    var connectionCount: Int { worker?.connectionCount ?? 0 }

    /// `client` has its answer when the job is done; `request` is the command. There is no other migration, as
    /// MIGRATE writes and is put off, but where no pause holds a client up: then it is refused.
    func begin(_ client: Session, _ request: Arguments, _ job: MigrationWorker.Job, keys: [[UInt8]], isCopy: Bool) {
        if current != nil { return client.reply.error(CommandError("ERR another MIGRATE is under way")) }
        guard let waiter = server.wait(client, request) else { return }
        current = Current(waiter: waiter, database: client.database, keys: keys, isCopy: isCopy)
        server.pause.holdWrites(server)
        let worker = worker ?? MigrationWorker(wake: server.flushAcknowledged)
        self.worker = worker
        worker.send(job)
    }

    /// On the loop, when something woke it: what the other server has is deleted here, and the client has its answer.
    func takeOutcome() {
        guard let outcome = worker?.poll(), let migration = current else { return }
        current = nil
        if !migration.isCopy {
            server.unit(.job) { delete(zip(migration.keys, outcome.restored).filter(\.1).map(\.0), migration.database) }
            server.recentWrites.noteAny(at: server.stream.offset)
        }
        server.pause.releaseWrites(server)
        let session = migration.waiter.session
        // The client may be gone; what it asked for is done all the same.
        if session.waiter === migration.waiter {
            session.ackOffset = max(session.ackOffset, server.stream.offset)
            server.answer(migration.waiter, outcome.error.map { CommandError(bytes: $0) })
        }
    }

    private func delete(_ keys: [[UInt8]], _ database: Database) {
        for key in keys {
            key.withUnsafeBytes {
                let key = $0.baseAddress.map { Bytes($0, key.count) } ?? Bytes()
                if !database.remove(key) { return }
                server.stream.appendRemoval(database.index, key)
                server.services.events.record(database.index, key, .generic, "del")
            }
        }
    }
}
