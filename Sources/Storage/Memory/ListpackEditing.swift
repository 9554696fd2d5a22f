import CShims
import Glibc

// Invariant of this file: as in Listpack.swift; and bytes that are put in do not lie in the block itself, which moves
// under them.

/// An element as it will lie in a listpack.
struct ListpackEntry {
    private enum Form {
        case integer(Int64)
        case string(Bytes)
    }
    private let form: Form
    /// Bytes of encoding and data.
    private let length: Int

    /// Bytes in all, with the back-length.
    @inline(__always) var size: Int { length &+ Listpack.backLengthSize(length) }

    @inline(__always) init(_ bytes: Bytes) {
        if let integer = bytes.integer {
            form = .integer(integer)
            length = ListpackEntry.length(of: integer)
        } else {
            form = .string(bytes)
            length = bytes.count &+ (bytes.count < 64 ? 1 : bytes.count < 4096 ? 2 : 5)
        }
    }

    @inline(__always) init(_ integer: Int64) {
        form = .integer(integer)
        length = ListpackEntry.length(of: integer)
    }

    @inline(__always) private static func length(of integer: Int64) -> Int {
        if integer >= 0 && integer <= 127 { return 1 }
        if integer >= -4096 && integer <= 4095 { return 2 }
        if integer >= -32768 && integer <= 32767 { return 3 }
        if integer >= -8_388_608 && integer <= 8_388_607 { return 4 }
        return integer >= -2_147_483_648 && integer <= 2_147_483_647 ? 5 : 9
    }

    /// Writes `size` bytes.
    @inline(__always) func write(to out: UnsafeMutableRawPointer) {
        let p = out.assumingMemoryBound(to: UInt8.self)
        switch form {
        case .integer(let value):
            switch length {
            case 1: p[0] = UInt8(truncatingIfNeeded: value)
            case 2:
                p[0] = 0xC0 | UInt8(truncatingIfNeeded: value >> 8) & 0x1F
                p[1] = UInt8(truncatingIfNeeded: value)
            default:
                // 3, 4, 5 or 9 bytes: 0xF1 to 0xF4 and the low bytes of the number.
                p[0] = length == 9 ? 0xF4 : UInt8(truncatingIfNeeded: 0xEE &+ length)
                withUnsafeBytes(of: value.littleEndian) { raw in
                    if let low = raw.baseAddress { memcpy(out + 1, low, length &- 1) }
                }
            }
        case .string(let bytes):
            let n = bytes.count
            let head = length &- n
            switch head {
            case 1: p[0] = 0x80 | UInt8(truncatingIfNeeded: n)
            case 2:
                p[0] = 0xE0 | UInt8(truncatingIfNeeded: n >> 8)
                p[1] = UInt8(truncatingIfNeeded: n)
            default:
                p[0] = 0xF0
                out.storeBytes(of: UInt32(truncatingIfNeeded: n).littleEndian, toByteOffset: 1, as: UInt32.self)
            }
            memcpy(out + head, bytes.base, n)
        }
        if length < 128 {
            p[length] = UInt8(truncatingIfNeeded: length)
            return
        }
        // The lowest 7 bits go last; all but the highest carry a mark that more stand to their left.
        let groups = Listpack.backLengthSize(length)
        var rest = length
        for i in 0..<groups {
            p[length &+ groups &- 1 &- i] = UInt8(truncatingIfNeeded: rest & 0x7F) | (i < groups &- 1 ? 0x80 : 0)
            rest >>= 7
        }
    }
}

extension Listpack {
    /// The most bytes that a block may grow to: Redis's own bound, well below what its header can tell.
    public static let maxByteCount = 1 << 30

    /// Bytes that an element will take.
    public static func entrySize(of value: Bytes) -> Int { ListpackEntry(value).size }
    /// Bytes that an element will take.
    public static func entrySize(of integer: Int64) -> Int { ListpackEntry(integer).size }

