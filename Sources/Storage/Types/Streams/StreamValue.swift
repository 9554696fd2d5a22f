import Glibc

// Invariant of this file: `nodes[head...]` are the stream in order, each owning its listpack and holding at least one
// entry, deleted or not; master ids ascend, and so do bases without overlap, within 0..<2^32 - 1.

/// A stream: its entries in a queue of listpacks, and its consumer groups. An entry's slot, by which the snapshot knows
/// it, is its node's base plus its index there: an append takes the next one and nothing ever moves.
final class StreamValue: LargeValue {
    private(set) var nodes: [StreamNode] = []
    private(set) var head = 0
    private(set) var length = 0
    private(set) var firstID = StreamID.zero
    private(set) var state = StreamState()
    private var bytes = 0
    var groups: StreamGroups?
    /// Where tests make structures small, a few entries use the slots up.
    private var nextSlot = Int64(StructureSizes.size(0, small: Int(UInt32.max) - 21))

    private var changed = SlotIntervals()
    private var pending = SlotIntervals()

    /// A row's slot is below it: the loader counts on in 32 bits.
    private static let slotLimit = Int64(UInt32.max)

    override var count: Int { length }
    override var memoryUsage: Int {
        bytes + nodes.capacity * MemoryLayout<StreamNode>.stride + 256 + (groups?.byteCount ?? 0)
    }
    /// Pending entries, too, take time to free.
    override var freeingCost: Int { length + (groups?.pending.count ?? 0) }
    var nodeCount: Int { nodes.count - head }

    // MARK: Look-up

    /// The last node whose first entry is not after `id`; `head` where all are. O(log n).
    private func nodeIndex(_ id: StreamID) -> Int {
        var low = head
        var high = nodes.count
        while low < high {
            let middle = (low + high) / 2
            if id < nodes[middle].master { high = middle } else { low = middle + 1 }
        }
        return max(low - 1, head)
    }

    /// Where the entry `id` is; nil where there is none or it is deleted. O(log n + node).
    private func find(_ id: StreamID) -> (node: Int, entry: StreamNode.Entry)? {
        if length == 0 || id < firstID || id > state.lastID { return nil }
        let i = nodeIndex(id)
        var next = nodes[i].first
        while let entry = next {
            if entry.id == id && !entry.isDeleted { return (i, entry) }
            if entry.id > id { return nil }
            next = nodes[i].next(entry)
        }
        return nil
    }
    func contains(_ id: StreamID) -> Bool { find(id) != nil }

    /// Visits the entries from `start` to `end`, both included, upwards or downwards, until `body` returns false.
    func forEach(
        from start: StreamID, to end: StreamID, reverse: Bool, _ body: (StreamNode, StreamNode.Entry) -> Bool
    ) {
        if length == 0 || start > end || start > state.lastID { return }
        if reverse {
            var i = nodeIndex(end)
            while i >= head {
                let node = nodes[i]
                var next = node.last
                while let entry = next {
                    if entry.id < start { return }
                    if !entry.isDeleted, entry.id <= end, !body(node, entry) { return }
                    next = node.previous(entry)
                }
                i -= 1
            }
            return
        }
        var i = nodeIndex(start)
        while i < nodes.count {
            let node = nodes[i]
            var next = node.first
            while let entry = next {
                if entry.id > end { return }
                if !entry.isDeleted, entry.id >= start, !body(node, entry) { return }
                next = node.next(entry)
            }
            i += 1
        }
    }

    private func edge(reverse: Bool) -> StreamID {
        var found = StreamID.zero
        forEach(from: .zero, to: .max, reverse: reverse) { _, entry in
            found = entry.id
            return false
        }
        return found
    }
    /// The first or last entry that there is; 0-0 in an empty stream.
    var lastEntryID: StreamID { edge(reverse: true) }

    // MARK: Change

    /// Whether a node has no room for another entry, as redis-server decides it, so that `~` trims the same entries.
    private func isFull(_ node: StreamNode, adding size: Int, _ limits: Limits) -> Bool {
        let maxBytes = limits.streamNodeMaxBytes
        let bound = maxBytes == 0 || maxBytes > Listpack.maxByteCount ? Listpack.maxByteCount : maxBytes
        if node.pack.byteCount + size >= bound { return true }
        return limits.streamNodeMaxEntries > 0 && node.entries >= limits.streamNodeMaxEntries
    }

