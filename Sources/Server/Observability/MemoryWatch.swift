import Storage

/// What the process used when it was ready and has used at most since, in bytes. Confined to the loop.
final class MemoryWatch {
    /// Before any data.
    private(set) var startup = MemoryStatistics().allocated
    private(set) var peak = 0
    /// What the last look found; at most a tick of the timer old.
    private(set) var allocated = 0

    /// Looks now. Called by the timer, and before anything is shown.
    @discardableResult func sample() -> MemoryStatistics {
        let now = MemoryStatistics()
        allocated = now.allocated
        peak = max(peak, now.allocated)
        return now
    }
}
