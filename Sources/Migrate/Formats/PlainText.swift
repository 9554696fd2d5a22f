import Storage

/// Bytes as text, in JSON and CSV: what is UTF-8 without NUL stands as it is; all else, and what begins with the mark itself, is
/// `b64:` and base64. So every text stands for the bytes of one value alone.
enum PlainText {
    private static let mark: StaticString = "b64:"

    private static func isMarked(_ bytes: Bytes) -> Bool {
        let mark = Bytes(mark)
        return bytes.count >= mark.count && bytes[0..<mark.count] == mark
    }

    /// Whether `bytes` stand as they are.
    static func isPlain(_ bytes: Bytes) -> Bool { !isMarked(bytes) && bytes.isText }

    static func appendMarked(_ bytes: Bytes, to out: OutputBuffer) {
        out.append(mark)
        Base64.encode(bytes, into: out)
    }

    /// Replaces a marked text in `text` by its bytes. False where what follows the mark is no base64.
    static func unmark(_ text: OutputBuffer) -> Bool {
        if !isMarked(text.bytes) { return true }
        let copy = OutputBuffer(copying: text.bytes)
        text.removeAll()
        return Base64.decode(copy.bytes[Bytes(mark).count..<copy.count], into: text)
    }
}
