import CShims
import Glibc

// Invariant of this file: `base` points to `buckets` cache lines (a power of two), 64-byte aligned, owned by the
// table. A line is: byte 0, bit 0 = the seventh pointer leads to a child line; bytes 1...7 = a byte of hash for each
// slot, 0 = empty; then seven pointers to live entries. Child lines belong to their parent.

/// The bucket array of one hash table.
struct BucketArray {
    var base: UnsafeMutableRawPointer
    let buckets: Int
    /// Which buckets hold an entry that changed since the last cut, and which since the one before and is still to be
    /// handed over: a bit a bucket. nil where nobody asks.
    var changed: Bitset?
    var pending: Bitset?
    /// The next word of `pending` that a checkpoint looks at.
    var pendingCursor = 0

    private static var mapLimit: Int { StructureSizes.size(1 << 16, small: 4096) }

    init(buckets: Int, tracked: Bool) {
        self.buckets = buckets
        let size = buckets * 64
        if size >= BucketArray.mapLimit {
            base = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            precondition(base != MAP_FAILED, "out of memory for a hash table of \(size) bytes")
            madvise(base, size, MADV_HUGEPAGE)
            MemoryCounters.map(size)
        } else {
            var block: UnsafeMutableRawPointer?
            let failed = posix_memalign(&block, 64, size)
            precondition(failed == 0, "out of memory for a hash table")
            base = block.unsafelyUnwrapped
            memset(base, 0, size)
        }
        changed = tracked ? Bitset(count: buckets) : nil
    }

    /// Returns the memory; for an array of many megabytes this takes milliseconds and belongs on another thread.
    func free() {
        if buckets * 64 >= BucketArray.mapLimit {
            munmap(base, buckets * 64)
            MemoryCounters.unmap(buckets * 64)
        } else {
            Glibc.free(base)
        }
        changed?.free()
        pending?.free()
    }

    @inline(__always) func line(_ index: Int) -> UnsafeMutableRawPointer { base + index &* 64 }
    @inline(__always) func index(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash) & (buckets &- 1) }
}

/// Where an entry's pointer lies in its bucket. Good until the next change of the table.
struct Slot {
    let address: UnsafeMutableRawPointer
    @inline(__always) var entry: Entry {
        get { Entry(raw: address.load(as: UnsafeMutableRawPointer.self)) }
        nonmutating set { address.storeBytes(of: newValue.raw, as: UnsafeMutableRawPointer.self) }
    }
}

/// A hash table of entries by key, after Valkey 8.1's and the "bag" tables before it: a cache line a bucket, a byte of
/// hash to skip strangers, incremental rehash over two arrays. Look-up, insert and removal O(1); no call walks the
/// table. Holds no key twice; owns the bucket arrays, not the entries.
struct EntryTable {
    private(set) var main: BucketArray
    private(set) var next: BucketArray?
    /// The bucket of `main` that moves next; -1 when no rehash is under way.
    private(set) var moving = -1
    private(set) var count = 0
    private let tracked: Bool
    /// Buckets below which the table does not shrink.
    private var floor = EntryTable.minimumBuckets
    /// Bytes that a larger array may take beside this one: beyond that the table grows only where it is overfull.
    var room = Int.max

    /// Entries for each bucket above which the table grows, times eight: 84 % of seven slots.
    private static let growAt = 47
    /// As `growAt`, where there is no room for a larger array: half as many entries again.
    private static let overfullAt = 70
    private static var minimumBuckets: Int { StructureSizes.size(4, small: 1) }

    init(tracked: Bool, expecting count: Int = 0) {
        self.tracked = tracked
        var buckets = EntryTable.minimumBuckets
        while buckets &* EntryTable.growAt < count &* 8 { buckets *= 2 }
        main = BucketArray(buckets: buckets, tracked: tracked)
    }

    var isRehashing: Bool { moving >= 0 }
    var bucketCount: Int { main.buckets + (next?.buckets ?? 0) }
    /// Bytes of the bucket arrays, child lines left out.
    var byteCount: Int { bucketCount * 64 }

    @inline(__always) static func tag(_ hash: UInt64) -> UInt64 {
        let top = hash >> 56
        return top == 0 ? 1 : top
    }
    /// A bit in each byte of `word` (bytes 1...7) that equals `tag`. The exact form: the shorter (x-1)&~x also matches
    /// empty slots.
    @inline(__always) static func matches(_ word: UInt64, _ tag: UInt64) -> UInt64 {
        let x = word ^ (0x0101_0101_0101_0101 &* tag)
        let t = (x & 0x7f7f_7f7f_7f7f_7f7f) &+ 0x7f7f_7f7f_7f7f_7f7f
        return ~(t | x | 0x7f7f_7f7f_7f7f_7f7f) & 0xffff_ffff_ffff_ff00
    }

    // MARK: Look-up

