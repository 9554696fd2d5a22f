import Glibc

// Invariant of this file: every entry in `slots` is in `table` and, for a sorted set, in `order`; its `slot` is its
// index in `slots`. Bits at or above `slots.count` mean nothing.

/// A large hash, set or sorted set: a hash table of entries, the same entries in a dense array (whose index is the
/// element's slot in the snapshot, and what random picks go by), and for a sorted set their order.
/// A removed element's place is taken by the last one.
final class TableValue: LargeValue {
    let type: ValueType
    private(set) var table: EntryTable
    private(set) var slots = SlotArray()
    private(set) var order: RankTree?
    /// The fields of a hash that expire; nil until the first one.
    private(set) var expiring: ExpiringFields?
    /// Bytes of the elements' blocks.
    private var elementBytes = 0

    private var changed = Bitset(count: TableValue.firstCapacity)
    private var capacity = TableValue.firstCapacity
    private static var firstCapacity: Int { StructureSizes.size(256, small: 2) }
    private var pending: Bitset?
    private var pendingCount = 0
    private var pendingCursor = 0

    init(type: ValueType, expecting count: Int = 0) {
        self.type = type
        table = EntryTable(tracked: false, expecting: count)
        order = type == .zset ? RankTree() : nil
    }

    override var count: Int { slots.count }
    override var memoryUsage: Int { elementBytes + table.byteCount + slots.byteCount + (order?.byteCount ?? 0) + 128 }

    // MARK: Look-up

    @inline(__always) func find(_ key: Bytes) -> Entry? { table.find(key, hash: Hashing.hash(key))?.entry }

    /// Visits about `count` elements from `cursor` on (0: the first call), bucket by bucket, as a removal moves elements
    /// in the dense array but not in the table. Returns the next cursor, 0 at the end; see `EntryTable.scan`.
    func scan(_ cursor: UInt64, count: Int, _ body: (Entry) -> Void) -> UInt64 {
        table.scan(cursor, count: count, body)
    }

    // MARK: Change

    @inline(__always) private func stepTable() {
        if let old = table.step({ _ in }) { Reaper.shared.free(old) }
    }

    /// Before the element in `slot` changes: its state at the cut is handed over if it is still to be, and it is noted
    /// as changed.
    @inline(__always) private func willChange(_ slot: Int) {
        if let pending, slot < pendingCount, pending[slot] {
            emit(slots[slot], slot)
            pending.remove(slot)
        }
        changed.insert(slot)
    }

    /// Adds an element that is not there; `entry`'s block changes hands.
    func add(_ entry: Entry) {
        stepTable()
        let slot = slots.count
        if slot >= capacity {
            capacity *= 2
            changed = changed.grown(to: capacity)
        }
        changed.insert(slot)
        entry.slot = slot
        slots.append(entry)
        table.insert(entry, hash: Hashing.hash(entry.key))
        order?.insert(entry.score, entry)
        elementBytes += entry.blockSize
        if let when = entry.expiry { expiringFields().heap.insert(entry, when: when) }
    }

    /// Replaces a hash field's value. Its expiry goes, unless it is to be kept.
    func setValue(_ old: Entry, _ value: Bytes, keepingExpiry: Bool = false) {
        stepTable()
        let slot = old.slot
        willChange(slot)
        let when = keepingExpiry ? old.expiry : nil
        let hadExpiry = old.flags.contains(.hasExpiry)
        if hadExpiry == (when != nil), !old.flags.contains(.outOfLine), old.overwriteInline(value, encoding: .raw) {
            return
        }
        let key = old.key
        guard let place = table.find(key, hash: Hashing.hash(key)) else { return }
        let entry = Entry.makeString(key, value, expiry: when)
        entry.slot = slot
        if when != nil {
            expiring?.heap.replace(at: old.heapIndex, by: entry)
        } else if hadExpiry {
            expiring?.heap.remove(old)
        }
        place.entry = entry
        slots[slot] = entry
        elementBytes += entry.blockSize - old.blockSize
        TableValue.free(old)
    }

    /// Sets a hash field's expiry, in ms since 1970, or takes it away.
    func setExpiry(_ old: Entry, _ when: Int64?) {
        stepTable()
        willChange(old.slot)
        if let when, old.flags.contains(.hasExpiry) {
            old.storeExpiry(when)
            expiring?.heap.update(old, when: when)
            return
        }
        guard let place = table.find(old.key, hash: Hashing.hash(old.key)) else { return }
        let entry = old.rebuilt(expiry: when)
        if old.flags.contains(.hasExpiry) { expiring?.heap.remove(old) }
        place.entry = entry
        slots[entry.slot] = entry
        if let when { expiringFields().heap.insert(entry, when: when) }
        elementBytes += entry.blockSize - old.blockSize
        old.freeBlock()
    }

    /// Made where it is missing.
    @discardableResult func expiringFields() -> ExpiringFields {
        if let expiring { return expiring }
        let made = ExpiringFields()
        expiring = made
        return made
    }

    func setScore(_ entry: Entry, _ score: Double) {
        willChange(entry.slot)
        order?.remove(entry.score, entry)
        entry.score = score
        order?.insert(score, entry)
    }

