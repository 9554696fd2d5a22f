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

    private static let shift = 9
    private static let pageSize = 1 << shift

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
        let isSparse = Int(wanted) > 4 * live + 1024
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

/// Slots of pending entries in the order of their ids: of a group, or of one of its consumers. Blocks of slots, so that
/// finding, adding and removing take O(log n + block). 4 bytes an entry, as the ids are in the table.
struct PendingIndex {
    private var blocks: [[UInt32]] = []
    private(set) var count = 0
    private static let blockSize = 512

    var byteCount: Int { count * 4 + blocks.capacity * 40 }

    /// The first place whose id is at least `id`: a block, which may be past the last one, and an index in it.
    private func lowerBound(_ id: StreamID, _ table: PendingTable) -> (block: Int, index: Int) {
        var low = 0
        var high = blocks.count
        while low < high {
            let middle = (low + high) / 2
            if table.id(blocks[middle][blocks[middle].count - 1]) < id { low = middle + 1 } else { high = middle }
        }
        if low == blocks.count { return (low, 0) }
        var first = 0
        var last = blocks[low].count
        while first < last {
            let middle = (first + last) / 2
            if table.id(blocks[low][middle]) < id { first = middle + 1 } else { last = middle }
        }
        return (low, first)
    }

    func find(_ id: StreamID, _ table: PendingTable) -> UInt32? {
        let (block, index) = lowerBound(id, table)
        guard block < blocks.count, table.id(blocks[block][index]) == id else { return nil }
        return blocks[block][index]
    }
    var first: UInt32? { blocks.first?.first }
    var last: UInt32? { blocks.last?.last }

    /// Adds `slot`, whose id is in the table and not here.
    mutating func insert(_ slot: UInt32, _ table: PendingTable) {
        count += 1
        var (block, index) = lowerBound(table.id(slot), table)
        if block == blocks.count {
            if block == 0 || blocks[block - 1].count >= PendingIndex.blockSize {
                blocks.append([slot])
            } else {
                blocks[block - 1].append(slot)
            }
            return
        }
        if blocks[block].count >= PendingIndex.blockSize {
            let half = PendingIndex.blockSize / 2
            let upper = Array(blocks[block][half...])
            blocks[block].removeSubrange(half...)
            blocks.insert(upper, at: block + 1)
            if index > half {
                block += 1
                index -= half
            }
        }
        blocks[block].insert(slot, at: index)
    }

    /// Removes the entry with `id`, which is here and still in the table.
    mutating func remove(_ id: StreamID, _ table: PendingTable) {
        let (block, index) = lowerBound(id, table)
        guard block < blocks.count, table.id(blocks[block][index]) == id else { return }
        count -= 1
        blocks[block].remove(at: index)
        if blocks[block].isEmpty {
            blocks.remove(at: block)
        } else if blocks[block].count < PendingIndex.blockSize / 8, block + 1 < blocks.count,
            blocks[block].count + blocks[block + 1].count <= PendingIndex.blockSize / 2
        {
            blocks[block] += blocks.remove(at: block + 1)
        }
    }

    /// Slots from the one of `start` on, in order, until `body` returns false. `body` must not change this index.
    func forEach(from start: StreamID, _ table: PendingTable, _ body: (UInt32) -> Bool) {
        var (block, index) = lowerBound(start, table)
        while block < blocks.count {
            while index < blocks[block].count {
                if !body(blocks[block][index]) { return }
                index += 1
            }
            block += 1
            index = 0
        }
    }
}
