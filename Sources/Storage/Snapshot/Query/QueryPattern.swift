/// A pattern of LIKE or GLOB, as SQLite reads them, taken apart once. Compares characters: a byte of UTF-8 with those that
/// continue it, as one number, whose order is that of the characters.
final class QueryPattern {
    private enum Token {
        /// Any characters, also none.
        case any
        case one
        case character(UInt32)
        case set([ClosedRange<UInt32>], isInverted: Bool)
        /// What no character can match: a set without an end, an escape without a character.
        case never
    }
    private var tokens: [Token] = []
    private let ignoresCase: Bool

    /// Steps between two looks at the clock: some 10 µs.
    private static let stepsBetweenLooks = 4096

    /// `escape`: the character behind which another one stands for itself.
    init(like pattern: Bytes, escape: UInt32?) {
        ignoresCase = true
        var at = 0
        while at < pattern.count {
            let character = Self.next(pattern, &at)
            if character == escape {
                tokens.append(at < pattern.count ? .character(Self.folded(Self.next(pattern, &at))) : .never)
            } else if character == UInt32(UInt8(ascii: "%")) {
                tokens.append(.any)
            } else if character == UInt32(UInt8(ascii: "_")) {
                tokens.append(.one)
            } else {
                tokens.append(.character(Self.folded(character)))
            }
        }
    }

    init(glob pattern: Bytes) {
        ignoresCase = false
        var at = 0
        while at < pattern.count {
            let character = Self.next(pattern, &at)
            if character == UInt32(UInt8(ascii: "*")) {
                tokens.append(.any)
            } else if character == UInt32(UInt8(ascii: "?")) {
                tokens.append(.one)
            } else if character == UInt32(UInt8(ascii: "[")) {
                tokens.append(Self.set(pattern, &at))
            } else {
                tokens.append(.character(character))
            }
        }
    }

    /// What follows `[`. A `]` that comes first, and a `-` at either end, stand for themselves.
    private static func set(_ pattern: Bytes, _ at: inout Int) -> Token {
        let (minus, closing) = (UInt8(ascii: "-"), UInt8(ascii: "]"))
        var ranges: [ClosedRange<UInt32>] = []
        let isInverted = at < pattern.count && pattern[at] == UInt8(ascii: "^")
        if isInverted { at += 1 }
        if at < pattern.count && pattern[at] == closing {
            ranges.append(UInt32(closing)...UInt32(closing))
            at += 1
        }
        var before: UInt32?
        while at < pattern.count {
            if pattern[at] == closing {
                at += 1
                return .set(ranges, isInverted: isInverted)
            }
            let character = next(pattern, &at)
            if character == UInt32(minus), let first = before, at < pattern.count, pattern[at] != closing {
                let last = next(pattern, &at)
                if first <= last { ranges.append(first...last) }
                before = nil
            } else {
                ranges.append(character...character)
                before = character
            }
        }
        return .never
    }

    /// O(text * pattern). nil where `mayGoOn` says so, which is asked now and then.
    func matches(_ text: Bytes, mayGoOn: () -> Bool) -> Bool? {
        var at = 0
        var token = 0
        // Where the last `any` stands, and up to where it reaches.
        var last: Int?
        var reach = 0
        var steps = 0
        while at < text.count {
            steps += 1
            if steps == Self.stepsBetweenLooks {
                if !mayGoOn() { return nil }
                steps = 0
            }
            if token < tokens.count {
                if case .any = tokens[token] {
                    last = token
                    reach = at
                    token += 1
                    continue
                }
                var end = at
                if matches(tokens[token], Self.next(text, &end)) {
                    at = end
                    token += 1
                    continue
                }
            }
            guard let last else { return false }
            _ = Self.next(text, &reach)
            at = reach
            token = last + 1
        }
        return tokens[token...].allSatisfy { if case .any = $0 { true } else { false } }
    }

    @inline(__always) private func matches(_ token: Token, _ character: UInt32) -> Bool {
        switch token {
        case .any, .never: false
        case .one: true
        case .character(let wanted): (ignoresCase ? Self.folded(character) : character) == wanted
        case .set(let ranges, let isInverted): ranges.contains { $0.contains(character) } != isInverted
        }
    }

    // MARK: - Characters

    /// ASCII letters in lower case.
    @inline(__always) private static func folded(_ character: UInt32) -> UInt32 {
        character >= 65 && character <= 90 ? character | 32 : character
    }

    /// The character at `at`, behind which that stands afterwards: four bytes at most.
    @inline(__always) static func next(_ text: Bytes, _ at: inout Int) -> UInt32 {
        var character = UInt32(text[at])
        at &+= 1
        if character < 0xc0 { return character }
        let end = min(text.count, at &+ 3)
        while at < end && text[at] & 0xc0 == 0x80 {
            character = character << 8 | UInt32(text[at])
            at &+= 1
        }
        return character
    }
}
