import Storage

/// A way to say when a key expires.
enum ExpiryUnit {
    case ex, px, exat, pxat

    /// Milliseconds since 1970. `positive`: zero and less are refused, as all but EXPIRE and its kin do.
    /// Throws "invalid expire time" for those and for what no 64-bit time can hold.
    func absolute(
        _ value: Int64, now: Int64, positive: Bool, command: StaticString
    ) throws(CommandError) -> Int64 {
        var value = value
        var overflow = positive && value <= 0
        if self == .ex || self == .exat {
            let (product, overflowed) = value.multipliedReportingOverflow(by: 1000)
            value = product
            overflow = overflow || overflowed
        }
        if self == .ex || self == .px {
            let (sum, overflowed) = value.addingReportingOverflow(now)
            value = sum
            overflow = overflow || overflowed
        }
        if overflow { throw CommandError("ERR invalid expire time in '\(command)' command") }
        return value
    }
}

/// The options of SET and GETEX.
struct StringOptions {
    struct Words: OptionSet {
        let rawValue: UInt8
        static let nx = Words(rawValue: 1)
        static let xx = Words(rawValue: 2)
        static let get = Words(rawValue: 4)
        static let keepTTL = Words(rawValue: 8)
        static let persist = Words(rawValue: 16)
        static let set: Words = [.nx, .xx, .get, .keepTTL]
        static let getex: Words = [.persist]
    }
    private(set) var words: Words = []
    private(set) var unit: ExpiryUnit?
    private var timeIndex = 0

    /// Throws a syntax error for words not `allowed`, and for those that exclude one another.
    init(_ args: Arguments, from: Int, allowed: Words) throws(CommandError) {
        var i = from
        while i < args.count {
            if let word = Self.word(args[i]) {
                guard allowed.contains(word), words.isDisjoint(with: Self.excluded(by: word)) else { throw .syntax }
                if unit != nil && (word == .keepTTL || word == .persist) { throw .syntax }
                words.insert(word)
            } else if let unit = Self.unit(args[i]), i + 1 < args.count {
                guard self.unit == nil || self.unit == unit, words.isDisjoint(with: [.keepTTL, .persist]) else {
                    throw .syntax
                }
                self.unit = unit
                i += 1
                timeIndex = i
            } else {
                throw .syntax
            }
            i += 1
        }
    }

    /// The absolute expiry, if one was asked for.
    func expiry(_ args: Arguments, now: Int64, command: StaticString) throws(CommandError) -> Int64? {
        guard let unit else { return nil }
        return try unit.absolute(args.integer(timeIndex), now: now, positive: true, command: command)
    }

    private static func word(_ text: Bytes) -> Words? {
        if text.equals(ignoringCase: "nx") { return .nx }
        if text.equals(ignoringCase: "xx") { return .xx }
        if text.equals(ignoringCase: "get") { return .get }
        if text.equals(ignoringCase: "keepttl") { return .keepTTL }
        if text.equals(ignoringCase: "persist") { return .persist }
        return nil
    }
    private static func excluded(by word: Words) -> Words {
        word == .nx ? .xx : word == .xx ? .nx : []
    }
    private static func unit(_ text: Bytes) -> ExpiryUnit? {
        if text.equals(ignoringCase: "ex") { return .ex }
        if text.equals(ignoringCase: "px") { return .px }
        if text.equals(ignoringCase: "exat") { return .exat }
        if text.equals(ignoringCase: "pxat") { return .pxat }
        return nil
    }
}
