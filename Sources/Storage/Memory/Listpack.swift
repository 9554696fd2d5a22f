import Glibc

// Invariant of this file: `block` holds a sound listpack (what `validate` accepts), and an offset that a caller gives
// is that of an entry or of the end byte. So no read below leaves the block. Bytes from outside enter only by
// `init?(copying:)`.

/// A flat sequence of byte strings and integers, byte for byte Redis's listpack: the in-memory form of small hashes,
/// lists, sets and sorted sets, and their payload in RDB files.
///
/// Format (https://github.com/antirez/listpack/blob/master/listpack.md): u32 total bytes, u16 number of entries (65535:
/// count them), entries, 0xFF. All integers are little-endian. An entry is an encoding byte, its data, and the length
/// of those two, 7 bits a byte, readable from the right:
///
///     0xxxxxxx             0...127             11110000 + u32   string
///     10xxxxxx             string of 0...63    11110001         16-bit integer
///     110xxxxx xxxxxxxx    13-bit integer      11110010         24-bit integer
///     1110xxxx xxxxxxxx    string of 0...4095  11110011         32-bit integer
///                                              11110100         64-bit integer
///
/// Owned by hand: a copy of the struct is the same block, `free` ends it. The cursor is an entry's offset in bytes;
/// it stays right until an entry before it changes.
public struct Listpack {
    /// The memory, from malloc. Editing may move it.
    public internal(set) var block: UnsafeMutableRawPointer

    @usableFromInline static let headerSize = 6
    static let endByte: UInt8 = 0xFF
    /// In the header's count: more entries than it can tell.
    static let unknownCount = 65535

    /// Takes over a block that another `Listpack` was.
    @inline(__always) public init(block: UnsafeMutableRawPointer) { self.block = block }

    /// An empty listpack of 7 bytes.
    public static func allocate() -> Listpack {
        let size = headerSize + 1
        var pack = Listpack(block: RawBlock.allocate(size))
        pack.setHeader(byteCount: size, count: 0)
        pack.block.storeBytes(of: endByte, toByteOffset: headerSize, as: UInt8.self)
        return pack
    }

    /// A copy of `bytes`, once `validate` has found them sound; nil otherwise. O(n).
    public init?(copying bytes: Bytes) {
        guard Listpack.validate(bytes).count != nil else { return nil }
        self.init(block: RawBlock.allocate(bytes.count))
        memcpy(block, bytes.base, bytes.count)
    }

    public func copy() -> Listpack {
        let size = byteCount
        let pack = Listpack(block: RawBlock.allocate(size))
        memcpy(pack.block, block, size)
        return pack
    }

    public func free() { Glibc.free(block) }

    // MARK: - Header

    /// The payload as RDB files have it.
    public var bytes: Bytes { Bytes(block, byteCount) }

    @inline(__always) public var byteCount: Int {
        Int(UInt32(littleEndian: block.loadUnaligned(fromByteOffset: 0, as: UInt32.self)))
    }

    /// Number of entries. O(1) below 65535, O(n) from there on.
    @inline(__always) public var count: Int {
        let told = headerCount
        return told != Listpack.unknownCount ? told : walkedCount(from: Listpack.headerSize)
    }

    /// O(1).
    @inline(__always) public var isEmpty: Bool { byteCount == Listpack.headerSize &+ 1 }

    @inline(__always) var headerCount: Int {
        Int(UInt16(littleEndian: block.loadUnaligned(fromByteOffset: 4, as: UInt16.self)))
    }
    @inline(__always) mutating func setHeader(byteCount: Int, count: Int) {
        let told = UInt16(truncatingIfNeeded: min(count, Listpack.unknownCount))
        block.storeBytes(of: UInt32(truncatingIfNeeded: byteCount).littleEndian, toByteOffset: 0, as: UInt32.self)
        block.storeBytes(of: told.littleEndian, toByteOffset: 4, as: UInt16.self)
    }
    @inline(never) func walkedCount(from start: Int) -> Int {
        var n = 0
        var offset = start
        let end = endOffset
        while offset < end {
            n &+= 1
            offset = following(offset)
        }
        return n
    }

