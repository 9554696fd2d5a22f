// Invariant of this file: every index into pattern and text goes through the checked subscript of `Bytes`, or follows
// a comparison with `count`.

/// Whether the whole of `text` matches the glob `pattern`: `*`, `?`, `[a-c]`, `[^a]`, and `\` before a byte that stands
/// for itself. Bytes, not characters; `ignoringCase` folds ASCII only. As KEYS, SCAN, PSUBSCRIBE and CONFIG GET read
/// their patterns, with their leniency: a class that is never closed ends with the pattern, a range may be reversed.
///
/// An empty text matches the empty pattern alone, as in Redis: commands that let `*` stand for all do so themselves.
/// A pattern with more than `maxStars` runs of `*` before its end matches nothing, as in Redis.
///
/// O(pattern × text) at worst and no recursion: only the last `*` is ever retried, since what an earlier one could take
/// instead, the last one can take as well.
public func stringmatch(_ pattern: Bytes, _ text: Bytes, ignoringCase: Bool = false) -> Bool {
    if text.count == 0 { return pattern.count == 0 }
    var p = 0
    var t = 0
    var starPattern = -1
    var starText = 0
    var stars = 0
    while t < text.count {
        if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
            repeat { p += 1 } while p < pattern.count && pattern[p] == UInt8(ascii: "*")
            if p == pattern.count { return true }
            stars += 1
            if stars > maxStars { return false }
            starPattern = p
            starText = t
            continue
        }
        if p < pattern.count, matchOne(pattern, &p, text[t], ignoringCase) {
            t += 1
            continue
        }
        if starPattern < 0 { return false }
        starText += 1
        t = starText
        p = starPattern
    }
    while p < pattern.count, pattern[p] == UInt8(ascii: "*") { p += 1 }
    return p == pattern.count
}

/// Redis's bound on the nesting of its matcher.
private let maxStars = 1000

/// Matches the one element of `pattern` at `p`, which is no `*`, with `byte`, and moves `p` behind it.
private func matchOne(_ pattern: Bytes, _ p: inout Int, _ byte: UInt8, _ ignoringCase: Bool) -> Bool {
    let element = pattern[p]
    p += 1
    switch element {
    case UInt8(ascii: "?"):
        return true
    case UInt8(ascii: "["):
        return matchClass(pattern, &p, byte, ignoringCase)
    case UInt8(ascii: "\\") where p < pattern.count:
        p += 1
        return fold(pattern[p - 1], ignoringCase) == fold(byte, ignoringCase)
    default:
        return fold(element, ignoringCase) == fold(byte, ignoringCase)
    }
}

/// Matches a class whose `[` is just before `p`, and moves `p` behind its `]`.
private func matchClass(_ pattern: Bytes, _ p: inout Int, _ byte: UInt8, _ ignoringCase: Bool) -> Bool {
    let c = fold(byte, ignoringCase)
    var negated = false
    if p < pattern.count, pattern[p] == UInt8(ascii: "^") {
        negated = true
        p += 1
    }
    var found = false
    while p < pattern.count {
        let first = pattern[p]
        if first == UInt8(ascii: "]") {
            p += 1
            break
        }
        if first == UInt8(ascii: "\\"), p + 1 < pattern.count {
            // Inside a class an escaped byte is compared as it is, whatever the case asked for.
            if pattern[p + 1] == byte { found = true }
            p += 2
        } else if p + 2 < pattern.count, pattern[p + 1] == UInt8(ascii: "-") {
            let a = fold(first, ignoringCase)
            let b = fold(pattern[p + 2], ignoringCase)
            if c >= min(a, b) && c <= max(a, b) { found = true }
            p += 3
        } else {
            if fold(first, ignoringCase) == c { found = true }
            p += 1
        }
    }
    return found != negated
}

@inline(__always) private func fold(_ byte: UInt8, _ ignoringCase: Bool) -> UInt8 {
    ignoringCase && byte >= 65 && byte <= 90 ? byte | 32 : byte
}
