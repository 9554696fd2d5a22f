import Storage

/// The key sizes that INFO shows. Nothing is counted as commands run: who asks has a small keyspace walked at once; a large
/// one is walked in slices, by the timer, and shown as the last walk has found it. Confined to the loop.
final class KeySizeStatistics {
    private let keyspace: Keyspace
    /// Of the last walk that ended; nil: none has.
    private(set) var sizes: [KeySizes]?
    private var walk: KeySizeWalk?
    /// Monotonic nanoseconds at which the last walk ended.
    private var ended: UInt64 = 0

    /// Keys that are walked at once: some 0.5 ms.
    private static let fewKeys = 10_000
    /// Of a second, so much: with ten timers a second half a percent.
    private static let slice: UInt64 = 500_000
    /// Before the next walk over a large keyspace.
    private static let pause: UInt64 = 60_000_000_000

    init(_ keyspace: Keyspace) { self.keyspace = keyspace }

    /// The sizes are asked for.
    func request() {
        if keyspace.count <= Self.fewKeys {
            let walk = KeySizeWalk(keyspace)
            _ = walk.step(budgetNanoseconds: .max)
            sizes = walk.sizes
            self.walk = nil
            return
        }
        if walk != nil || (sizes != nil && monotonicNanoseconds() &- ended < Self.pause) { return }
        walk = KeySizeWalk(keyspace)
        step()
    }

    /// Called by the timer.
    func step() {
        guard let walk, walk.step(budgetNanoseconds: Self.slice) else { return }
        sizes = walk.sizes
        self.walk = nil
        ended = monotonicNanoseconds()
    }
}
