import Storage

/// The waiters with a deadline, the soonest first: a binary heap. O(log n) for each change.
struct DeadlineHeap {
    private var waiters: [Waiter] = []

    var count: Int { waiters.count }
    var first: Waiter? { waiters.first }

    mutating func insert(_ waiter: Waiter) {
        waiters.append(waiter)
        siftUp(waiters.count - 1, waiter)
    }

    /// `waiter` is in the heap.
    mutating func remove(_ waiter: Waiter) {
        let index = waiter.heapIndex
        guard index < waiters.count, waiters[index] === waiter, let last = waiters.popLast() else { return }
        if last === waiter { return }
        if index > 0, Self.isSooner(last, waiters[(index - 1) / 2]) {
            siftUp(index, last)
        } else {
            siftDown(index, last)
        }
    }

    /// Of two with one deadline, the one that came first is first.
    private static func isSooner(_ a: Waiter, _ b: Waiter) -> Bool {
        (a.deadline, a.sequence) < (b.deadline, b.sequence)
    }
    private mutating func place(_ waiter: Waiter, _ index: Int) {
        waiters[index] = waiter
        waiter.heapIndex = index
    }
    private mutating func siftUp(_ start: Int, _ waiter: Waiter) {
        var index = start
        while index > 0, Self.isSooner(waiter, waiters[(index - 1) / 2]) {
            place(waiters[(index - 1) / 2], index)
            index = (index - 1) / 2
        }
        place(waiter, index)
    }
    private mutating func siftDown(_ start: Int, _ waiter: Waiter) {
        var index = start
        while true {
            var child = 2 * index + 1
            if child >= waiters.count { break }
            if child + 1 < waiters.count, Self.isSooner(waiters[child + 1], waiters[child]) { child += 1 }
            if !Self.isSooner(waiters[child], waiter) { break }
            place(waiters[child], index)
            index = child
        }
        place(waiter, index)
    }
}

extension DeadlineHeap {
    /// O(n).
    func checkInvariants() throws(BrokenInvariant) {
        for (i, waiter) in waiters.enumerated() {
            try invariant(waiter.heapIndex == i, "deadlines: the waiter at \(i) says \(waiter.heapIndex)")
            try invariant(
                i == 0 || !Self.isSooner(waiter, waiters[(i - 1) / 2]),
                "deadlines: the waiter at \(i) is sooner than its parent")
        }
    }
}
