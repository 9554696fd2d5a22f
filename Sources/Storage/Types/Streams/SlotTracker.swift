/// What changed in a table of rows addressed by slots: a bit for each slot, as in `TableValue`. The owner of the rows
/// says by `emit` what a slot holds: a row, or nothing, which removes the row.
struct SlotTracker {
    private var changed = Bitset(count: 64)
    private var capacity = 64
    private var pending: Bitset?
    private var pendingCount = 0
    private var cursor = 0

    /// Before what `slot` holds changes, comes or goes: `emit` is called if its state at the cut is still to be handed
    /// over.
    @inline(__always) mutating func willChange(_ slot: UInt32, emit: (UInt32) -> Void) {
        let slot = Int(slot)
        if let pending, slot < pendingCount, pending[slot] {
            pending.remove(slot)
            emit(UInt32(slot))
        }
        if slot >= capacity {
            while slot >= capacity { capacity *= 2 }
            changed = changed.grown(to: capacity)
        }
        changed.insert(slot)
    }

    /// The cut: what changed becomes pending. `all`: every slot below `count`, too.
    mutating func freeze(count: Int, all: Bool) {
        if all {
            if count > capacity {
                while count > capacity { capacity *= 2 }
                changed = changed.grown(to: capacity)
            }
            changed.insertAll(below: count)
        }
        pending?.free()
        pending = changed
        pendingCount = capacity
        cursor = 0
        // Slots are given from below: what shrank stays small.
        changed = Bitset(count: capacity)
    }

    /// True when nothing is pending any more.
    mutating func drain(while goOn: () -> Bool, emit: (UInt32) -> Void) -> Bool {
        guard let pending else { return true }
        while cursor < pending.wordCount {
            var word = pending.word(cursor)
            while word != 0 {
                if !goOn() { return false }
                let slot = cursor * 64 + word.trailingZeroBitCount
                word &= word &- 1
                pending.setWord(cursor, word)
                emit(UInt32(slot))
            }
            cursor += 1
        }
        pending.free()
        self.pending = nil
        return true
    }

    mutating func markClean() { changed.removeAll() }

    func free() {
        changed.free()
        pending?.free()
    }
}
