/// A set: an intset while small and all integers, a listpack while small, a table when large. Reads only. Bytes that it
/// returns are good until the next call on any view, or write.
public struct SetView {
    let entry: Entry
    unowned(unsafe) let values: ValueContext

    public var count: Int { entry.elementCount }

    public func contains(_ member: Bytes) -> Bool {
        switch entry.encoding {
        case .intset: member.integer.map { entry.intset.contains($0) } ?? false
        case .listpack: entry.listpack.find(member, every: 1) != nil
        case .hashtable: entry.withTable { $0.find(member) != nil }
        case .int, .embstr, .raw, .quicklist, .skiplist, .stream: noSet()
        }
    }
    private func render(_ value: Int64) -> Bytes {
        Bytes(values.elementScratch, decimalDigits(of: value, into: values.elementScratch))
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
                if !body(pack.value(at: here, scratch: values.elementScratch)) { return }
                offset = pack.next(here)
            }
        case .hashtable:
            let table = entry.tableValue
            for i in 0..<table.count where !body(table.slots[i].key) { return }
        case .int, .embstr, .raw, .quicklist, .skiplist, .stream: noSet()
        }
    }
    /// The member at an index in 0..<count, in no particular order: for random picks.
    public func at(_ index: Int) -> Bytes {
        switch entry.encoding {
        case .intset: return render(entry.intset.value(at: index))
        case .listpack:
            guard let offset = entry.listpack.seek(index) else { return Bytes() }
            return entry.listpack.value(at: offset, scratch: values.elementScratch)
        case .hashtable: return entry.withTable { $0.slots[index].key }
        case .int, .embstr, .raw, .quicklist, .skiplist, .stream: noSet()
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

/// An entry of type set has an encoding of sets.
private func noSet() -> Never { preconditionFailure("no set has this encoding") }

/// Changes to a set. An editor that made the key, or emptied it, must be followed by `Database.removeIfEmpty`.
public struct SetEditor {
    public let entry: Entry
    unowned(unsafe) let recorder: ChangeRecorder

    public var view: SetView { SetView(entry: entry, values: recorder.values) }
    private var limits: Limits { recorder.values.limits }

    /// True when the member is new.
    @discardableResult public func insert(_ member: Bytes) -> Bool {
        if view.contains(member) { return false }
        recorder.willChange(entry)
        if entry.encoding == .intset {
            if let integer = member.integer, limits.keepsIntset(entry.intset.count + 1) {
                var set = entry.intset
                _ = set.insert(integer)
                entry.intset = set
                return true
            }
            leaveIntset(adding: member)
        }
        if entry.encoding == .listpack {
            var pack = entry.listpack
            if limits.keepsSmall(set: pack.count + 1, longest: member.count) {
                pack.append(member)
                entry.listpack = pack
                return true
            }
            toTable()
        }
        entry.withTable { $0.add(Entry.makeString(member, Bytes(), expiry: nil)) }
        return true
    }

    @discardableResult public func remove(_ member: Bytes) -> Bool {
        switch entry.encoding {
        case .intset:
            guard let integer = member.integer, entry.intset.contains(integer) else { return false }
            recorder.willChange(entry)
            var set = entry.intset
            _ = set.remove(integer)
            entry.intset = set
        case .listpack:
            guard let offset = entry.listpack.find(member, every: 1) else { return false }
            recorder.willChange(entry)
            var pack = entry.listpack
            pack.remove(at: offset, count: 1)
            entry.listpack = pack
        case .hashtable:
            guard let old = entry.withTable({ $0.find(member) }) else { return false }
            recorder.willChange(entry)
            entry.withTable { $0.remove(old) }
        case .int, .embstr, .raw, .quicklist, .skiplist, .stream: noSet()
        }
        return true
    }

    /// Removes the member at a dense index, for SPOP.
    public func removeAt(_ index: Int) {
        switch entry.encoding {
        case .intset:
            recorder.willChange(entry)
            var set = entry.intset
            _ = set.remove(set.value(at: index))
            entry.intset = set
        case .listpack:
            recorder.willChange(entry)
            var pack = entry.listpack
            if let offset = pack.seek(index) { pack.remove(at: offset, count: 1) }
            entry.listpack = pack
        case .hashtable:
            recorder.willChange(entry)
            entry.withTable { $0.remove($0.slots[index]) }
        case .int, .embstr, .raw, .quicklist, .skiplist, .stream: noSet()
        }
    }

    /// To a listpack where all members and the new one fit, else to a table.
    private func leaveIntset(adding member: Bytes) {
        let set = entry.intset
        var longest = member.count
        // A sorted set's longest numbers stand at its ends.
        if set.count > 0 { longest = max(longest, view.at(0).count, view.at(set.count - 1).count) }
        if !limits.keepsSmall(set: set.count + 1, longest: longest) { return toTable() }
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
