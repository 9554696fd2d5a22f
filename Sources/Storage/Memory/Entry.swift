import CShims
import Glibc

// Invariant of this file: `raw` points to a block made by `Entry.make` that is not freed yet, laid out as the table
// below says. Offsets that depend on flags are computed from the header on each access, so that an entry whose flags
// change must be rebuilt (`Entry.make`), never patched.

/// One allocation that holds a key, what is known about it, and a small value: of a database, a field of a large hash,
/// a member of a large set or sorted set (`key` is then the field or member).
///
///     0   40 bits row id (a key; 0: no row yet) or slot (an element), 24 bits time of last access in seconds
///     8   type (4 bits), encoding (4 bits)
///     9   flags
///     10  length of the key; where `longKey` is set the length stands before the key in 8 bytes
///     12  length of a string value
///     16  with `hasExpiry`: expiry in ms since 1970 (8 bytes), index in the expiry heap (4 bytes)
///         then the key, then the value: a string's bytes, or 8 bytes (an integer, a score, a pointer)
///
/// 16 bytes of header: a 16-byte key with a 32-byte value makes 64, a size class of jemalloc.
public struct Entry {
    let raw: UnsafeMutableRawPointer

    struct Flags: OptionSet {
        let rawValue: UInt8
        static let hasExpiry = Flags(rawValue: 1)
        static let longKey = Flags(rawValue: 2)
        /// The value is a block of its own that the 8 bytes point to: a string above `inlineLimit`.
        static let outOfLine = Flags(rawValue: 4)
        /// Changed since the last cut, by the cut's parity: what is set under the other parity is still to be handed over.
        static let changed0 = Flags(rawValue: 8)
        static let changed1 = Flags(rawValue: 16)
        static let changedMask: Flags = [.changed0, .changed1]
    }

    static let headerSize = 16
    static let expirySize = 12
    /// Longer strings get a block of their own, which APPEND can grow and another thread can free.
    static var inlineLimit: Int { StructureSizes.size(4096, small: 100) }
    /// The longest string that answers `embstr` to OBJECT ENCODING.
    static let embstrLimit = 44

    // MARK: Header

    @inline(__always) private func load<T>(_ offset: Int, as type: T.Type) -> T {
        raw.loadUnaligned(fromByteOffset: offset, as: type)
    }
    @inline(__always) private func store<T>(_ value: T, _ offset: Int) {
        raw.storeBytes(of: value, toByteOffset: offset, as: T.self)
    }

    @inline(__always) var id: Int64 {
        get { Int64(load(0, as: UInt64.self) & 0xff_ffff_ffff) }
        nonmutating set { store((load(0, as: UInt64.self) & ~0xff_ffff_ffff) | UInt64(newValue), 0) }
    }
    @inline(__always) var slot: Int {
        get { Int(load(0, as: UInt64.self) & 0xff_ffff_ffff) }
        nonmutating set { id = Int64(newValue) }
    }
    /// Seconds on the access clock, modulo 2^24 (194 days).
    @inline(__always) var accessed: UInt32 {
        get { UInt32(load(0, as: UInt64.self) >> 40) }
        nonmutating set {
            store((load(0, as: UInt64.self) & 0xff_ffff_ffff) | (UInt64(newValue & 0xff_ffff) << 40), 0)
        }
    }
    // As the compiler lays the cases out, below 16 each: checking a raw number for being one's took a fortieth of a command.
    @inline(__always) public var type: ValueType { unsafeBitCast(load(8, as: UInt8.self) & 15, to: ValueType.self) }
    @inline(__always) public var encoding: Encoding {
        get { unsafeBitCast(load(8, as: UInt8.self) >> 4, to: Encoding.self) }
        nonmutating set { store((load(8, as: UInt8.self) & 15) | Entry.bits(newValue) << 4, 8) }
    }
    @inline(__always) private static func bits(_ type: ValueType) -> UInt8 { unsafeBitCast(type, to: UInt8.self) }
    @inline(__always) private static func bits(_ encoding: Encoding) -> UInt8 {
        unsafeBitCast(encoding, to: UInt8.self)
    }
    @inline(__always) var flags: Flags {
        get { Flags(rawValue: load(9, as: UInt8.self)) }
        nonmutating set { store(newValue.rawValue, 9) }
    }

    // MARK: Key

    @inline(__always) private var keyOffset: Int {
        let f = flags
        return Entry.headerSize &+ (f.contains(.hasExpiry) ? Entry.expirySize : 0) &+ (f.contains(.longKey) ? 8 : 0)
    }
    @inline(__always) private var keyCount: Int {
        if flags.contains(.longKey) { return load(keyOffset &- 8, as: Int.self) }
        return Int(load(10, as: UInt16.self))
    }
    @inline(__always) public var key: Bytes { Bytes(raw + keyOffset, keyCount) }
    @inline(__always) func hasKey(_ key: Bytes) -> Bool {
        keyCount == key.count && memcmp(raw + keyOffset, key.base, key.count) == 0
    }

    // MARK: Expiry

    @inline(__always) var expiry: Int64? { flags.contains(.hasExpiry) ? load(16, as: Int64.self) : nil }
    @inline(__always) var heapIndex: Int {
        get { Int(load(24, as: UInt32.self)) }
        nonmutating set { store(UInt32(truncatingIfNeeded: newValue), 24) }
    }
    func storeExpiry(_ ms: Int64) {
        precondition(flags.contains(.hasExpiry))
        store(ms, 16)
    }

    // MARK: Value

