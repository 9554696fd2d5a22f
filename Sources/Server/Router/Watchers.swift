import Storage

/// Which clients watch which keys. While there are any, the keyspace tells about each key that is written.
struct Watchers {
    fileprivate(set) var clients: [DatabaseKey: [Client]] = [:]
    var isEmpty: Bool { clients.isEmpty }
}

extension Server {
    func watch(_ client: Client, _ key: Bytes) {
        let watched = DatabaseKey(client.db, key)
        if client.transaction.watched.contains(watched) { return }
        // A key that has expired already goes now: what EXEC must notice is what happens from here on.
        // While data loads, nothing expires.
        if !guards.contains(.loading) { _ = keyspace.databases[client.db].peek(key) }
        if watchers.isEmpty { startWatching() }
        client.transaction.watched.append(watched)
        watchers.clients[watched, default: []].append(client)
    }

    func unwatchAll(_ client: Client) {
        client.flags.remove(.dirtyWatch)
        if client.transaction.watched.isEmpty { return }
        for watched in client.transaction.watched {
            watchers.clients[watched]?.removeAll { $0 === client }
            if watchers.clients[watched]?.isEmpty ?? false { watchers.clients[watched] = nil }
        }
        client.transaction.watched.removeAll()
        if watchers.isEmpty {
            keyspace.onTouched = nil
            keyspace.watchedKeys = nil
        }
    }

    /// Removes watched keys whose time has come, which counts as a change to them.
    func expireWatched(_ client: Client) {
        if guards.contains(.loading) { return }
        for watched in client.transaction.watched {
            watched.withBytes { _ = keyspace.databases[watched.db].peek($0) }
        }
    }

    private func startWatching() {
        keyspace.onTouched = { [unowned self] db, key in
            for client in watchers.clients[DatabaseKey(db, key)] ?? [] { client.flags.insert(.dirtyWatch) }
        }
        keyspace.watchedKeys = { [unowned self] db, body in
            for watched in watchers.clients.keys where watched.db == db {
                watched.withBytes { body($0) }
            }
        }
    }
}
