/// A set: an intset while small and all integers, a listpack while small, a table when large. Reads only. Bytes that it
/// returns are good until the next call on any view, or write.
public struct SetView {
    let entry: Entry
    unowned(unsafe) let keyspace: Keyspace

    public var count: Int { entry.elementCount }

    public func contains(_ member: Bytes) -> Bool {
        switch entry.encoding {
        case .intset: member.integer.map { entry.intset.contains($0) } ?? false
        case .listpack: entry.listpack.find(member, every: 1) != nil
        default: entry.tableValue.find(member) != nil
        }
    }
    private func render(_ value: Int64) -> Bytes {
        Bytes(keyspace.elementScratch, decimalDigits(of: value, into: keyspace.elementScratch))
    }
    /// Until `body` returns false.
    public func forEach(_ body: (Bytes) -> Bool) {
        switch entry.encoding {
        case .intset:
            let set = entry.intset
            for i in 0..<set.count where !body(render(set.value(at: i))) { return }
        case .listpack:
            let pack = entry.listpack
            var offset = pack.first
            while let here = offset {
                if !body(pack.value(at: here, scratch: keyspace.elementScratch)) { return }
                offset = pack.next(here)
            }
        default:
            let table = entry.tableValue
            for i in 0..<table.count where !body(table.slots[i].key) { return }
        }
    }
    /// The member at an index in 0..<count, in no particular order: for random picks.
    public func at(_ index: Int) -> Bytes {
        switch entry.encoding {
        case .intset: return render(entry.intset.value(at: index))
        case .listpack:
            guard let offset = entry.listpack.seek(index) else { return Bytes() }
            return entry.listpack.value(at: offset, scratch: keyspace.elementScratch)
        default: return entry.tableValue.slots[index].key
        }
    }
    /// About `count` members; a small set whole. Returns the next cursor, 0 at the end.
    public func scan(cursor: UInt64, count: Int, _ body: (Bytes) -> Void) -> UInt64 {
        if entry.isLarge { return entry.tableValue.scan(cursor, count: count) { body($0.key) } }
        forEach { member in
            body(member)
            return true
        }
        return 0
    }
}

/// Changes to a set. An editor that made the key, or emptied it, must be followed by `Database.removeIfEmpty`.
public struct SetEditor {
    public let entry: Entry
    unowned(unsafe) let database: Database

    public var view: SetView { SetView(entry: entry, keyspace: database.keyspace) }
    private var limits: Limits { database.keyspace.limits }

    /// True when the member is new.
    @discardableResult public func insert(_ member: Bytes) -> Bool {
        if view.contains(member) { return false }
        database.willChange(entry)
        if entry.encoding == .intset {
            if let integer = member.integer, entry.intset.count < limits.setMaxIntsetEntries {
                var set = entry.intset
                _ = set.insert(integer)
                entry.intset = set
                return true
            }
            leaveIntset(adding: member)
        }
        if entry.encoding == .listpack {
            var pack = entry.listpack
            if member.count <= limits.setMaxListpackValue && pack.count < limits.setMaxListpackEntries {
                pack.append(member)
                entry.listpack = pack
                return true
            }
            toTable()
        }
        entry.tableValue.add(Entry.makeString(member, Bytes(), expiry: nil))
        return true
    }

    @discardableResult public func remove(_ member: Bytes) -> Bool {
        switch entry.encoding {
        case .intset:
            guard let integer = member.integer, entry.intset.contains(integer) else { return false }
            database.willChange(entry)
            var set = entry.intset
            _ = set.remove(integer)
            entry.intset = set
        case .listpack:
            guard let offset = entry.listpack.find(member, every: 1) else { return false }
            database.willChange(entry)
            var pack = entry.listpack
            pack.remove(at: offset, count: 1)
            entry.listpack = pack
        default:
            guard let old = entry.tableValue.find(member) else { return false }
            database.willChange(entry)
            entry.tableValue.remove(old)
        }
        return true
    }

    /// Removes the member at a dense index, for SPOP.
    public func removeAt(_ index: Int) {
        switch entry.encoding {
        case .intset:
            database.willChange(entry)
            var set = entry.intset
            _ = set.remove(set.value(at: index))
            entry.intset = set
        case .listpack:
            database.willChange(entry)
            var pack = entry.listpack
            if let offset = pack.seek(index) { pack.remove(at: offset, count: 1) }
            entry.listpack = pack
        default:
            database.willChange(entry)
            let table = entry.tableValue
            table.remove(table.slots[index])
        }
    }

    /// To a listpack where all members and the new one fit, else to a table.
    private func leaveIntset(adding member: Bytes) {
        let set = entry.intset
        var longest = member.count
        // A sorted set's longest numbers stand at its ends.
        if set.count > 0 { longest = max(longest, view.at(0).count, view.at(set.count - 1).count) }
        if set.count >= limits.setMaxListpackEntries || longest > limits.setMaxListpackValue { return toTable() }
        var pack = Listpack.allocate()
        view.forEach { member in
            pack.append(member)
            return true
        }
        set.free()
        entry.encoding = .listpack
        entry.listpack = pack
    }

    private func toTable() {
        let table = TableValue(type: .set, expecting: entry.elementCount)
        view.forEach { member in
            table.add(Entry.makeString(member, Bytes(), expiry: nil))
            return true
        }
        entry.freeSmallPayload()
        entry.setLargeValue(table, encoding: .hashtable)
    }
}