    // MARK: - Walking

    /// Where the end byte lies: what inserting takes to append.
    @inline(__always) public var endOffset: Int { byteCount &- 1 }

    /// The first entry; nil when empty.
    @inline(__always) public var first: Int? { isEmpty ? nil : Listpack.headerSize }
    /// The last entry; nil when empty.
    @inline(__always) public var last: Int? { previous(endOffset) }

    /// Where the last entry lies of a listpack that is not empty.
    @inline(__always) var lastOffset: Int {
        let end = endOffset
        let low = byte(end &- 1)
        return low < 0x80 ? end &- 1 &- Int(low) : longPrevious(end) ?? Listpack.headerSize
    }

    /// The entry after the one at `offset`; nil after the last.
    @inline(__always) public func next(_ offset: Int) -> Int? {
        let next = following(offset)
        return byte(next) == Listpack.endByte ? nil : next
    }

    /// The entry before the one at `offset` (or before the end byte there); nil before the first.
    @inline(__always) public func previous(_ offset: Int) -> Int? {
        if offset <= Listpack.headerSize { return nil }
        let low = byte(offset &- 1)
        if low < 0x80 { return offset &- 1 &- Int(low) }
        return longPrevious(offset)
    }

    /// The entry at `index`, negative ones counting from the end (-1: the last); nil out of range. Walks from the
    /// nearer end: O(n).
    public func seek(_ index: Int) -> Int? {
        let told = headerCount
        var forward = index >= 0
        var steps = forward ? index : -1 &- index
        if told != Listpack.unknownCount {
            if steps >= told { return nil }
            if steps > told / 2 {
                forward.toggle()
                steps = told &- 1 &- steps
            }
        }
        if forward {
            var offset = Listpack.headerSize
            let end = endOffset
            while steps > 0 && offset < end {
                offset = following(offset)
                steps &-= 1
            }
            return offset < end ? offset : nil
        }
        var offset = last
        while steps > 0, let here = offset {
            offset = previous(here)
            steps &-= 1
        }
        return offset
    }

    @inline(__always) func byte(_ offset: Int) -> UInt8 { block.load(fromByteOffset: offset, as: UInt8.self) }

    /// The offset after the entry at `offset`, be it an entry's or the end byte's.
    @inline(__always) func following(_ offset: Int) -> Int {
        let head = byte(offset)
        // Shorter than 128 bytes, so that the length takes one byte.
        if head < 0x80 { return offset &+ 2 }
        if head < 0xC0 { return offset &+ 2 &+ Int(head & 0x3F) }
        return longFollowing(offset, head)
    }
    @inline(never) private func longFollowing(_ offset: Int, _ head: UInt8) -> Int {
        let length = Listpack.headLength(head) &+ dataLength(offset, head)
        return offset &+ length &+ Listpack.backLengthSize(length)
    }
    @inline(never) private func longPrevious(_ offset: Int) -> Int? {
        var length = 0
        var shift = 0
        var at = offset &- 1
        while true {
            let part = byte(at)
            length |= Int(part & 0x7F) << shift
            if part < 0x80 { return at &- length }
            shift &+= 7
            at &-= 1
        }
    }

    // MARK: - Entries

    /// The element, valid until the next change; an integer is rendered into `scratch`, which has 24 bytes. O(1).
    @inline(__always) public func value(at offset: Int, scratch: UnsafeMutableRawPointer) -> Bytes {
        let head = byte(offset)
        if head & 0xC0 == 0x80 { return Bytes(block + (offset &+ 1), Int(head & 0x3F)) }
        return longValue(offset, head, scratch)
    }
    @inline(never) private func longValue(_ offset: Int, _ head: UInt8, _ scratch: UnsafeMutableRawPointer) -> Bytes {
        if let integer = decodedInteger(offset, head) {
            return Bytes(scratch, decimalDigits(of: integer, into: scratch))
        }
        return Bytes(block + (offset &+ Listpack.headLength(head)), dataLength(offset, head))
    }

