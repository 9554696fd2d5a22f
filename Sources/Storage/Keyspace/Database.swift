import Glibc

/// One of the numbered databases. An `Entry` that a function returns is good until the next write to its key.
public final class Database: ChangeRecorder {
    public let index: Int
    unowned(unsafe) let keyspace: Keyspace
    var contents = Contents()

    init(index: Int, keyspace: Keyspace) {
        self.index = index
        self.keyspace = keyspace
        super.init(keyspace)
    }

    public var count: Int { contents.table.count }
    /// Keys that have an expiry.
    public var expiringCount: Int { contents.expiries.count }
    /// Buckets and bytes of the hash table, for MEMORY STATS and DEBUG HTSTATS.
    public var tableSize: (buckets: Int, bytes: Int) { (contents.table.bucketCount, contents.table.byteCount) }

    /// Bytes that each key has in its entry beside the key itself and the value; and what an expiry takes, with its place in
    /// the heap.
    public static var entryOverhead: Int { Entry.headerSize }
    public static var expiryOverhead: Int { Entry.expirySize + ExpiryHeap.nodeSize }

    // MARK: Look-up

    /// The key's entry; nil when missing or expired (what becomes of an expired one says `Keyspace.dueMode`).
    @inline(__always) public func find(_ key: Bytes) -> Entry? { locate(key, Hashing.hash(key))?.entry }

    /// The key's entry, without counting as a use: what only asks about a key leaves idle time and frequency alone.
    public func peek(_ key: Bytes) -> Entry? {
        let touches = keyspace.touchesOnAccess
        keyspace.touchesOnAccess = false
        defer { keyspace.touchesOnAccess = touches }
        return find(key)
    }

    /// Where the live key stands; expired ones are removed, or hidden. Moves the rehash on by a bucket.
    @inline(__always) func locate(_ key: Bytes, _ hash: UInt64) -> Slot? {
        stepTable()
        guard let slot = contents.table.find(key, hash: hash) else { return nil }
        let entry = slot.entry
        if entry.flags.contains(.hasExpiry), isExpired(entry) {
            removeDue(entry)
            return nil
        }
        if keyspace.touchesOnAccess && entry.accessed != keyspace.accessClock { keyspace.touch(entry) }
        return slot
    }

    @inline(__always) private func isExpired(_ entry: Entry) -> Bool {
        guard let when = entry.expiry else { return false }
        return when <= keyspace.horizon
    }
    /// The key's entry, whether or not its time has come: for what looks at how it is kept. Counts as no use.
    public func findEvenIfDue(_ key: Bytes) -> Entry? { contents.table.find(key, hash: Hashing.hash(key))?.entry }
    /// Whether the key is there and its time has come; removes none.
    public func isDue(_ key: Bytes) -> Bool {
        guard let slot = contents.table.find(key, hash: Hashing.hash(key)) else { return false }
        return isExpired(slot.entry)
    }
    /// An entry whose time has come was met.
    @inline(never) private func removeDue(_ entry: Entry) { if keyspace.dueMode == .removed { expire(entry) } }

    /// Prefetches the key's bucket, for a batch of commands; returns the hash to ask for the entry with.
    @inline(__always) public func prefetch(_ key: Bytes) -> UInt64 {
        let hash = Hashing.hash(key)
        contents.table.prefetch(hash)
        return hash
    }
    @inline(__always) public func prefetchEntry(_ hash: UInt64) { contents.table.prefetchEntry(hash) }

