import Storage

// Invariant of this file: a C string lives, with its terminator, until the closure that gets it returns.

/// Text from outside, a file, an argument or a client: bytes in whatever encoding, and compared as bytes. A String would
/// make one Character of CR LF, replace what is not UTF-8, and hold a composed é equal to a decomposed one.
struct ByteString: Sendable, Hashable {
    var bytes: [UInt8]

    init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }
    init(_ text: String) { bytes = Array(text.utf8) }
    init(_ borrowed: Bytes) { bytes = borrowed.array }

    var isEmpty: Bool { bytes.isEmpty }
    var count: Int { bytes.count }

    /// nil for bytes that are not UTF-8.
    var text: String? { String(validating: bytes, as: UTF8.self) }

    /// With the ASCII letters in lower case; all other bytes stay.
    var lowercased: ByteString { ByteString(bytes.map { $0 >= 65 && $0 <= 90 ? $0 | 32 : $0 }) }

    func hasPrefix(_ prefix: ByteString) -> Bool { bytes.starts(with: prefix.bytes) }
    func contains(anyOf set: StaticString) -> Bool {
        bytes.contains { byte in
            (0..<set.utf8CodeUnitCount).contains { set.utf8Start[$0] == byte }
        }
    }
    func dropFirst(_ count: Int) -> ByteString { ByteString(bytes.dropFirst(count)) }
    /// The parts between single spaces, without empty ones.
    var words: [ByteString] { bytes.split(separator: 32).map { ByteString($0) } }
    /// The parts between single spaces; none of what is empty.
    var fields: [ByteString] {
        isEmpty ? [] : bytes.split(separator: 32, omittingEmptySubsequences: false).map { ByteString($0) }
    }
    /// Decimal, as Redis reads it: no sign but "-", no leading zeros, no blanks.
    var integer: Int? { withBytes { $0.integer }.flatMap { Int(exactly: $0) } }

    /// Lends the bytes until `body` returns.
    func withBytes<Result>(_ body: (Bytes) -> Result) -> Result {
        bytes.withUnsafeBytes { raw in
            guard let base = raw.baseAddress else { return body(Bytes()) }
            return body(Bytes(base, raw.count))
        }
    }

    /// Lends the bytes up to the first NUL as a C string, for the system's calls, until `body` returns.
    func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        (bytes.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer { buffer in
            body(buffer.baseAddress.unsafelyUnwrapped)
        }
    }

    /// Copies a C string.
    init(cString: UnsafePointer<CChar>) {
        var end = cString
        while end.pointee != 0 { end += 1 }
        self.init(UnsafeBufferPointer(start: cString, count: end - cString).lazy.map { UInt8(bitPattern: $0) })
    }
}

extension ByteString: CustomStringConvertible {
    /// For messages only: what is not UTF-8 is replaced.
    var description: String { String(decoding: bytes, as: UTF8.self) }
}

extension ByteString: Comparable {
    static func < (a: ByteString, b: ByteString) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }
}

extension ByteString: ExpressibleByStringInterpolation {
    init(stringLiteral text: String) { self.init(text) }
    init(stringInterpolation: StringInterpolation) { bytes = stringInterpolation.bytes }

    struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var bytes: [UInt8] = []
        init(literalCapacity: Int, interpolationCount: Int) { bytes.reserveCapacity(literalCapacity) }
        mutating func appendLiteral(_ literal: String) { bytes += literal.utf8 }
        mutating func appendInterpolation(_ part: ByteString) { bytes += part.bytes }
        mutating func appendInterpolation<Part>(_ part: Part) { bytes += String(describing: part).utf8 }
    }
}

extension [ByteString] {
    func joined(separator: ByteString) -> ByteString { ByteString(map(\.bytes).joined(separator: separator.bytes)) }
}

extension ReplyWriter {
    func bulk(_ text: ByteString) { text.withBytes { bulk($0) } }
}
