/// SplitMix64 (Steele, Lea and Flood, 2014): speed and an even spread, for picking keys and members; no secrecy.
public struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    /// A seed of its own, from the clock and the process's random seed: asking the system for one would be a call into
    /// the kernel for each command that picks.
    public init() { state = Hashing.seed &+ monotonicNanoseconds() &* 0x9e37_79b9_7f4a_7c15 }

    /// Numbers that `seed` determines.
    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
