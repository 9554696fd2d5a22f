import Storage

/// Ids of clients, ascending; one alone takes no allocation.
struct ClientIDs: Equatable {
    private(set) var first: UInt64
    private var others = ContiguousArray<UInt64>()

    init(_ id: UInt64) { first = id }

    var count: Int { 1 + others.count }

    /// False: it was there. O(log n) to find, O(n) to move what is larger.
    mutating func insert(_ id: UInt64) -> Bool {
        if id == first { return false }
        if id < first {
            others.insert(first, at: 0)
            first = id
            return true
        }
        var (low, high) = (0, others.count)
        while low < high {
            let middle = (low + high) / 2
            if others[middle] < id { low = middle + 1 } else { high = middle }
        }
        if low < others.count && others[low] == id { return false }
        others.insert(id, at: low)
        return true
    }

    func forEach(_ body: (UInt64) -> Void) {
        body(first)
        for id in others { body(id) }
    }
}

/// Which clients may have cached which keys: hash tables of dense entries and an index of open addressing. There are many small
/// ones, so that none takes long to grow. A key is one whatever database it is in, as in the messages that clients get.
///
/// Clients that are gone stay in it until their keys change, so that leaving costs nothing. To be rid of all at once, an object is
/// given to the reaper, and another one takes its place.
final class TrackedKeys {
    private struct Entry {
        let hash: UInt64
        let key: [UInt8]
        var clients: ClientIDs
    }
    private struct Shard {
        var entries = ContiguousArray<Entry>()
        /// Places in `entries`, or `empty`. At least half are empty.
        var index = ContiguousArray<Int32>()
    }
    private var shards: ContiguousArray<Shard>
    private(set) var count = 0
    /// Pairs of a key and a client.
    private(set) var itemCount = 0
    var isEmpty: Bool { count == 0 }

    private static let empty: Int32 = -1
    private static var shardCount: Int { StructureSizes.size(1024, small: 2) }
    private static var smallestIndex: Int { 4 }

    init() { shards = ContiguousArray(repeating: Shard(), count: Self.shardCount) }

    private func shard(_ hash: UInt64) -> Int { Int(hash >> 32) & (shards.count - 1) }

    // MARK: Keys

    /// Remembers that a client may have cached a key. O(1), amortised; O(clients of the key) where it has many.
    func insert(_ key: Bytes, _ client: UInt64) {
        let hash = Hashing.hash(key)
        let number = shard(hash)
        if let (_, place) = Self.find(shards[number], key, hash) {
            if shards[number].entries[place].clients.insert(client) { itemCount += 1 }
            return
        }
        Self.append(&shards[number], Entry(hash: hash, key: key.array, clients: ClientIDs(client)))
        count += 1
        itemCount += 1
    }

    /// Forgets a key; returns the clients that may have cached it. O(1).
    func remove(_ key: Bytes) -> ClientIDs? {
        let hash = Hashing.hash(key)
        let number = shard(hash)
        guard let (slot, _) = Self.find(shards[number], key, hash) else { return nil }
        return remove(slot, of: number).clients
    }

    private func remove(_ slot: Int, of number: Int) -> Entry {
        let removed = Self.remove(&shards[number], slot)
        count -= 1
        itemCount -= removed.clients.count
        return removed
    }

    /// Forgets a key that `random` chooses. nil: there is none.
    func removeRandom(using random: inout some RandomNumberGenerator) -> (key: [UInt8], clients: ClientIDs)? {
        if count == 0 { return nil }
        var number = Int.random(in: 0..<shards.count, using: &random)
        while shards[number].entries.isEmpty { number = (number + 1) & (shards.count - 1) }
        let place = Int.random(in: 0..<shards[number].entries.count, using: &random)
        let removed = remove(Self.slot(shards[number], of: place), of: number)
        return (removed.key, removed.clients)
    }

    // MARK: One table

