import Storage

/// What one MIGRATE sends to another server.
struct Migration {
    let host: String
    let port: String
    /// The database there.
    let database: Int64
    /// The request for AUTH; empty: none is sent.
    let authentication: [UInt8]
    /// A RESTORE for each key.
    let requests: SharedChunk
    /// What Valkey is sent instead; nil where it takes the same.
    let valkeyRequests: SharedChunk?
    let keys: [[UInt8]]
    let isCopy: Bool
    /// Milliseconds for each part that comes or leaves.
    let timeout: Int
}

/// MIGRATE, on the loop's side. While keys are on their way, commands that write are deferred: what is deleted here is
/// exactly what the other server has. Everything else goes on. Confined to the loop.
final class Migrations {
    private struct Current {
        let waiter: Waiter
        let database: Database
        let migration: Migration
    }
    private unowned let server: Router
    private let links: Links
    private var current: Current?
    /// Connections are kept for a while, as one MIGRATE seldom comes alone.
    private var connections: [String: TargetConnection] = [:]

    init(_ server: Router, _ links: Links) {
        self.server = server
        self.links = links
    }

    /// Connections that are open.
    var connectionCount: Int { connections.count }

    /// `session` has its answer when the job is done; `request` is the command. There is no other migration, as
    /// MIGRATE writes and is deferred, but where no pause holds a client up: then it is refused.
    func begin(_ session: Session, _ request: Arguments, _ migration: Migration) {
        if current != nil { return session.reply.error(CommandError("ERR another MIGRATE is under way")) }
        guard let waiter = server.wait(session, request) else { return }
        server.pause.holdWrites(server)
        // As Redis, where MIGRATE is what nodes of a cluster use among themselves.
        let isEncrypted = server.config.settings.tls.cluster
        let name = "\(migration.host) \(migration.port)\(isEncrypted ? " TLS" : "")"
        let connection =
            connections[name]
            ?? TargetConnection(links, isEncrypted: isEncrypted) { [unowned self] in connections[name] = nil }
        connections[name] = connection
        current = Current(waiter: waiter, database: session.database, migration: migration)
        connection.carry(migration) { [unowned self] outcome in finish(outcome) }
    }

    /// What the other server has is deleted here, and the client has its answer.
    private func finish(_ outcome: TargetConnection.Outcome) {
        guard let done = current else { return }
        current = nil
        if !done.migration.isCopy {
            let moved = zip(done.migration.keys, outcome.restored).filter(\.1).map(\.0)
            server.unit(.job) { delete(moved, done.database) }
            server.recentWrites.noteAny(at: server.stream.offset)
        }
        server.pause.releaseWrites(server)
        let session = done.waiter.session
        // The client may be gone; what it asked for is done all the same.
        if session.waiter === done.waiter {
            session.ackOffset = max(session.ackOffset, server.stream.offset)
            server.answer(done.waiter, outcome.error.map { CommandError(bytes: $0) })
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
