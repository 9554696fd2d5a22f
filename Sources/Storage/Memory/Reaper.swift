import Glibc
import Synchronization

// Invariant of this file: what is given to the reaper to be freed belongs to it alone; no other reference is left. Lists of
// references are only let go of.

/// What takes long to free, and knows how to.
protocol Reapable: AnyObject {
    /// Roughly how many elements freeing walks.
    var freeingCost: Int { get }
    /// Roughly how many bytes freeing gives back. O(1). Of a database only where it `isSmall`.
    var memoryUsage: Int { get }
    var isSmall: Bool { get }
    /// Frees all that it owns. O(n): for a thread that may take its time.
    func freeElements()
}

/// Frees what takes long to free on a thread of its own: large collections and strings, bucket arrays, the contents of
/// flushed databases.
public final class Reaper: Sendable {
    public static let shared = Reaper()

    private enum Item {
        case object(any Reapable)
        /// All keys of a database, whose bytes nobody has counted.
        case contents(any Reapable)
        case buckets(BucketArray)
        case block(UnsafeMutableRawPointer)
        /// An object whose last reference goes here, with long lists that it has.
        case reference(AnyObject)
    }
    /// Ownership passes from one thread to the other.
    private struct Work: @unchecked Sendable {
        let item: Item
        /// Keys that it holds, or 1 for what belongs to one; none for tables that were outgrown.
        let objects: Int
        /// Bytes that freeing it gives back, roughly.
        let bytes: Int
    }

    private let mailbox = Mailbox<Work>()

    private init() {
        startThread(named: "reaper", isYielding: true) { [self] in
            let memory = MemoryCounters.count()
            thread.withLock { $0 = memory }
            while let work = mailbox.receive() {
                began.store(memory.totalFreed, ordering: .relaxed)
                current.store(work.bytes, ordering: .releasing)
                Reaper.release(work.item)
                current.store(0, ordering: .relaxed)
                promised.subtract(work.bytes, ordering: .releasing)
                if case .contents = work.item { floods.subtract(1, ordering: .relaxed) }
                released.add(work.objects, ordering: .relaxed)
            }
        }
    }

    private let given = Atomic<Int>(0)
    private let released = Atomic<Int>(0)
    /// Bytes that are still to be given back, those of what is being freed whole.
    private let promised = Atomic<Int>(0)
    /// Contents of databases among what is to be freed.
    private let floods = Atomic<Int>(0)
    /// Bytes of what is being freed, and what the thread had freed before.
    private let current = Atomic<Int>(0)
    private let began = Atomic<Int>(0)
    private let thread = Mutex<ThreadMemory?>(nil)

    /// Bytes that are in use and about to be given back, roughly: rather too many than too few, as eviction counts them as
    /// free.
    public var pendingBytes: Int {
        let promised = promised.load(ordering: .acquiring)
        if promised <= 0 { return 0 }
        let current = current.load(ordering: .acquiring)
        let freed = thread.withLock { ($0?.totalFreed ?? 0) - began.load(ordering: .relaxed) }
        return max(0, promised - min(current, max(0, freed)))
    }
    /// Whether all keys of a database are to be freed, so that nobody knows how many bytes are.
    public var isFreeingDatabases: Bool { floods.load(ordering: .relaxed) > 0 }

    /// Counts a value that is to be freed once a checkpoint has read it: `free(expected:)` follows.
    func expect(_ bytes: Int) { promised.add(bytes, ordering: .relaxed) }

    /// Values, large strings, and keys of flushed databases, freed since the start.
    public var freed: Int { released.load(ordering: .relaxed) }
    /// As many that were given and not yet freed.
    public var backlog: Int { max(0, given.load(ordering: .relaxed) - freed) }

    private func send(_ item: Item, objects: Int, bytes: Int = 0) {
        given.add(objects, ordering: .relaxed)
        promised.add(bytes, ordering: .relaxed)
        mailbox.send(Work(item: item, objects: objects, bytes: bytes))
    }

    /// What is freed in no time is freed at once.
    func free(_ value: some Reapable) {
        if value.freeingCost < StructureSizes.size(64, small: 3) {
            value.freeElements()
        } else {
            send(.object(value), objects: 1, bytes: value.memoryUsage)
        }
    }
    /// As `free`, for what `expect` was called for with so many bytes.
    func free(_ value: some Reapable, expected bytes: Int) {
        promised.subtract(bytes, ordering: .relaxed)
        free(value)
    }
    /// As `free`; each of its keys counts.
    func free(all contents: some Reapable) {
        if contents.isSmall {
            return send(.object(contents), objects: contents.freeingCost, bytes: contents.memoryUsage)
        }
        floods.add(1, ordering: .relaxed)
        send(.contents(contents), objects: contents.freeingCost)
    }
    func free(_ buckets: BucketArray) {
        if buckets.buckets < StructureSizes.size(1024, small: 4) {
            buckets.free()
        } else {
            send(.buckets(buckets), objects: 0)
        }
    }
    func free(_ block: UnsafeMutableRawPointer, size: Int) {
        if size < StructureSizes.size(1 << 16, small: 200) {
            Glibc.free(block)
        } else {
            send(.block(block), objects: 1, bytes: size)
        }
    }
    /// Has the last reference to an object go on the other thread. Nobody else has one.
    public func letGo(of holder: AnyObject) { mailbox.send(Work(item: .reference(holder), objects: 0, bytes: 0)) }

    private static func release(_ item: Item) {
        switch item {
        case .object(let object), .contents(let object): object.freeElements()
        case .buckets(let buckets): buckets.free()
        case .block(let block): Glibc.free(block)
        case .reference: break
        }
    }
}
