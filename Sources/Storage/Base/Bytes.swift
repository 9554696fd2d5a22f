import Glibc

// Invariant of this file: a `Bytes` borrows memory that its maker keeps alive and unchanged for as long as the doc of
// the function that returned it says (an argument: until the command ends; a value: until the next write to that
// key). Every subscript is checked against `count`.

/// A borrowed run of bytes: an argument, a key, an element. Never owns, never frees; 16 bytes, passed in registers.
public struct Bytes {
    public let base: UnsafeRawPointer
    public let count: Int

    @inlinable public init(_ base: UnsafeRawPointer, _ count: Int) {
        self.base = base
        self.count = count
    }
    @inlinable public init(_ text: StaticString) { self.init(text.utf8Start, text.utf8CodeUnitCount) }
    /// The empty run.
    @inlinable public init() { self.init("") }

    @inlinable public var isEmpty: Bool { count == 0 }

    @inlinable public subscript(_ index: Int) -> UInt8 {
        precondition(index >= 0 && index < count)
        return base.load(fromByteOffset: index, as: UInt8.self)
    }
    /// The bytes of `range`, which must lie within the run.
    @inlinable public subscript(_ range: Range<Int>) -> Bytes {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        return Bytes(base + range.lowerBound, range.count)
    }

    public var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }
    public var array: [UInt8] { [UInt8](buffer) }
    /// For messages only: bytes that are no UTF-8 are replaced.
    public var string: String { String(decoding: buffer, as: UTF8.self) }

    /// For messages: in quotes, what is not printable escaped, cut where it is long.
    public var quoted: String {
        var text = ""
        for byte in buffer.prefix(64) {
            switch byte {
            case 34, 92: text += "\\" + String(UnicodeScalar(byte))
            case 32..<127: text.unicodeScalars.append(UnicodeScalar(byte))
            default: text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return "\"\(text)\"" + (count > 64 ? "…" : "")
    }

    /// Whether this can name a history of changes: 40 hexadecimal digits, in lower case as all servers write them.
    public var isStreamID: Bool {
        count == 40 && buffer.allSatisfy { $0 >= 48 && $0 <= 57 || $0 >= 97 && $0 <= 102 }
    }

    /// Equal after folding ASCII case; `text` must be lower case.
    public func equals(ignoringCase text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for i in 0..<count {
            var c = base.load(fromByteOffset: i, as: UInt8.self)
            if c >= 65 && c <= 90 { c |= 32 }
            if c != text.utf8Start[i] { return false }
        }
        return true
    }

    /// As memcmp, a shorter run first where it is a prefix: negative, zero or positive.
    @inlinable public func compare(_ other: Bytes) -> Int {
        let c = memcmp(base, other.base, min(count, other.count))
        return c != 0 ? Int(c) : count - other.count
    }
}

extension [UInt8] {
    /// Lends the bytes until `body` returns.
    public func lend<Result, Failure: Error>(
        _ body: (Bytes) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try withUnsafeBufferPointer { (buffer) throws(Failure) in
            guard let base = buffer.baseAddress else { return try body(Bytes()) }
            return try body(Bytes(base, buffer.count))
        }
    }
}

extension Bytes: Equatable {
    @inlinable public static func == (a: Bytes, b: Bytes) -> Bool {
        a.count == b.count && memcmp(a.base, b.base, a.count) == 0
    }
}

// MARK: - Numbers

extension Bytes {
    /// The integer that these bytes are the one decimal form of: no sign but "-", no leading zeros, no spaces, within
    /// 64 bits. nil otherwise.
    public var integer: Int64? {
        if count == 0 || count > 20 { return nil }
        let p = base.assumingMemoryBound(to: UInt8.self)
        let negative = p[0] == 45
        var i = negative ? 1 : 0
        if i == count { return nil }
        if p[i] == 48 { return count == 1 ? 0 : nil }
        var value: UInt64 = 0
        while i < count {
            let digit = p[i] &- 48
            if digit > 9 { return nil }
            let (product, o1) = value.multipliedReportingOverflow(by: 10)
            let (sum, o2) = product.addingReportingOverflow(UInt64(digit))
            if o1 || o2 { return nil }
            value = sum
            i &+= 1
        }
        if negative { return value <= 1 << 63 ? Int64(truncatingIfNeeded: 0 &- value) : nil }
        return value < 1 << 63 ? Int64(value) : nil
    }

    /// The number that strtod reads from all of these bytes; nil for an empty run, spaces, trailing bytes or NaN.
    public var double: Double? {
        // strtod needs a terminator; no number that anyone writes is longer than this stack buffer.
        if count == 0 || count > 255 { return nil }
        let first = self[0]
        if first == 32 || (first >= 9 && first <= 13) { return nil }
        return withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { copy in
            let text = copy.baseAddress.unsafelyUnwrapped
            memcpy(text, base, count)
            text.storeBytes(of: 0, toByteOffset: count, as: UInt8.self)
            var end: UnsafeMutablePointer<CChar>?
            let value = strtod(text.assumingMemoryBound(to: CChar.self), &end)
            guard let end, UnsafeRawPointer(end) == UnsafeRawPointer(text + count), !value.isNaN else { return nil }
            return value
        }
    }
}
