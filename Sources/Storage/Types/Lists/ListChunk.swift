import Glibc

// Invariant of this file: `pack` is a sound listpack that lies `gap` bytes behind the start of a block from malloc of at least
// `room` bytes; the block belongs to the chunk.

/// A run of a large list's elements: a listpack with room before it, into which it grows as into that behind it, so that a
/// push at either end moves nothing.
struct ListChunk {
    private(set) var pack: Listpack
    private var gap = 0
    private var room: Int
    /// The slot of its first element.
    var base: Int64
    private(set) var count: Int

    /// Takes over a listpack whose block has no room before it.
    init(pack: Listpack, base: Int64, count: Int) {
        self.pack = pack
        room = pack.memoryUsage
        self.base = base
        self.count = count
    }
    func free() { Glibc.free(pack.block - gap) }

    var slots: Range<Int64> { base..<base &+ Int64(count) }

    // MARK: Elements

    // `limit`: bytes that the block grows to in steps; beyond, it is as large as it must be.

    /// Amortised O(1).
    @inline(__always) mutating func append(_ entry: ListpackEntry, limit: Int) {
        let size = entry.size
        if gap &+ pack.byteCount &+ size > room { makeRoomBehind(size, limit) }
        pack.extendUp(entry)
        count &+= 1
    }
    /// Amortised O(1), unless pushes at both ends alternate: then O(n).
    @inline(__always) mutating func prepend(_ entry: ListpackEntry, limit: Int) {
        let size = entry.size
        if gap < size { makeRoomBefore(size, limit) }
        pack.extendDown(entry)
        gap &-= size
        count &+= 1
    }
    /// Returns the bytes that the element took. O(1), and O(n) each time that half of the block has become unused.
    mutating func removeFirst() -> Int {
        let size = pack.removeFirstInPlace()
        gap &+= size
        count &-= 1
        giveBack()
        return size
    }
    /// As `removeFirst`.
    mutating func removeLast() -> Int {
        let size = pack.removeLastInPlace()
        count &-= 1
        giveBack()
        return size
    }
    /// `body` changes the listpack and returns how many elements there are more. O(n).
    mutating func edit(_ body: (inout Listpack) -> Int) {
        closeGap()
        count += body(&pack)
        room = pack.memoryUsage
    }

    // MARK: The block

    private mutating func closeGap() {
        if gap == 0 { return }
        let block = pack.block - gap
        memmove(block, pack.block, pack.byteCount)
        pack = Listpack(block: block)
        gap = 0
    }
    private func grown(to needed: Int, _ limit: Int) -> Int {
        precondition(needed <= Int(UInt32.max), "a listpack would exceed 4 GiB")
        return max(needed, min(max(2 &* room, 64), limit))
    }
    @inline(never) private mutating func makeRoomBehind(_ size: Int, _ limit: Int) {
        closeGap()
        let needed = pack.byteCount + size
        if needed <= room { return }
        RawBlock.grow(&pack.block, to: grown(to: needed, limit))
        room = pack.memoryUsage
    }
    /// The listpack moves to the end of its block, or of a larger one.
    @inline(never) private mutating func makeRoomBefore(_ size: Int, _ limit: Int) {
        let used = pack.byteCount
        let old = pack.block - gap
        var block = old
        if used + size > room {
            block = RawBlock.allocate(grown(to: used + size, limit))
            room = Listpack(block: block).memoryUsage
        }
        gap = room - used
        memmove(block + gap, pack.block, used)
        pack = Listpack(block: block + gap)
        if block != old { Glibc.free(old) }
    }
    private mutating func giveBack() {
        if room > 64 && room > 2 &* pack.byteCount { shrink() }
    }
    @inline(never) private mutating func shrink() {
        closeGap()
        RawBlock.shrink(&pack.block, to: pack.byteCount)
        room = pack.memoryUsage
    }
}

extension ListChunk {
    /// O(n).
    func checkInvariants() throws(BrokenInvariant) {
        try pack.checkInvariants()
        try invariant(count == pack.count && count > 0, "list chunk: counts \(count) of \(pack.count) elements")
        let usable = Listpack(block: pack.block - gap).memoryUsage
        try invariant(
            gap >= 0 && gap + pack.byteCount <= room && room <= usable,
            "list chunk: \(pack.byteCount) bytes behind \(gap) in \(room) of \(usable)")
    }
}
