import Glibc

// Invariant of this file: page i holds `PendingTable.pageSize` records from slot i * pageSize on, of which those below
// `count` are initialised; the first page may be shorter (`firstCapacity`) while it is the only one.

/// An entry that was delivered to a consumer and is not acknowledged.
struct PendingEntry {
    var id: StreamID
    /// ms since 1970.
    var deliveredMs: Int64
    var deliveries: Int64
    /// Slot of the group; `PendingEntry.free` where this slot holds nothing.
    var group: UInt32
    var consumer: UInt32

    static let free = UInt32.max
}

/// The pending entries of all groups of a stream, each in a slot that it keeps, by which the snapshot knows it. Slots
/// that become free are used again. 40 bytes an entry.
struct PendingTable {
    private var pages: [UnsafeMutablePointer<PendingEntry>] = []
    private var firstCapacity = 0
    private var freeSlots: [UInt32] = []
    /// Slots in use or free.
    private(set) var count = 0
    /// Slots in use.
    private(set) var live = 0

    private static var shift: Int { StructureSizes.size(9, small: 3) }
    private static var pageSize: Int { 1 << shift }

    var byteCount: Int {
        (pages.count <= 1 ? firstCapacity : pages.count * PendingTable.pageSize) * MemoryLayout<PendingEntry>.stride
            + freeSlots.capacity * 4
    }

    @inline(__always) private func pointer(_ slot: UInt32) -> UnsafeMutablePointer<PendingEntry> {
        precondition(Int(slot) < count)
        return pages[Int(slot) >> PendingTable.shift] + Int(slot) & (PendingTable.pageSize - 1)
    }
    @inline(__always) subscript(_ slot: UInt32) -> PendingEntry {
        get { pointer(slot).pointee }
        nonmutating set { pointer(slot).pointee = newValue }
    }
    @inline(__always) func id(_ slot: UInt32) -> StreamID { pointer(slot).pointee.id }
    func isLive(_ slot: UInt32) -> Bool { Int(slot) < count && pointer(slot).pointee.group != PendingEntry.free }

    /// The slot that the next `add` uses.
    var nextSlot: UInt32 { freeSlots.last ?? UInt32(truncatingIfNeeded: count) }

    mutating func add(_ entry: PendingEntry) -> UInt32 {
        live += 1
        if let slot = freeSlots.popLast() {
            self[slot] = entry
            return slot
        }
        let slot = UInt32(truncatingIfNeeded: count)
        extend(to: count + 1)
        pointer(slot).initialize(to: entry)
        return slot
    }

    mutating func remove(_ slot: UInt32) {
        pointer(slot).pointee.group = PendingEntry.free
        live -= 1
        if live == 0 { removeAll() } else { freeSlots.append(slot) }
    }

    private mutating func removeAll() {
        free()
        pages = []
        firstCapacity = 0
        freeSlots = []
        count = 0
    }
    func free() { for page in pages { Glibc.free(page) } }

    private static func allocate(
        _ old: UnsafeMutablePointer<PendingEntry>?, _ capacity: Int
    ) -> UnsafeMutablePointer<PendingEntry> {
        guard let page = realloc(old, capacity * MemoryLayout<PendingEntry>.stride) else {
            fatalError("out of memory: cannot allocate a page of pending entries")
        }
        return page.assumingMemoryBound(to: PendingEntry.self)
    }

    /// Makes room below `newCount`; the caller initialises what is new.
    private mutating func extend(to newCount: Int) {
        while newCount > (pages.count <= 1 ? firstCapacity : pages.count * PendingTable.pageSize) {
            if firstCapacity < PendingTable.pageSize {
                firstCapacity = firstCapacity == 0 ? 4 : firstCapacity * 2
                let page = PendingTable.allocate(pages.first, firstCapacity)
                if pages.isEmpty { pages.append(page) } else { pages[0] = page }
            } else {
                pages.append(PendingTable.allocate(nil, PendingTable.pageSize))
            }
        }
        count = newCount
    }

    func copy() -> PendingTable {
        var copy = PendingTable()
        copy.extend(to: count)
        for slot in 0..<UInt32(count) { copy.pointer(slot).initialize(to: self[slot]) }
        copy.freeSlots = freeSlots
        copy.live = live
        return copy
    }

    // MARK: Loading

    /// Puts an entry in the slot of its row, which is above those so far; or in the next one where that would leave most
    /// of the table empty, or slots were given up so before. Returns the slot.
    mutating func load(_ entry: PendingEntry, slot wanted: UInt32) -> UInt32 {
        let isSparse = Int(wanted) > 4 * live + StructureSizes.size(1024, small: 5)
        let slot = isSparse || Int(wanted) < count ? UInt32(truncatingIfNeeded: count) : wanted
        let first = count
        extend(to: Int(slot) + 1)
        var empty = entry
        empty.group = PendingEntry.free
        for gap in first..<Int(slot) { pointer(UInt32(gap)).initialize(to: empty) }
        pointer(slot).initialize(to: entry)
        live += 1
        return slot
    }
    /// After the last `load`: the gaps become free slots.
    mutating func finishLoading() {
        if live == 0 { return removeAll() }
        if live == count { return }
        for slot in (0..<UInt32(count)).reversed() where !isLive(slot) { freeSlots.append(slot) }
    }
}

extension PendingTable {
    /// O(n).
    func checkInvariants() throws(BrokenInvariant) {
        let found = (0..<UInt32(count)).count { isLive($0) }
        try invariant(found == live, "pending table: \(found) entries where \(live) are counted")
        try invariant(
            live + freeSlots.count == count, "pending table: \(freeSlots.count) free slots of \(count - live)")
        try invariant(
            Set(freeSlots).count == freeSlots.count && !freeSlots.contains { isLive($0) },
            "pending table: a free slot is in use")
    }
}
