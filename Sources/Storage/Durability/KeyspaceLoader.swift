/// Builds a keyspace from the rows of a snapshot. What is loaded counts as unchanged.
///
/// Rows come as `SnapshotReader` delivers them: every owner directly before its elements, elements by slot.
public final class KeyspaceLoader {
    private let keyspace: Keyspace
    private let builder: CollectionBuilder
    /// The collection that elements go to, and the slot that its next one should have.
    private var owner: Entry?
    /// The stream in hand.
    private var stream: StreamLoader?
    private var database: Database?
    private var nextSlot: Int64 = 0
    /// Slots are not as this server assigns them: the next checkpoint writes the whole value.
    private var mustRewrite = false
    /// Keys loaded.
    public private(set) var keys = 0
    /// Keys that are to come in all, as the snapshot claims: room is made for them. 0 where that is not known.
    public var expected = 0
    /// After so many keys the databases' shares of them are judged.
    private static var sample: Int { StructureSizes.size(4096, small: 4) }

    public init(_ keyspace: Keyspace) {
        self.keyspace = keyspace
        builder = CollectionBuilder(limits: keyspace.limits)
    }

    deinit {
        // Loading ended within a collection: its key gets a value that can be freed.
        owner?.listpack = Listpack.allocate()
        builder.abandon()
    }

    /// Adds the rows of a batch. Throws where they contradict each other: a row for a database that does not exist, a
    /// key twice, an element without its key.
    public func load(_ batch: RowBatch) throws(SnapshotDamage) {
        var offset = 0
        while try !load(batch, from: &offset, until: .max) {}
    }

    /// Adds rows from `offset` on, which moves, until the monotonic clock shows `deadline`, and some in any case. True when
    /// all of the batch is added.
    func load(_ batch: RowBatch, from offset: inout Int, until deadline: UInt64) throws(SnapshotDamage) -> Bool {
        var rows = 0
        while offset < batch.byteCount {
            try load(batch.decode(at: &offset))
            rows &+= 1
            if rows & 63 == 0 && monotonicNanoseconds() >= deadline { return offset >= batch.byteCount }
        }
        return true
    }

    @inline(__always)
    private func load(_ row: Row) throws(SnapshotDamage) {
        switch row {
        case .string(let id, let db, let key, let value, let expiresMs):
            try finishOwner()
            if value.count <= 20, let integer = value.integer {
                try insert(.makeInteger(key, integer, expiry: expiresMs), db, id)
            } else {
                try insert(.makeString(key, value, expiry: expiresMs), db, id)
            }
        case .owner(let type, let id, let db, let key, let expiresMs):
            try finishOwner()
            let entry = Entry.make(key, type: type, encoding: .listpack, expiry: expiresMs, room: 8)
            try insert(entry, db, id)
            owner = entry
            mustRewrite = false
            if type == .stream {
                stream = StreamLoader(limits: keyspace.limits)
                return
            }
            builder.begin(type)
            nextSlot = 0
        case .element(let type, let ownerID, let slot, let first, let second, let score, let expiresMs):
            guard let owner, owner.id == ownerID, owner.type == type else {
                throw SnapshotDamage("an element of \(type.name) \(ownerID) has no key")
            }
            if let stream {
                guard let id = StreamID(bytes: first), stream.addEntry(id, second, slot: slot) else {
                    throw SnapshotDamage("the entries of the stream '\(owner.key.string)' are not in order")
                }
                return
            }
            if type == .list {
                builder.addItem(first, slot: Int64(slot))
                return
            }
            if Int64(slot) != nextSlot { mustRewrite = true }
            nextSlot = Int64(slot) + 1
            if !builder.add(first, second, score: score, expiresMs: expiresMs) {
                throw SnapshotDamage("'\(owner.key.string)' holds '\(first.string)' twice")
            }
        case .stream(let ownerID, let row):
            guard let owner, owner.id == ownerID, let stream else {
                throw SnapshotDamage("a row of stream \(ownerID) has no key")
            }
            if !stream.add(row) {
                throw SnapshotDamage("the groups of the stream '\(owner.key.string)' contradict each other")
            }
        case .removeString, .removeOwner, .removeElements, .flushAll, .flushDatabase, .swapDatabases:
            throw SnapshotDamage("a snapshot holds rows only")
        }
    }

    /// Call after the last batch.
    public func finish() throws(SnapshotDamage) {
        try finishOwner()
        for database in keyspace.databases { database.contents.table.settle() }
        keyspace.dirty = 0
    }

    private func insert(_ entry: Entry, _ db: Int32, _ id: Int64) throws(SnapshotDamage) {
        guard db >= 0, Int(db) < keyspace.databases.count else {
            throw SnapshotDamage(
                "the snapshot has keys in database \(db) ('\(entry.key.string)', for one), and `databases` is "
                    + "\(keyspace.databases.count)", advice: "set `databases` to \(Int64(db) + 1) or more")
        }
        guard RowID.range(entry.type).contains(id) else {
            throw SnapshotDamage("the key '\(entry.key.string)' has a row with id \(id)")
        }
        let database = keyspace.databases[Int(db)]
        let hash = Hashing.hash(entry.key)
        database.stepTable()
        if database.contents.table.find(entry.key, hash: hash) != nil {
            throw SnapshotDamage("the key '\(entry.key.string)' is there twice")
        }
        entry.id = id
        entry.accessed = keyspace.newAccess
        database.contents.table.insert(entry, hash: hash)
        if let when = entry.expiry { database.contents.expiries.insert(entry, when: when) }
        keyspace.ids.loaded(entry.type, id)
        self.database = database
        keys += 1
        if keys == KeyspaceLoader.sample { reserve() }
    }

    /// Each database gets room for as many keys as its share of those so far promises.
    private func reserve() {
        for database in keyspace.databases where database.count > 0 {
            while database.contents.table.isRehashing { database.stepTable() }
            database.contents.table.reserve(Int(Double(database.count) / Double(keys) * Double(expected)))
        }
    }

    private func finishOwner() throws(SnapshotDamage) {
        guard let owner, let database else { return }
        if let stream {
            guard let isMoved = stream.finish(into: owner) else {
                throw SnapshotDamage("the stream '\(owner.key.string)' has an entry above its last id")
            }
            self.stream = nil
            mustRewrite = isMoved
        } else {
            if builder.count == 0 { throw SnapshotDamage("the \(owner.type.name) '\(owner.key.string)' is empty") }
            builder.finish(into: owner)
            database.noteFieldExpiries(owner)
        }
        if let value = owner.largeValue {
            value.markClean()
            if mustRewrite {
                value.rewriteAll = true
                database.willChange(owner)
            }
        }
        self.owner = nil
    }
}

/// A snapshot that cannot be loaded: its rows contradict each other, or do not fit this server's settings.
public struct SnapshotDamage: Error, CustomStringConvertible {
    public let description: String

    init(_ contradiction: String) {
        description = "the snapshot contradicts itself: \(contradiction): restore it from a backup"
    }
    init(_ message: String, advice: String) { description = "\(message): \(advice)" }
}
