import Glibc

// Invariant of this file: `chunks[head...]` are the list in order, none empty, each owning its listpack; the element at
// position i of a chunk has slot `base + i`; bases ascend without overlap and slots lie in 0..<2^32.

/// A large list: a queue of listpacks, as Redis's quicklist. Slots, by which the snapshot knows the elements, start in
/// the middle of their range: a push takes the next one at its end and nothing else moves.
final class ChunkedList: LargeValue {
    struct Chunk {
        var pack: Listpack
        var base: Int64
        var count: Int
        var slots: Range<Int64> { base..<base + Int64(count) }
    }
    private(set) var chunks: [Chunk] = []
    private(set) var head = 0
    private var elements = 0
    private var bytes = 0
    /// Limits of a chunk, from list-max-listpack-size.
    private let maxBytes: Int
    private let maxCount: Int

    static let firstSlot: Int64 = 1 << 31
    private static let slotLimit: Int64 = 1 << 32

    private var changed = SlotIntervals()
    private var pending = SlotIntervals()

    /// `size`: list-max-listpack-size; positive: elements a chunk, -1...-5: 4 to 64 KB.
    convenience init(size: Int) {
        let limits = ChunkedList.chunkLimits(size)
        self.init(maxBytes: limits.bytes, maxCount: limits.count)
    }
    private init(maxBytes: Int, maxCount: Int) {
        self.maxBytes = maxBytes
        self.maxCount = maxCount
    }

    static func chunkLimits(_ size: Int) -> (bytes: Int, count: Int) {
        if size >= 0 { return (8192, max(size, 1)) }
        return (4096 << (min(-size, 5) - 1), .max)
    }

    override var count: Int { elements }
    override var memoryUsage: Int { bytes + chunks.capacity * MemoryLayout<Chunk>.stride + 128 }
    var chunkCount: Int { chunks.count - head }
    /// The only chunk's listpack, where there is only one.
    var singleChunk: Listpack? { chunkCount == 1 ? chunks[head].pack : nil }

    // MARK: Positions

    /// The chunk that holds the element at `index`, and the index in it; from the nearer end, O(chunks).
    private func locate(_ index: Int) -> (chunk: Int, index: Int) {
        precondition(index >= 0 && index < elements)
        if index <= elements / 2 {
            var left = index
            var i = head
            while left >= chunks[i].count {
                left -= chunks[i].count
                i += 1
            }
            return (i, left)
        }
        var left = elements - index
        var i = chunks.count - 1
        while left > chunks[i].count {
            left -= chunks[i].count
            i -= 1
        }
        return (i, chunks[i].count - left)
    }

    func element(at index: Int, scratch: UnsafeMutableRawPointer) -> Bytes {
        let (i, k) = locate(index)
        guard let offset = chunks[i].pack.seek(k) else { preconditionFailure("a list has lost an element") }
        return chunks[i].pack.value(at: offset, scratch: scratch)
    }

    /// Visits elements from `index` on until `body` returns false.
    func forEach(from index: Int, reverse: Bool, scratch: UnsafeMutableRawPointer, _ body: (Bytes) -> Bool) {
        if index < 0 || index >= elements { return }
        var (i, k) = locate(index)
        var offset = chunks[i].pack.seek(k)
        while true {
            let pack = chunks[i].pack
            while let here = offset {
                if !body(pack.value(at: here, scratch: scratch)) { return }
                offset = reverse ? pack.previous(here) : pack.next(here)
            }
            i += reverse ? -1 : 1
            k = 0
            if i < head || i >= chunks.count { return }
            offset = reverse ? chunks[i].pack.last : chunks[i].pack.first
        }
    }

    // MARK: Change

    private func fits(_ chunk: Chunk, _ value: Bytes) -> Bool {
        chunk.count < maxCount && chunk.pack.byteCount + Listpack.entrySize(of: value) <= maxBytes
    }
    /// `body` changes a chunk; the byte count is kept.
    @inline(__always) private func edit(_ i: Int, _ body: (inout Chunk) -> Void) {
        bytes -= chunks[i].pack.byteCount
        body(&chunks[i])
        bytes += chunks[i].pack.byteCount
    }
    private func insertChunk(_ chunk: Chunk, at index: Int) {
        bytes += chunk.pack.byteCount
        if index == head && head > 0 {
            head -= 1
            chunks[head] = chunk
        } else {
            chunks.insert(chunk, at: index)
        }
    }
    private func removeChunk(_ i: Int) {
        bytes -= chunks[i].pack.byteCount
        chunks[i].pack.free()
        if i == head {
            head += 1
            // Dead room at the front is given back when it is most of the array.
            if head > 32 && head > chunks.count / 2 {
                chunks.removeFirst(head)
                head = 0
            }
        } else {
            chunks.remove(at: i)
        }
    }

