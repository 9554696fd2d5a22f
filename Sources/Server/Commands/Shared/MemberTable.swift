import Storage

/// Copies of members, one behind the other in one allocation: what a command has gathered from views and still needs
/// when those views are written to or gone.
struct MemberList {
    private let storage = OutputBuffer(capacity: 256)
    private var ends: [Int] = []

    var count: Int { ends.count }
    var isEmpty: Bool { ends.isEmpty }

    mutating func append(_ member: Bytes) {
        storage.append(member)
        ends.append(storage.count)
    }
    /// The member's bytes, valid until the next `append`.
    subscript(_ index: Int) -> Bytes {
        storage.bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]]
    }
}

/// Distinct members in the order they came, each with a number: what unions and differences are computed in.
/// Open addressing over a `MemberList`; amortised O(1) a member.
struct MemberTable {
    private(set) var members = MemberList()
    /// For each slot 0 (free) or a member's index plus 1; the length is a power of two, at most half of it in use.
    private var slots: [Int]

    init(expecting count: Int = 0) {
        var length = 16
        // A guess from stored counts; a larger table grows when it must.
        while length < count, length < 1 << 24 { length <<= 1 }
        slots = [Int](repeating: 0, count: length << 1)
    }

    var count: Int { members.count }

    private func slot(of member: Bytes) -> Int {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: Hashing.hash(member)) & mask
        while slots[slot] != 0, members[slots[slot] - 1] != member { slot = (slot + 1) & mask }
        return slot
    }

    func index(of member: Bytes) -> Int? {
        let entry = slots[slot(of: member)]
        return entry == 0 ? nil : entry - 1
    }

    /// The member's index, and whether it is new.
    mutating func insert(_ member: Bytes) -> (index: Int, isNew: Bool) {
        let slot = slot(of: member)
        if slots[slot] != 0 { return (slots[slot] - 1, false) }
        members.append(member)
        slots[slot] = members.count
        if members.count * 2 > slots.count { grow() }
        return (members.count - 1, true)
    }

    private mutating func grow() {
        slots = [Int](repeating: 0, count: slots.count * 2)
        for index in 0..<members.count { slots[slot(of: members[index])] = index + 1 }
    }
}

extension OutputBuffer {
    /// The buffer's new contents: a copy of bytes that are about to become invalid.
    func replace(with bytes: Bytes) -> Bytes {
        removeAll()
        append(bytes)
        return self.bytes
    }
}