    /// Where the key of `hash` seems to be a large hash, set or sorted set, prefetches the bucket of the element that a
    /// command's second or third argument names; returns the element's hash, else 0. The key's entry was prefetched before.
    public func prefetchElement(_ hash: UInt64, _ second: Bytes, _ third: Bytes?) -> UInt64 {
        guard let entry = contents.table.candidate(hash),
            entry.encoding == .hashtable || entry.encoding == .skiplist
        else { return 0 }
        // ZADD and ZINCRBY have the score before the member.
        let hash = Hashing.hash(entry.encoding == .skiplist ? third ?? second : second)
        entry.withTable { $0.table.prefetch(hash) }
        return hash
    }
    /// Prefetches the element's entry, as `prefetchEntry` a key's.
    public func prefetchElementEntry(_ hash: UInt64, _ elementHash: UInt64) {
        contents.table.candidate(hash)?.withTable { $0.table.prefetchEntry(elementHash) }
    }

    public func expiry(of entry: Entry) -> Int64? { entry.expiry }

    public func randomKey() -> Entry? {
        // Expired keys are about to be removed; where all are, some attempts end with none.
        for _ in 0..<100 {
            guard let entry = contents.table.random() else { return nil }
            if !isExpired(entry) { return entry }
            removeDue(entry)
        }
        if keyspace.dueMode != .hidden { return nil }
        // As in Redis: where every key may expire, and maybe all have, any of them is the answer.
        if contents.expiries.count == count { return contents.table.random() }
        var found: Entry?
        forEach {
            found = $0
            return false
        }
        return found
    }

    /// A random key, due or not, for statistics: O(1), and removes nothing. nil where there is none.
    public func sampleKey() -> Entry? { contents.table.random() }

    /// One call of SCAN; see `EntryTable.scan`. Expired keys are not shown, but removed or left.
    public func scan(_ cursor: UInt64, count: Int, _ body: (Entry) -> Void) -> UInt64 {
        var due: [Entry] = []
        let next = contents.table.scan(cursor, count: count) { if isExpired($0) { due.append($0) } else { body($0) } }
        for entry in due { removeDue(entry) }
        return next
    }
    /// Every key: O(n), for KEYS and digests. `body` must not write.
    public func forEach(_ body: (Entry) -> Bool) {
        contents.table.forEach { isExpired($0) ? true : body($0) }
    }

    // MARK: Whole keys

    @discardableResult public func remove(_ key: Bytes) -> Bool {
        let hash = Hashing.hash(key)
        guard let slot = locate(key, hash) else { return false }
        remove(slot)
        return true
    }

    /// As `remove`; a key whose time has come is there, too, and does not expire: where something else takes its place.
    @discardableResult public func removeEvenIfDue(_ key: Bytes) -> Bool {
        stepTable()
        guard let slot = contents.table.find(key, hash: Hashing.hash(key)) else { return false }
        remove(slot)
        return true
    }

    public func removeIfEmpty(_ entry: Entry) {
        if entry.elementCount == 0, let slot = contents.table.find(entry.key, hash: Hashing.hash(entry.key)) {
            // The last element's removal counts, the key's does not.
            remove(slot, counts: 0)
        }
    }

    func expire(_ entry: Entry) {
        guard let slot = contents.table.find(entry.key, hash: Hashing.hash(entry.key)) else { return }
        if keyspace.observers.wanted.contains(.expired) {
            keyspace.observers.tell(.expired) { $0.keyExpired(index, entry.key) }
        }
        keyspace.expired += 1
        remove(slot, counts: 0)
    }

    public func flush() {
        replaceContents()
        keyspace.changeSet.flush(Int32(index))
    }

    func replaceContents() {
        let old = contents
        tellWillBeReplaced(by: nil)
        keyspace.noteChange(old.table.count)
        contents = Contents()
        old.isOrphan = true
        if !(keyspace.handover?.takeOver(old) ?? false) { Reaper.shared.free(all: old) }
        tellReplaced()
    }

    /// Whether a key that has not expired is there; removes none.
    public func holds(_ key: Bytes) -> Bool {
        guard let slot = contents.table.find(key, hash: Hashing.hash(key)) else { return false }
        return !isExpired(slot.entry)
    }