    /// Whether an element still fits within `maxByteCount`. The writers below trap where the header could not tell the
    /// size (4 GiB), so whoever takes elements of any size must ask first.
    @inline(__always) public func hasRoom(for value: Bytes) -> Bool {
        // An entry takes at most 10 bytes beside the element.
        value.count <= Listpack.maxByteCount &- byteCount &- 10
    }

    /// Bytes of memory that the block takes, the unused rest of it too.
    public var memoryUsage: Int { malloc_usable_size(block) }

    // MARK: - Inserting

    /// Amortised O(1). Here and below, the canonical decimal form of an integer is stored as an integer; `value` must
    /// not lie in this block.
    @inline(__always) public mutating func append(_ value: Bytes) { insert(ListpackEntry(value), before: endOffset) }
    /// Amortised O(1).
    @inline(__always) public mutating func append(integer: Int64) {
        insert(ListpackEntry(integer), before: endOffset)
    }
    /// O(n).
    public mutating func prepend(_ value: Bytes) { insert(ListpackEntry(value), before: Listpack.headerSize) }

    /// Puts `value` where the entry at `offset` was, which with all after it moves up; `endOffset` appends. The new
    /// entry lies at `offset`. O(n).
    public mutating func insert(_ value: Bytes, before offset: Int) { insert(ListpackEntry(value), before: offset) }
    /// As `insert(_:before:)`.
    public mutating func insert(integer: Int64, before offset: Int) {
        insert(ListpackEntry(integer), before: offset)
    }

    @inline(__always) private mutating func insert(_ entry: ListpackEntry, before offset: Int) {
        let told = headerCount
        entry.write(to: splice(at: offset, removing: 0, adding: entry.size))
        if told < Listpack.unknownCount { setCount(told &+ 1) }
    }

    /// Appends all entries of `other`. O(size of `other`).
    public mutating func append(entriesOf other: Listpack) {
        let added = other.endOffset - Listpack.headerSize
        let total = count + other.count
        memcpy(splice(at: endOffset, removing: 0, adding: added), other.block + Listpack.headerSize, added)
        setCount(total)
    }

    // MARK: - The ends of a block with known room

    // For owners that know that there is room before or behind the listpack, which may lie anywhere in its block then. Asking
    // the allocator took a tenth of a push. All O(1).

    /// Appends `entry`; the block has room for it behind the listpack.
    @inline(__always) mutating func extendUp(_ entry: ListpackEntry) {
        let before = byteCount
        let after = before &+ entry.size
        entry.write(to: block + (before &- 1))
        block.storeBytes(of: Listpack.endByte, toByteOffset: after &- 1, as: UInt8.self)
        let told = headerCount
        setHeader(byteCount: after, count: told < Listpack.unknownCount ? told &+ 1 : told)
    }
    /// Prepends `entry`; the block has room for it before the listpack, whose header moves there.
    @inline(__always) mutating func extendDown(_ entry: ListpackEntry) {
        let after = byteCount &+ entry.size
        let told = headerCount
        block -= entry.size
        setHeader(byteCount: after, count: told < Listpack.unknownCount ? told &+ 1 : told)
        entry.write(to: block + Listpack.headerSize)
    }
    /// Removes the first entry; the header moves up. Returns the bytes that the entry took.
    mutating func removeFirstInPlace() -> Int {
        let size = following(Listpack.headerSize) &- Listpack.headerSize
        let after = byteCount &- size
        let told = headerCount
        block += size
        setHeader(byteCount: after, count: Listpack.count(told, after))
        return size
    }
    /// Removes the last entry. Returns the bytes that it took.
    mutating func removeLastInPlace() -> Int {
        let offset = lastOffset
        let size = endOffset &- offset
        block.storeBytes(of: Listpack.endByte, toByteOffset: offset, as: UInt8.self)
        setHeader(byteCount: offset &+ 1, count: Listpack.count(headerCount, offset &+ 1))
        return size
    }
    /// What the header counts after a removal: an unknown count stays so, but of an empty listpack it is known.
    @inline(__always) private static func count(_ told: Int, _ byteCount: Int) -> Int {
        if byteCount == headerSize &+ 1 { return 0 }
        return told < unknownCount ? told &- 1 : told
    }

