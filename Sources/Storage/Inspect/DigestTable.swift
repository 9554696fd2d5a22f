/// Digests of the keys of two files, in about 24 bytes a key: 64 bits of a keyed hash of each key's name, 62 of all that it
/// holds, and how the files compare at it. Two changed values pass for equal with a chance of 2^-62; names whose digests are
/// equal by chance are noticed.
final class DigestTable {
    enum State: UInt64 {
        case old, equal, changed, added
    }
    private struct Slot {
        /// Odd; 0 in an empty slot.
        var key: UInt64 = 0
        /// A digest whose two low bits are the state.
        var value: UInt64 = 0
    }
    /// A hash table of open addressing, small enough that growing it takes little time and memory.
    private struct Bucket {
        var slots: [Slot] = []
        var count = 0
    }

    private static let bucketBits: UInt64 = 10
    private static let stateMask: UInt64 = 3
    private var buckets = [Bucket](repeating: Bucket(), count: 1 << Int(bucketBits))
    /// Keys in each state.
    private(set) var counts: [State: Int] = [:]

    /// Of the slot that has `key`, or of the empty one where it belongs. `bucket` has an empty slot.
    private static func place(_ key: UInt64, in slots: [Slot]) -> Int {
        // The bucket took the high bits; a multiplication brings the others up.
        var i = Int((key &* 0x9E37_79B9_7F4A_7C15).multipliedFullWidth(by: UInt64(slots.count)).high)
        while slots[i].key != 0 && slots[i].key != key {
            i += 1
            if i == slots.count { i = 0 }
        }
        return i
    }

    /// False where the key is there already.
    func insert(_ key: UInt64, _ value: UInt64, _ state: State) -> Bool {
        let key = key | 1
        let index = Int(key >> (64 - DigestTable.bucketBits))
        if buckets[index].count * 4 >= buckets[index].slots.count * 3 { grow(index) }
        let i = DigestTable.place(key, in: buckets[index].slots)
        if buckets[index].slots[i].key != 0 { return false }
        buckets[index].slots[i] = Slot(key: key, value: value & ~DigestTable.stateMask | state.rawValue)
        buckets[index].count += 1
        counts[state, default: 0] += 1
        return true
    }

    private func grow(_ index: Int) {
        let old = buckets[index].slots
        var slots = [Slot](repeating: Slot(), count: max(8, old.count + old.count / 4))
        for slot in old where slot.key != 0 { slots[DigestTable.place(slot.key, in: slots)] = slot }
        buckets[index].slots = slots
    }

    /// Compares a key of the second file with the first one's. False where it came before.
    func match(_ key: UInt64, _ value: UInt64) -> Bool {
        let index = Int((key | 1) >> (64 - DigestTable.bucketBits))
        if buckets[index].slots.isEmpty { return insert(key, value, .added) }
        let i = DigestTable.place(key | 1, in: buckets[index].slots)
        let slot = buckets[index].slots[i]
        if slot.key == 0 { return insert(key, value, .added) }
        guard slot.value & DigestTable.stateMask == State.old.rawValue else { return false }
        let state = slot.value == value & ~DigestTable.stateMask ? State.equal : .changed
        buckets[index].slots[i].value = slot.value | state.rawValue
        counts[.old, default: 0] -= 1
        counts[state, default: 0] += 1
        return true
    }

    /// `equal` for a key that is not there.
    func state(of key: UInt64) -> State {
        let bucket = buckets[Int((key | 1) >> (64 - DigestTable.bucketBits))]
        if bucket.slots.isEmpty { return .equal }
        let slot = bucket.slots[DigestTable.place(key | 1, in: bucket.slots)]
        return slot.key == 0 ? .equal : State(rawValue: slot.value & DigestTable.stateMask) ?? .equal
    }
}
