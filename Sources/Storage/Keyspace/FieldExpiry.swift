/// Expiry of hash fields: a heap of the hashes by their soonest field, and one of fields in each such hash, so that
/// nothing ever looks for what is due.
extension Database {
    /// Hashes that have fields that expire.
    public var hashesWithExpiringFields: Int { contents.fieldExpiries.count }

    func follow(_ expiring: ExpiringFields, _ entry: Entry) {
        guard let when = expiring.heap.first?.when else { return forget(expiring) }
        if let anchor = expiring.anchor {
            if anchor.expiry == when { return }
            anchor.storeExpiry(when)
            contents.fieldExpiries.update(anchor, when: when)
        } else {
            let anchor = Entry.make(entry.key, type: .hash, encoding: .raw, expiry: when, room: 0)
            expiring.anchor = anchor
            contents.fieldExpiries.insert(anchor, when: when)
        }
    }
    private func forget(_ expiring: ExpiringFields) {
        guard let anchor = expiring.anchor else { return }
        contents.fieldExpiries.remove(anchor)
        anchor.freeBlock()
        expiring.anchor = nil
    }

    /// Before a value leaves this database.
    @inline(__always) func forgetFieldExpiries(_ entry: Entry) {
        if entry.type == .hash, entry.encoding == .hashtable, let expiring = entry.tableValue.expiring {
            forget(expiring)
        }
    }
    /// After a value has come into this database.
    @inline(__always) func noteFieldExpiries(_ entry: Entry) {
        if entry.type == .hash, entry.encoding == .hashtable { fieldExpiriesChanged(entry) }
    }

    /// Removes a field of the hash at `key` if its time has come, and the hash with its last one.
    public func expireIfDue(_ field: Bytes, of key: Bytes) {
        guard keyspace.dueMode == .removed, let entry = find(key), entry.type == .hash, entry.isLarge,
            let found = entry.tableValue.find(field),
            let when = found.expiry, when <= keyspace.horizon
        else { return }
        expire(field: found, of: entry)
    }

    /// Removes all fields of the hash whose time has come. O(log n) for each that is due.
    public func expireDueFields(of key: Bytes) {
        while keyspace.dueMode == .removed, let entry = find(key), entry.type == .hash, entry.isLarge,
            let first = entry.tableValue.expiring?.heap.first, first.when <= keyspace.horizon
        {
            expire(field: first.entry, of: entry)
        }
    }

    /// Removes the field that has been due the longest in this database. False when none is due.
    func expireSoonestField() -> Bool {
        guard let soonest = contents.fieldExpiries.first, soonest.when <= keyspace.horizon else { return false }
        let key = soonest.entry.key
        guard let entry = contents.table.find(key, hash: Hashing.hash(key))?.entry,
            let field = entry.tableValue.expiring?.heap.first
        else { return false }
        expire(field: field.entry, of: entry)
        return true
    }

    private func expire(field: Entry, of entry: Entry) {
        if keyspace.observers.wanted.contains(.expired) {
            keyspace.observers.tell(.expired) {
                $0.fieldExpired(index, entry.key, field.key, isLast: entry.elementCount == 1)
            }
        }
        keyspace.expiredFields += 1
        willChange(entry, counts: 0)
        entry.tableValue.remove(field)
        fieldExpiriesChanged(entry)
        removeIfEmpty(entry)
    }
}