    /// The element where it is stored as an integer, as all are that came in by `append`, `insert` and `replace` and
    /// are one's canonical form. A sound block from outside may also hold digits as a string: nil of them.
    @inline(__always) public func integer(at offset: Int) -> Int64? {
        let head = byte(offset)
        if head < 0x80 { return Int64(head) }
        if head < 0xC0 { return nil }
        return decodedInteger(offset, head)
    }

    /// The element as a number, as scores are stored; nil where it is none.
    public func double(at offset: Int) -> Double? {
        let head = byte(offset)
        if let integer = decodedInteger(offset, head) { return Double(integer) }
        return Bytes(block + (offset &+ Listpack.headLength(head)), dataLength(offset, head)).double
    }

    /// Whether the element equals `value`. Renders nothing.
    public func matches(_ offset: Int, _ value: Bytes) -> Bool {
        let head = byte(offset)
        if let integer = decodedInteger(offset, head) { return value.integer == integer }
        return hasString(offset, head, value)
    }

    /// The first element from `offset` on that equals `value`; nil when there is none. `skip`: how many entries to
    /// leave out after each that is compared (1 to look at the fields of a hash). O(n), rendering nothing.
    public func find(_ value: Bytes, from offset: Int, skip: Int = 0) -> Int? {
        let integer = value.integer
        let length = value.count
        // Members of one collection tend to begin alike and to end differently.
        let lastByte = length > 0 ? value[length &- 1] : 0
        let end = endOffset
        var at = offset
        while at < end {
            let head = byte(at)
            if head & 0xC0 == 0x80 {
                let here = Int(head & 0x3F)
                if here == length
                    && (length == 0
                        || (byte(at &+ length) == lastByte && memcmp(block + (at &+ 1), value.base, length) == 0))
                {
                    return at
                }
                at &+= here &+ 2
            } else if head < 0x80 {
                if integer == Int64(head) { return at }
                at &+= 2
            } else {
                if let here = decodedInteger(at, head) {
                    if here == integer { return at }
                } else if hasString(at, head, value) {
                    return at
                }
                at = following(at)
            }
            var left = skip
            while left > 0 && at < end {
                at = following(at)
                left &-= 1
            }
        }
        return nil
    }

    private func hasString(_ offset: Int, _ head: UInt8, _ value: Bytes) -> Bool {
        dataLength(offset, head) == value.count
            && memcmp(block + (offset &+ Listpack.headLength(head)), value.base, value.count) == 0
    }

    /// The integer of an entry that is one.
    @inline(__always) private func decodedInteger(_ offset: Int, _ head: UInt8) -> Int64? {
        if head < 0x80 { return Int64(head) }
        if head < 0xC0 { return nil }
        return wideInteger(offset, head)
    }
    @inline(never) private func wideInteger(_ offset: Int, _ head: UInt8) -> Int64? {
        let data = block + (offset &+ 1)
        switch head {
        case 0xC0...0xDF:
            let raw = Int64(head & 0x1F) << 8 | Int64(byte(offset &+ 1))
            return raw < 4096 ? raw : raw &- 8192
        case 0xF1: return Int64(Int16(littleEndian: data.loadUnaligned(as: Int16.self)))
        case 0xF2:
            let low = UInt32(UInt16(littleEndian: data.loadUnaligned(as: UInt16.self)))
            return Int64(Int32(bitPattern: low << 8 | UInt32(byte(offset &+ 3)) << 24) >> 8)
        case 0xF3: return Int64(Int32(littleEndian: data.loadUnaligned(as: Int32.self)))
        case 0xF4: return Int64(littleEndian: data.loadUnaligned(as: Int64.self))
        default: return nil
        }
    }

