import Glibc
import Synchronization

// Invariant of this file: what is given to the reaper to be freed belongs to it alone; no other reference is left. Lists of
// references are only let go of.

/// What takes long to free, and knows how to.
protocol Reapable: AnyObject {
    /// Roughly how many elements freeing walks.
    var freeingCost: Int { get }
    /// Frees all that it owns. O(n): for a thread that may take its time.
    func freeElements()
}

/// Frees what takes long to free on a thread of its own: large collections and strings, bucket arrays, the contents of
/// flushed databases.
public final class Reaper: Sendable {
    public static let shared = Reaper()

    private enum Item {
        case object(any Reapable)
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
    }

    private let mailbox = Mailbox<Work>()

    private init() {
        startThread(named: "reaper", isYielding: true) { [self] in
            while let work = mailbox.receive() {
                Reaper.release(work.item)
                released.add(work.objects, ordering: .relaxed)
            }
        }
    }

    private let given = Atomic<Int>(0)
    private let released = Atomic<Int>(0)

    /// Values, large strings, and keys of flushed databases, freed since the start.
    public var freed: Int { released.load(ordering: .relaxed) }
    /// As many that were given and not yet freed.
    public var backlog: Int { max(0, given.load(ordering: .relaxed) - freed) }

    private func send(_ item: Item, objects: Int) {
        given.add(objects, ordering: .relaxed)
        mailbox.send(Work(item: item, objects: objects))
    }

    /// What is freed in no time is freed at once.
    func free(_ value: some Reapable) {
        if value.freeingCost < StructureSizes.size(64, small: 3) {
            value.freeElements()
        } else {
            send(.object(value), objects: 1)
        }
    }
    /// As `free`; each of its keys counts.
    func free(all contents: some Reapable) { send(.object(contents), objects: contents.freeingCost) }
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
            send(.block(block), objects: 1)
        }
    }
    /// Has the last reference to an object go on the other thread. Nobody else has one.
    public func letGo(of holder: AnyObject) { mailbox.send(Work(item: .reference(holder), objects: 0)) }

    private static func release(_ item: Item) {
        switch item {
        case .object(let object): object.freeElements()
        case .buckets(let buckets): buckets.free()
        case .block(let block): Glibc.free(block)
        case .reference: break
        }
    }
}