    /// Appends an entry whose id is above `lastID`. `pairs`: fields and values in turn. Amortised O(fields).
    func append(_ id: StreamID, _ pairs: UnsafeBufferPointer<Bytes>, _ limits: Limits) {
        if nextSlot >= StreamValue.slotLimit { renumber() }
        willChange(nextSlot..<nextSlot + 1)
        push(id, pairs, limits)
        state.lastID = id
        // XSETID can set it to the greatest number there is, where it stays.
        if state.entriesAdded != .max { state.entriesAdded += 1 }
    }

    /// Adds the entry in `nextSlot`.
    private func push(_ id: StreamID, _ pairs: UnsafeBufferPointer<Bytes>, _ limits: Limits) {
        var size = 0
        for element in pairs { size += element.count }
        if nodeCount == 0 || beginsNode || nodes[nodes.count - 1].slots.upperBound != nextSlot
            || isFull(nodes[nodes.count - 1], adding: size, limits)
        {
            nodes.append(StreamNode(master: id, base: nextSlot, pairs: pairs))
            bytes += nodes[nodes.count - 1].pack.byteCount
            beginsNode = false
        }
        edit(nodes.count - 1) { $0.append(id, pairs) }
        nextSlot += 1
        if length == 0 { firstID = id }
        length += 1
    }

    @inline(__always) private func edit(_ i: Int, _ body: (inout StreamNode) -> Void) {
        bytes -= nodes[i].pack.byteCount
        body(&nodes[i])
        bytes += nodes[i].pack.byteCount
    }
    private func removeNode(_ i: Int) {
        bytes -= nodes[i].pack.byteCount
        nodes[i].free()
        if i == head {
            head += 1
            // Dead room at the front is given back when it is most of the array.
            if head > StructureSizes.size(32, small: 1) && head > nodes.count / 2 || head == nodes.count {
                nodes.removeFirst(head)
                head = 0
            }
        } else {
            nodes.remove(at: i)
        }
    }

    /// False where there is no such entry. O(log n + node).
    func delete(_ id: StreamID) -> Bool {
        guard let (i, entry) = find(id) else { return false }
        let slot = nodes[i].base + Int64(entry.index)
        willChange(slot..<slot + 1)
        if nodes[i].live == 1 { removeNode(i) } else { edit(i) { $0.delete(entry) } }
        length -= 1
        if id > state.maxDeletedID { state.maxDeletedID = id }
        if id == firstID { firstID = edge(reverse: false) }
        return true
    }

    /// Removes entries from the front. `approximately`: whole nodes only; `limit`: at most so many entries, 0: any
    /// number. Returns how many; `each` is called with the ids. O(removed).
    func trim(to bound: StreamEditor.TrimBound, approximately: Bool, limit: Int, each: ((StreamID) -> Void)?) -> Int {
        var removed = 0
        while nodeCount > 0 {
            if case .length(let wanted) = bound, length <= wanted { break }
            let node = nodes[head]
            let live = node.live
            if limit > 0 && removed + live > limit { break }
            let goes =
                switch bound {
                case .length(let wanted): length - live >= wanted
                case .id(let id): (node.last?.id ?? .max) < id
                }
            if goes {
                if let each { node.forEachLive(each) }
                willChange(node.slots)
                removeNode(head)
                length -= live
                removed += live
                continue
            }
            if !approximately { removed += trimNode(to: bound, each) }
            break
        }
        if length == 0 { firstID = .zero } else if removed > 0 { firstID = edge(reverse: false) }
        return removed
    }

    /// Removes entries of the first node. Returns how many.
    private func trimNode(to bound: StreamEditor.TrimBound, _ each: ((StreamID) -> Void)?) -> Int {
        var removed = 0
        var next = nodes[head].first
        while var entry = next {
            switch bound {
            case .length(let wanted): if length <= wanted { return removed }
            case .id(let id): if entry.id >= id { return removed }
            }
            if !entry.isDeleted {
                let slot = nodes[head].base + Int64(entry.index)
                willChange(slot..<slot + 1)
                edit(head) { entry = $0.delete(entry) }
                each?(entry.id)
                length -= 1
                removed += 1
            }
            next = nodes[head].next(entry)
        }
        return removed
    }

