/// A line of redis.conf taken apart: words between blanks; `"…"` with \n \r \t \a \b \xHH and \ before any other
/// character; `'…'` with \' only; a closing quote must be followed by a blank or the end. nil when a quote is not
/// closed so. O(line).
func splitWords(_ line: ByteString) -> [ByteString]? {
    var words: [ByteString] = []
    var input = line.bytes.makeIterator()
    var next = input.next()
    while true {
        while let c = next, isBlank(c) { next = input.next() }
        guard next != nil else { return words }
        var word: [UInt8] = []
        scan: while let c = next {
            next = input.next()
            switch c {
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                guard appendQuoted(&word, &input, &next, quote: c), next.map(isBlank) ?? true else { return nil }
                break scan
            case _ where isBlank(c):
                break scan
            default:
                word.append(c)
            }
        }
        words.append(ByteString(word))
    }
}

/// Reads up to the closing quote. False when there is none.
private func appendQuoted(
    _ word: inout [UInt8], _ input: inout IndexingIterator<[UInt8]>, _ next: inout UInt8?, quote: UInt8
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

/// Without blanks at both ends; CR is one.
func trim(_ line: ArraySlice<UInt8>) -> ByteString {
    guard let first = line.firstIndex(where: { !isBlank($0) }), let last = line.lastIndex(where: { !isBlank($0) })
    else { return "" }
    return ByteString(line[first...last])
}

/// `word` in double quotes, so that `splitWords` gives it back. What is not UTF-8 is escaped, so that an editor that
/// takes the file for UTF-8 does not spoil it.
func quotedWord(_ word: ByteString) -> ByteString {
    let isText = word.text != nil
    var out: [UInt8] = [34]
    for byte in word.bytes {
        switch byte {
        case 34, 92: out += [92, byte]
        case 7: out += "\\a".utf8
        case 8: out += "\\b".utf8
        case 9: out += "\\t".utf8
        case 10: out += "\\n".utf8
        case 13: out += "\\r".utf8
        case 0..<32, 127: out += hexEscape(byte)
        case 128...255 where !isText: out += hexEscape(byte)
        default: out.append(byte)
        }
    }
    return ByteString(out + [34])
}

private func hexEscape(_ byte: UInt8) -> [UInt8] {
    Array("\\x\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8)
}

/// `word` as a line of the file may have it: quoted only where it must be.
func quotedIfNeeded(_ word: ByteString) -> ByteString {
    let plain =
        !word.isEmpty && word.text != nil
        && word.bytes.allSatisfy { $0 > 32 && $0 != 127 && !"\"'\\#".utf8.contains($0) }
    return plain ? word : quotedWord(word)
}

// MARK: - Misspelt names

/// The known name that `name` may be a misspelling of, as the end of an error message; empty where none is near.
func suggestion(for name: ByteString, among known: some Sequence<ByteString>) -> ByteString {
    let name = name.lowercased
    let known = Array(known)
    if known.contains(name) { return "" }
    if let equals = name.bytes.firstIndex(of: UInt8(ascii: "=")) {
        let setting = ByteString(name.bytes[..<equals])
        if known.contains(setting) { return ": did you mean '\(setting) \(name.dropFirst(equals + 1))'?" }
    }
    let limit = name.count <= 4 ? 1 : name.count <= 10 ? 2 : 3
    let near = known.map { (distance: editDistance(name.bytes, $0.bytes, limit: limit), name: $0) }
    guard let best = near.min(by: { ($0.distance, $0.name) < ($1.distance, $1.name) }), best.distance <= limit else {
        return ""
    }
    return ": did you mean '\(best.name)'?"
}

/// How many bytes have to be put in, taken out or replaced to make `b` of `a`; above `limit`, any number above it.
/// O(|a| × |b|).
private func editDistance(_ a: [UInt8], _ b: [UInt8], limit: Int) -> Int {
    if abs(a.count - b.count) > limit { return limit + 1 }
    var row = Array(0...b.count)
    for i in a.indices {
        var diagonal = row[0]
        row[0] = i + 1
        for j in b.indices {
            let replaced = diagonal + (a[i] == b[j] ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(replaced, diagonal + 1, row[j] + 1)
        }
    }
    return row[b.count]
}
