import Synchronization

/// Bytes of the buffers that rows pass through on their way to and from a snapshot, in the whole process.
enum SnapshotBuffers {
    private static let bytes = Atomic<Int>(0)

    static var inUse: Int { bytes.load(ordering: .relaxed) }
    /// Below 0: so many are freed.
    static func add(_ count: Int) { bytes.add(count, ordering: .relaxed) }
}
