import Glibc

// Invariant of this file: a name's block is the object's own until `deinit`.

/// What a stream knows by name: a consumer group, or a consumer of one.
public class StreamName {
    private let base: UnsafeMutableRawPointer
    private let length: Int
    /// By which the snapshot knows it; unique within the stream.
    let slot: UInt32

    init(_ name: Bytes, slot: UInt32) {
        base = RawBlock.allocate(max(name.count, 1))
        memcpy(base, name.base, name.count)
        length = name.count
        self.slot = slot
    }
    deinit { Glibc.free(base) }

    /// Valid as long as the object.
    public final var name: Bytes { Bytes(base, length) }
}

/// A consumer group's position in its stream, its consumers, and the entries that they have not acknowledged.
public final class StreamGroup: StreamName {
    /// The last entry that was delivered.
    public internal(set) var lastID: StreamID
    /// Entries ever read by the group, as far as that is known.
    public internal(set) var entriesRead: Int64?
    var pending = PendingIndex()
    /// In the order of their names.
    public internal(set) var consumers: [StreamConsumer] = []

    init(_ name: Bytes, slot: UInt32, lastID: StreamID, entriesRead: Int64?) {
        self.lastID = lastID
        self.entriesRead = entriesRead
        super.init(name, slot: slot)
    }

    public var pendingCount: Int { pending.count }
    /// O(log n).
    public func consumer(_ name: Bytes) -> StreamConsumer? {
        let index = consumers.place(of: name)
        return index < consumers.count && consumers[index].name == name ? consumers[index] : nil
    }
}

public final class StreamConsumer: StreamName {
    /// When it last asked for something, in ms since 1970.
    public internal(set) var seenMs: Int64
    /// When it last got something; nil: never.
    public internal(set) var activeMs: Int64?
    var pending = PendingIndex()
    /// Slot of its group.
    var group: UInt32 = 0

    init(_ name: Bytes, slot: UInt32, seenMs: Int64, activeMs: Int64?) {
        self.seenMs = seenMs
        self.activeMs = activeMs
        super.init(name, slot: slot)
    }

    public var pendingCount: Int { pending.count }
}

extension Array where Element: StreamName {
    /// Where a name is or belongs in an array ordered by names. O(log n).
    func place(of name: Bytes) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle].name.compare(name) < 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// A table of named things by slot. Slots that become free are used again.
struct NameTable<Element: StreamName> {
    private(set) var slots: [Element?] = []
    private var freeSlots: [UInt32] = []

    var count: Int { slots.count }
    var nextSlot: UInt32 { freeSlots.last ?? UInt32(truncatingIfNeeded: slots.count) }
    subscript(_ slot: UInt32) -> Element? { Int(slot) < slots.count ? slots[Int(slot)] : nil }

    /// `element` has `nextSlot`.
    mutating func add(_ element: Element) {
        if freeSlots.popLast() != nil { slots[Int(element.slot)] = element } else { slots.append(element) }
    }
    mutating func remove(_ slot: UInt32) {
        slots[Int(slot)] = nil
        freeSlots.append(slot)
    }

    /// A table with the same slots and other elements.
    func replacing(_ element: (UInt32) -> Element?) -> NameTable {
        var copy = self
        for slot in slots.indices where slots[slot] != nil { copy.slots[slot] = element(UInt32(slot)) }
        return copy
    }

    /// The slot for a row's element, as `PendingTable.load` chooses it.
    func loadingSlot(_ wanted: UInt32) -> UInt32 {
        Int(wanted) > 4 * slots.count + StructureSizes.size(1024, small: 5) || Int(wanted) < slots.count
            ? UInt32(truncatingIfNeeded: slots.count) : wanted
    }
    /// `element` has a slot of `loadingSlot`.
    mutating func load(_ element: Element) {
        while slots.count < Int(element.slot) {
            freeSlots.append(UInt32(slots.count))
            slots.append(nil)
        }
        slots.append(element)
    }
}

extension NameTable {
    /// `live`: how many elements there are. O(n).
    func checkInvariants(live: Int) throws(BrokenInvariant) {
        try invariant(slots.count { $0 != nil } == live, "names: not \(live) of \(slots.count) slots are taken")
        try invariant(
            live + freeSlots.count == slots.count, "names: \(freeSlots.count) free slots of \(slots.count - live)")
        try invariant(!freeSlots.contains { self[$0] != nil }, "names: a free slot is taken")
    }
}