    func remove(_ entry: Entry) {
        stepTable()
        let slot = entry.slot
        let last = slots.count - 1
        willChange(slot)
        if slot != last {
            // The last element moves to the gap: its old slot is gone, which the count says.
            willChange(last)
            let moved = slots[last]
            moved.slot = slot
            slots[slot] = moved
        }
        slots.removeLast()
        order?.remove(entry.score, entry)
        if entry.flags.contains(.hasExpiry) { expiring?.heap.remove(entry) }
        if let place = table.find(entry.key, hash: Hashing.hash(entry.key)) { table.remove(place) }
        elementBytes -= entry.blockSize
        TableValue.free(entry)
    }

    /// Removes the elements at these ranks of a sorted set. O(log n) each.
    func removeRanks(_ range: Range<Int>) {
        for _ in range {
            guard let entry = order?.entry(at: range.lowerBound) else { return }
            remove(entry)
        }
    }

    func copy() -> TableValue {
        let copy = TableValue(type: type, expecting: count)
        for i in 0..<count {
            let element = slots[i]
            copy.add(
                type == .zset
                    ? ZSetEditor.element(element.key, element.score)
                    : Entry.makeString(element.key, element.stringBytes, expiry: element.expiry))
        }
        if let expiring { copy.expiringFields().looksSmall = expiring.looksSmall }
        return copy
    }

    private static func free(_ entry: Entry) {
        if entry.flags.contains(.outOfLine) { Glibc.free(entry.pointer) }
        entry.freeBlock()
    }

    // MARK: Checkpoint

    override func freeze(owner: Int64, sink: RowSink) {
        pendingOwner = owner
        self.sink = sink
        if rewriteAll {
            changed.insertAll(below: slots.count)
            rewriteAll = false
            sink.batch.appendRemoveElements(type: type, owner: owner, slots: 0..<(1 << 32))
        } else {
            sink.batch.appendRemoveElements(type: type, owner: owner, slots: UInt64(slots.count)..<(1 << 32))
        }
        pending = changed
        pendingCount = slots.count
        pendingCursor = 0
        changed = Bitset(count: capacity)
    }

    override func drain(while goOn: () -> Bool) -> Bool {
        guard let pending else { return true }
        let words = (pendingCount + 63) / 64
        while pendingCursor < words {
            var word = pending.word(pendingCursor)
            while word != 0 {
                if !goOn() { return false }
                let slot = pendingCursor * 64 + word.trailingZeroBitCount
                word &= word &- 1
                pending.setWord(pendingCursor, word)
                if slot < pendingCount { emit(slots[slot], slot) }
            }
            pendingCursor += 1
        }
        pending.free()
        self.pending = nil
        sink = nil
        return true
    }

    private func emit(_ entry: Entry, _ slot: Int) {
        guard let sink else { return }
        let slot = UInt32(truncatingIfNeeded: slot)
        switch type {
        case .hash:
            sink.batch.appendHashField(
                owner: pendingOwner, slot: slot, entry.key, entry.stringBytes, expiresMs: entry.expiry)
        case .zset: sink.batch.appendZSetMember(owner: pendingOwner, slot: slot, entry.key, score: entry.score)
        case .set, .string, .list, .stream: sink.batch.appendSetMember(owner: pendingOwner, slot: slot, entry.key)
        }
        sink.sendIfFull()
    }

    override func markClean() {
        changed.removeAll()
        rewriteAll = false
    }

    override func freeElements() {
        for i in 0..<slots.count {
            TableValue.free(slots[i])
            if i & 1023 == 1023 { giveWay() }
        }
        slots.free()
        table.freeBuckets()
        order?.free()
        expiring?.free()
        changed.free()
        pending?.free()
    }

    // MARK: Invariants

    override func checkInvariants() throws(BrokenInvariant) {
        try slots.checkInvariants()
        try table.checkInvariants()
        try invariant(
            table.count == count, "\(type.name): \(table.count) entries in the table and \(count) in the array")
        try invariant(capacity >= count, "\(type.name): bits for \(capacity) of \(count) elements")
        try changed.checkInvariants(bits: capacity)
        try pending?.checkInvariants(bits: pendingCount)
        try invariant(pending == nil || sink != nil, "\(type.name): something is pending and goes nowhere")
        try order?.checkInvariants()
        try expiring?.heap.checkInvariants()
        try invariant(order == nil || order?.count == count, "\(type.name): not all members have a rank")
        var found = (bytes: 0, expiring: 0)
        for i in 0..<count {
            let entry = slots[i]
            try invariant(entry.slot == i, "\(type.name): the element in slot \(i) says \(entry.slot)")
            try invariant(find(entry.key)?.raw == entry.raw, "\(type.name): \(entry.key.quoted) is not found")
            found.bytes += entry.blockSize
            if entry.expiry != nil {
                found.expiring += 1
                try invariant(
                    expiring?.heap.holds(entry) == true, "hash: \(entry.key.quoted) expires and is not in the heap")
            }
        }
        try invariant(
            found.bytes == elementBytes, "\(type.name): \(found.bytes) bytes where \(elementBytes) are counted")
        try invariant(found.expiring == expiring?.heap.count ?? 0, "hash: \(found.expiring) fields expire")
    }
}
