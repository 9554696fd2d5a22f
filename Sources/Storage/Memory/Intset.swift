import CShims
import Glibc

// Invariant of this file: `block` holds a sound intset (what `validate` accepts): `count` integers of `width` bytes,
// ascending, none twice. Indices are checked against `count`. Bytes from outside enter only by `init?(copying:)`.

/// A sorted array of distinct integers, byte for byte Redis's intset: the in-memory form of small sets of integers, and
/// their payload in RDB files.
///
/// Format (https://rdb.fnordig.de/file_format.html#intset-encoding): u32 width of an integer (2, 4 or 8 bytes), u32 how
/// many there are, the integers; all little-endian. A member that needs more bytes widens them all; nothing narrows.
///
/// Owned by hand: a copy of the struct is the same block, `free` ends it.
public struct Intset {
    /// The memory, from malloc. Editing may move it.
    public private(set) var block: UnsafeMutableRawPointer

    static let headerSize = 8

    /// Takes over a block that another `Intset` was.
    @inline(__always) public init(block: UnsafeMutableRawPointer) { self.block = block }

    /// An empty intset of 8 bytes.
    public static func allocate() -> Intset {
        var set = Intset(block: RawBlock.allocate(headerSize))
        set.setHeader(width: 2, count: 0)
        return set
    }

    /// A copy of `bytes`, once `validate` has found them sound; nil otherwise. O(n).
    public init?(copying bytes: Bytes) {
        guard Intset.validate(bytes).count != nil else { return nil }
        self.init(block: RawBlock.allocate(bytes.count))
        memcpy(block, bytes.base, bytes.count)
    }

    public func copy() -> Intset {
        let size = byteCount
        let set = Intset(block: RawBlock.allocate(size))
        memcpy(set.block, block, size)
        return set
    }

    public func free() { Glibc.free(block) }