    @inline(__always) private static func find(_ array: BucketArray, _ hash: UInt64, _ key: Bytes) -> Slot? {
        var line = array.line(array.index(hash))
        let tag = tag(hash)
        while true {
            let word = line.load(as: UInt64.self)
            var hits = matches(word, tag)
            if word & 1 != 0 { hits &= 0x00ff_ffff_ffff_ffff }
            while hits != 0 {
                let address = line + (hits.trailingZeroBitCount >> 3) &* 8
                if Entry(raw: address.load(as: UnsafeMutableRawPointer.self)).hasKey(key) {
                    return Slot(address: address)
                }
                hits &= hits &- 1
            }
            if word & 1 == 0 { return nil }
            line = (line + 56).load(as: UnsafeMutableRawPointer.self)
        }
    }

    @inline(__always) func find(_ key: Bytes, hash: UInt64) -> Slot? {
        if moving < 0 { return EntryTable.find(main, hash, key) }
        return findWhileRehashing(key, hash)
    }
    @inline(never) private func findWhileRehashing(_ key: Bytes, _ hash: UInt64) -> Slot? {
        if main.index(hash) >= moving, let slot = EntryTable.find(main, hash, key) { return slot }
        return EntryTable.find(next.unsafelyUnwrapped, hash, key)
    }

    /// Prefetches the bucket of `hash`.
    @inline(__always) func prefetch(_ hash: UInt64) { cshims_prefetch(main.line(main.index(hash))) }
    /// Prefetches the first entry that `hash` may mean; its bucket was prefetched before.
    @inline(__always) func prefetchEntry(_ hash: UInt64) {
        if let entry = candidate(hash) { cshims_prefetch(entry.raw) }
    }
    /// The first entry that `hash` may mean, in the bucket's first line.
    @inline(__always) func candidate(_ hash: UInt64) -> Entry? {
        let line = main.line(main.index(hash))
        var hits = EntryTable.matches(line.load(as: UInt64.self), EntryTable.tag(hash))
        if line.load(as: UInt64.self) & 1 != 0 { hits &= 0x00ff_ffff_ffff_ffff }
        if hits == 0 { return nil }
        return Entry(raw: (line + (hits.trailingZeroBitCount >> 3) &* 8).load(as: UnsafeMutableRawPointer.self))
    }

    // MARK: Change

    /// Adds an entry whose key is not there.
    @inline(__always) @discardableResult mutating func insert(_ entry: Entry, hash: UInt64) -> Slot {
        count &+= 1
        if moving >= 0 { return EntryTable.insert(entry, hash, next.unsafelyUnwrapped) }
        let slot = EntryTable.insert(entry, hash, main)
        if count &* 8 > main.buckets &* EntryTable.growAt { grow() }
        return slot
    }

    @inline(never) private mutating func grow() {
        if main.buckets &* 128 > room && count &* 8 <= main.buckets &* EntryTable.overfullAt { return }
        beginRehash(buckets: main.buckets * 2)
    }

    @inline(__always) private static func insert(_ entry: Entry, _ hash: UInt64, _ array: BucketArray) -> Slot {
        var line = array.line(array.index(hash))
        while true {
            let word = line.load(as: UInt64.self)
            let chained = word & 1 != 0
            let free = matches(word, 0) & (chained ? 0x0080_8080_8080_8000 : 0x8080_8080_8080_8000)
            if free != 0 {
                let i = free.trailingZeroBitCount >> 3
                (line + i).storeBytes(of: UInt8(truncatingIfNeeded: tag(hash)), as: UInt8.self)
                let slot = Slot(address: line + i &* 8)
                slot.entry = entry
                return slot
            }
            if !chained { addChild(line) }
            line = (line + 56).load(as: UnsafeMutableRawPointer.self)
        }
    }

    /// Makes room in a full line: its seventh entry moves to a new child line.
    @inline(never) private static func addChild(_ line: UnsafeMutableRawPointer) {
        var block: UnsafeMutableRawPointer?
        let failed = posix_memalign(&block, 64, 64)
        precondition(failed == 0, "out of memory for a hash table")
        let child = block.unsafelyUnwrapped
        memset(child, 0, 64)
        (child + 1).storeBytes(of: (line + 7).load(as: UInt8.self), as: UInt8.self)
        (child + 8).storeBytes(of: (line + 56).load(as: UnsafeMutableRawPointer.self), as: UnsafeMutableRawPointer.self)
        (line + 7).storeBytes(of: 0, as: UInt8.self)
        (line + 56).storeBytes(of: child, as: UnsafeMutableRawPointer.self)
        line.storeBytes(of: 1, as: UInt8.self)
    }

