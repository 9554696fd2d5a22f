import Storage

/// Which clients watch which keys. While there are any, it observes what is written.
final class Watchers: KeyspaceObserver {
    private let keyspace: Keyspace
    private var sessions: [DatabaseKey: [Session]] = [:]
    /// What goes now had expired before, and was not there.
    private var ignoresChanges = false

    init(_ keyspace: Keyspace) { self.keyspace = keyspace }

    var isEmpty: Bool { sessions.isEmpty }

    /// `isLoading`: data is being loaded, while which nothing expires.
    func watch(_ session: Session, _ key: Bytes, isLoading: Bool) {
        let watched = DatabaseKey(session.db, key)
        if session.transaction.watched.contains(watched) { return }
        // A key that has expired already goes now: what EXEC must notice is what happens from here on.
        if !isLoading {
            _ = keyspace.databases[session.db].peek(key)
            if keyspace.databases[session.db].isDue(key) { session.transaction.watchedDue.insert(watched) }
        }
        if isEmpty { keyspace.observe([.touched, .replaced], by: self) }
        session.transaction.watched.append(watched)
        sessions[watched, default: []].append(session)
    }

    func unwatchAll(_ session: Session) {
        session.flags.remove(.dirtyWatch)
        if session.transaction.watched.isEmpty { return }
        for watched in session.transaction.watched {
            sessions[watched]?.removeAll { $0 === session }
            if sessions[watched]?.isEmpty ?? false { sessions[watched] = nil }
        }
        session.transaction.watched.removeAll()
        session.transaction.watchedDue.removeAll()
        if isEmpty { keyspace.observe([], by: self) }
    }

    /// Removes watched keys whose time has come, which counts as a change to them; so it does where they have to stay.
    func expire(_ session: Session) {
        for watched in session.transaction.watched {
            watched.withBytes { _ = keyspace.databases[watched.db].peek($0) }
            if keyspace.dueMode == .removed || session.transaction.watchedDue.contains(watched) { continue }
            watched.withBytes { if keyspace.databases[watched.db].isDue($0) { session.flags.insert(.dirtyWatch) } }
        }
    }

    /// Ends a transaction without executing it, and forgets what is watched.
    func discardTransaction(_ session: Session) {
        session.transaction.removeQueue()
        session.flags.subtract([.multi, .dirtyQueue, .dirtyWatch])
        unwatchAll(session)
    }

    // MARK: What the keyspace tells

    func keyTouched(_ db: Int, _ key: Bytes) {
        if ignoresChanges { return }
        for session in sessions[DatabaseKey(db, key)] ?? [] {
            if !session.transaction.watchedDue.isEmpty && isBelatedRemoval(db, key, session) { continue }
            session.flags.insert(.dirtyWatch)
        }
    }

    /// What was not there any more for the session when it began to watch has gone.
    private func isBelatedRemoval(_ db: Int, _ key: Bytes, _ session: Session) -> Bool {
        let database = keyspace.databases[db]
        if database.holds(key) || database.isDue(key) { return false }
        return session.transaction.watchedDue.remove(DatabaseKey(db, key)) != nil
    }

    /// Watched keys that exist here or there count as touched.
    func contentsWillBeReplaced(_ db: Database, by other: Database?) {
        forEachKey(of: db.index) { key in
            if db.holds(key) || other?.holds(key) ?? false { keyTouched(db.index, key) }
        }
    }

    /// A key that had expired already was not there: that it goes when it is looked at is no change.
    func contentsReplaced(_ db: Int) {
        ignoresChanges = true
        defer { ignoresChanges = false }
        forEachKey(of: db) { _ = keyspace.databases[db].peek($0) }
    }

    private func forEachKey(of db: Int, _ body: (Bytes) -> Void) {
        for watched in sessions.keys where watched.db == db { watched.withBytes(body) }
    }
}
