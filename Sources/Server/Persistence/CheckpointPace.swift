import Storage

/// What a checkpoint takes of the loop's time: of the one under way, and of the last one that ended. Nanoseconds.
struct CheckpointPace {
    struct Measure {
        /// From the cut to the end.
        var duration: UInt64 = 0
        var cut: UInt64 = 0
        /// Pieces of work between commands; none where the loop waited for all of it (SAVE).
        var slices = 0
        var longestSlice: UInt64 = 0
    }
    /// nil: none has ended.
    private(set) var last: Measure?
    private var current = Measure()
    private var began: UInt64 = 0

    /// The cut is made.
    mutating func begin() {
        current = Measure()
        began = monotonicNanoseconds()
    }

    mutating func add(slice nanoseconds: UInt64, isCut: Bool) {
        if isCut {
            current.cut = nanoseconds
            return
        }
        current.slices += 1
        current.longestSlice = max(current.longestSlice, nanoseconds)
    }

    mutating func end() {
        current.duration = monotonicNanoseconds() &- began
        last = current
    }
}
