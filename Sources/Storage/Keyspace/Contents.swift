import Glibc

// Invariant of this file: every entry in `table` is live, holds its value alone, and is in `expiries` exactly when it
// has an expiry.

/// What a database holds, apart from its number: FLUSHDB and SWAPDB replace it whole, while a checkpoint may still read
/// the old one.
final class Contents {
    var table = EntryTable(tracked: true)
    var expiries = ExpiryHeap()
    /// Hashes by the soonest of their fields that expire: the `ExpiringFields.anchor`s.
    var fieldExpiries = ExpiryHeap()
    /// The database's number at the last cut: what rows that are handed over say.
    var indexAtCut: Int32 = 0
    /// Low hash bits of what was handed over in this checkpoint, to mark it changed again if the checkpoint fails.
    var handedOver: [UInt32] = []
    /// Not a database any more: whoever lets go of it last frees it off the loop.
    var isOrphan = false

    /// O(n): for a thread that may take its time.
    func freeEverything() {
        var freed = 0
        table.forEach { entry in
            if let value = entry.takeLargeValue() { value.freeElements() } else { entry.freeSmallPayload() }
            entry.freeBlock()
            freed += 1
            if freed & 1023 == 0 { giveWay() }
            return true
        }
        table.freeBuckets()
        expiries.free()
        fieldExpiries.free()
    }
}

extension Entry {
    /// Whether the value is a `LargeValue`.
    @inline(__always) var isLarge: Bool {
        switch encoding {
        case .quicklist, .hashtable, .skiplist, .stream: true
        default: false
        }
    }
    @inline(__always) var largeValue: LargeValue? {
        isLarge ? Unmanaged<LargeValue>.fromOpaque(pointer).takeUnretainedValue() : nil
    }
    @inline(__always) var tableValue: TableValue {
        unsafeDowncast(Unmanaged<LargeValue>.fromOpaque(pointer).takeUnretainedValue(), to: TableValue.self)
    }
    @inline(__always) var chunkedList: ChunkedList {
        unsafeDowncast(Unmanaged<LargeValue>.fromOpaque(pointer).takeUnretainedValue(), to: ChunkedList.self)
    }
    @inline(__always) var streamValue: StreamValue {
        unsafeDowncast(Unmanaged<LargeValue>.fromOpaque(pointer).takeUnretainedValue(), to: StreamValue.self)
    }
    /// The entry gives its reference up.
    func takeLargeValue() -> LargeValue? {
        isLarge ? Unmanaged<LargeValue>.fromOpaque(pointer).takeRetainedValue() : nil
    }
    /// The value becomes `value`; what it was before is not freed.
    func setLargeValue(_ value: LargeValue, encoding newEncoding: Encoding) {
        encoding = newEncoding
        pointer = Unmanaged.passRetained(value).toOpaque()
    }
    /// Frees a value that is neither inline nor large.
    func freeSmallPayload() {
        if type == .string {
            if flags.contains(.outOfLine) { Reaper.shared.free(pointer, size: stringCount) }
        } else if !isLarge {
            Glibc.free(pointer)
        }
    }
    @inline(__always) var listpack: Listpack {
        get { Listpack(block: pointer) }
        nonmutating set { pointer = newValue.block }
    }
    @inline(__always) var intset: Intset {
        get { Intset(block: pointer) }
        nonmutating set { pointer = newValue.block }
    }
}
