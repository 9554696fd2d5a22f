import Storage
import TestSupport
import Testing

@testable import Server

@Suite struct PrefixTreeTests {
    private func with<T>(_ text: String, _ body: (Bytes) -> T) -> T {
        Array(text.utf8).withUnsafeBytes { raw in body(raw.baseAddress.map { Bytes($0, raw.count) } ?? Bytes()) }
    }

    /// As a dictionary, whose every key is compared.
    @Test func likeADictionary() throws {
        var random = SeededRandom()
        for round in 0..<40 {
            var tree = PrefixTree<Int>()
            var expected: [String: Int] = [:]
            let letters = round % 2 == 0 ? ["a", "b"] : ["a", "b", "c", "xyz", "é", "longer"]
            func name() -> String { (0..<random.below(7)).map { _ in random.pick(letters) }.joined() }
            for step in 0..<300 {
                let key = name()
                if random.below(5) < 3 {
                    with(key) { tree.insert($0, step) }
                    expected[key] = step
                } else {
                    #expect(with(key) { tree.remove($0) } == expected.removeValue(forKey: key))
                }
                if step % 25 == 0 { try tree.checkInvariants() }
                #expect(tree.count == expected.count)
                let other = name()
                #expect(with(other) { tree.find($0) } == expected[other])
                let prefixes = expected.filter { other.utf8.starts(with: $0.key.utf8) }
                var found: [Int] = []
                with(other) { tree.forEachPrefix(of: $0) { found.append($0) } }
                #expect(found == prefixes.sorted { $0.key.utf8.count < $1.key.utf8.count }.map(\.value))
                #expect(with(other) { tree.hasPrefix(of: $0) } == !prefixes.isEmpty)
                let overlaps = expected.keys.filter {
                    other.utf8.starts(with: $0.utf8) || $0.utf8.starts(with: other.utf8)
                }
                let first = overlaps.min { $0.utf8.lexicographicallyPrecedes($1.utf8) }
                #expect(with(other) { tree.firstOverlap(with: $0) } == first.map { Array($0.utf8) })
            }
            var all: [String] = []
            tree.forEach { name, value in
                all.append(name.string)
                #expect(expected[name.string] == value)
            }
            #expect(all == expected.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
            for key in all { with(key) { _ = tree.remove($0) } }
            try tree.checkInvariants()
            #expect(tree.isEmpty)
        }
    }

    /// Freed without recursion, however deep it is.
    @Test func deepTree() throws {
        let letters = String(repeating: "a", count: 500)
        do {
            var tree = PrefixTree<Int>()
            with(letters) { all in
                for length in 1...all.count { tree.insert(all[0..<length], length) }
                var count = 0
                tree.forEachPrefix(of: all) { _ in count += 1 }
                #expect(count == all.count)
                #expect(tree.firstOverlap(with: all) == Array("a".utf8))
            }
        }
    }
}
