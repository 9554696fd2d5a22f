import Glibc

// Invariant of this file: `base` points to `capacity` bytes that this object owns, the first `count` initialised.

/// A growing run of bytes that keeps its capacity when emptied: replies, log batches, rows. Amortised O(1) append;
/// growth doubles.
public final class OutputBuffer {
    public private(set) var base: UnsafeMutableRawPointer
    public private(set) var count = 0
    public private(set) var capacity: Int
    /// Bytes at which growing gives up: what is there is discarded, and all that follows. Capacity stops here too, but
    /// for a single piece that is larger.
    public var limit = Int.max
    /// The limit was passed: the contents are of no use any more.
    public private(set) var isOverflowed = false

    /// Capacity of a buffer that only discards.
    private static let overflowedCapacity = 4096

    public init(capacity: Int = 1024) {
        self.capacity = max(capacity, 16)
        base = malloc(self.capacity)!
    }
    deinit { free(base) }

    /// A buffer that holds a copy of `bytes`.
    public convenience init(copying bytes: Bytes) {
        self.init(capacity: bytes.count)
        append(bytes)
    }

    public var bytes: Bytes { Bytes(base, count) }
    /// Bytes that it takes: some more than `capacity`, as the allocator has only so many sizes.
    public var memoryUsage: Int { MemoryCounters.size(of: base) }

    @inline(__always) public func reserve(_ more: Int) {
        if count &+ more > capacity { grow(more) }
    }
    @inline(never) private func grow(_ more: Int) {
        let needed = count + more
        if isOverflowed || needed > limit {
            isOverflowed = true
            count = 0
            capacity = max(more, OutputBuffer.overflowedCapacity)
        } else {
            capacity = max(needed, min(capacity * 2, limit))
        }
        base = realloc(base, capacity)!
    }

    /// Discards what is there and all that follows, as where the limit is passed.
    public func overflow() {
        isOverflowed = true
        count = 0
    }

    /// Empties the buffer; gives memory back above `limit` bytes of capacity, so that one huge reply is not kept.
    public func removeAll(keepingAtMost limit: Int = .max) {
        count = 0
        if capacity > limit {
            capacity = limit
            base = realloc(base, capacity)!
        }
    }
    /// Gives memory back that the contents do not need, but for `least` bytes.
    public func shrink(to least: Int) {
        let needed = max(count, least)
        if capacity <= needed { return }
        capacity = needed
        base = realloc(base, capacity)!
    }
    /// Moves what is there to a buffer of its own, which takes no more than that, without copying; begins anew with `capacity`
    /// bytes.
    public func detach(capacity: Int) -> OutputBuffer {
        let detached = OutputBuffer(capacity: capacity)
        swap(&base, &detached.base)
        swap(&count, &detached.count)
        swap(&self.capacity, &detached.capacity)
        detached.shrink(to: 0)
        return detached
    }
    /// Drops what follows the first `length` bytes.
    public func truncate(to length: Int) { count = min(count, max(0, length)) }
    /// Moves the bytes after the first `length` to the front.
    public func removeFirst(_ length: Int) {
        precondition(length >= 0 && length <= count)
        count -= length
        if count > 0 { memmove(base, base + length, count) }
    }

    @inline(__always) public func append(_ bytes: Bytes) {
        reserve(bytes.count)
        memcpy(base + count, bytes.base, bytes.count)
        count &+= bytes.count
    }
    /// As `append`, where `total` bytes are to come in all: growing stops there, as one value may be most of the memory.
    public func append(_ bytes: Bytes, expecting total: Int) {
        if count + bytes.count > capacity, total < capacity * 2, count + bytes.count <= total, total <= limit {
            capacity = total
            base = realloc(base, capacity)!
        }
        append(bytes)
    }
    @inline(__always) public func append(_ text: StaticString) { append(Bytes(text)) }
    /// CR LF, as every line of RESP ends.
    @inline(__always) public func appendLineEnd() {
        reserve(2)
        base.storeBytes(of: UInt16(littleEndian: 0x0a0d), toByteOffset: count, as: UInt16.self)
        count &+= 2
    }
    @inline(__always) public func append(byte: UInt8) {
        reserve(1)
        base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count &+= 1
    }
    /// Not for literals: those are static strings, which cost no reference counting.
    public func append(text: String) {
        var text = text
        text.withUTF8 { if let p = $0.baseAddress { append(Bytes(p, $0.count)) } }
    }
    /// Appends `value` in this machine's byte order, unaligned.
    @inline(__always) public func append<T: FixedWidthInteger>(raw value: T) {
        reserve(MemoryLayout<T>.size)
        base.storeBytes(of: value, toByteOffset: count, as: T.self)
        count &+= MemoryLayout<T>.size
    }
    /// Appends the decimal form: at most 20 bytes.
    @inline(__always) public func append(decimal value: Int64) {
        reserve(20)
        count &+= decimalDigits(of: value, into: base + count)
    }
    /// Overwrites bytes that are already there.
    public func overwrite(at offset: Int, with bytes: Bytes) {
        precondition(offset >= 0 && offset + bytes.count <= count)
        memcpy(base + offset, bytes.base, bytes.count)
    }
    /// Room for `length` bytes that the caller fills, counted as there.
    public func appendUninitialized(_ length: Int) -> UnsafeMutableRawPointer {
        reserve(length)
        defer { count += length }
        return base + count
    }
}

/// Writes the decimal form of `value` to `out`, which has room for 20 bytes. Returns the length.
@inline(__always) public func decimalDigits(of value: Int64, into out: UnsafeMutableRawPointer) -> Int {
    let p = out.assumingMemoryBound(to: UInt8.self)
    var magnitude = value.magnitude
    var length = value < 0 ? 1 : 0
    var probe = magnitude
    repeat {
        length &+= 1
        probe /= 10
    } while probe != 0
    if value < 0 { p[0] = 45 }
    var i = length
    repeat {
        i &-= 1
        p[i] = UInt8(truncatingIfNeeded: 48 &+ magnitude % 10)
        magnitude /= 10
    } while magnitude != 0
    return length
}
