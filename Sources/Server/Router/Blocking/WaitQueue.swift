import Storage

/// The waiters for one key, in the order in which they came. Adding is O(1), removing any of them amortised O(log n):
/// vacated places stay until they are half of all.
final class WaitQueue {
    private struct Place {
        let sequence: Int
        var waiter: Waiter?
    }
    private var places: [Place] = []
    /// The first place that is taken, or the end.
    private var head = 0
    private(set) var count = 0
    /// How many of them are served by the key's removal too.
    private(set) var removalCount = 0
    /// The key is in the list of those to be looked at.
    var isReady = false

    private static var keptVacancies: Int { StructureSizes.size(32, small: 1) }

    /// Sequence number of who has waited longest.
    var firstSequence: Int { head < places.count ? places[head].sequence : .max }

    /// `waiter` came last of all.
    func append(_ waiter: Waiter) {
        places.append(Place(sequence: waiter.sequence, waiter: waiter))
        count += 1
        if waiter.wait.isServedByRemoval { removalCount += 1 }
    }

    func remove(_ waiter: Waiter) {
        let index = firstIndex(from: waiter.sequence)
        guard index < places.count, places[index].waiter === waiter else { return }
        places[index].waiter = nil
        count -= 1
        if waiter.wait.isServedByRemoval { removalCount -= 1 }
        while head < places.count, places[head].waiter == nil { head += 1 }
        if places.count - count > max(Self.keptVacancies, places.count / 2) {
            places.removeAll { $0.waiter == nil }
            head = 0
        }
    }

    /// Who came first of those after `sequence`. Others may be removed between calls.
    func next(after sequence: Int) -> Waiter? {
        var index = max(head, firstIndex(from: sequence + 1))
        while index < places.count {
            if let waiter = places[index].waiter { return waiter }
            index += 1
        }
        return nil
    }

    /// Index of the first place with at least this sequence number.
    private func firstIndex(from sequence: Int) -> Int {
        var low = 0
        var high = places.count
        while low < high {
            let middle = (low + high) / 2
            if places[middle].sequence < sequence { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension WaitQueue {
    /// O(n).
    func checkInvariants() throws(BrokenInvariant) {
        for (i, place) in places.enumerated() where i > 0 {
            try invariant(places[i - 1].sequence < place.sequence, "wait queue: place \(i) came before the one before")
        }
        try invariant(places.count { $0.waiter != nil } == count, "wait queue: \(count) are counted")
        try invariant(
            places.count { $0.waiter?.wait.isServedByRemoval == true } == removalCount,
            "wait queue: \(removalCount) wait for removal")
        try invariant(
            head <= places.count && !places[..<head].contains { $0.waiter != nil }
                && (head == places.count || places[head].waiter != nil), "wait queue: the first place is not \(head)")
    }
}
