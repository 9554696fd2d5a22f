import Storage

// Invariant of this file: `scratch` has room for the whole line, so what is appended to it does not move.

/// Splits a line into words as a shell user would write them: "…" with \n \r \t \b \a \xHH and \ before any other
/// character, '…' with \' only. A closing quote must be followed by a blank or the end.
enum InlineRequest {
    /// Calls back with each word; they borrow from `scratch`. False when a quote is not closed. O(line).
    static func split(_ line: Bytes, _ scratch: OutputBuffer, _ word: (Bytes) -> Void) -> Bool {
        var i = 0
        while true {
            while i < line.count, isBlank(line[i]) { i += 1 }
            if i == line.count { return true }
            let start = scratch.count
            guard let end = unquote(line, i, scratch) else { return false }
            i = end
            word(Bytes(scratch.base + start, scratch.count - start))
        }
    }

    /// Appends the word that begins at `start`; returns where it ends, nil when a quote is not closed.
    private static func unquote(_ line: Bytes, _ start: Int, _ out: OutputBuffer) -> Int? {
        var i = start
        while i < line.count {
            let c = line[i]
            // A byte of zero ends the word, as in Redis, where lines are C strings.
            if isBlank(c) || c == 0 { return c == 0 ? i + 1 : i }
            switch c {
            case UInt8(ascii: "\""):
                guard let end = doubleQuoted(line, i + 1, out) else { return nil }
                return closed(line, end)
            case UInt8(ascii: "'"):
                guard let end = singleQuoted(line, i + 1, out) else { return nil }
                return closed(line, end)
            default:
                out.append(byte: c)
                i += 1
            }
        }
        return i
    }

    private static func closed(_ line: Bytes, _ end: Int) -> Int? {
        end == line.count || isBlank(line[end]) ? end : nil
    }

    private static func doubleQuoted(_ line: Bytes, _ start: Int, _ out: OutputBuffer) -> Int? {
        var i = start
        while i < line.count {
            let c = line[i]
            if c == UInt8(ascii: "\"") { return i + 1 }
            guard c == UInt8(ascii: "\\"), i + 1 < line.count else {
                out.append(byte: c)
                i += 1
                continue
            }
            if line[i + 1] == UInt8(ascii: "x"), i + 3 < line.count, let high = hex(line[i + 2]),
                let low = hex(line[i + 3])
            {
                out.append(byte: high << 4 | low)
                i += 4
                continue
            }
            out.append(byte: escaped(line[i + 1]))
            i += 2
        }
        return nil
    }

    private static func singleQuoted(_ line: Bytes, _ start: Int, _ out: OutputBuffer) -> Int? {
        var i = start
        while i < line.count {
            let c = line[i]
            if c == UInt8(ascii: "'") { return i + 1 }
            if c == UInt8(ascii: "\\"), i + 1 < line.count, line[i + 1] == UInt8(ascii: "'") {
                out.append(byte: UInt8(ascii: "'"))
                i += 2
            } else {
                out.append(byte: c)
                i += 1
            }
        }
        return nil
    }

    private static func escaped(_ c: UInt8) -> UInt8 {
        switch c {
        case UInt8(ascii: "n"): 10
        case UInt8(ascii: "r"): 13
        case UInt8(ascii: "t"): 9
        case UInt8(ascii: "b"): 8
        case UInt8(ascii: "a"): 7
        default: c
        }
    }

    private static func isBlank(_ c: UInt8) -> Bool { c == 32 || (c >= 9 && c <= 13) }

    private static func hex(_ c: UInt8) -> UInt8? {
        switch c {
        case 48...57: c - 48
        case 65...70: c - 55
        case 97...102: c - 87
        default: nil
        }
    }
}