    func append(_ value: Bytes) {
        if chunkCount == 0 || !fits(chunks[chunks.count - 1], value) {
            let base = chunkCount == 0 ? ChunkedList.firstSlot : chunks[chunks.count - 1].slots.upperBound
            if base >= ChunkedList.slotLimit {
                renumber()
                return append(value)
            }
            insertChunk(Chunk(pack: Listpack.allocate(), base: base, count: 0), at: chunks.count)
        }
        let i = chunks.count - 1
        let slot = chunks[i].slots.upperBound
        if slot >= ChunkedList.slotLimit {
            renumber()
            return append(value)
        }
        willChange(chunk: i, slots: slot..<slot + 1)
        edit(i) {
            $0.pack.append(value)
            $0.count += 1
        }
        elements += 1
    }

    func prepend(_ value: Bytes) {
        if chunkCount == 0 { return append(value) }
        if !fits(chunks[head], value) {
            // Room for a number of chunks at the front, so that pushing there does not move the array each time.
            if head == 0 {
                let room = max(8, chunks.count / 2)
                chunks.insert(
                    contentsOf: repeatElement(Chunk(pack: chunks[0].pack, base: 0, count: 0), count: room), at: 0)
                head = room
            }
            insertChunk(Chunk(pack: Listpack.allocate(), base: chunks[head].base, count: 0), at: head)
        }
        if chunks[head].base == 0 {
            renumber()
        }
        let slot = chunks[head].base - 1
        willChange(chunk: head, slots: slot..<slot + 1)
        edit(head) {
            $0.pack.prepend(value)
            $0.count += 1
            $0.base = slot
        }
        elements += 1
    }

    func removeFirst() { remove(0, 1) }
    func removeLast() { remove(elements - 1, 1) }

    func set(_ index: Int, _ value: Bytes) {
        let (i, k) = locate(index)
        let slot = chunks[i].base + Int64(k)
        willChange(chunk: i, slots: slot..<slot + 1)
        edit(i) { if let offset = $0.pack.seek(k) { $0.pack.replace(at: offset, with: value) } }
    }

    /// Inserts before the element at `index`. The elements behind it in its chunk, or those before, move by one slot.
    func insert(_ value: Bytes, at index: Int) {
        if index == 0 { return prepend(value) }
        if index == elements { return append(value) }
        var (i, k) = locate(index)
        if !fits(chunks[i], value) && chunks[i].count > 1 {
            if k == 0 {
                // Belongs as well behind the last one of the chunk before.
                i -= 1
                k = chunks[i].count
            }
            if !fits(chunks[i], value) { (i, k) = split(i, k) }
        }
        let chunk = chunks[i]
        let roomAfter = (i + 1 < chunks.count ? chunks[i + 1].base : ChunkedList.slotLimit) - chunk.slots.upperBound
        let roomBefore = chunk.base - (i > head ? chunks[i - 1].slots.upperBound : 0)
        if roomAfter > 0 {
            willChange(chunk: i, slots: chunk.base + Int64(k)..<chunk.slots.upperBound + 1)
        } else if roomBefore > 0 {
            willChange(chunk: i, slots: chunk.base - 1..<chunk.base + Int64(k))
            chunks[i].base -= 1
        } else {
            renumber()
            return insert(value, at: index)
        }
        edit(i) {
            if k == $0.count {
                $0.pack.append(value)
            } else if let offset = $0.pack.seek(k) {
                $0.pack.insert(value, before: offset)
            }
            $0.count += 1
        }
        elements += 1
    }

    /// Splits a chunk near `k`, which keeps every element's slot. Returns where `k` is now: in the emptier half.
    private func split(_ i: Int, _ k: Int) -> (Int, Int) {
        let chunk = chunks[i]
        let at = min(max(k, 1), chunk.count - 1)
        handOver(chunk.slots)
        let right = chunk.pack.copy()
        var tail = Chunk(pack: right, base: chunk.base + Int64(at), count: chunk.count - at)
        if let first = tail.pack.first { tail.pack.remove(at: first, count: at) }
        edit(i) {
            if let offset = $0.pack.seek(at) { $0.pack.remove(at: offset, count: chunk.count - at) }
            $0.count = at
        }
        insertChunk(tail, at: i + 1)
        return k <= at ? (i, k) : (i + 1, k - at)
    }

    func remove(_ index: Int, _ wanted: Int) {
        var left = min(wanted, elements - index)
        while left > 0 {
            let (i, k) = locate(index)
            let chunk = chunks[i]
            let n = min(left, chunk.count - k)
            left -= n
            let from = chunk.base + Int64(k)
            if n == chunk.count {
                willChange(chunk: i, slots: chunk.slots)
                removeChunk(i)
            } else if k == 0 {
                willChange(chunk: i, slots: from..<from + Int64(n))
                edit(i) {
                    if let first = $0.pack.first { $0.pack.remove(at: first, count: n) }
                    $0.base += Int64(n)
                    $0.count -= n
                }
            } else {
                willChange(chunk: i, slots: from..<chunk.slots.upperBound)
                edit(i) {
                    if let offset = $0.pack.seek(k) { $0.pack.remove(at: offset, count: n) }
                    $0.count -= n
                }
            }
            elements -= n
        }
    }

