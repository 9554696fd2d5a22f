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
    private unowned let server: Server
    private var worker: MigrationWorker?
    private var current: Current?

    init(_ server: Server) { self.server = server }

    var connectionCount: Int { worker?.connectionCount ?? 0 }

    /// `client` has its answer when the job is done; `request` is the command. There is no other migration, as
    /// MIGRATE writes and is put off, but where no pause holds a client up: then it is refused.
    func begin(_ client: Client, _ request: Arguments, _ job: MigrationWorker.Job, keys: [[UInt8]], isCopy: Bool) {
        if current != nil { return client.reply.error(CommandError("ERR another MIGRATE is under way")) }
        guard let waiter = server.wait(client, request) else { return }
        current = Current(waiter: waiter, database: client.database, keys: keys, isCopy: isCopy)
        server.pause.hold(server)
        let worker = worker ?? MigrationWorker(wake: server.flushAcknowledged)
        self.worker = worker
        worker.send(job)
    }

    /// On the loop, when something woke it: what the other server has is deleted here, and the client has its answer.
    func takeOutcome() {
        guard let outcome = worker?.poll(), let migration = current else { return }
        current = nil
        server.beginBatch()
        server.pause.release(server)
        if !migration.isCopy {
            let moved = zip(migration.keys, outcome.restored).filter(\.1).map(\.0)
            server.delete(moved, in: migration.database)
        }
        let client = migration.waiter.client
        // The client may be gone; what it asked for is done all the same.
        if client.waiter === migration.waiter {
            client.ackPosition = max(client.ackPosition, server.propagator.position)
            server.answer(migration.waiter, outcome.error.map { CommandError(bytes: $0) })
        }
        if server.blocked.hasReady { server.serveReady() }
    }
}

extension Server {
    /// Deletes keys outside of any command, and logs it as one.
    fileprivate func delete(_ keys: [[UInt8]], in database: Database) {
        propagator.beginUnit()
        propagator.beginCommand()
        for key in keys {
            key.withUnsafeBytes {
                let key = $0.baseAddress.map { Bytes($0, key.count) } ?? Bytes()
                if database.remove(key) { propagator.appendRemoval(database.index, key) }
            }
        }
        propagator.endUnit()
        recentWrites.noteAny(at: propagator.position)
    }
}
