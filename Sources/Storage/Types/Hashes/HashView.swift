/// A hash: a listpack of fields and values in turn while small, a table when large. Reads only. Bytes that it returns
/// are good until the next call on any view, or write.
public struct HashView {
    let entry: Entry
    unowned(unsafe) let values: ValueContext

    public var count: Int { entry.elementCount }

    public func get(_ field: Bytes) -> Bytes? {
        if entry.isLarge { return live(field)?.stringBytes }
        let pack = entry.listpack
        guard let at = pack.find(field, every: 2), let value = pack.next(at) else { return nil }
        return pack.value(at: value, scratch: values.valueScratch)
    }
    public func contains(_ field: Bytes) -> Bool {
        entry.isLarge ? live(field) != nil : entry.listpack.find(field, every: 2) != nil
    }
    /// A field of a large hash, unless its time has come.
    @inline(__always) private func live(_ field: Bytes) -> Entry? {
        entry.withTable { $0.find(field) }.flatMap { isDue($0) ? nil : $0 }
    }
    @inline(__always) private func isDue(_ field: Entry) -> Bool {
        guard field.flags.contains(.hasExpiry), let when = field.expiry else { return false }
        return when <= values.horizon
    }
    /// Whether there are fields whose time has come: counted and picked still, but not shown. O(1).
    public var hasDueFields: Bool {
        guard entry.isLarge, let first = entry.withTable({ $0.expiring?.heap.first }) else { return false }
        return first.when <= values.horizon
    }
    /// nil where there is no such field (or not any more), and where it does not expire.
    public func expiry(of field: Bytes) -> Int64? { entry.isLarge ? live(field)?.expiry : nil }

    /// Until `body` returns false.
    public func forEach(_ body: (Bytes, Bytes) -> Bool) {
        if entry.isLarge {
            let table = entry.tableValue
            for i in 0..<table.count {
                let field = table.slots[i]
                if isDue(field) { continue }
                if !body(field.key, field.stringBytes) { return }
            }
            return
        }
        let pack = entry.listpack
        var offset = pack.first
        while let field = offset, let value = pack.next(field) {
            let more = body(
                pack.value(at: field, scratch: values.elementScratch),
                pack.value(at: value, scratch: values.valueScratch))
            if !more { return }
            offset = pack.next(value)
        }
    }
    /// The fields of a large hash whose time has not come, and their values; good until the next write. O(fields).
    public var liveFields: [(field: Bytes, value: Bytes)] {
        let table = entry.tableValue
        return (0..<table.count).compactMap { index in
            let field = table.slots[index]
            return isDue(field) ? nil : (field.key, field.stringBytes)
        }
    }
    /// The field at an index in 0..<count, in no particular order: for random picks.
    public func at(_ index: Int) -> (Bytes, Bytes) {
        if entry.isLarge {
            let field = entry.withTable { $0.slots[index] }
            return (field.key, field.stringBytes)
        }
        let pack = entry.listpack
        guard let field = pack.seek(index * 2), let value = pack.next(field) else { return (Bytes(), Bytes()) }
        return (
            pack.value(at: field, scratch: values.elementScratch),
            pack.value(at: value, scratch: values.valueScratch)
        )
    }
    /// About `count` fields; a small hash whole. Returns the next cursor, 0 at the end.
    public func scan(cursor: UInt64, count: Int, _ body: (Bytes, Bytes) -> Void) -> UInt64 {
        if entry.isLarge {
            return entry.tableValue.scan(cursor, count: count) { if !isDue($0) { body($0.key, $0.stringBytes) } }
        }
        forEach { field, value in
            body(field, value)
            return true
        }
        return 0
    }
}

/// Changes to a hash. An editor that made the key, or emptied it, must be followed by `Database.removeIfEmpty`.
public struct HashEditor {
    public let entry: Entry
    unowned(unsafe) let recorder: ChangeRecorder

    public var view: HashView { HashView(entry: entry, values: recorder.values) }

    /// True when the field is new. An old one's expiry goes, unless it is to be kept.
    @discardableResult public func set(_ field: Bytes, _ value: Bytes, keepingExpiry: Bool = false) -> Bool {
        recorder.willChange(entry)
        if !entry.isLarge {
            let limits = recorder.values.limits
            let longest = max(field.count, value.count)
            if limits.keepsSmall(hash: 0, longest: longest) {
                var pack = entry.listpack
                if let at = pack.find(field, every: 2), let old = pack.next(at) {
                    pack.replace(at: old, with: value)
                    entry.listpack = pack
                    return false
                }
                if limits.keepsSmall(hash: pack.count / 2 + 1, longest: longest) {
                    pack.append(field)
                    pack.append(value)
                    entry.listpack = pack
                    return true
                }
            }
            convert()
        }
        return entry.withTable { table in
            let old = table.find(field)
            if let old {
                table.setValue(old, value, keepingExpiry: keepingExpiry)
            } else {
                table.add(Entry.makeString(field, value, expiry: nil))
            }
            if let expiring = table.expiring {
                let longest = max(field.count, value.count)
                if !recorder.values.limits.keepsSmall(hash: table.count, longest: longest) {
                    expiring.looksSmall = false
                }
                recorder.fieldExpiriesChanged(entry)
            }
            return old == nil
        }
    }

    /// Lets a field that is there expire, in ms since 1970, or not any more. The hash becomes a table, as the small form
    /// has no room for times.
    public func setExpiry(of field: Bytes, _ when: Int64?) {
        recorder.willChange(entry)
        if !entry.isLarge {
            convert()
            entry.tableValue.expiringFields().looksSmall = true
        }
        guard let found = entry.tableValue.find(field) else { return }
        entry.tableValue.setExpiry(found, when)
        recorder.fieldExpiriesChanged(entry)
    }

    @discardableResult public func remove(_ field: Bytes) -> Bool {
        if entry.isLarge {
            guard let old = entry.withTable({ $0.find(field) }) else { return false }
            recorder.willChange(entry)
            entry.withTable { $0.remove(old) }
            recorder.fieldExpiriesChanged(entry)
            return true
        }
        var pack = entry.listpack
        guard let at = pack.find(field, every: 2) else { return false }
        recorder.willChange(entry)
        pack = entry.listpack
        pack.remove(at: at, count: 2)
        entry.listpack = pack
        return true
    }

    private func convert() {
        let pack = entry.listpack
        let table = TableValue(type: .hash, expecting: pack.count / 2)
        view.forEach { field, value in
            table.add(Entry.makeString(field, value, expiry: nil))
            return true
        }
        pack.free()
        entry.setLargeValue(table, encoding: .hashtable)
    }
}

extension Listpack {
    /// The offset of the element equal to `needle` among every `every`-th one.
    @inline(__always) func find(_ needle: Bytes, every: Int) -> Int? {
        guard let first else { return nil }
        return find(needle, from: first, skip: every - 1)
    }
}
