/// Slots of pending entries in the order of their ids: of a group, or of one of its consumers. Blocks of slots, so that
/// finding, adding and removing take O(log n + block). 4 bytes an entry, as the ids are in the table.
struct PendingIndex {
    private var blocks: [[UInt32]] = []
    private(set) var count = 0
    private static var blockSize: Int { StructureSizes.size(512, small: 16) }

    var byteCount: Int { count * 4 + blocks.capacity * 40 }

    /// The first place whose id is at least `id`: a block, which may be past the last one, and an index in it.
    private func lowerBound(_ id: StreamID, _ table: PendingTable) -> (block: Int, index: Int) {
        var low = 0
        var high = blocks.count
        while low < high {
            let middle = (low + high) / 2
            if table.id(blocks[middle][blocks[middle].count - 1]) < id { low = middle + 1 } else { high = middle }
        }
        if low == blocks.count { return (low, 0) }
        var first = 0
        var last = blocks[low].count
        while first < last {
            let middle = (first + last) / 2
            if table.id(blocks[low][middle]) < id { first = middle + 1 } else { last = middle }
        }
        return (low, first)
    }

    func find(_ id: StreamID, _ table: PendingTable) -> UInt32? {
        let (block, index) = lowerBound(id, table)
        guard block < blocks.count, table.id(blocks[block][index]) == id else { return nil }
        return blocks[block][index]
    }
    var first: UInt32? { blocks.first?.first }
    var last: UInt32? { blocks.last?.last }

    /// Adds `slot`, whose id is in the table and not here.
    mutating func insert(_ slot: UInt32, _ table: PendingTable) {
        count += 1
        var (block, index) = lowerBound(table.id(slot), table)
        if block == blocks.count {
            if block == 0 || blocks[block - 1].count >= PendingIndex.blockSize {
                blocks.append([slot])
            } else {
                blocks[block - 1].append(slot)
            }
            return
        }
        if blocks[block].count >= PendingIndex.blockSize {
            let half = PendingIndex.blockSize / 2
            let upper = Array(blocks[block][half...])
            blocks[block].removeSubrange(half...)
            blocks.insert(upper, at: block + 1)
            if index > half {
                block += 1
                index -= half
            }
        }
        blocks[block].insert(slot, at: index)
    }

    /// Removes the entry with `id`, which is here and still in the table.
    mutating func remove(_ id: StreamID, _ table: PendingTable) {
        let (block, index) = lowerBound(id, table)
        guard block < blocks.count, table.id(blocks[block][index]) == id else { return }
        count -= 1
        blocks[block].remove(at: index)
        if blocks[block].isEmpty {
            blocks.remove(at: block)
        } else if blocks[block].count < PendingIndex.blockSize / 8, block + 1 < blocks.count,
            blocks[block].count + blocks[block + 1].count <= PendingIndex.blockSize / 2
        {
            blocks[block] += blocks.remove(at: block + 1)
        }
    }

    /// Slots from the one of `start` on, in order, until `body` returns false. `body` must not change this index.
    func forEach(from start: StreamID, _ table: PendingTable, _ body: (UInt32) -> Bool) {
        var (block, index) = lowerBound(start, table)
        while block < blocks.count {
            while index < blocks[block].count {
                if !body(blocks[block][index]) { return }
                index += 1
            }
            block += 1
            index = 0
        }
    }
}

extension PendingIndex {
    /// O(n).
    func checkInvariants(_ table: PendingTable) throws(BrokenInvariant) {
        var found = 0
        var before: StreamID?
        for block in blocks {
            try invariant(
                !block.isEmpty && block.count <= PendingIndex.blockSize, "pending index: a block of \(block.count)")
            for slot in block {
                try invariant(table.isLive(slot), "pending index: a slot that is free")
                if let before { try invariant(before < table.id(slot), "pending index: not in the order of ids") }
                before = table.id(slot)
            }
            found += block.count
        }
        try invariant(found == count, "pending index: \(found) slots where \(count) are counted")
    }
}
