// Invariant of this file: views are used while nothing writes to the keyspace.

/// Tells what a keyspace holds, as a file's reader does.
public enum KeyspaceVisit {
    /// All libraries, then all keys of all databases. Throws what the sink throws. O(data).
    public static func read(_ keyspace: Keyspace, into sink: any KeySink) throws(StorageError) {
        var sink = sink
        for (name, code) in keyspace.libraries.all {
            try name.lend { (name) throws(StorageError) in
                try code.lend { (code) throws(StorageError) in try sink.function(name, code) }
            }
        }
        var failure: StorageError?
        for database in keyspace.databases where database.count > 0 && failure == nil {
            database.forEach { entry in
                do throws(StorageError) {
                    try tell(entry, database, &sink)
                    return true
                } catch {
                    failure = error
                    return false
                }
            }
        }
        if let failure { throw failure }
    }

    private static func tell(_ entry: Entry, _ database: Database, _ sink: inout any KeySink) throws(StorageError) {
        let key = VisitedKey(
            database: Int32(clamping: database.index), key: entry.key, expiresMs: entry.expiry,
            earliestFieldExpiry: entry.hasExpiringFields ? entry.tableValue.expiring?.heap.first?.when : nil)
        if entry.type == .string { return try sink.string(key, database.string(of: entry)) }
        try sink.begin(entry.type, key, sizeHint: entry.elementCount)
        switch entry.type {
        case .string: break
        case .list:
            let list = database.list(of: entry)
            try each { body in
                list.forEach(from: 0, count: list.count, reverse: false) { item in
                    body { () throws(StorageError) in try sink.element(item) }
                }
            }
        case .set:
            try each { body in
                database.set(of: entry).forEach { member in
                    body { () throws(StorageError) in try sink.element(member) }
                }
            }
        case .zset:
            let zset = database.zset(of: entry)
            try each { body in
                zset.forEach(rank: 0, count: zset.count, reverse: false) { member, score in
                    body { () throws(StorageError) in try sink.scored(member, score) }
                }
            }
        case .hash:
            let hash = database.hash(of: entry)
            let expires = key.earliestFieldExpiry != nil
            try each { body in
                hash.forEach { field, value in
                    let expiresMs = expires ? hash.expiry(of: field) : nil
                    return body { () throws(StorageError) in try sink.pair(field, value, expiresMs: expiresMs) }
                }
            }
        case .stream: try tell(database.stream(of: entry), &sink)
        }
        try sink.end()
    }

    /// Runs a walk whose elements may throw: the first to throw ends it.
    private static func each(
        _ walk: (_ body: (() throws(StorageError) -> Void) -> Bool) -> Void
    ) throws(StorageError) {
        var failure: StorageError?
        walk { element in
            do throws(StorageError) {
                try element()
                return true
            } catch {
                failure = error
                return false
            }
        }
        if let failure { throw failure }
    }

    private static func tell(_ stream: StreamView, _ sink: inout any KeySink) throws(StorageError) {
        let fields = OutputBuffer()
        try each { body in
            stream.forEach { id, content in
                fields.removeAll(keepingAtMost: 1 << 20)
                content.pack(into: fields)
                return body { () throws(StorageError) in try sink.streamEntry(id, fields.bytes) }
            }
        }
        try sink.streamRow(.state(stream.state))
        var consumerSlot: UInt32 = 0
        var pendingSlot: UInt32 = 0
        for (index, group) in stream.groups.enumerated() {
            let slot = UInt32(truncatingIfNeeded: index)
            try sink.streamRow(
                .group(slot: slot, name: group.name, lastID: group.lastID, entriesRead: group.entriesRead))
            for consumer in group.consumers {
                try sink.streamRow(
                    .consumer(
                        slot: consumerSlot, group: slot, name: consumer.name, seenMs: consumer.seenMs,
                        activeMs: consumer.activeMs))
                try each { body in
                    stream.forEachPending(group, consumer) { pending in
                        let row = StreamRow.pending(
                            slot: pendingSlot, group: slot, consumer: consumerSlot, id: pending.id,
                            deliveredMs: pending.deliveredMs, deliveries: pending.deliveries)
                        pendingSlot += 1
                        return body { () throws(StorageError) in try sink.streamRow(row) }
                    }
                }
                consumerSlot += 1
            }
        }
    }
}

/// Puts the keys that it is told into a keyspace, in the place of what has their names.
public final class KeyspaceSink: KeyVisitor {
    private let keyspace: Keyspace
    private let file: String
    private let keepLibrary: (Bytes) throws(StorageError) -> Void
    private var entry: EntryVisitor
    private var database: Int32 = 0

    /// `file` is for messages. `keepLibrary` gets the code of each library of functions.
    public init(_ keyspace: Keyspace, file: String, keepLibrary: @escaping (Bytes) throws(StorageError) -> Void) {
        self.keepLibrary = keepLibrary
        self.keyspace = keyspace
        self.file = file
        entry = EntryVisitor(limits: keyspace.limits)
    }

    private func open(_ key: VisitedKey) throws(StorageError) {
        guard Int(key.database) < keyspace.databases.count else {
            throw StorageError(
                file: file, message: "names database \(key.database), and there are \(keyspace.databases.count)")
        }
        database = key.database
        entry = EntryVisitor(limits: keyspace.limits)
    }

    public func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) {
        try open(key)
        entry.string(key, value)
        store()
    }
    public func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError) {
        try open(key)
        entry.begin(type, key, sizeHint: sizeHint)
    }
    public func element(_ value: Bytes) throws(StorageError) { try entry.element(value) }
    public func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        try entry.pair(field, value, expiresMs: expiresMs)
    }
    public func scored(_ member: Bytes, _ score: Double) throws(StorageError) { try entry.scored(member, score) }
    public func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) { try entry.streamEntry(id, fields) }
    public func streamRow(_ row: StreamRow) throws(StorageError) { try entry.streamRow(row) }
    public func end() throws(StorageError) {
        try entry.end()
        store()
    }
    public func function(_ name: Bytes, _ code: Bytes) throws(StorageError) { try keepLibrary(code) }

    private func store() {
        if let made = entry.entry { keyspace.databases[Int(database)].restore(made) }
    }
}