    /// The payload as RDB files have it.
    public var bytes: Bytes { Bytes(block, byteCount) }
    @inline(__always) public var byteCount: Int { Intset.headerSize &+ width &* count }
    /// Number of members. O(1).
    @inline(__always) public var count: Int {
        Int(UInt32(littleEndian: block.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
    }
    @inline(__always) public var isEmpty: Bool { count == 0 }
    /// Bytes of memory that the block takes, the unused rest of it too.
    public var memoryUsage: Int { malloc_usable_size(block) }

    /// Bytes that each member takes: 2, 4 or 8.
    @inline(__always) var width: Int {
        Int(UInt32(littleEndian: block.loadUnaligned(fromByteOffset: 0, as: UInt32.self)))
    }
    private mutating func setHeader(width: Int, count: Int) {
        block.storeBytes(of: UInt32(truncatingIfNeeded: width).littleEndian, toByteOffset: 0, as: UInt32.self)
        block.storeBytes(of: UInt32(truncatingIfNeeded: count).littleEndian, toByteOffset: 4, as: UInt32.self)
    }

    // MARK: - Reading

    /// The member at `index` in ascending order. O(1).
    public func value(at index: Int) -> Int64 {
        precondition(index >= 0 && index < count)
        return load(index, width)
    }
    public func contains(_ value: Int64) -> Bool { find(value) != nil }

    /// The index of `value`; nil when it is no member. O(log n).
    public func find(_ value: Int64) -> Int? {
        let index = lowerBound(value)
        return index < count && load(index, width) == value ? index : nil
    }

    /// The index of the first member that is not less than `value`; `count` when there is none. O(log n).
    public func lowerBound(_ value: Int64) -> Int {
        switch width {
        case 2: lowerBound(value, as: Int16.self)
        case 4: lowerBound(value, as: Int32.self)
        default: lowerBound(value, as: Int64.self)
        }
    }
    @inline(__always) private func lowerBound<T: FixedWidthInteger>(_ value: Int64, as type: T.Type) -> Int {
        var low = 0
        var length = count
        let data = block + Intset.headerSize
        // Without branches but the loop's: which half is taken cannot be foreseen.
        while length > 0 {
            let half = length &>> 1
            let middle = low &+ half
            let raw = data.loadUnaligned(fromByteOffset: middle &* MemoryLayout<T>.size, as: T.self)
            let less = Int64(truncatingIfNeeded: T(littleEndian: raw)) < value
            low = less ? middle &+ 1 : low
            length = less ? length &- half &- 1 : half
        }
        return low
    }

    @inline(__always) private func load(_ index: Int, _ width: Int) -> Int64 {
        let at = Intset.headerSize &+ index &* width
        switch width {
        case 2: return Int64(Int16(littleEndian: block.loadUnaligned(fromByteOffset: at, as: Int16.self)))
        case 4: return Int64(Int32(littleEndian: block.loadUnaligned(fromByteOffset: at, as: Int32.self)))
        default: return Int64(littleEndian: block.loadUnaligned(fromByteOffset: at, as: Int64.self))
        }
    }
    @inline(__always) private func store(_ value: Int64, _ index: Int, _ width: Int) {
        let at = Intset.headerSize &+ index &* width
        switch width {
        case 2:
            block.storeBytes(of: Int16(truncatingIfNeeded: value).littleEndian, toByteOffset: at, as: Int16.self)
        case 4:
            block.storeBytes(of: Int32(truncatingIfNeeded: value).littleEndian, toByteOffset: at, as: Int32.self)
        default: block.storeBytes(of: value.littleEndian, toByteOffset: at, as: Int64.self)
        }
    }

    // MARK: - Writing

    /// Returns whether `value` is new. O(n). Traps beyond 2^32 - 1 members, which the thresholds for this encoding keep
    /// far away.
    @discardableResult public mutating func insert(_ value: Int64) -> Bool {
        let oldCount = count
        let oldWidth = width
        let index = lowerBound(value)
        if index < oldCount && load(index, oldWidth) == value { return false }
        precondition(oldCount < Int(UInt32.max), "an intset would exceed 2^32 - 1 members")
        let newWidth = max(oldWidth, Intset.width(of: value))
        RawBlock.grow(&block, to: Intset.headerSize &+ (oldCount &+ 1) &* newWidth)
        if newWidth == oldWidth {
            let at = block + (Intset.headerSize &+ index &* oldWidth)
            memmove(at + oldWidth, at, (oldCount &- index) &* oldWidth)
        } else {
            // A value that did not fit goes to one of the ends. From the last member down, so that none is overwritten
            // before it is read.
            for i in stride(from: oldCount - 1, through: 0, by: -1) {
                store(load(i, oldWidth), i < index ? i : i + 1, newWidth)
            }
        }
        store(value, index, newWidth)
        setHeader(width: newWidth, count: oldCount &+ 1)
        return true
    }

    /// Returns whether `value` was a member. O(n).
    @discardableResult public mutating func remove(_ value: Int64) -> Bool {
        guard let index = find(value) else { return false }
        remove(at: index)
        return true
    }

    /// Removes the member at `index`. O(n).
    public mutating func remove(at index: Int) {
        let oldCount = count
        let width = width
        precondition(index >= 0 && index < oldCount)
        let at = block + (Intset.headerSize &+ index &* width)
        memmove(at, at + width, (oldCount &- index &- 1) &* width)
        setHeader(width: width, count: oldCount &- 1)
        RawBlock.shrink(&block, to: byteCount)
    }

    /// Bytes that `value` needs.
    @inline(__always) private static func width(of value: Int64) -> Int {
        if Int64(Int16(truncatingIfNeeded: value)) == value { return 2 }
        return Int64(Int32(truncatingIfNeeded: value)) == value ? 4 : 8
    }

    // MARK: - Bytes from outside

    /// Checks the width, that the length is exactly what the header says, and that members ascend. Safe on any input.
    /// An empty intset is sound here; Redis writes none. O(n).
    public static func validate(_ bytes: Bytes) -> FormatCheck {
        guard let width = bytes.littleEndian(at: 0, as: UInt32.self), width == 2 || width == 4 || width == 8,
            let told = bytes.littleEndian(at: 4, as: UInt32.self)
        else { return .damaged(at: 0) }
        let count = Int(told)
        guard bytes.count - headerSize == count * Int(width) else { return .damaged(at: 4) }
        // Only read through: the header is sound, so every index below `count` lies within the bytes.
        let set = Intset(block: UnsafeMutableRawPointer(mutating: bytes.base))
        for i in 0..<max(0, count - 1) where set.load(i, Int(width)) >= set.load(i + 1, Int(width)) {
            return .damaged(at: headerSize + (i + 1) * Int(width))
        }
        return .sound(count: count)
    }
}

extension Intset {
    /// O(n).
    func checkInvariants() throws(BrokenInvariant) {
        try invariant(
            Intset.validate(bytes).count == count, "intset: not \(count) ascending integers of \(width) bytes")
        try invariant(byteCount <= memoryUsage, "intset: \(byteCount) bytes in a block of \(memoryUsage)")
    }
}
