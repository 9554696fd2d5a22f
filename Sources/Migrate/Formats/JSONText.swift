import Storage

// Invariant of this file: `text` and `digits` are as long as what is written to them at most.

extension OutputBuffer {
    /// Appends a JSON string: the text, or `b64:` and base64 of what is none.
    func append(json bytes: Bytes) {
        append(byte: UInt8(ascii: "\""))
        if PlainText.isPlain(bytes) { append(escaped: bytes) } else { PlainText.appendMarked(bytes, to: self) }
        append(byte: UInt8(ascii: "\""))
    }

    private func append(escaped bytes: Bytes) {
        var start = 0
        for i in 0..<bytes.count {
            let byte = bytes[i]
            if byte >= 32 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") { continue }
            append(bytes[start..<i])
            start = i + 1
            append(byte: UInt8(ascii: "\\"))
            switch byte {
            case 10: append(byte: UInt8(ascii: "n"))
            case 13: append(byte: UInt8(ascii: "r"))
            case 9: append(byte: UInt8(ascii: "t"))
            case 0..<32:
                append("u00")
                append(byte: byte < 16 ? 48 : 49)
                append(byte: Bytes("0123456789abcdef")[Int(byte & 15)])
            case _: append(byte: byte)
            }
        }
        append(bytes[start..<bytes.count])
    }

    /// Appends a score: a JSON number with as many digits as it takes to read back the same, or "inf" and "-inf" in quotes.
    func append(jsonScore score: Double) {
        if score.isInfinite { return append(score < 0 ? "\"-inf\"" : "\"inf\"") }
        append(score: score)
    }

    /// Appends a score as few digits as read back the same; `inf`, `-inf`.
    func append(score: Double) {
        if score.isInfinite { return append(score < 0 ? "-inf" : "inf") }
        if score == 0 && score.sign == .minus { return append("-0.0") }
        if let integer = Int64(exactly: score), integer.magnitude < 1 << 53 { return append(decimal: integer) }
        append(text: score.description)
    }

    func append(jsonID id: StreamID) {
        append(byte: UInt8(ascii: "\""))
        append(id: id)
        append(byte: UInt8(ascii: "\""))
    }
    func append(id: StreamID) {
        withUnsafeTemporaryAllocation(byteCount: StreamID.textLimit, alignment: 1) { text in
            if let text = text.baseAddress { append(id.text(into: text)) }
        }
    }

    func append(jsonOptional value: Int64?) {
        if let value { append(decimal: value) } else { append("null") }
    }
}

extension StreamID {
    /// `ms-seq` in decimal; nil for anything else.
    init?(text: Bytes) {
        guard let dash = (0..<text.count).first(where: { text[$0] == UInt8(ascii: "-") }),
            let ms = text[0..<dash].unsigned, let seq = text[dash + 1..<text.count].unsigned
        else { return nil }
        self.init(ms: ms, seq: seq)
    }
}

extension Bytes {
    /// The number whose decimal digits these are.
    var unsigned: UInt64? {
        if isEmpty || count > 20 { return nil }
        var value: UInt64 = 0
        for byte in buffer {
            guard byte >= 48, byte <= 57 else { return nil }
            let (product, high) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(byte - 48))
            if high || carry { return nil }
            value = sum
        }
        return value
    }
}
