import TestSupport
import Testing

@testable import Storage

@Suite struct SlotIntervalsTests {
    private func slots(_ intervals: SlotIntervals) -> Set<Int64> { Set(intervals.intervals.flatMap(Array.init)) }

    /// Against a set of slots, below the number of intervals from which on they are joined.
    @Test(arguments: [1, 2, 3] as [UInt64]) func model(_ number: UInt64) throws {
        var random = SeededRandom(testSeed(number))
        var intervals = SlotIntervals()
        var model: Set<Int64> = []
        for _ in 0..<5000 {
            let low = Int64(random.below(300))
            let range = low..<low + Int64(random.below(random.below(8) == 0 ? 40 : 4))
            if random.below(5) < 3 {
                intervals.insert(range)
                model.formUnion(range)
            } else {
                var pieces: Set<Int64> = []
                intervals.subtract(range) { pieces.formUnion($0) }
                #expect(pieces == model.intersection(range))
                model.subtract(range)
            }
            #expect(slots(intervals) == model)
            try intervals.checkInvariants()
        }
    }

    /// Beyond that number nothing is lost, and what is added lies between.
    @Test(arguments: [255, 256, 257, 258, 1000]) func many(_ count: Int) throws {
        var intervals = SlotIntervals()
        var model: Set<Int64> = []
        for i in 0..<Int64(count) {
            // In no order, apart from each other by one slot or many.
            let slot = i * 7919 % Int64(count) * 3 + (i % 2)
            intervals.insert(slot..<slot + 1)
            model.insert(slot)
        }
        let found = slots(intervals)
        #expect(model.isSubset(of: found))
        if count <= 256 { #expect(found == model) }
        #expect(intervals.intervals.count <= 256)
        #expect(found.isSubset(of: Set((model.min() ?? 0)...(model.max() ?? 0))))
        try intervals.checkInvariants()
    }
}
