/// A line of redis.conf taken apart: words between blanks; `"…"` with \n \r \t \a \b \xHH and \ before any other
/// character; `'…'` with \' only; a closing quote must be followed by a blank or the end. nil when a quote is not
/// closed so. O(line).
func splitWords(_ line: String) -> [String]? {
    var words: [String] = []
    var input = line.utf8.makeIterator()
    var next = input.next()
    while true {
        while let c = next, isBlank(c) { next = input.next() }
        guard next != nil else { return words }
        var word: [UInt8] = []
        scan: while let c = next {
            next = input.next()
            switch c {
            case UInt8(ascii: "\""):
                guard appendQuoted(&word, &input, &next, quote: c), next.map(isBlank) ?? true else { return nil }
                break scan
            case UInt8(ascii: "'"):
                guard appendQuoted(&word, &input, &next, quote: c), next.map(isBlank) ?? true else { return nil }
                break scan
            case _ where isBlank(c):
                break scan
            default:
                word.append(c)
            }
        }
        words.append(String(decoding: word, as: UTF8.self))
    }
}

/// Reads up to the closing quote. False when there is none.
private func appendQuoted(
    _ word: inout [UInt8], _ input: inout String.UTF8View.Iterator, _ next: inout UInt8?, quote: UInt8
) -> Bool {
    while let c = next {
        next = input.next()
        if c == quote { return true }
        guard c == UInt8(ascii: "\\"), let escaped = next else {
            word.append(c)
            continue
        }
        if quote == UInt8(ascii: "'") {
            // Only the quote itself can be escaped.
            if escaped == quote {
                next = input.next()
                word.append(quote)
            } else {
                word.append(c)
            }
            continue
        }
        next = input.next()
        switch escaped {
        case UInt8(ascii: "n"): word.append(10)
        case UInt8(ascii: "r"): word.append(13)
        case UInt8(ascii: "t"): word.append(9)
        case UInt8(ascii: "a"): word.append(7)
        case UInt8(ascii: "b"): word.append(8)
        case UInt8(ascii: "x"):
            var look = input
            if let high = next.flatMap(hexValue), let low = look.next().flatMap(hexValue) {
                word.append(high << 4 | low)
                input = look
                next = input.next()
            } else {
                word.append(escaped)
            }
        default: word.append(escaped)
        }
    }
    return false
}

private func isBlank(_ c: UInt8) -> Bool { c == 32 || (c >= 9 && c <= 13) }

private func hexValue(_ c: UInt8) -> UInt8? {
    switch c {
    case 48...57: c - 48
    case 65...70: c - 55
    case 97...102: c - 87
    default: nil
    }
}

/// `word` in double quotes, so that `splitWords` gives it back.
func quoted(_ word: String) -> String {
    var text = "\""
    for scalar in word.unicodeScalars {
        switch scalar {
        case "\\", "\"":
            text.unicodeScalars.append("\\")
            text.unicodeScalars.append(scalar)
        case "\n": text += "\\n"
        case "\r": text += "\\r"
        case "\t": text += "\\t"
        case "\u{7}": text += "\\a"
        case "\u{8}": text += "\\b"
        case _ where scalar.value < 32 || scalar.value == 127:
            text += "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
        default: text.unicodeScalars.append(scalar)
        }
    }
    return text + "\""
}

/// `word` as a line of the file may have it: quoted only where it must be.
func quotedIfNeeded(_ word: String) -> String {
    let plain = !word.isEmpty && word.utf8.allSatisfy { $0 > 32 && $0 != 127 && !"\"'\\#".utf8.contains($0) }
    return plain ? word : quoted(word)
}