    /// The entries that a trimming would remove which passes over those that are not `removable`. `approximately`: the nodes in
    /// front of which none stays. `last`: nothing behind it is removable. O(entries looked at).
    func trimmable(
        to bound: StreamEditor.TrimBound, approximately: Bool, limit: Int, upTo last: StreamID,
        _ removable: (StreamID) -> Bool
    ) -> [StreamID] {
        var found: [StreamID] = []
        for node in nodes[head...] {
            if node.master > last { break }
            let before = found.count
            var isWhole = true
            node.forEachLive { id in
                let isWithin =
                    switch bound {
                    case .length(let wanted): length - found.count > wanted
                    case .id(let bound): id < bound
                    }
                if isWithin, id <= last, removable(id) { found.append(id) } else { isWhole = false }
            }
            if !approximately { continue }
            if isWhole, limit == 0 || found.count <= limit { continue }
            found.removeSubrange(before...)
            break
        }
        return found
    }

    func set(_ state: StreamState) { self.state = state }

    /// The groups, made where there are none yet.
    func makeGroups() -> StreamGroups {
        if let groups { return groups }
        let made = StreamGroups()
        groups = made
        return made
    }

    func copy() -> StreamValue {
        let copy = StreamValue()
        copy.nodes = nodes[head...].map { $0.copy() }
        copy.length = length
        copy.firstID = firstID
        copy.state = state
        copy.bytes = bytes
        copy.nextSlot = nextSlot
        copy.groups = groups?.copy()
        return copy
    }

    // MARK: Checkpoint

    /// New slots for all entries, once four billion were added: the next checkpoint writes the whole stream. O(nodes),
    /// and hands over what is pending.
    private func renumber() {
        handOver(0..<StreamValue.slotLimit)
        nextSlot = 0
        for i in head..<nodes.count {
            nodes[i].base = nextSlot
            nextSlot += Int64(nodes[i].entries)
        }
        precondition(nextSlot < StreamValue.slotLimit, "a stream of four billion entries")
        changed.insert(0..<StreamValue.slotLimit)
    }