    /// `from` exists. An old `to` is removed.
    public func rename(_ from: Bytes, to: Bytes) {
        if from == to { return }
        // Clients that have cached both keys hear of the old name first, as in Redis.
        tellTouched(from)
        remove(to)
        relocate(from, to: self, as: to)
    }
    /// False when `key` is missing or the other database has it.
    public func move(_ key: Bytes, to other: Database) -> Bool {
        if find(key) == nil || other.find(key) != nil { return false }
        relocate(key, to: other, as: key)
        return true
    }

    /// The value changes hands. Within a database it keeps its row id, so that the elements' rows stay as they are; in
    /// another it gets new rows, as flushes and swaps tell rows apart by the database they were in. O(1).
    private func relocate(_ key: Bytes, to other: Database, as newKey: Bytes) {
        let hash = Hashing.hash(key)
        guard let slot = locate(key, hash) else { return }
        let old = slot.entry
        willChange(old, hash)
        let new = old.rebuilt(key: newKey, expiry: old.expiry)
        if other !== self {
            keyspace.changeSet.removed(old)
            new.id = 0
            new.largeValue?.rewriteAll = true
        }
        if old.flags.contains(.hasExpiry) { contents.expiries.remove(old) }
        forgetFieldExpiries(old)
        contents.table.remove(slot)
        other.insert(new, Hashing.hash(newKey))
        new.accessed = old.accessed
        other.noteFieldExpiries(new)
        if old.type == .stream { tellReady(old) }
        old.freeBlock()
    }

    /// A deep copy of `key`, which exists, with its expiry; an old one is removed. O(elements).
    public func copy(_ key: Bytes, to other: Database, as newKey: Bytes) {
        if self === other && key == newKey { return }
        other.remove(newKey)
        guard let entry = find(key) else { return }
        let copy = entry.deepCopy(key: newKey, limits: keyspace.limits)
        other.insert(copy, Hashing.hash(newKey))
        other.noteFieldExpiries(copy)
    }

    /// Puts in an entry that `DumpPayload` made; an old one of its key is removed.
    public func restore(_ entry: Entry) {
        removeEvenIfDue(entry.key)
        insert(entry, Hashing.hash(entry.key))
        noteFieldExpiries(entry)
    }
    /// Frees such an entry instead.
    public func discard(_ entry: Entry) { Database.free(entry) }

    public func setExpiry(_ ms: Int64?, of key: Bytes) {
        let hash = Hashing.hash(key)
        guard let slot = locate(key, hash) else { return }
        let entry = slot.entry
        willChange(entry, hash)
        switch (entry.expiry, ms) {
        case (nil, nil): break
        case (.some, .some(let when)):
            entry.storeExpiry(when)
            contents.expiries.update(entry, when: when)
        case (_, let when):
            let new = entry.rebuilt(expiry: when)
            if entry.flags.contains(.hasExpiry) { contents.expiries.remove(entry) }
            if let when { contents.expiries.insert(new, when: when) }
            slot.entry = new
            entry.freeBlock()
        }
    }

    // MARK: Inside: every change goes through these

    @inline(__always) func stepTable() {
        if contents.table.isRehashing { stepRehash() }
    }
    @inline(never) private func stepRehash() {
        let old = contents.table.step { entry in
            // A checkpoint walks buckets; what moves to another one is handed over on the way.
            if entry.flags.contains(keyspace.pendingFlag) { keyspace.handover?.handOver(entry, of: contents) }
        }
        if let old { Reaper.shared.free(old) }
    }

    /// Before an entry or its value changes: hands over the state at the cut if it is still to be, and records the change,
    /// which counts as `counts`.
    @inline(__always) func willChange(_ entry: Entry, _ hash: UInt64, counts: Int = 1) {
        let flags = entry.flags
        if flags.contains(keyspace.pendingFlag) { keyspace.handover?.handOver(entry, of: contents) }
        if !flags.contains(keyspace.currentFlag) {
            entry.flags.insert(keyspace.currentFlag)
            contents.table.markChanged(hash)
        }
        keyspace.noteChange(counts)
        tellTouched(entry.key)
    }

