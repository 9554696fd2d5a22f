import Storage

/// Base64 with padding: https://www.rfc-editor.org/rfc/rfc4648#section-4.
enum Base64 {
    private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    private static let padding = UInt8(ascii: "=")
    /// The value of each digit, 255 for what is none.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        let digits = Bytes(alphabet)
        for i in 0..<digits.count { values[Int(digits[i])] = UInt8(i) }
        return values
    }()

    static func encode(_ bytes: Bytes, into out: OutputBuffer) {
        let digits = Bytes(alphabet)
        var at = 0
        while at < bytes.count {
            let left = bytes.count - at
            let triple =
                UInt32(bytes[at]) << 16 | UInt32(left > 1 ? bytes[at + 1] : 0) << 8
                | UInt32(left > 2 ? bytes[at + 2] : 0)
            out.append(byte: digits[Int(triple >> 18)])
            out.append(byte: digits[Int(triple >> 12 & 63)])
            out.append(byte: left > 1 ? digits[Int(triple >> 6 & 63)] : padding)
            out.append(byte: left > 2 ? digits[Int(triple & 63)] : padding)
            at += 3
        }
    }

    /// False where `text` is no base64.
    static func decode(_ text: Bytes, into out: OutputBuffer) -> Bool {
        if text.count % 4 != 0 { return false }
        var at = 0
        while at < text.count {
            let isLast = at + 4 == text.count
            let missing = isLast && text[at + 3] == padding ? (text[at + 2] == padding ? 2 : 1) : 0
            var word: UInt32 = 0
            for i in 0..<4 {
                let value = i >= 4 - missing ? 0 : values[Int(text[at + i])]
                if value == 255 { return false }
                word = word << 6 | UInt32(value)
            }
            out.append(byte: UInt8(truncatingIfNeeded: word >> 16))
            if missing < 2 { out.append(byte: UInt8(truncatingIfNeeded: word >> 8)) }
            if missing < 1 { out.append(byte: UInt8(truncatingIfNeeded: word)) }
            at += 4
        }
        return true
    }
}