    @inline(__always) private var payload: Int { keyOffset &+ keyCount }
    /// The 8 bytes of a value that is not inline.
    @inline(__always) var word: UInt64 {
        get { load(payload, as: UInt64.self) }
        nonmutating set { store(newValue, payload) }
    }
    @inline(__always) var pointer: UnsafeMutableRawPointer {
        get { UnsafeMutableRawPointer(bitPattern: UInt(word)).unsafelyUnwrapped }
        nonmutating set { word = UInt64(UInt(bitPattern: newValue)) }
    }
    @inline(__always) var score: Double {
        get { Double(bitPattern: word) }
        nonmutating set { word = newValue.bitPattern }
    }
    /// The value of an integer-encoded string.
    @inline(__always) public var integer: Int64? {
        encoding == .int && type == .string ? Int64(bitPattern: word) : nil
    }
    @inline(__always) var stringCount: Int {
        get { Int(load(12, as: UInt32.self)) }
        nonmutating set { store(UInt32(truncatingIfNeeded: newValue), 12) }
    }
    /// The bytes of a string that is not integer-encoded.
    @inline(__always) var stringBytes: Bytes {
        flags.contains(.outOfLine) ? Bytes(pointer, stringCount) : Bytes(raw + payload, stringCount)
    }
    /// Where the bytes of such a string can be written.
    @inline(__always) var stringBase: UnsafeMutableRawPointer { flags.contains(.outOfLine) ? pointer : raw + payload }

    // MARK: Making

    /// Allocates an entry with the key in place and `room` bytes for the value. id, access time and value are unset.
    static func make(
        _ key: Bytes, type: ValueType, encoding: Encoding, expiry: Int64?, room: Int, flags extra: Flags = []
    ) -> Entry {
        var flags = extra.subtracting([.hasExpiry, .longKey])
        if expiry != nil { flags.insert(.hasExpiry) }
        if key.count > Int(UInt16.max) { flags.insert(.longKey) }
        let size =
            headerSize + (expiry != nil ? expirySize : 0) + (flags.contains(.longKey) ? 8 : 0) + key.count + room
        let entry = Entry(raw: malloc(size)!)
        entry.store(0 as UInt64, 0)
        entry.store(bits(type) | bits(encoding) << 4, 8)
        entry.flags = flags
        entry.store(UInt16(truncatingIfNeeded: key.count), 10)
        entry.store(0 as UInt32, 12)
        if let expiry {
            entry.store(expiry, 16)
            entry.store(0 as UInt32, 24)
        }
        let offset = entry.keyOffset
        if flags.contains(.longKey) { entry.store(key.count, offset - 8) }
        memcpy(entry.raw + offset, key.base, key.count)
        return entry
    }

    /// An entry whose value is a string, inline where short enough. `capacity`: bytes to allocate where it is longer.
    static func makeString(_ key: Bytes, _ value: Bytes, expiry: Int64?, encoding: Encoding? = nil) -> Entry {
        let encoding = encoding ?? (value.count <= embstrLimit ? .embstr : .raw)
        if value.count > inlineLimit {
            let entry = make(key, type: .string, encoding: .raw, expiry: expiry, room: 8, flags: .outOfLine)
            entry.stringCount = value.count
            entry.pointer = malloc(value.count)!
            memcpy(entry.pointer, value.base, value.count)
            return entry
        }
        let entry = make(key, type: .string, encoding: encoding, expiry: expiry, room: value.count)
        entry.stringCount = value.count
        memcpy(entry.raw + entry.payload, value.base, value.count)
        return entry
    }

    /// An entry whose value is a raw string of `count` bytes, unset.
    static func makeRaw(_ key: Bytes, count: Int, expiry: Int64?) -> Entry {
        let isLong = count > inlineLimit
        let entry = make(
            key, type: .string, encoding: .raw, expiry: expiry, room: isLong ? 8 : count,
            flags: isLong ? .outOfLine : [])
        entry.stringCount = count
        if isLong { entry.pointer = malloc(count)! }
        return entry
    }

    static func makeInteger(_ key: Bytes, _ value: Int64, expiry: Int64?) -> Entry {
        let entry = make(key, type: .string, encoding: .int, expiry: expiry, room: 8)
        entry.word = UInt64(bitPattern: value)
        return entry
    }

    /// A copy of this entry under another key or expiry; an out-of-line value or collection changes hands: free this
    /// one's block only. The row id, access time and flags of change go along.
    func rebuilt(key newKey: Bytes? = nil, expiry: Int64?) -> Entry {
        let inline = type == .string && encoding != .int && !flags.contains(.outOfLine)
        let room = inline ? stringCount : 8
        let entry = Entry.make(newKey ?? key, type: type, encoding: encoding, expiry: expiry, room: room, flags: flags)
        entry.store(load(0, as: UInt64.self), 0)
        entry.stringCount = stringCount
        memcpy(entry.raw + entry.payload, raw + payload, room)
        return entry
    }

    /// Replaces an inline string by one of another length where this block has room for it and does not waste half of
    /// it. False where it has not; nothing is changed then.
    @inline(__always) func overwriteInline(_ value: Bytes, encoding newEncoding: Encoding) -> Bool {
        let need = payload &+ value.count
        if value.count != stringCount {
            if value.count > Entry.inlineLimit { return false }
            let usable = malloc_usable_size(raw)
            if need > usable || need &* 2 < usable { return false }
            stringCount = value.count
        }
        encoding = newEncoding
        memcpy(raw + payload, value.base, value.count)
        return true
    }

    /// Frees the block alone.
    @inline(__always) func freeBlock() { free(raw) }

    /// Bytes that the entry's own block takes.
    var blockSize: Int { malloc_usable_size(raw) }
}
