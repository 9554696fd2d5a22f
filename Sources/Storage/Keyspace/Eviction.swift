/// Keys that could go to make room: what eviction needs to know of the keyspace.
extension Database {
    /// Calls `body` with up to `count` entries, picked at random; `volatileOnly`: of those that have an expiry. Counts as no
    /// use. O(count).
    public func sampleEntries(_ count: Int, volatileOnly: Bool, _ body: (Entry) -> Void) {
        if !volatileOnly { return contents.table.sample(count, using: &keyspace.accessRandom, body) }
        // Neighbours in the heap have much in common: each entry is drawn by itself.
        for _ in 0..<min(count, contents.expiries.count) {
            body(contents.expiries.random(using: &keyspace.accessRandom))
        }
    }

    /// A random key; `volatileOnly`: of those that have an expiry. nil: there is none.
    public func randomEntry(volatileOnly: Bool) -> Entry? {
        if !volatileOnly { return contents.table.random() }
        return contents.expiries.count == 0 ? nil : contents.expiries.random(using: &keyspace.accessRandom)
    }

    /// The key whose time comes soonest, and when. O(1).
    public var soonestToExpire: (when: Int64, entry: Entry)? { contents.expiries.first }

    /// What the key is found by in `evict`, as long as it is there.
    public static func evictionID(of entry: Entry) -> UInt64 { Hashing.hash(entry.key) }

    /// How much of a candidate for eviction the entry is, by what `Keyspace.accessTracking` notes: seconds without use, or how
    /// seldom it is used.
    public func evictionScore(of entry: Entry) -> UInt32 {
        switch keyspace.accessTracking {
        case .recency: (keyspace.accessClock &- entry.accessed) & 0xff_ffff
        case .frequency: Keyspace.highestFrequency - keyspace.frequency(entry)
        }
    }

    /// Removes the key that `id` was taken of, as one that had to make room: it counts as no change of a client's. `body` is
    /// told the key before it goes. Large values are freed on another thread. Returns the bytes that the key took, estimated for
    /// large collections; nil: it is not there, or has no expiry where only those may go.
    public func evict(_ id: UInt64, volatileOnly: Bool, _ body: (Bytes) -> Void) -> Int? {
        stepTable()
        guard let slot = contents.table.find(hash: id) else { return nil }
        let entry = slot.entry
        if volatileOnly && !entry.flags.contains(.hasExpiry) { return nil }
        let bytes = entry.memoryUsage
        body(entry.key)
        keyspace.evicted += 1
        remove(slot, counts: 0)
        return bytes
    }
}

extension Keyspace {
    /// Bytes that the hash table of a database may take on where it grows: beyond them it is rather overfull for a while, than
    /// that keys have to go for it. `.max`: any number.
    public func limitTables(to bytes: Int) {
        for database in databases { database.contents.table.room = bytes }
    }
}
