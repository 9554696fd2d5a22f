import Storage

/// Reads JSON (https://www.rfc-editor.org/rfc/rfc8259) piece by piece, in place. Nothing in it is trusted. Texts are those of
/// `PlainText`.
struct JSONScanner {
    private let bytes: Bytes
    private let file: String
    /// Of `bytes` in the file.
    private let start: Int64
    private(set) var position: Int
    /// Where strings are decoded to.
    private let scratch = OutputBuffer()
    private var depth = 0

    private static let deepest = 64

    /// `bytes` must outlive the scanner.
    init(_ bytes: Bytes, file: String, at start: Int64, from position: Int = 0) {
        self.bytes = bytes
        self.file = file
        self.start = start
        self.position = position
    }

    func damage(_ message: String) -> StorageError {
        StorageError(file: file, offset: start + Int64(position), message: message)
    }

    // MARK: - Structure

    /// Calls `body` with each member's name, and the scanner at its value, which it must read or skip.
    mutating func object(
        _ body: (String, inout JSONScanner) throws(StorageError) -> Void
    ) throws(StorageError) {
        try object(bytes: { (name, scanner) throws(StorageError) in
            try body(String(decoding: name, as: UTF8.self), &scanner)
        })
    }
    /// As `object`, with the names' bytes.
    mutating func object(
        bytes body: ([UInt8], inout JSONScanner) throws(StorageError) -> Void
    ) throws(StorageError) {
        try list("{", "}") { (scanner) throws(StorageError) in
            let name = try scanner.text().array
            try scanner.expect(":")
            try body(name, &scanner)
        }
    }
    /// Calls `body` at each element, which it must read or skip.
    mutating func array(_ body: (inout JSONScanner) throws(StorageError) -> Void) throws(StorageError) {
        try list("[", "]", body)
    }

    private mutating func list(
        _ open: Unicode.Scalar, _ close: Unicode.Scalar, _ body: (inout JSONScanner) throws(StorageError) -> Void
    ) throws(StorageError) {
        try expect(open)
        depth += 1
        defer { depth -= 1 }
        if depth > Self.deepest { throw damage("is nested too deeply") }
        if take(close) { return }
        repeat { try body(&self) } while take(",")
        try expect(close)
    }

    /// Whether the next value begins with `first`.
    mutating func isNext(_ first: Unicode.Scalar) -> Bool {
        skipSpace()
        return position < bytes.count && bytes[position] == UInt8(ascii: first)
    }
    private mutating func take(_ symbol: Unicode.Scalar) -> Bool {
        if !isNext(symbol) { return false }
        position += 1
        return true
    }
    mutating func expect(_ symbol: Unicode.Scalar) throws(StorageError) {
        if !take(symbol) { throw damage("`\(symbol)` is expected here") }
    }
    /// Throws where something but spaces follows.
    mutating func expectEnd() throws(StorageError) {
        skipSpace()
        if position < bytes.count { throw damage("something follows the object of this line") }
    }
    private mutating func skipSpace() {
        while position < bytes.count, [32, 9, 10, 13].contains(bytes[position]) { position += 1 }
    }

    /// Goes past a value.
    mutating func skip() throws(StorageError) {
        if isNext("\"") { return try skipString() }
        if isNext("{") { return try object(bytes: { (_, scanner) throws(StorageError) in try scanner.skip() }) }
        if isNext("[") { return try array { (scanner) throws(StorageError) in try scanner.skip() } }
        _ = try word()
    }
    private mutating func skipString() throws(StorageError) {
        position += 1
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "\"") {
                position += 1
                return
            }
            position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
        }
        throw damage("a string has no end")
    }

    // MARK: - Values

    /// A string's bytes, valid until the next string is read.
    mutating func text() throws(StorageError) -> Bytes {
        try expect("\"")
        let begin = position
        scratch.removeAll(keepingAtMost: 4 << 20)
        var from = position
        while true {
            guard position < bytes.count else {
                position = begin
                throw damage("a string has no end")
            }
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") { break }
            if byte == UInt8(ascii: "\\") {
                scratch.append(bytes[from..<position])
                try escape()
                from = position
            } else {
                position += 1
            }
        }
        scratch.append(bytes[from..<position])
        position += 1
        if !PlainText.unmark(scratch) {
            position = begin
            throw damage("what follows `b64:` is no base64")
        }
        return scratch.bytes
    }

    private mutating func escape() throws(StorageError) {
        guard position + 1 < bytes.count else { throw damage("a string has no end") }
        let code = bytes[position + 1]
        position += 2
        switch code {
        case UInt8(ascii: "n"): scratch.append(byte: 10)
        case UInt8(ascii: "r"): scratch.append(byte: 13)
        case UInt8(ascii: "t"): scratch.append(byte: 9)
        case UInt8(ascii: "b"): scratch.append(byte: 8)
        case UInt8(ascii: "f"): scratch.append(byte: 12)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scratch.append(byte: code)
        case UInt8(ascii: "u"):
            var value = try unit()
            if value >> 10 == 0x36, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
                bytes[position + 1] == UInt8(ascii: "u")
            {
                position += 2
                value = 0x10000 + (value & 0x3FF) << 10 + (try unit() & 0x3FF)
            }
            guard let scalar = Unicode.Scalar(value) else { throw damage("\\u escapes no character") }
            scratch.append(text: String(Character(scalar)))
        case _: throw damage("\\ is followed by none of its letters")
        }
    }
    private mutating func unit() throws(StorageError) -> UInt32 {
        guard position + 4 <= bytes.count, let value = UInt32(bytes[position..<position + 4].string, radix: 16) else {
            throw damage("\\u is not followed by four hexadecimal digits")
        }
        position += 4
        return value
    }

    /// A number, true, false or null, as it stands.
    private mutating func word() throws(StorageError) -> Bytes {
        skipSpace()
        let begin = position
        while position < bytes.count, !Bytes(",]} \t\r\n:").buffer.contains(bytes[position]) { position += 1 }
        if position == begin { throw damage("a value is expected here") }
        return bytes[begin..<position]
    }

    mutating func integer() throws(StorageError) -> Int64 {
        guard let value = try word().integer else { throw damage("a whole number is expected here") }
        return value
    }
    /// nil for null.
    mutating func optionalInteger() throws(StorageError) -> Int64? {
        let text = try word()
        if text == Bytes("null") { return nil }
        guard let value = text.integer else { throw damage("a whole number or null is expected here") }
        return value
    }
    /// A number, or one in quotes, which may be inf or -inf.
    mutating func score() throws(StorageError) -> Double {
        let text = isNext("\"") ? try self.text() : try word()
        guard let value = text.double else { throw damage("a score is not a number") }
        return value
    }
    mutating func streamID() throws(StorageError) -> StreamID {
        guard let id = StreamID(text: try text()) else { throw damage("an id is not MS-SEQ") }
        return id
    }
}