    /// As above, but hashes the key only where that is needed.
    override func willChange(_ entry: Entry, counts: Int) {
        if entry.flags.intersection(.changedMask) == keyspace.currentFlag {
            keyspace.noteChange(counts)
            tellTouched(entry.key)
        } else {
            willChange(entry, Hashing.hash(entry.key), counts: counts)
        }
    }

    override func hasMore(_ entry: Entry) { tellReady(entry) }
    override func touch(_ entry: Entry) { tellTouched(entry.key) }

    override func willChangeQuietly(_ entry: Entry) {
        if entry.flags.contains(keyspace.pendingFlag) { keyspace.handover?.handOver(entry, of: contents) }
        if !entry.flags.contains(keyspace.currentFlag) {
            entry.flags.insert(keyspace.currentFlag)
            contents.table.markChanged(Hashing.hash(entry.key))
        }
    }

    override func fieldExpiriesChanged(_ entry: Entry) {
        if let expiring = entry.tableValue.expiring { follow(expiring, entry) }
    }

    override func willChangeUnwatched(_ entry: Entry) {
        willChangeQuietly(entry)
        keyspace.noteChange(1)
    }

    /// Adds an entry whose key is not there, which counts as `counts`. `isNew`: it does not take the place of one that was
    /// removed for it.
    @inline(__always) func insert(_ entry: Entry, _ hash: UInt64, counts: Int = 1, isNew: Bool = true) {
        entry.flags.subtract(.changedMask)
        entry.flags.insert(keyspace.currentFlag)
        entry.accessed = keyspace.newAccess
        if keyspace.accessClock == Keyspace.neverAccessed { keyspace.noteCounted(hash) }
        contents.table.insert(entry, hash: hash)
        contents.table.markChanged(hash)
        if let when = entry.expiry { contents.expiries.insert(entry, when: when) }
        keyspace.noteChange(counts)
        tellTouched(entry.key)
        if isNew { tellCreated(entry.key) }
        tellReady(entry)
    }

    /// Puts `new` in the place of an entry that `willChange` was called for; the old one is freed. A value of the same
    /// type takes its row over.
    func replace(_ slot: Slot, by new: Entry) {
        let old = slot.entry
        new.flags.insert(keyspace.currentFlag)
        // The key is as often used as before.
        new.accessed = keyspace.accessTracking == .recency ? keyspace.accessClock : old.accessed
        if old.type == new.type {
            new.id = old.id
        } else {
            keyspace.changeSet.removed(old)
            if old.type == .stream { tellReady(old) }
        }
        let when = new.expiry
        if old.flags.contains(.hasExpiry) {
            if let when {
                contents.expiries.replace(at: old.heapIndex, by: new)
                contents.expiries.update(new, when: when)
            } else {
                contents.expiries.remove(old)
            }
        } else if let when {
            contents.expiries.insert(new, when: when)
        }
        slot.entry = new
        release(old)
    }

    func remove(_ slot: Slot, counts: Int = 1) {
        let entry = slot.entry
        if entry.flags.contains(keyspace.pendingFlag) { keyspace.handover?.handOver(entry, of: contents) }
        keyspace.changeSet.removed(entry)
        if entry.flags.contains(.hasExpiry) { contents.expiries.remove(entry) }
        contents.table.remove(slot)
        keyspace.noteChange(counts)
        tellTouched(entry.key)
        if entry.type == .stream { tellReady(entry) }
        release(entry)
    }

    /// Frees the value, a large one on another thread, and the block.
    private func release(_ entry: Entry) {
        forgetFieldExpiries(entry)
        Database.free(entry)
    }
    /// Frees an entry that is in no database.
    static func free(_ entry: Entry) {
        if let value = entry.takeLargeValue() { value.letGo() } else { entry.freeSmallPayload() }
        entry.freeBlock()
    }
}