    // MARK: - Replacing and removing

    /// The new entry lies at `offset`. O(1) where it takes as many bytes as the old one, O(n) otherwise.
    public mutating func replace(at offset: Int, with value: Bytes) { replace(offset, ListpackEntry(value)) }
    /// As `replace(at:with:)`.
    public mutating func replace(at offset: Int, withInteger integer: Int64) {
        replace(offset, ListpackEntry(integer))
    }

    @inline(__always) private mutating func replace(_ offset: Int, _ entry: ListpackEntry) {
        let old = following(offset) &- offset
        let new = entry.size
        entry.write(to: old == new ? block + offset : splice(at: offset, removing: old, adding: new))
    }

    /// Removes `n` entries from the one at `offset` on, or as many as there are; what followed them lies at `offset`
    /// then. Returns how many were removed. O(n).
    @discardableResult public mutating func remove(at offset: Int, count n: Int = 1) -> Int {
        let end = endOffset
        var past = offset
        var removed = 0
        while removed < n && past < end {
            past = following(past)
            removed &+= 1
        }
        if removed == 0 { return 0 }
        let told = headerCount
        _ = splice(at: offset, removing: past &- offset, adding: 0)
        // An unknown count stays unknown, as counting would cost a walk; but of an empty listpack it is known.
        if told < Listpack.unknownCount { setCount(told &- removed) } else if isEmpty { setCount(0) }
        return removed
    }

    /// Removes the entries from `offset` on and returns them as a listpack of their own. O(n).
    public mutating func split(at offset: Int) -> Listpack {
        let moved = endOffset - offset
        let size = Listpack.headerSize + moved + 1
        let total = count
        var tail = Listpack(block: RawBlock.allocate(size))
        memcpy(tail.block + Listpack.headerSize, block + offset, moved + 1)
        tail.setHeader(byteCount: size, count: Listpack.unknownCount)
        let tailCount = tail.walkedCount(from: Listpack.headerSize)
        tail.setCount(tailCount)
        _ = splice(at: offset, removing: moved, adding: 0)
        setCount(total - tailCount)
        return tail
    }

    // MARK: -

    @inline(__always) private mutating func setCount(_ count: Int) {
        let told = UInt16(truncatingIfNeeded: min(count, Listpack.unknownCount))
        block.storeBytes(of: told.littleEndian, toByteOffset: 4, as: UInt16.self)
    }

    /// Removes all entries and keeps the memory.
    public mutating func removeAll() {
        setHeader(byteCount: Listpack.headerSize + 1, count: 0)
        block.storeBytes(of: Listpack.endByte, toByteOffset: Listpack.headerSize, as: UInt8.self)
    }

    /// Makes `old` bytes at `offset` a gap of `new` bytes, which the caller fills, and tells the header. Moves the
    /// block where its memory does not suffice, or is more than twice what is needed.
    private mutating func splice(at offset: Int, removing old: Int, adding new: Int) -> UnsafeMutableRawPointer {
        let before = byteCount
        let after = before &- old &+ new
        precondition(after <= Int(UInt32.max), "a listpack would exceed 4 GiB")
        if after > before { RawBlock.grow(&block, to: after) }
        memmove(block + (offset &+ new), block + (offset &+ old), before &- offset &- old)
        block.storeBytes(of: UInt32(truncatingIfNeeded: after).littleEndian, toByteOffset: 0, as: UInt32.self)
        if after < before { RawBlock.shrink(&block, to: after) }
        return block + offset
    }
}