    private static func find(_ shard: Shard, _ key: Bytes, _ hash: UInt64) -> (slot: Int, place: Int)? {
        if shard.entries.isEmpty { return nil }
        let mask = shard.index.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while shard.index[slot] != empty {
            let place = Int(shard.index[slot])
            if shard.entries[place].hash == hash && isEqual(shard.entries[place].key, key) { return (slot, place) }
            slot = (slot &+ 1) & mask
        }
        return nil
    }
    private static func isEqual(_ key: [UInt8], _ other: Bytes) -> Bool {
        key.withUnsafeBytes { bytes in
            bytes.count == other.count && (bytes.baseAddress.map { Bytes($0, bytes.count) == other } ?? true)
        }
    }
    /// Where the index names the entry at `place`.
    private static func slot(_ shard: Shard, of place: Int) -> Int {
        let mask = shard.index.count - 1
        var slot = Int(truncatingIfNeeded: shard.entries[place].hash) & mask
        while shard.index[slot] != Int32(place) { slot = (slot &+ 1) & mask }
        return slot
    }

    private static func append(_ shard: inout Shard, _ entry: Entry) {
        shard.entries.append(entry)
        if shard.entries.count * 2 > shard.index.count { return rebuildIndex(&shard) }
        fill(&shard.index, entry.hash, shard.entries.count - 1)
    }
    private static func fill(_ index: inout ContiguousArray<Int32>, _ hash: UInt64, _ place: Int) {
        let mask = index.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while index[slot] != empty { slot = (slot &+ 1) & mask }
        index[slot] = Int32(place)
    }
    private static func rebuildIndex(_ shard: inout Shard) {
        var size = smallestIndex
        while size < shard.entries.count * 2 { size *= 2 }
        shard.index = ContiguousArray(repeating: empty, count: size)
        for place in shard.entries.indices { fill(&shard.index, shard.entries[place].hash, place) }
    }

    /// The last entry takes the place of the one that goes.
    private static func remove(_ shard: inout Shard, _ slot: Int) -> Entry {
        let place = Int(shard.index[slot])
        let last = shard.entries.count - 1
        empty(slot, of: &shard)
        if place != last {
            shard.index[Self.slot(shard, of: last)] = Int32(place)
            shard.entries.swapAt(place, last)
        }
        let removed = shard.entries.removeLast()
        // Room for far more than there is goes.
        if shard.index.count > smallestIndex && shard.entries.count < shard.index.count / 8 {
            shard.entries = ContiguousArray(shard.entries.map { $0 })
            rebuildIndex(&shard)
        }
        return removed
    }
    /// Empties a slot, and moves back what stands behind it because it was taken.
    private static func empty(_ slot: Int, of shard: inout Shard) {
        let mask = shard.index.count - 1
        var hole = slot
        var next = (hole &+ 1) & mask
        while shard.index[next] != empty {
            let home = Int(truncatingIfNeeded: shard.entries[Int(shard.index[next])].hash) & mask
            if (next &- home) & mask >= (next &- hole) & mask {
                shard.index[hole] = shard.index[next]
                hole = next
            }
            next = (next &+ 1) & mask
        }
        shard.index[hole] = empty
    }
}

extension TrackedKeys {
    /// O(n).
    func checkInvariants() throws(BrokenInvariant) {
        var (keys, items) = (0, 0)
        for (number, shard) in shards.enumerated() {
            keys += shard.entries.count
            try invariant(shard.index.count { $0 != Self.empty } == shard.entries.count, "tracked keys: a wrong index")
            try invariant(shard.entries.count * 2 <= shard.index.count, "tracked keys: an index that is too full")
            for (place, entry) in shard.entries.enumerated() {
                items += entry.clients.count
                let hash = entry.key.withUnsafeBytes { bytes in
                    Hashing.hash(bytes.baseAddress.map { Bytes($0, bytes.count) } ?? Bytes())
                }
                try invariant(hash == entry.hash, "tracked keys: a wrong hash")
                try invariant(self.shard(hash) == number, "tracked keys: a key in another table")
                let slot = Self.slot(shard, of: place)
                let mask = shard.index.count - 1
                var at = Int(truncatingIfNeeded: hash) & mask
                while at != slot {
                    try invariant(shard.index[at] != Self.empty, "tracked keys: a key that is not found")
                    at = (at &+ 1) & mask
                }
                var last: UInt64?
                var isAscending = true
                entry.clients.forEach { id in
                    if let last, last >= id { isAscending = false }
                    last = id
                }
                try invariant(isAscending, "tracked keys: clients out of order")
            }
        }
        try invariant(keys == count, "tracked keys: \(keys), counted \(count)")
        try invariant(items == itemCount, "tracked keys: \(items) items, counted \(itemCount)")
    }
}
