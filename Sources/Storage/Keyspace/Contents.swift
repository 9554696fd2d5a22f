import Glibc

// Invariant of this file: every entry in `table` is live, holds its value alone, and is in `expiries` exactly when it
// has an expiry.

/// What a database holds, apart from its number: FLUSHDB and SWAPDB replace it whole, while a checkpoint may still read
/// the old one.
final class Contents: Reapable {
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

    var freeingCost: Int { table.count }
    /// So few keys that their bytes are counted.
    var isSmall: Bool { table.count <= Contents.fewKeys && table.bucketCount <= Contents.fewKeys }
    private static let fewKeys = 64
    /// The hash table's, and where there are few keys theirs.
    var memoryUsage: Int {
        var bytes = table.byteCount
        if !isSmall { return bytes }
        table.forEach { entry in
            bytes += entry.memoryUsage
            return true
        }
        return bytes
    }
    func freeElements() {
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
