import Storage
import TestSupport
import Testing

@testable import Server

@Suite struct TrackedKeysTests {
    private func with<T>(_ text: String, _ body: (Bytes) -> T) -> T {
        Array(text.utf8).withUnsafeBytes { raw in body(raw.baseAddress.map { Bytes($0, raw.count) } ?? Bytes()) }
    }
    private func all(_ ids: ClientIDs?) -> Set<UInt64> {
        var found: Set<UInt64> = []
        ids?.forEach { found.insert($0) }
        return found
    }

    @Test func likeADictionaryOfSets() throws {
        var random = SeededRandom()
        for keyCount in [1, 5, 60, 20_000] {
            let keys = TrackedKeys()
            var expected: [String: Set<UInt64>] = [:]
            for step in 0..<30_000 {
                let key = random.below(50) == 0 ? "" : "key \(random.below(keyCount))"
                switch random.below(keyCount > 1000 ? 20 : 6) {
                case 0: #expect(with(key) { all(keys.remove($0)) } == expected.removeValue(forKey: key) ?? [])
                case 1 where step % 3 == 0:
                    var generator = SplitMix64(seed: UInt64(step))
                    let removed = keys.removeRandom(using: &generator)
                    #expect((removed == nil) == expected.isEmpty)
                    if let removed {
                        let name = String(decoding: removed.key, as: UTF8.self)
                        #expect(all(removed.clients) == expected.removeValue(forKey: name))
                    }
                default:
                    let id = UInt64(1 + random.below(12))
                    with(key) { keys.insert($0, id) }
                    expected[key, default: []].insert(id)
                }
                if step % 3000 == 0 { try keys.checkInvariants() }
            }
            try keys.checkInvariants()
            #expect(keys.count == expected.count)
            #expect(keys.itemCount == expected.values.reduce(0) { $0 + $1.count })
            for (key, ids) in expected { #expect(with(key) { all(keys.remove($0)) } == ids) }
            #expect(keys.isEmpty && keys.itemCount == 0)
            try keys.checkInvariants()
        }
    }

    /// Each key has its turn: none is kept for ever by how it is chosen.
    @Test func evictsAny() {
        var random = SplitMix64(seed: 1)
        var evicted: Set<[UInt8]> = []
        // Hashes differ from process to process: a key may have a turn as rare as one in some hundred.
        var rounds = 0
        while evicted.count < 8 && rounds < 50_000 {
            rounds += 1
            let keys = TrackedKeys()
            for i in 0..<8 { with("\(i)") { keys.insert($0, 1) } }
            if let removed = keys.removeRandom(using: &random) { evicted.insert(removed.key) }
        }
        #expect(evicted.count == 8)
    }

    @Test func clientIDs() {
        var ids = ClientIDs(5)
        for id: UInt64 in [7, 3, 5, 9, 4, 3, 9] { _ = ids.insert(id) }
        var found: [UInt64] = []
        ids.forEach { found.append($0) }
        #expect(found == [3, 4, 5, 7, 9] && ids.count == 5)
    }
}
