import CJemalloc
import Glibc
import Synchronization

// Invariant of this file: a thread's counters live as long as the thread, which takes them out of the list before it ends.

/// Bytes that one thread has allocated less those that it has freed, by the allocator's own count, which costs a thread that
/// allocates nothing more. Below 0 where a thread frees what others have allocated.
public struct ThreadMemory: @unchecked Sendable {
    // @unchecked: aligned words that the thread writes and others only read.
    private let allocated: UnsafePointer<UInt64>
    private let freed: UnsafePointer<UInt64>

    /// The calling thread's.
    init() {
        allocated = Self.pointer("thread.allocatedp")
        freed = Self.pointer("thread.deallocatedp")
    }

    private static func pointer(_ key: String) -> UnsafePointer<UInt64> {
        var pointer: UnsafePointer<UInt64>?
        var length = MemoryLayout<UnsafePointer<UInt64>?>.size
        guard mallctl(key, &pointer, &length, nil, 0) == 0, let pointer else {
            preconditionFailure("the allocator does not count what threads allocate")
        }
        return pointer
    }

    @inline(__always) public var inUse: Int { Int(truncatingIfNeeded: allocated.pointee &- freed.pointee) }
    /// All that the thread has freed so far.
    var totalFreed: Int { Int(truncatingIfNeeded: freed.pointee) }

    fileprivate func isSame(as other: ThreadMemory) -> Bool { allocated == other.allocated }
}

/// Bytes in use by the process, as the sum of what its threads have allocated and freed, and of what was mapped. The threads'
/// counts are there anyway: asking costs two loads a thread, where the allocator's own sum takes some 10 µs.
public enum MemoryCounters {
    private struct State {
        var threads: [ThreadMemory] = []
        /// What threads that have ended had in use when they did.
        var ended = 0
    }
    private static let state = Mutex(State())
    private static let mappedBytes = Atomic<Int>(0)

    /// Counts the calling thread from here on, with all that it has allocated before; returns its count.
    @discardableResult public static func count() -> ThreadMemory {
        let thread = ThreadMemory()
        state.withLock { state in
            if !state.threads.contains(where: { $0.isSame(as: thread) }) { state.threads.append(thread) }
        }
        return thread
    }

    /// The calling thread ends.
    static func threadEnds() {
        let thread = ThreadMemory()
        state.withLock { state in
            guard let index = state.threads.firstIndex(where: { $0.isSame(as: thread) }) else { return }
            state.threads.remove(at: index)
            state.ended += thread.inUse
        }
    }

    /// Bytes past the allocator: hash tables that were mapped.
    public static var mapped: Int { mappedBytes.load(ordering: .relaxed) }
    static func map(_ bytes: Int) { mappedBytes.add(bytes, ordering: .relaxed) }
    static func unmap(_ bytes: Int) { mappedBytes.subtract(bytes, ordering: .relaxed) }

    /// Bytes that an allocated block takes, which is what the allocator has for such a size.
    static func size(of block: UnsafeMutableRawPointer) -> Int { malloc_usable_size(block) }

    /// Bytes in use. O(threads).
    public static var inUse: Int {
        mapped + state.withLock { state in state.threads.reduce(state.ended) { $0 &+ $1.inUse } }
    }
}
