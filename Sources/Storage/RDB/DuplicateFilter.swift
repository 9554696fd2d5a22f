/// Finds an element that comes twice in one collection, without keeping the elements: it keeps 128 bits of two keyed
/// hashes for each (two different elements are taken for one with a chance of n² / 2^128). Insertion is O(1) amortised.
public struct DuplicateFilter {
    private struct Digest {
        var high: UInt64 = 0
        /// Odd; 0 in an empty slot.
        var low: UInt64 = 0
    }

    private static var smallest: Int { StructureSizes.size(64, small: 4) }
    private static var kept: Int { StructureSizes.size(256, small: 8) }
    private var slots = [Digest](repeating: Digest(), count: smallest)
    private var count = 0

    public init() {}

    public mutating func removeAll() {
        if count == 0 { return }
        count = 0
        if slots.count > DuplicateFilter.kept {
            slots = [Digest](repeating: Digest(), count: DuplicateFilter.smallest)
        } else {
            for i in slots.indices { slots[i] = Digest() }
        }
    }

    /// False when `bytes` was there already.
    public mutating func insert(_ bytes: Bytes) -> Bool {
        let digest = DuplicateFilter.digest(bytes)
        if count >= slots.count / 2 { grow() }
        let new = DuplicateFilter.place(digest, in: &slots)
        if new { count += 1 }
        return new
    }

    func contains(_ bytes: Bytes) -> Bool {
        let digest = DuplicateFilter.digest(bytes)
        let mask = slots.count - 1
        var i = Int(truncatingIfNeeded: digest.high) & mask
        while slots[i].low != 0 {
            if slots[i].low == digest.low && slots[i].high == digest.high { return true }
            i = (i + 1) & mask
        }
        return false
    }

    private static func digest(_ bytes: Bytes) -> Digest {
        var first = Hasher()
        first.combine(bytes: bytes.buffer)
        var second = Hasher()
        second.combine(1)
        second.combine(bytes: bytes.buffer)
        return Digest(
            high: UInt64(bitPattern: Int64(first.finalize())),
            low: UInt64(bitPattern: Int64(second.finalize())) | 1)
    }

    private mutating func grow() {
        var larger = [Digest](repeating: Digest(), count: slots.count * 2)
        for digest in slots where digest.low != 0 { _ = DuplicateFilter.place(digest, in: &larger) }
        slots = larger
    }

    private static func place(_ digest: Digest, in slots: inout [Digest]) -> Bool {
        let mask = slots.count - 1
        var i = Int(truncatingIfNeeded: digest.high) & mask
        while slots[i].low != 0 {
            if slots[i].low == digest.low && slots[i].high == digest.high { return false }
            i = (i + 1) & mask
        }
        slots[i] = digest
        return true
    }
}