    /// Bytes before an entry's data: the encoding and, of strings, their length.
    @inline(__always) static func headLength(_ head: UInt8) -> Int {
        if head & 0xF0 == 0xE0 { return 2 }
        return head == 0xF0 ? 5 : 1
    }
    /// Bytes of an entry's data.
    @inline(__always) func dataLength(_ offset: Int, _ head: UInt8) -> Int {
        switch head {
        case 0x00...0x7F: return 0
        case 0x80...0xBF: return Int(head & 0x3F)
        case 0xC0...0xDF: return 1
        case 0xE0...0xEF: return Int(head & 0x0F) << 8 | Int(byte(offset &+ 1))
        case 0xF0: return Int(UInt32(littleEndian: block.loadUnaligned(fromByteOffset: offset &+ 1, as: UInt32.self)))
        case 0xF1: return 2
        case 0xF2: return 3
        case 0xF3: return 4
        default: return 8
        }
    }
    /// Bytes that the length of an entry takes after it. The steps are Redis's, which from the second on gives the
    /// largest number of each size a byte more than it needs.
    @inline(__always) static func backLengthSize(_ length: Int) -> Int {
        if length <= 127 { return 1 }
        if length < 16383 { return 2 }
        if length < 2_097_151 { return 3 }
        return length < 268_435_455 ? 4 : 5
    }
}

// MARK: - Bytes from outside

extension Listpack {
    /// Checks every byte of `bytes`: the header, each entry's encoding, extent and back-length, the end byte, the
    /// count. Safe on any input. Strings that could be integers, and integers wider than they need be, are sound. O(n).
    public static func validate(_ bytes: Bytes) -> FormatCheck {
        guard let total = bytes.littleEndian(at: 0, as: UInt32.self), Int(total) == bytes.count,
            let told = bytes.littleEndian(at: 4, as: UInt16.self)
        else { return .damaged(at: 0) }
        let end = bytes.count - 1
        guard end >= headerSize, bytes[end] == endByte else { return .damaged(at: max(end, 0)) }
        var at = headerSize
        var count = 0
        while at < end {
            guard let length = checkedLength(bytes[at..<end]) else { return .damaged(at: at) }
            let backLength = backLengthSize(length)
            guard length + backLength <= end - at,
                hasBackLength(length, bytes[at + length..<at + length + backLength])
            else { return .damaged(at: at) }
            at += length + backLength
            count += 1
        }
        // The header may stop counting even where it could still tell: removing leaves it so.
        if Int(told) != unknownCount && Int(told) != count { return .damaged(at: 4) }
        return .sound(count: count)
    }

    /// Encoding and data of the entry that `bytes` open with; nil where the encoding is none. May exceed `bytes`.
    private static func checkedLength(_ bytes: Bytes) -> Int? {
        let head = bytes[0]
        switch head {
        case 0x00...0x7F: return 1
        case 0x80...0xBF: return 1 + Int(head & 0x3F)
        case 0xC0...0xDF: return 2
        case 0xE0...0xEF: return bytes.count < 2 ? nil : 2 + (Int(head & 0x0F) << 8 | Int(bytes[1]))
        case 0xF0: return bytes.littleEndian(at: 1, as: UInt32.self).map { 5 + Int($0) }
        case 0xF1: return 3
        case 0xF2: return 4
        case 0xF3: return 5
        case 0xF4: return 9
        default: return nil
        }
    }

    private static func hasBackLength(_ length: Int, _ bytes: Bytes) -> Bool {
        var rest = length
        for i in 0..<bytes.count {
            let part = bytes[bytes.count - 1 - i]
            let more: UInt8 = i < bytes.count - 1 ? 0x80 : 0
            if part != UInt8(rest & 0x7F) | more { return false }
            rest >>= 7
        }
        return rest == 0
    }
}

extension Listpack {
    /// O(n).
    func checkInvariants() throws(BrokenInvariant) {
        guard let found = Listpack.validate(bytes).count else {
            throw BrokenInvariant("listpack: damaged at \(Listpack.validate(bytes).damage ?? -1) of \(byteCount) bytes")
        }
        try invariant(count == found, "listpack: counts \(count) entries and has \(found)")
    }
}
