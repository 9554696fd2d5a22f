/// Typed access to keys. Views read, editors write; both are good until the key is removed or replaced.
extension Database {
    @inline(__always) private func entry(_ key: Bytes, _ type: ValueType) throws(WrongType) -> Entry? {
        guard let entry = find(key) else { return nil }
        if entry.type != type { throw WrongType() }
        return entry
    }
    @inline(__always) private func entry(_ key: Bytes, _ type: ValueType, create: Bool) throws(WrongType) -> Entry? {
        if let entry = try entry(key, type) { return entry }
        return create ? makeNew(key, type) : nil
    }
    private func makeNew(_ key: Bytes, _ type: ValueType, isNew: Bool = true) -> Entry {
        let entry = Entry.makeCollection(key, type)
        // The elements count, the key does not.
        insert(entry, Hashing.hash(key), counts: 0, isNew: isNew)
        return entry
    }
    private func replaceWithNew(_ key: Bytes, _ type: ValueType) -> Entry {
        let isNew = !remove(key)
        return makeNew(key, type, isNew: isNew)
    }

    public func list(_ key: Bytes) throws(WrongType) -> ListView? {
        try entry(key, .list).map { ListView(entry: $0, values: keyspace) }
    }
    public func hash(_ key: Bytes) throws(WrongType) -> HashView? {
        try entry(key, .hash).map { HashView(entry: $0, values: keyspace) }
    }
    public func set(_ key: Bytes) throws(WrongType) -> SetView? {
        try entry(key, .set).map { SetView(entry: $0, values: keyspace) }
    }
    public func zset(_ key: Bytes) throws(WrongType) -> ZSetView? {
        try entry(key, .zset).map { ZSetView(entry: $0, values: keyspace) }
    }

    public func stream(_ key: Bytes) throws(WrongType) -> StreamView? {
        try entry(key, .stream).map { StreamView(entry: $0, values: keyspace) }
    }

    // Views of an entry whose type is known, as walks over all keys meet them.
    public func list(of entry: Entry) -> ListView { ListView(entry: entry, values: keyspace) }
    public func hash(of entry: Entry) -> HashView { HashView(entry: entry, values: keyspace) }
    public func set(of entry: Entry) -> SetView { SetView(entry: entry, values: keyspace) }
    public func zset(of entry: Entry) -> ZSetView { ZSetView(entry: entry, values: keyspace) }

    public func stream(of entry: Entry) -> StreamView { StreamView(entry: entry, values: keyspace) }

    /// `create`: a missing key becomes an empty list. Likewise the others.
    public func editList(_ key: Bytes, create: Bool) throws(WrongType) -> ListEditor? {
        try entry(key, .list, create: create).map { ListEditor(entry: $0, recorder: self) }
    }
    public func editHash(_ key: Bytes, create: Bool) throws(WrongType) -> HashEditor? {
        try entry(key, .hash, create: create).map { HashEditor(entry: $0, recorder: self) }
    }
    public func editSet(_ key: Bytes, create: Bool) throws(WrongType) -> SetEditor? {
        try entry(key, .set, create: create).map { SetEditor(entry: $0, recorder: self) }
    }
    public func editZSet(_ key: Bytes, create: Bool) throws(WrongType) -> ZSetEditor? {
        try entry(key, .zset, create: create).map { ZSetEditor(entry: $0, recorder: self) }
    }
    public func editStream(_ key: Bytes, create: Bool) throws(WrongType) -> StreamEditor? {
        try entry(key, .stream, create: create).map { StreamEditor(entry: $0, recorder: self) }
    }

    /// Whatever the key held is removed first.
    public func replaceWithNewList(_ key: Bytes) -> ListEditor {
        ListEditor(entry: replaceWithNew(key, .list), recorder: self)
    }
    public func replaceWithNewHash(_ key: Bytes) -> HashEditor {
        HashEditor(entry: replaceWithNew(key, .hash), recorder: self)
    }
    public func replaceWithNewSet(_ key: Bytes) -> SetEditor {
        SetEditor(entry: replaceWithNew(key, .set), recorder: self)
    }
    public func replaceWithNewZSet(_ key: Bytes) -> ZSetEditor {
        ZSetEditor(entry: replaceWithNew(key, .zset), recorder: self)
    }
}

extension StreamLoader {
    /// Puts the stream under a key of `database` that does not exist yet. False where the rows contradict each other:
    /// then nothing is there.
    public func finish(into database: Database, _ key: Bytes) -> Bool {
        guard canFinish, let editor = try? database.editStream(key, create: true) else { return false }
        let empty = editor.entry.takeLargeValue()
        _ = finish(into: editor.entry)
        empty?.freeElements()
        return true
    }
}
