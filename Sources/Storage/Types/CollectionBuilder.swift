// Invariant of this file: `pack` is live until `deinit`; the two scratches have 64 bytes each, and what is rendered in
// one is used before it is rendered in again.

/// Builds collections from elements that come in a row, as a snapshot's rows do: one allocation for a small one, and in a
/// large one every element in the slot that its row has. (Editors would put the elements in the order of the small form
/// before they are many: a later change would meet another element's row.)
///
/// One builder serves many collections: `begin`, `add` for each element, `finish`.
final class CollectionBuilder {
    private let limits: Limits
    private var type: ValueType = .list
    /// Elements so far; pairs count once.
    private(set) var count = 0

    // The elements in the order of arrival, until they are too many or too long.
    private var pack = Listpack.allocate()
    private var scores: [Double] = []
    private var slots: [Int64] = []
    private var isAllIntegers = true
    private var isSorted = true
    /// Bytes of the longest element so far.
    private var longest = 0
    /// Finds duplicates: where in `pack` an element lies, by its hash; entries of other generations are empty.
    private var places = [UInt64](repeating: 0, count: 512)
    private var generation: UInt64 = 0

    private var table: TableValue?
    private var list: ChunkedList?

    /// Numbers are rendered here.
    private let scratch = (
        UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8),
        UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
    )

    init(limits: Limits) { self.limits = limits }
    deinit {
        pack.free()
        scratch.0.deallocate()
        scratch.1.deallocate()
    }

    func begin(_ type: ValueType) {
        self.type = type
        count = 0
        pack.removeAll()
        scores.removeAll(keepingCapacity: true)
        slots.removeAll(keepingCapacity: true)
        isAllIntegers = true
        isSorted = true
        longest = 0
        generation += 1
        table = nil
        list = nil
    }

    // MARK: Elements

    /// An item of a list; `slot` is above those of the items before.
    func addItem(_ item: Bytes, slot: Int64) {
        count += 1
        if let list { return list.load(item, slot: slot) }
        let chunk = ChunkedList.chunkLimits(limits.listMaxListpackSize)
        if pack.byteCount + Listpack.entrySize(of: item) <= chunk.bytes && pack.count < chunk.count {
            pack.append(item)
            slots.append(slot)
            return
        }
        let list = ChunkedList(size: limits.listMaxListpackSize)
        var index = 0
        forEachOffset(every: 1) { offset in
            list.load(pack.value(at: offset, scratch: scratch.0), slot: slots[index])
            index += 1
        }
        list.load(item, slot: slot)
        self.list = list
    }

    /// A field with its value, a member, or a member with its score, which is not NaN. False where it is there already.
    /// A field that expires, in ms since 1970, makes the hash a table.
    func add(_ first: Bytes, _ second: Bytes, score: Double, expiresMs: Int64? = nil) -> Bool {
        if table == nil {
            let fits = fits(first, second)
            if fits && expiresMs == nil { return addSmall(first, second, score) }
            spill()
            if fits { table?.expiringFields().looksSmall = true }
        } else if let expiring = table?.expiring, expiring.looksSmall {
            expiring.looksSmall = fits(first, second)
        }
        guard let table, table.find(first) == nil else { return false }
        table.add(
            type == .hash
                ? Entry.makeString(first, second, expiry: expiresMs)
                : CollectionBuilder.element(type, first, second, score))
        count += 1
        return true
    }

    static func element(_ type: ValueType, _ first: Bytes, _ second: Bytes, _ score: Double) -> Entry {
        type == .zset ? ZSetEditor.element(first, score) : Entry.makeString(first, second, expiry: nil)
    }

    /// Whether the collection stays small with this element.
    private func fits(_ first: Bytes, _ second: Bytes) -> Bool {
        // Whatever the limits are set to: the block must not outgrow its header. 40: scores, and what entries add.
        if pack.byteCount + first.count + second.count + 40 > Listpack.maxByteCount { return false }
        longest = max(longest, first.count, second.count)
        switch type {
        case .hash: return limits.keepsSmall(hash: count + 1, longest: longest)
        case .set:
            if isAllIntegers && first.integer == nil { isAllIntegers = false }
            return (isAllIntegers && limits.keepsIntset(count + 1))
                || limits.keepsSmall(set: count + 1, longest: longest)
        case .zset: return limits.keepsSmall(zset: count + 1, longest: longest)
        case .string, .list, .stream: return false
        }
    }

    private func addSmall(_ first: Bytes, _ second: Bytes, _ score: Double) -> Bool {
        if !notePlace(first) { return false }
        if type == .zset {
            if isSorted, let last = scores.last, last >= score { isSorted = isBefore(last, first, score) }
            scores.append(score)
        }
        pack.append(first)
        if type == .hash {
            pack.append(second)
        } else if type == .zset {
            // As in Redis, a listpack knows no -0.
            pack.append(formatDouble(score, into: scratch.0))
        }
        count += 1
        return true
    }

    /// Whether the last element, with score `last`, comes before this one.
    private func isBefore(_ last: Double, _ member: Bytes, _ score: Double) -> Bool {
        guard last == score, let scoreAt = pack.last, let at = pack.previous(scoreAt) else { return last < score }
        return pack.value(at: at, scratch: scratch.0).compare(member) < 0
    }

    // MARK: Duplicates

    /// Notes that `element` lies at the end of `pack`; false where an equal one is there.
    private func notePlace(_ element: Bytes) -> Bool {
        if count * 2 >= places.count { growPlaces() }
        let mask = places.count - 1
        var index = Int(truncatingIfNeeded: Hashing.hash(element)) & mask
        while places[index] >> 32 == generation {
            if pack.matches(Int(places[index] & 0xffff_ffff), element) { return false }
            index = (index + 1) & mask
        }
        places[index] = generation << 32 | UInt64(pack.endOffset)
        return true
    }

    private func growPlaces() {
        places = [UInt64](repeating: 0, count: places.count * 2)
        let mask = places.count - 1
        forEachOffset(every: type == .set ? 1 : 2) { offset in
            var index = Int(truncatingIfNeeded: Hashing.hash(pack.value(at: offset, scratch: scratch.0))) & mask
            while places[index] >> 32 == generation { index = (index + 1) & mask }
            places[index] = generation << 32 | UInt64(offset)
        }
    }

    // MARK: Results

    private func forEachOffset(every: Int, _ body: (Int) -> Void) {
        var offset = pack.first
        while let here = offset {
            body(here)
            offset = pack.next(here)
            if every == 2, let second = offset { offset = pack.next(second) }
        }
    }

    /// The small elements move to a table, slot by slot.
    private func spill() {
        let table = TableValue(type: type, expecting: count * 2)
        var index = 0
        forEachOffset(every: type == .set ? 1 : 2) { offset in
            let first = pack.value(at: offset, scratch: scratch.0)
            var second = Bytes()
            if type == .hash, let at = pack.next(offset) { second = pack.value(at: at, scratch: scratch.1) }
            table.add(CollectionBuilder.element(type, first, second, type == .zset ? scores[index] : 0))
            index += 1
        }
        self.table = table
    }

    /// Gives the collection to `entry`, which has none. A large one counts as changed.
    func finish(into entry: Entry) {
        if let table {
            entry.setLargeValue(table, encoding: type == .zset ? .skiplist : .hashtable)
        } else if let list {
            entry.setLargeValue(list, encoding: .quicklist)
        } else if type == .set && isAllIntegers && count <= limits.setMaxIntsetEntries {
            entry.encoding = .intset
            var set = Intset.allocate()
            forEachOffset(every: 1) { offset in
                if let integer = pack.integer(at: offset) { _ = set.insert(integer) }
            }
            entry.intset = set
        } else {
            entry.encoding = .listpack
            entry.listpack = isSorted ? pack.copy() : sorted()
        }
        table = nil
        list = nil
    }

    /// Drops a collection that will not be finished.
    func abandon() {
        if let table { Reaper.shared.free(table) }
        if let list { Reaper.shared.free(list) }
        table = nil
        list = nil
    }

    /// A sorted set's elements in their order.
    private func sorted() -> Listpack {
        var order: [(score: Double, offset: Int)] = []
        forEachOffset(every: 2) { order.append((scores[order.count], $0)) }
        order.sort { a, b in
            if a.score != b.score { return a.score < b.score }
            return pack.value(at: a.offset, scratch: scratch.0).compare(pack.value(at: b.offset, scratch: scratch.1))
                < 0
        }
        var result = Listpack.allocate()
        for (_, offset) in order {
            guard let score = pack.next(offset) else { continue }
            result.append(pack.value(at: offset, scratch: scratch.0))
            result.append(pack.value(at: score, scratch: scratch.0))
        }
        return result
    }
}
