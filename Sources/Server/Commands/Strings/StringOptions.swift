import Storage

/// A way to say when a key expires.
enum ExpiryUnit {
    case ex, px, exat, pxat

    init?(_ word: Bytes) {
        if word.equals(ignoringCase: "ex") {
            self = .ex
        } else if word.equals(ignoringCase: "px") {
            self = .px
        } else if word.equals(ignoringCase: "exat") {
            self = .exat
        } else if word.equals(ignoringCase: "pxat") {
            self = .pxat
        } else {
            return nil
        }
    }

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

/// The options of SET, GETEX and MSETEX.
struct StringOptions {
    struct Words: OptionSet {
        let rawValue: UInt8
        static let nx = Words(rawValue: 1)
        static let xx = Words(rawValue: 2)
        static let get = Words(rawValue: 4)
        static let keepTTL = Words(rawValue: 8)
        static let persist = Words(rawValue: 16)
        static let ifEqual = Words(rawValue: 32)
        static let ifNotEqual = Words(rawValue: 64)
        static let set: Words = [.nx, .xx, .get, .keepTTL, .ifEqual, .ifNotEqual]
        static let getex: Words = [.persist]
        static let msetex: Words = [.nx, .xx, .keepTTL]
        /// Those that compare, with the argument that follows.
        static let comparing: Words = [.ifEqual, .ifNotEqual]
        static let conditions: Words = [.nx, .xx, .ifEqual, .ifNotEqual]
    }
    private(set) var words: Words = []
    private(set) var unit: ExpiryUnit?
    private var timeIndex = 0
    private var comparisonIndex = 0

    /// Throws a syntax error for words not `allowed`, and for those that exclude one another.
    init(_ args: Arguments, from: Int, allowed: Words) throws(CommandError) {
        var i = from
        while i < args.count {
            if let word = Self.word(args[i]) {
                guard allowed.contains(word), words.isDisjoint(with: Self.excluded(by: word)) else { throw .syntax }
                if unit != nil && (word == .keepTTL || word == .persist) { throw .syntax }
                words.insert(word)
                if Words.comparing.contains(word) {
                    i += 1
                    if i == args.count { throw .syntax }
                    comparisonIndex = i
                }
            } else if let unit = ExpiryUnit(args[i]), i + 1 < args.count {
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

    /// Where the value stands that the string is compared with; nil where it is not.
    var comparison: Int? { comparisonIndex > 0 ? comparisonIndex : nil }

    /// Whether the key is to be set: the string that it holds is `old`, or `exists` says that it holds a value that need not
    /// be one.
    func allows(_ old: Bytes?, exists: Bool, _ args: Arguments) -> Bool {
        if words.contains(.nx) { return !exists }
        if words.contains(.xx) { return exists }
        if words.contains(.ifEqual) { return old == args[comparisonIndex] }
        if words.contains(.ifNotEqual) { return old != args[comparisonIndex] }
        return true
    }

    private static func word(_ text: Bytes) -> Words? {
        if text.equals(ignoringCase: "nx") { return .nx }
        if text.equals(ignoringCase: "xx") { return .xx }
        if text.equals(ignoringCase: "get") { return .get }
        if text.equals(ignoringCase: "keepttl") { return .keepTTL }
        if text.equals(ignoringCase: "persist") { return .persist }
        if text.equals(ignoringCase: "ifeq") { return .ifEqual }
        if text.equals(ignoringCase: "ifne") { return .ifNotEqual }
        return nil
    }
    private static func excluded(by word: Words) -> Words {
        if Words.comparing.contains(word) { return .conditions }
        return Words.conditions.contains(word) ? .conditions.subtracting(word) : []
    }
}
