// Invariant of this file: `chunks` are the list in order, none empty but between the steps of a change, each owning its
// listpack; the element at position i of a chunk has slot `base + i`; bases ascend without overlap and slots lie in 0..<2^32.

/// A large list: a queue of listpacks, as Redis's quicklist. Slots, by which the snapshot knows the elements, start in
/// the middle of their range: a push takes the next one at its end and nothing else moves.
final class ChunkedList: LargeValue {
    private(set) var chunks = ChunkQueue()
    private var elements = 0
    private var bytes = 0
    /// Limits of a chunk, from list-max-listpack-size.
    private let maxBytes: Int
    private let maxCount: Int

    /// Where tests make structures small, pushes at the head soon use the slots before it up.
    static var firstSlot: Int64 { Int64(StructureSizes.size(1 << 31, small: 11)) }
    static let slotLimit: Int64 = 1 << 32

    private var changed = SlotIntervals()
    private var pending = SlotIntervals()

    /// `size`: list-max-listpack-size; positive: elements a chunk, -1...-5: 4 to 64 KB.
    convenience init(size: Int) {
        let limits = ChunkedList.chunkLimits(size)
        self.init(
            maxBytes: min(limits.bytes, StructureSizes.size(.max, small: 48)),
            maxCount: min(limits.count, StructureSizes.size(.max, small: 5)))
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
    override var memoryUsage: Int { bytes + chunks.byteCount + 128 }
    var chunkCount: Int { chunks.count }
    /// The only chunk's listpack, where there is only one.
    var singleChunk: Listpack? { chunks.count == 1 ? chunks[0].pack : nil }

    // MARK: Positions

    /// The chunk that holds the element at `index`, and the index in it; from the nearer end, O(chunks).
    private func locate(_ index: Int) -> (chunk: Int, index: Int) {
        precondition(index >= 0 && index < elements)
        if index <= elements / 2 {
            var left = index
            var i = 0
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
            if i < 0 || i >= chunks.count { return }
            offset = reverse ? chunks[i].pack.last : chunks[i].pack.first
        }
    }

    // MARK: The ends

    @inline(__always) private func hasRoom(_ chunk: ListChunk, _ size: Int) -> Bool {
        chunk.count < maxCount && chunk.pack.byteCount &+ size <= maxBytes
    }

    /// Amortised O(1).
    func append(_ value: Bytes) {
        let entry = ListpackEntry(value)
        if chunks.count == 0 || !hasRoom(chunks[chunks.count - 1], entry.size) {
            let base = chunks.count == 0 ? ChunkedList.firstSlot : chunks[chunks.count - 1].slots.upperBound
            if base >= ChunkedList.slotLimit {
                renumber()
                return append(value)
            }
            insertChunk(ListChunk(pack: Listpack.allocate(), base: base, count: 0), at: chunks.count)
        }
        let i = chunks.count - 1
        let slot = chunks[i].slots.upperBound
        if slot >= ChunkedList.slotLimit {
            renumber()
            return append(value)
        }
        willChange(chunk: i, slots: slot..<slot + 1)
        chunks[i].append(entry, limit: maxBytes)
        added(entry)
    }

    /// Amortised O(1), unless pushes at both ends alternate: then O(size of a chunk).
    func prepend(_ value: Bytes) {
        if chunks.count == 0 { return append(value) }
        let entry = ListpackEntry(value)
        if !hasRoom(chunks[0], entry.size) {
            insertChunk(ListChunk(pack: Listpack.allocate(), base: chunks[0].base, count: 0), at: 0)
        }
        if chunks[0].base == 0 { renumber() }
        let slot = chunks[0].base - 1
        willChange(chunk: 0, slots: slot..<slot + 1)
        chunks[0].base = slot
        chunks[0].prepend(entry, limit: maxBytes)
        added(entry)
    }

    @inline(__always) private func added(_ entry: ListpackEntry) {
        bytes &+= entry.size
        elements &+= 1
    }

    /// Removes the element at an end, of which there is one, after `body` has seen it. Amortised O(1).
    @inline(__always) func pop(_ end: ListEnd, scratch: UnsafeMutableRawPointer, _ body: (Bytes) -> Void) {
        let i = end == .head ? 0 : chunks.count - 1
        let pack = chunks[i].pack
        body(pack.value(at: end == .head ? Listpack.headerSize : pack.lastOffset, scratch: scratch))
        let slot = end == .head ? chunks[i].base : chunks[i].slots.upperBound - 1
        willChange(chunk: i, slots: slot..<slot + 1)
        elements -= 1
        if chunks[i].count == 1 { return removeChunk(i) }
        switch end {
        case .head:
            bytes -= chunks[i].removeFirst()
            chunks[i].base += 1
        case .tail: bytes -= chunks[i].removeLast()
        }
    }

    // MARK: Change

    /// `body` changes a chunk and returns how many elements there are more; the byte count is kept.
    private func edit(_ i: Int, _ body: (inout Listpack) -> Int) {
        bytes -= chunks[i].pack.byteCount
        chunks[i].edit(body)
        bytes += chunks[i].pack.byteCount
    }
    private func insertChunk(_ chunk: ListChunk, at index: Int) {
        bytes += chunk.pack.byteCount
        chunks.insert(chunk, at: index)
    }
    private func removeChunk(_ i: Int) {
        bytes -= chunks[i].pack.byteCount
        chunks[i].free()
        chunks.remove(at: i)
    }

    func set(_ index: Int, _ value: Bytes) {
        let (i, k) = locate(index)
        let slot = chunks[i].base + Int64(k)
        willChange(chunk: i, slots: slot..<slot + 1)
        edit(i) { pack in
            if let offset = pack.seek(k) { pack.replace(at: offset, with: value) }
            return 0
        }
    }

    /// Inserts before the element at `index`. The elements behind it in its chunk, or those before, move by one slot.
    func insert(_ value: Bytes, at index: Int) {
        if index == 0 { return prepend(value) }
        if index == elements { return append(value) }
        let size = Listpack.entrySize(of: value)
        var (i, k) = locate(index)
        if !hasRoom(chunks[i], size) && chunks[i].count > 1 {
            if k == 0 && (chunks[i - 1].count > 1 || hasRoom(chunks[i - 1], size)) {
                // Belongs as well behind the last one of the chunk before.
                i -= 1
                k = chunks[i].count
            }
            if !hasRoom(chunks[i], size) { (i, k) = split(i, k) }
        }
        let chunk = chunks[i]
        let roomAfter = (i + 1 < chunks.count ? chunks[i + 1].base : ChunkedList.slotLimit) - chunk.slots.upperBound
        let roomBefore = chunk.base - (i > 0 ? chunks[i - 1].slots.upperBound : 0)
        if roomAfter > 0 {
            willChange(chunk: i, slots: chunk.base + Int64(k)..<chunk.slots.upperBound + 1)
        } else if roomBefore > 0 {
            willChange(chunk: i, slots: chunk.base - 1..<chunk.base + Int64(k))
            chunks[i].base -= 1
        } else {
            renumber()
            return insert(value, at: index)
        }
        edit(i) { pack in
            guard let offset = k == chunk.count ? pack.endOffset : pack.seek(k) else {
                preconditionFailure("a list has lost an element")
            }
            pack.insert(value, before: offset)
            return 1
        }
        elements += 1
    }

    /// Splits a chunk of more than one element near `k`, which keeps every element's slot. Returns where `k` is now: in the emptier half.
    private func split(_ i: Int, _ k: Int) -> (Int, Int) {
        let chunk = chunks[i]
        let at = min(max(k, 1), chunk.count - 1)
        handOver(chunk.slots)
        var tail = Listpack.allocate()
        edit(i) { pack in
            guard let offset = pack.seek(at) else { preconditionFailure("a list has lost an element") }
            tail.free()
            tail = pack.split(at: offset)
            return at - chunk.count
        }
        insertChunk(ListChunk(pack: tail, base: chunk.base + Int64(at), count: chunk.count - at), at: i + 1)
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
                edit(i) { pack in -pack.remove(at: Listpack.headerSize, count: n) }
                chunks[i].base += Int64(n)
            } else {
                willChange(chunk: i, slots: from..<chunk.slots.upperBound)
                edit(i) { pack in -(pack.seek(k).map { pack.remove(at: $0, count: n) } ?? 0) }
            }
            elements -= n
        }
    }

    /// New slots for all elements, with room between the chunks: when inserts in the middle or pushes without end have
    /// used the room up. The next checkpoint writes the whole list.
    private func renumber() {
        handOver(0..<ChunkedList.slotLimit)
        let gap = min(64, (ChunkedList.slotLimit - Int64(elements)) / (2 * Int64(chunks.count + 1)))
        precondition(gap > 0, "a list of four billion elements")
        let span = Int64(elements) + gap * Int64(chunks.count)
        var base = (ChunkedList.slotLimit - span) / 2
        for i in 0..<chunks.count {
            chunks[i].base = base
            base += Int64(chunks[i].count) + gap
        }
        changed.insert(0..<ChunkedList.slotLimit)
    }

    // MARK: Checkpoint

    @inline(__always) private func willChange(chunk i: Int, slots: Range<Int64>) {
        if !pending.isEmpty { handOver(chunk: i, slots) }
        // All of it is to be written as it is.
        if !rewriteAll { changed.insert(slots) }
    }
    @inline(never) private func handOver(chunk i: Int, _ slots: Range<Int64>) {
        handOver(chunks[i].slots)
        handOver(slots)
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
        var low = 0
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
        for i in 0..<chunks.count {
            chunks[i].free()
            if i & 255 == 255 { giveWay() }
        }
        chunks.free()
    }

    func copy() -> ChunkedList {
        let copy = ChunkedList(maxBytes: maxBytes, maxCount: maxCount)
        for i in 0..<chunks.count {
            let chunk = chunks[i]
            copy.insertChunk(ListChunk(pack: chunk.pack.copy(), base: chunk.base, count: chunk.count), at: i)
        }
        copy.elements = elements
        return copy
    }

    // MARK: Loading

    /// Appends an element that the snapshot holds under `slot`, which is above all others so far.
    func load(_ value: Bytes, slot: Int64) {
        let entry = ListpackEntry(value)
        let last = chunks.count - 1
        if last < 0 || chunks[last].slots.upperBound != slot || !hasRoom(chunks[last], entry.size) {
            insertChunk(ListChunk(pack: Listpack.allocate(), base: slot, count: 0), at: chunks.count)
        }
        chunks[chunks.count - 1].append(entry, limit: maxBytes)
        added(entry)
    }

    // MARK: Invariants

    override func checkInvariants() throws(BrokenInvariant) {
        var found = (elements: 0, bytes: 0)
        for i in 0..<chunks.count {
            let chunk = chunks[i]
            try chunk.checkInvariants()
            try invariant(
                chunk.base >= (i == 0 ? 0 : chunks[i - 1].slots.upperBound)
                    && chunk.slots.upperBound <= ChunkedList.slotLimit, "list: chunk \(i) has slots \(chunk.slots)")
            found.elements += chunk.count
            found.bytes += chunk.pack.byteCount
        }
        try invariant(found.elements == elements, "list: \(found.elements) elements where \(elements) are counted")
        try invariant(found.bytes == bytes, "list: \(found.bytes) bytes where \(bytes) are counted")
        try changed.checkInvariants()
        try pending.checkInvariants()
        try invariant(pending.isEmpty || sink != nil, "list: something is pending and goes nowhere")
    }
}
