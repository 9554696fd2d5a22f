import Foundation

/// Returns the seed of a test and prints it: $SWIFTLET_SEED, which Tests/Support/seed.py reads too, or a random number.
/// `number` tells apart the runs of a test that has several.
public func testSeed(_ number: UInt64 = 0, test: String = #function) -> UInt64 {
    let given = ProcessInfo.processInfo.environment["SWIFTLET_SEED"].flatMap(UInt64.init)
    let seed = given ?? UInt64(UInt32.random(in: 0 ... .max))
    print("\(test): SWIFTLET_SEED=\(seed)")
    return seed &+ number
}

/// Random numbers that a seed determines (splitmix64).
public struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    public init(_ seed: UInt64) { state = seed }

    /// Takes the seed of the test.
    public init(test: String = #function) { self.init(testSeed(test: test)) }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
    /// A number from 0 up to, but without, `bound`.
    public mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
    public mutating func byte() -> UInt8 { UInt8.random(in: 0...255, using: &self) }
    public mutating func pick<T>(_ from: [T]) -> T { from[below(from.count)] }
}
