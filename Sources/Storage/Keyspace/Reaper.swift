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
    private struct Parcel: @unchecked Sendable { let item: Item }

    private let mailbox = Mailbox<Parcel>()

    private init() {
        let mailbox = mailbox
        startThread(named: "reaper", isYielding: true) {
            while let parcel = mailbox.receive() { Reaper.release(parcel.item) }
        }
    }

    /// Parcels given and not yet freed.
    public var backlog: Int { mailbox.count }

    func free(_ value: LargeValue) {
        if value.freeingCost < 64 { value.freeElements() } else { mailbox.send(Parcel(item: .value(value))) }
    }
    func free(_ buckets: BucketArray) {
        if buckets.buckets < 1024 { buckets.free() } else { mailbox.send(Parcel(item: .buckets(buckets))) }
    }
    func free(_ contents: Contents) { mailbox.send(Parcel(item: .contents(contents))) }
    func free(_ block: UnsafeMutableRawPointer, size: Int) {
        if size < 1 << 16 { Glibc.free(block) } else { mailbox.send(Parcel(item: .block(block))) }
    }

    func letGo(of values: [LargeValue], _ hashes: [[UInt32]]) { mailbox.send(Parcel(item: .lists(values, hashes))) }

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