    /// New slots for all elements, with room between the chunks: when inserts in the middle or pushes without end have
    /// used the room up. The next checkpoint writes the whole list.
    private func renumber() {
        handOver(0..<ChunkedList.slotLimit)
        var total: Int64 = 0
        for chunk in chunks[head...] { total += Int64(chunk.count) }
        let gap = min(64, (ChunkedList.slotLimit - total) / (2 * Int64(chunkCount + 1)))
        precondition(gap > 0, "a list of four billion elements")
        let span = total + gap * Int64(chunkCount)
        var base = (ChunkedList.slotLimit - span) / 2
        for i in head..<chunks.count {
            chunks[i].base = base
            base += Int64(chunks[i].count) + gap
        }
        changed.insert(0..<ChunkedList.slotLimit)
    }

    // MARK: Checkpoint

    @inline(__always) private func willChange(chunk i: Int, slots: Range<Int64>) {
        if !pending.isEmpty {
            handOver(chunks[i].slots)
            handOver(slots)
        }
        changed.insert(slots)
    }

    private func handOver(_ slots: Range<Int64>) {
        if pending.isEmpty { return }
        pending.subtract(slots) { emit($0) }
    }

    /// The rows of `slots` are removed and those that exist are written.
    private func emit(_ slots: Range<Int64>) {
        guard let sink else { return }
        sink.batch.appendRemoveElements(
            type: .list, owner: pendingOwner, slots: UInt64(slots.lowerBound)..<UInt64(slots.upperBound))
        var i = chunkIndex(slots.lowerBound)
        withUnsafeTemporaryAllocation(byteCount: 24, alignment: 8) { scratch in
            let scratch = scratch.baseAddress.unsafelyUnwrapped
            while i < chunks.count, chunks[i].base < slots.upperBound {
                let chunk = chunks[i]
                let part = chunk.slots.clamped(to: slots)
                var slot = part.lowerBound
                var offset = part.isEmpty ? nil : chunk.pack.seek(Int(slot - chunk.base))
                while slot < part.upperBound, let here = offset {
                    sink.batch.appendListItem(
                        owner: pendingOwner, slot: UInt32(slot), chunk.pack.value(at: here, scratch: scratch))
                    sink.sendIfFull()
                    slot += 1
                    offset = chunk.pack.next(here)
                }
                i += 1
            }
        }
    }

    /// The first chunk that ends behind `slot`.
    private func chunkIndex(_ slot: Int64) -> Int {
        var low = head
        var high = chunks.count
        while low < high {
            let middle = (low + high) / 2
            if chunks[middle].slots.upperBound <= slot { low = middle + 1 } else { high = middle }
        }
        return low
    }

    override func freeze(owner: Int64, sink: RowSink) {
        pendingOwner = owner
        self.sink = sink
        if rewriteAll {
            changed.insert(0..<ChunkedList.slotLimit)
            rewriteAll = false
        }
        pending = changed
        changed = SlotIntervals()
    }

    override func drain(while goOn: () -> Bool) -> Bool {
        while let interval = pending.first {
            if !goOn() { return false }
            // At most a chunk at a time.
            let i = chunkIndex(interval.lowerBound)
            var end = interval.upperBound
            if i < chunks.count { end = min(end, chunks[i].slots.upperBound) }
            handOver(interval.lowerBound..<end)
        }
        sink = nil
        return true
    }

    override func markClean() {
        changed.removeAll()
        rewriteAll = false
    }

    override func freeElements() {
        for i in head..<chunks.count {
            chunks[i].pack.free()
            if i & 255 == 255 { giveWay() }
        }
        chunks = []
        head = 0
    }

    func copy() -> ChunkedList {
        let copy = ChunkedList(maxBytes: maxBytes, maxCount: maxCount)
        for chunk in chunks[head...] {
            copy.insertChunk(
                Chunk(pack: chunk.pack.copy(), base: chunk.base, count: chunk.count), at: copy.chunks.count)
        }
        copy.elements = elements
        return copy
    }

    // MARK: Loading

    /// Appends an element that the snapshot holds under `slot`, which is above all others so far.
    func load(_ value: Bytes, slot: Int64) {
        let last = chunks.last
        if last == nil || last?.slots.upperBound != slot || !fits(chunks[chunks.count - 1], value) {
            insertChunk(Chunk(pack: Listpack.allocate(), base: slot, count: 0), at: chunks.count)
        }
        edit(chunks.count - 1) {
            $0.pack.append(value)
            $0.count += 1
        }
        elements += 1
    }
}
