/// How far the reading of a source has come.
public struct ReadProgress: Sendable {
    /// Of `all`, in bytes of a file or rows of a snapshot. `all` is 0 where it is not known.
    public let done: Int64
    public let all: Int64
    public let isBytes: Bool
    /// So far.
    public let keys: Int

    public init(done: Int64, of all: Int64, isBytes: Bool, keys: Int) {
        self.done = done
        self.all = all
        self.isBytes = isBytes
        self.keys = keys
    }
}

/// Lets one call of a few thousand through: each thousandth part of a source, but no more than `largestStep`.
struct ProgressGate {
    private static let largestStep: Int64 = 4 << 20
    private var next: Int64 = 0

    @inline(__always) mutating func opens(at offset: Int64, of size: Int64) -> Bool {
        if offset < next && offset != size { return false }
        next = offset &+ (size == 0 ? ProgressGate.largestStep : min(max(size >> 10, 1), ProgressGate.largestStep))
        return true
    }
}