    @inline(__always) private func willChange(_ slots: Range<Int64>) {
        if !pending.isEmpty { handOver(slots) }
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
            type: .stream, owner: pendingOwner, slots: UInt64(slots.lowerBound)..<UInt64(slots.upperBound))
        var i = nodeIndex(slot: slots.lowerBound)
        withScratch { scratch in
            let packed = OutputBuffer(capacity: 256)
            while i < nodes.count, nodes[i].base < slots.upperBound {
                let node = nodes[i]
                let part = node.slots.clamped(to: slots)
                var next = part.isEmpty ? nil : node.entry(index: Int(part.lowerBound - node.base))
                while let entry = next, node.base + Int64(entry.index) < part.upperBound {
                    if !entry.isDeleted {
                        packed.removeAll()
                        node.fields(entry, scratch: scratch).pack(into: packed)
                        sink.batch.appendStreamEntry(
                            owner: pendingOwner, slot: UInt32(node.base + Int64(entry.index)), id: entry.id,
                            fields: packed.bytes)
                        sink.sendIfFull()
                    }
                    next = node.next(entry)
                }
                i += 1
            }
        }
    }

    /// The first node that ends behind `slot`.
    private func nodeIndex(slot: Int64) -> Int {
        var low = head
        var high = nodes.count
        while low < high {
            let middle = (low + high) / 2
            if nodes[middle].slots.upperBound <= slot { low = middle + 1 } else { high = middle }
        }
        return low
    }

    override func freeze(owner: Int64, sink: RowSink) {
        pendingOwner = owner
        self.sink = sink
        let all = rewriteAll
        if all {
            changed.insert(0..<StreamValue.slotLimit)
            rewriteAll = false
            for part in StreamPart.allCases { sink.batch.appendStream(owner: owner, .remove(part, 0...UInt32.max)) }
        }
        sink.batch.appendStream(owner: owner, .state(state))
        pending = changed
        changed = SlotIntervals()
        groups?.freeze(owner: owner, sink: sink, all: all)
    }

    override func drain(while goOn: () -> Bool) -> Bool {
        while let interval = pending.first {
            if !goOn() { return false }
            // At most a node at a time.
            let i = nodeIndex(slot: interval.lowerBound)
            var end = interval.upperBound
            if i < nodes.count { end = min(end, nodes[i].slots.upperBound) }
            handOver(interval.lowerBound..<end)
        }
        if let groups, !groups.drain(while: goOn) { return false }
        sink = nil
        return true
    }

    override func markClean() {
        changed.removeAll()
        rewriteAll = false
        groups?.markClean()
    }

    override func freeElements() {
        for i in head..<nodes.count {
            nodes[i].free()
            if i & 255 == 255 { giveWay() }
        }
        nodes = []
        head = 0
        groups = nil
    }

    // MARK: Loading

    /// Appends an entry that the snapshot holds under `slot`, which is above all others so far.
    func load(_ id: StreamID, _ pairs: UnsafeBufferPointer<Bytes>, slot: Int64, _ limits: Limits) {
        let gap = slot - nextSlot
        if nodeCount > 0 && gap > 0 && gap <= StreamValue.fillableGap
            && !isFull(nodes[nodes.count - 1], adding: 0, limits)
        {
            // Of a few entries that were deleted the places are kept, rather than a node begun.
            for _ in 0..<gap { edit(nodes.count - 1) { $0.appendDeleted(id) } }
        }
        nextSlot = slot
        push(id, pairs, limits)
    }
    private static let fillableGap: Int64 = 4

    /// While an RDB file is loaded, which says where nodes begin.
    var beginsNode = false
    /// Marks the entry that was loaded last as deleted.
    func deleteLoaded() {
        guard let entry = nodes[nodes.count - 1].last else { return }
        edit(nodes.count - 1) { $0.delete(entry) }
        length -= 1
        // The first one is the next that stays.
        if length == 0 { firstID = .zero }
    }

    /// After the last `load`: true where so many gaps made so many nodes that the entries were given new slots.
    func finishLoading(_ limits: Limits) -> Bool {
        let expected = length / max(limits.streamNodeMaxEntries > 0 ? limits.streamNodeMaxEntries : 100, 1)
        if nodeCount <= StructureSizes.size(32, small: 2) || length > nodeCount * 8 || nodeCount <= expected * 2 {
            return false
        }
        let sparse = nodes
        nodes = []
        length = 0
        bytes = 0
        nextSlot = 0
        withScratch { scratch in
            let packed = OutputBuffer(capacity: 256)
            var pairs: [Bytes] = []
            for node in sparse {
                var next = node.first
                while let entry = next {
                    if !entry.isDeleted {
                        packed.removeAll()
                        node.fields(entry, scratch: scratch).pack(into: packed)
                        _ = StreamFields.unpack(packed.bytes, into: &pairs)
                        pairs.withUnsafeBufferPointer { push(entry.id, $0, limits) }
                    }
                    next = node.next(entry)
                }
                node.free()
            }
        }
        return true
    }

    private func withScratch(_ body: ((UnsafeMutableRawPointer, UnsafeMutableRawPointer)) -> Void) {
        withUnsafeTemporaryAllocation(byteCount: 48, alignment: 8) { scratch in
            let base = scratch.baseAddress.unsafelyUnwrapped
            body((base, base + 24))
        }
    }

    // MARK: Invariants

    override func checkInvariants() throws(BrokenInvariant) {
        var found = (length: 0, bytes: 0)
        for i in head..<nodes.count {
            let node = nodes[i]
            try node.pack.checkInvariants()
            try invariant(
                node.base >= (i == head ? 0 : nodes[i - 1].slots.upperBound) && node.slots.upperBound <= nextSlot,
                "stream: a node has slots \(node.slots)")
            try invariant(
                i == head || nodes[i - 1].master < node.master, "stream: the nodes' first ids do not ascend")
            // Where XTRIM MINID ends at an entry that was deleted before, a node without entries stays, as in redis-server.
            try invariant(
                node.live >= 0 && node.live <= node.entries,
                "stream: a node has \(node.live) of \(node.entries) entries"
            )
            found.length += node.live
            found.bytes += node.pack.byteCount
        }
        try invariant(found.length == length, "stream: \(found.length) entries where \(length) are counted")
        try invariant(found.bytes == bytes, "stream: \(found.bytes) bytes where \(bytes) are counted")
        try invariant(firstID == edge(reverse: false), "stream: another first id")
        try invariant(lastEntryID <= state.lastID, "stream: an entry beyond the last id")
        try changed.checkInvariants()
        try pending.checkInvariants()
        try invariant(pending.isEmpty || sink != nil, "stream: something is pending and goes nowhere")
        try groups?.checkInvariants()
    }
}
