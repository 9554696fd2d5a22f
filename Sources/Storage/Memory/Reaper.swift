import Glibc
import Synchronization

// Invariant of this file: what is given to the reaper to be freed belongs to it alone; no other reference is left. Lists of
// references are only let go of.

/// Frees what takes long to free on a thread of its own: large collections and strings, bucket arrays, the contents of
/// flushed databases.
public final class Reaper: Sendable {
    public static let shared = Reaper()

    private enum Item {
        case value(LargeValue)
        case buckets(BucketArray)
        case contents(Contents)
        case block(UnsafeMutableRawPointer)
        /// Long lists that a checkpoint kept.
        case lists([LargeValue], [[UInt32]])
    }
    /// Ownership passes from one thread to the other.
    private struct Parcel: @unchecked Sendable {
        let item: Item
        /// Keys that it holds, or 1 for what belongs to one; none for tables that were outgrown.
        let objects: Int
    }

    private let mailbox = Mailbox<Parcel>()

    private init() {
        startThread(named: "reaper", isYielding: true) { [self] in
            while let parcel = mailbox.receive() {
                Reaper.release(parcel.item)
                released.add(parcel.objects, ordering: .relaxed)
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
        mailbox.send(Parcel(item: item, objects: objects))
    }

    func free(_ value: LargeValue) {
        if value.freeingCost < 64 { value.freeElements() } else { send(.value(value), objects: 1) }
    }
    func free(_ buckets: BucketArray) {
        if buckets.buckets < 1024 { buckets.free() } else { send(.buckets(buckets), objects: 0) }
    }
    func free(_ contents: Contents) { send(.contents(contents), objects: contents.table.count) }
    func free(_ block: UnsafeMutableRawPointer, size: Int) {
        if size < 1 << 16 { Glibc.free(block) } else { send(.block(block), objects: 1) }
    }

    func letGo(of values: [LargeValue], _ hashes: [[UInt32]]) {
        mailbox.send(Parcel(item: .lists(values, hashes), objects: 0))
    }

    private static func release(_ item: Item) {
        switch item {
        case .value(let value): value.freeElements()
        case .buckets(let buckets): buckets.free()
        case .contents(let contents): contents.freeEverything()
        case .block(let block): Glibc.free(block)
        case .lists: break
        }
    }
}
