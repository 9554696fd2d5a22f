// Invariant of this file: every byte read lies within the run that it is read from: subscripts of `Bytes` are checked.

/// How the fields of a stream's entry stand in the snapshot: a JSON array [f1, v1, f2, v2 …] where all of them are text,
/// which SQLite's JSON functions read; else the packed form itself, in a BLOB.
enum EntryText {
    /// Replaces what `out` holds with the column's bytes for `packed`. True for JSON.
    static func write(_ packed: Bytes, _ pairs: inout [Bytes], into out: OutputBuffer) {
        out.removeAll()
        guard StreamFields.unpack(packed, into: &pairs), pairs.allSatisfy(\.isText) else {
            out.append(packed)
            return
        }
        out.append(byte: UInt8(ascii: "["))
        for (index, element) in pairs.enumerated() {
            if index > 0 { out.append(byte: UInt8(ascii: ",")) }
            quote(element, into: out)
        }
        out.append(byte: UInt8(ascii: "]"))
        // What is escaped takes up to six times its bytes.
        if out.count > RowLimits.maximumValue {
            out.removeAll()
            out.append(packed)
        }
    }

    private static func quote(_ text: Bytes, into out: OutputBuffer) {
        let digits = Bytes("0123456789abcdef")
        out.append(byte: UInt8(ascii: "\""))
        var start = 0
        for i in 0..<text.count {
            let byte = text[i]
            if byte >= 32 && byte != 34 && byte != 92 { continue }
            out.append(text[start..<i])
            start = i + 1
            out.append(byte: UInt8(ascii: "\\"))
            switch byte {
            case 34, 92: out.append(byte: byte)
            case 10: out.append(byte: UInt8(ascii: "n"))
            case 13: out.append(byte: UInt8(ascii: "r"))
            case 9: out.append(byte: UInt8(ascii: "t"))
            default:
                out.append("u00")
                out.append(byte: digits[Int(byte >> 4)])
                out.append(byte: digits[Int(byte & 15)])
            }
        }
        out.append(text[start..<text.count])
        out.append(byte: UInt8(ascii: "\""))
    }

    /// Replaces what `out` holds with the packed form of a column. False where it is neither form. `isText`: the column
    /// is TEXT.
    static func read(_ column: Bytes, isText: Bool, _ pairs: inout [Bytes], into out: OutputBuffer) -> Bool {
        out.removeAll()
        if !isText {
            out.append(column)
            return StreamFields.unpack(column, into: &pairs)
        }
        var at = 1
        guard column.count >= 2, column[0] == UInt8(ascii: "["), column[column.count - 1] == UInt8(ascii: "]") else {
            return false
        }
        let end = column.count - 1
        var elements = 0
        while at < end {
            if elements > 0 {
                guard column[at] == UInt8(ascii: ",") else { return false }
                at += 1
            }
            guard let length = readString(column[at..<end], into: out) else { return false }
            at += length
            elements += 1
        }
        return elements % 2 == 0
    }

    /// Appends one string in the packed form; returns how many bytes it took in the text.
    private static func readString(_ text: Bytes, into out: OutputBuffer) -> Int? {
        guard text.count > 0, text[0] == UInt8(ascii: "\"") else { return nil }
        let lengthAt = out.count
        out.append(raw: UInt32(0))
        var at = 1
        var start = 1
        while at < text.count {
            let byte = text[at]
            if byte == UInt8(ascii: "\"") {
                out.append(text[start..<at])
                let length = UInt32(truncatingIfNeeded: out.count - lengthAt - 4).littleEndian
                withUnsafeBytes(of: length) {
                    if let base = $0.baseAddress { out.overwrite(at: lengthAt, with: Bytes(base, 4)) }
                }
                return at + 1
            }
            if byte != UInt8(ascii: "\\") {
                at += 1
                continue
            }
            out.append(text[start..<at])
            guard at + 1 < text.count else { return nil }
            switch text[at + 1] {
            case let same where same == 34 || same == 92: out.append(byte: same)
            case UInt8(ascii: "n"): out.append(byte: 10)
            case UInt8(ascii: "r"): out.append(byte: 13)
            case UInt8(ascii: "t"): out.append(byte: 9)
            case UInt8(ascii: "u"):
                guard at + 5 < text.count, text[at + 2] == 48, text[at + 3] == 48,
                    let value = UInt8(text[at + 4..<at + 6].string, radix: 16), value < 32
                else { return nil }
                out.append(byte: value)
                at += 4
            default: return nil
            }
            at += 2
            start = at
        }
        return nil
    }
}