    /// Takes the entry at `slot` out of the table; the caller owns it.
    @inline(__always) mutating func remove(_ slot: Slot) {
        let bits = UInt(bitPattern: slot.address)
        let line = UnsafeMutableRawPointer(bitPattern: bits & ~63).unsafelyUnwrapped
        (line + Int((bits & 63) >> 3)).storeBytes(of: 0, as: UInt8.self)
        count &-= 1
        if moving < 0 && isSparse { shrink() }
    }

    private var isSparse: Bool { main.buckets > floor && count &* 8 < main.buckets }

    @inline(never) private mutating func shrink() {
        var buckets = floor
        while buckets &* EntryTable.growAt < count &* 16 { buckets *= 2 }
        if buckets < main.buckets { beginRehash(buckets: buckets) }
    }

    // MARK: Incremental rehash

    @inline(never) private mutating func beginRehash(buckets: Int) {
        next = BucketArray(buckets: buckets, tracked: tracked)
        moving = 0
    }

    /// Moves one bucket, if a rehash is under way. `onMove` sees each entry that moved under a `pending` bit.
    /// Returns an old array to free, when the last bucket has moved.
    @inline(__always) mutating func step(_ onMove: (Entry) -> Void) -> BucketArray? {
        moving < 0 ? nil : moveBucket(onMove)
    }

    @inline(never) private mutating func moveBucket(_ onMove: (Entry) -> Void) -> BucketArray? {
        let target = next.unsafelyUnwrapped
        let root = main.line(moving)
        let wasPending = main.pending?[moving] ?? false
        var line: UnsafeMutableRawPointer? = root
        while let current = line {
            let word = current.load(as: UInt64.self)
            let chained = word & 1 != 0
            for i in 1...(chained ? 6 : 7) where (word >> UInt64(i &* 8)) & 0xff != 0 {
                let entry = Entry(raw: (current + i &* 8).load(as: UnsafeMutableRawPointer.self))
                let hash = Hashing.hash(entry.key)
                _ = EntryTable.insert(entry, hash, target)
                if wasPending { onMove(entry) }
                if tracked && !entry.flags.isDisjoint(with: .changedMask) { target.changed?.insert(target.index(hash)) }
            }
            line = chained ? (current + 56).load(as: UnsafeMutableRawPointer.self) : nil
            if current != root { free(current) } else { current.storeBytes(of: 0, as: UInt64.self) }
        }
        moving &+= 1
        if moving < main.buckets {
            next = target
            return nil
        }
        let old = main
        main = target
        next = nil
        moving = -1
        // What was inserted meanwhile may have filled the new array, or removals emptied it.
        if count &* 8 > main.buckets &* EntryTable.growAt {
            grow()
        } else if isSparse {
            shrink()
        }
        return old
    }

    /// So many entries are to come in all: one rehash to that size takes the place of all that would lead there. Until
    /// `settle` the table does not shrink. Without effect while a rehash is under way.
    mutating func reserve(_ expected: Int) {
        var buckets = main.buckets
        while buckets &* EntryTable.growAt < expected &* 8 { buckets *= 2 }
        if moving >= 0 || buckets == main.buckets { return }
        floor = buckets
        beginRehash(buckets: buckets)
    }
    mutating func settle() {
        floor = EntryTable.minimumBuckets
        if moving < 0 { shrink() }
    }

    // MARK: What changed

    /// Notes that an entry with this hash carries a flag of change.
    @inline(__always) mutating func markChanged(_ hash: UInt64) {
        if moving < 0 {
            main.changed?.insert(main.index(hash))
        } else {
            if main.index(hash) >= moving { main.changed?.insert(main.index(hash)) }
            let index = next.unsafelyUnwrapped.index(hash)
            next?.changed?.insert(index)
        }
    }

    /// Buckets with an entry that changed since the last cut. O(buckets / 64).
    var changedBucketCount: Int { (main.changed?.population ?? 0) + (next?.changed?.population ?? 0) }

    /// The cut: what changed becomes what is to be handed over.
    mutating func cut() {
        main.cut()
        next?.cut()
    }

    /// Walks on over buckets with something to hand over, until `body` returns false or none is left (then true is
    /// returned). A bucket is walked whole.
    mutating func drainPending(_ body: (Entry) -> Void, while goOn: () -> Bool) -> Bool {
        // Both arrays; an array that is swapped away by a rehash has handed its entries over as they moved.
        if !main.drain(body, while: goOn) { return false }
        return next?.drain(body, while: goOn) ?? true
    }

    /// Calls `body` with each entry of the buckets that `hash` may lie in.
    func forEachInBucket(_ hash: UInt32, _ body: (Entry) -> Void) {
        main.visit(main.index(UInt64(hash)), body)
        if let next { next.visit(next.index(UInt64(hash)), body) }
    }

    /// Frees bucket arrays and child lines, not the entries.
    func freeBuckets() {
        for array in [main, next].compactMap({ $0 }) {
            for i in 0..<array.buckets { array.freeChildren(of: i) }
            array.free()
        }
    }
}
