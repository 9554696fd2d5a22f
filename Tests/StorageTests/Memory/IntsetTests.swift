import TestSupport
import Testing

@testable import Storage

@Suite struct IntsetTests {
    private func intset(_ members: [Int64]) -> Intset {
        var set = Intset.allocate()
        for member in members { set.insert(member) }
        return set
    }
    private func members(_ set: Intset) -> [Int64] { (0..<set.count).map { set.value(at: $0) } }

    /// Payloads that Redis servers wrote.
    @Test(arguments: [
        ("0200000003000000" + "fc7ffd7ffe7f", [32764, 32765, 32766] as [Int64]),
        ("0400000003000000" + "fcfffe7ffdfffe7ffefffe7f", [2_147_418_108, 2_147_418_109, 2_147_418_110]),
        (
            "0800000003000000" + "fcfffefffefffe7ffdfffefffefffe7ffefffefffefffe7f",
            [9_223_090_557_583_032_316, 9_223_090_557_583_032_317, 9_223_090_557_583_032_318]
        ),
    ])
    func payloads(hex: String, expected: [Int64]) {
        let raw = FlatFormat.bytes(hex)
        guard let set = withBytes(raw, Intset.init(copying:)) else {
            Issue.record("refused")
            return
        }
        defer { set.free() }
        #expect(members(set) == expected)
        let made = intset(expected.reversed())
        defer { made.free() }
        #expect(made.bytes.array == raw && set.byteCount == raw.count)
    }

    @Test func widensAtBothEnds() {
        var set = intset([3, -1, 2])
        defer { set.free() }
        #expect(set.width == 2 && set.byteCount == 14)
        set.insert(32768)
        #expect(set.width == 4 && members(set) == [-1, 2, 3, 32768])
        set.insert(-2_147_483_649)
        #expect(set.width == 8 && members(set) == [-2_147_483_649, -1, 2, 3, 32768])
        set.remove(-2_147_483_649)
        #expect(set.width == 8 && set.byteCount == 8 + 4 * 8)
        #expect(!set.insert(3) && !set.remove(4) && set.find(3) == 2 && set.lowerBound(4) == 3)
    }

    @Test func emptied() {
        var set = Intset.allocate()
        defer { set.free() }
        #expect(set.isEmpty && !set.contains(0) && set.find(.min) == nil && set.byteCount == 8)
        set.insert(5)
        set.remove(5)
        #expect(set.isEmpty && Intset.validate(set.bytes) == .sound(count: 0))
    }

    @Test func randomEdits() {
        var random = SeededRandom()
        for round in 0..<40 {
            var set = Intset.allocate()
            var model: Set<Int64> = []
            for _ in 0..<200 {
                let value: Int64
                switch random.below(round < 10 ? 1 : round < 20 ? 8 : 10) {
                case 0...6: value = Int64(random.below(120)) - 60
                case 7: value = Int64(random.below(120)) + 32700
                case 8: value = Int64(random.below(20)) - 2_147_483_658
                default: value = random.pick(FlatFormat.integers)
                }
                if random.below(3) == 0 {
                    #expect(set.remove(value) == (model.remove(value) != nil))
                } else {
                    #expect(set.insert(value) == model.insert(value).inserted)
                }
                #expect(set.count == model.count && set.contains(value) == model.contains(value))
            }
            let sorted = model.sorted()
            #expect(members(set) == sorted && Intset.validate(set.bytes) == .sound(count: sorted.count))
            #expect(sorted.enumerated().allSatisfy { set.find($1) == $0 })
            let copy = set.copy()
            set.free()
            #expect(members(copy) == sorted && copy.memoryUsage >= copy.byteCount)
            copy.free()
        }
    }

    @Test(arguments: [
        ("", 0), ("02000000", 0), ("0300000000000000", 0), ("0200000001000000", 4), ("020000000100000000", 4),
        ("08000000ffffffff00", 4), ("020000000200000001000100", 10), ("020000000200000002000100", 10),
        ("0200000002000000" + "0100ffff", 10),
    ])
    func damage(hex: String, offset: Int) {
        let memory = FlatFormat.GuardedMemory(capacity: 64)
        #expect(Intset.validate(memory.hold(FlatFormat.bytes(hex))) == .damaged(at: offset))
    }

    @Test func randomDamage() {
        var random = SeededRandom()
        let memory = FlatFormat.GuardedMemory(capacity: 4096)
        for _ in 0..<100 {
            let sound = intset((0..<random.below(12)).map { _ in random.pick(FlatFormat.integers) })
            let raw = sound.bytes.array
            sound.free()
            for _ in 0..<50 {
                let bytes = memory.hold(FlatFormat.damaged(raw, &random))
                guard let count = Intset.validate(bytes).count else { continue }
                let walked = members(Intset(block: UnsafeMutableRawPointer(mutating: bytes.base)))
                #expect(walked.count == count && walked == Set(walked).sorted())
            }
        }
    }
}
