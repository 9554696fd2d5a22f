import Storage

/// How a command accesses a key: one of the first four for the key as a whole, then what becomes of the data that users
/// see. Redis's terms.
struct KeyAccess: OptionSet, Sendable {
    let rawValue: UInt16

    static let ro = KeyAccess(rawValue: 1 << 0)
    static let rw = KeyAccess(rawValue: 1 << 1)
    /// Overwrites, whatever the key held.
    static let ow = KeyAccess(rawValue: 1 << 2)
    static let rm = KeyAccess(rawValue: 1 << 3)
    /// Returns, copies or uses the data, not only what is known about it.
    static let access = KeyAccess(rawValue: 1 << 4)
    static let update = KeyAccess(rawValue: 1 << 5)
    static let insert = KeyAccess(rawValue: 1 << 6)
    static let delete = KeyAccess(rawValue: 1 << 7)
    /// Stands where a key would, such as the name of a shard channel.
    static let notKey = KeyAccess(rawValue: 1 << 8)
    /// The specification finds only some of the keys.
    static let incomplete = KeyAccess(rawValue: 1 << 9)
    /// The arguments decide which of the other flags hold.
    static let variableFlags = KeyAccess(rawValue: 1 << 10)

    static let roAccess: KeyAccess = [.ro, .access]
    static let rwAccess: KeyAccess = [.rw, .access]
    static let rwUpdate: KeyAccess = [.rw, .update]
    static let rwInsert: KeyAccess = [.rw, .insert]
    static let rwDelete: KeyAccess = [.rw, .delete]
    static let rwAccessUpdate: KeyAccess = [.rw, .access, .update]
    static let rwAccessInsert: KeyAccess = [.rw, .access, .insert]
    static let rwAccessDelete: KeyAccess = [.rw, .access, .delete]
    static let owUpdate: KeyAccess = [.ow, .update]
    static let owInsert: KeyAccess = [.ow, .insert]
    static let rmDelete: KeyAccess = [.rm, .delete]

    /// In the order of COMMAND's replies.
    static let names: [(KeyAccess, StaticString)] = [
        (.ro, "RO"), (.rw, "RW"), (.ow, "OW"), (.rm, "RM"), (.access, "access"), (.update, "update"),
        (.insert, "insert"), (.delete, "delete"), (.notKey, "not_key"), (.incomplete, "incomplete"),
        (.variableFlags, "variable_flags"),
    ]

    var writes: Bool { !isDisjoint(with: [.rw, .ow, .rm]) }
    /// Whether a key may be there afterwards that was not before, by what it was given.
    var creates: Bool { !isDisjoint(with: [.ow, .insert]) }
}

/// Where some of a command's keys are among its arguments (0 is the name, for a subcommand the container's), and how they
/// are accessed.
struct KeySpec: Sendable {
    /// Where to begin.
    enum Begin: Sendable {
        case index(Int)
        /// Behind the first such word at `from` or later.
        case keyword(StaticString, from: Int)
        case unknown
    }
    /// How to go on from there.
    enum Find: Sendable {
        /// Every `step`th argument up to `last`: counted from the beginning, or, negative, from the end of the arguments.
        /// With a `limit` of n, the keys are in the first nth of what follows.
        case range(last: Int, step: Int, limit: Int)
        /// A number says how many keys follow it, each `step` arguments behind the one before.
        case counted(step: Int)
        case unknown
    }

    let access: KeyAccess
    let begin: Begin
    let find: Find
    /// Why `access` or the positions are as they are, where it surprises.
    var note: StaticString?

    /// One key.
    static func key(_ access: KeyAccess, at index: Int = 1, note: StaticString? = nil) -> KeySpec {
        KeySpec(access: access, begin: .index(index), find: .range(last: 0, step: 1, limit: 0), note: note)
    }
    /// Keys from `index` to the `last` argument; -1 is the last of all.
    static func keys(
        _ access: KeyAccess, at index: Int = 1, through last: Int = -1, step: Int = 1, note: StaticString? = nil
    ) -> KeySpec {
        KeySpec(
            access: access, begin: .index(index),
            find: .range(last: last < 0 ? last : last - index, step: step, limit: 0), note: note)
    }
    /// As many keys as the argument at `index` says, which they follow; with a `step` of 2 a value follows each.
    static func counted(_ access: KeyAccess, at index: Int = 1, step: Int = 1) -> KeySpec {
        KeySpec(access: access, begin: .index(index), find: .counted(step: step))
    }
    /// Keys behind a word.
    static func after(
        _ keyword: StaticString, from: Int, _ access: KeyAccess, last: Int = 0, limit: Int = 0
    ) -> KeySpec {
        KeySpec(
            access: access, begin: .keyword(keyword, from: from), find: .range(last: last, step: 1, limit: limit))
    }
    /// Keys that arguments alone do not tell, or not where they are.
    static func unknown(_ access: KeyAccess, note: StaticString) -> KeySpec {
        KeySpec(access: access, begin: .unknown, find: .unknown, note: note)
    }

    /// First, last and step, where those depend on nothing but the number of arguments.
    var fixedRange: (first: Int, last: Int, step: Int)? {
        guard case .index(let first) = begin, case .range(let last, let step, _) = find else { return nil }
        return (first, last < 0 ? last : first + last, step)
    }

    /// Calls `body` with the index of each key; false when the arguments make no sense. Indices are within `args`.
    @inline(__always) func forEach(_ args: Arguments, _ body: (Int, KeyAccess) -> Void) -> Bool {
        guard var first = start(args) else { return true }
        var (last, step) = (0, 1)
        switch find {
        case .range(let offset, let width, let limit):
            step = width
            if offset >= 0 {
                last = first + offset
            } else {
                last = limit > 1 ? first + (args.count - first) / limit + offset : args.count + offset
            }
        case .counted(let width):
            guard first < args.count else { return false }
            let count = KeySpec.looseInteger(args[first])
            // `count` is one of 32 bits.
            guard count > 0, (count - 1) * width < args.count - first - 1 else { return false }
            first += 1
            step = width
            last = first + (count - 1) * width
        case .unknown:
            return true
        }
        guard first > 0, first <= last, last < args.count, step > 0 else { return false }
        for i in stride(from: first, through: last, by: step) { body(i, access) }
        return true
    }

    fileprivate var isCounted: Bool { if case .counted = find { true } else { false } }

    /// The count of keys is one that commands refuse, such as "1x".
    func hasLooseCount(_ args: Arguments) -> Bool {
        guard isCounted, let first = start(args), first < args.count else { return false }
        return args[first].integer == nil
    }

    /// Where the keys or their count begin; nil where there are none.
    @inline(__always) private func start(_ args: Arguments) -> Int? {
        switch begin {
        case .index(let index):
            return index
        case .keyword(let word, let from):
            // The last argument has none behind it.
            for i in stride(from: from, to: args.count - 1, by: 1) where Self.isWord(args[i], Bytes(word)) {
                return i + 1
            }
            return nil
        case .unknown:
            return nil
        }
    }

    /// `word` has letters only.
    private static func isWord(_ argument: Bytes, _ word: Bytes) -> Bool {
        argument.count == word.count && (0..<word.count).allSatisfy { argument[$0] | 0x20 == word[$0] | 0x20 }
    }

    /// A count of keys as Redis's key extraction reads it, which is C's atoi: what the command itself refuses, such as
    /// "01" or "1x", still tells where the keys are.
    private static func looseInteger(_ text: Bytes) -> Int {
        var i = 0
        while i < text.count, text[i] == 32 || (9...13).contains(text[i]) { i += 1 }
        let isNegative = i < text.count && text[i] == UInt8(ascii: "-")
        if i < text.count, text[i] == UInt8(ascii: "-") || text[i] == UInt8(ascii: "+") { i += 1 }
        var value: Int64 = 0
        while i < text.count, (48...57).contains(text[i]) {
            let (tens, overflows) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflowsToo) = tens.addingReportingOverflow(Int64(text[i] - 48))
            value = overflows || overflowsToo ? .max : sum
            if overflows || overflowsToo { break }
            i += 1
        }
        return Int(Int32(truncatingIfNeeded: isNegative ? -value : value))
    }
}

/// Finds the keys of a command whose specifications do not tell all of them, or not how they are accessed. Calls back
/// with the index of each; false when the arguments make no sense.
typealias KeyFinder = @Sendable (Arguments, (Int, KeyAccess) -> Void) -> Bool

/// All keys of a command.
struct CommandKeys: Sendable {
    let specs: [KeySpec]
    var finder: KeyFinder?

    var isEmpty: Bool { specs.allSatisfy { $0.access.contains(.notKey) } }

    /// Calls `body` with the index of each key and how it is accessed; false when the arguments make no sense.
    @discardableResult func forEach(_ args: Arguments, _ body: (Int, KeyAccess) -> Void) -> Bool {
        if let finder { return finder(args) { if $0 > 0 && $0 < args.count { body($0, $1) } } }
        if specs.contains(where: { $0.hasLooseCount(args) }) { return forEachLoosely(args, body) }
        for spec in specs where !spec.access.contains(.notKey) {
            if !spec.forEach(args, body) { return false }
        }
        return true
    }

    /// As Redis finds keys behind a count that the command itself refuses: those first, and of none it is known how it is
    /// accessed.
    @inline(never) private func forEachLoosely(_ args: Arguments, _ body: (Int, KeyAccess) -> Void) -> Bool {
        for isCounted in [true, false] {
            for spec in specs where spec.isCounted == isCounted && !spec.access.contains(.notKey) {
                if !spec.forEach(args, { index, _ in body(index, []) }) { return false }
            }
        }
        return true
    }

    /// Whether `forEach` finds every key that a valid request accesses. Behind a word it may find less than the command
    /// does, where that takes the last of several.
    var areAllFound: Bool {
        !specs.isEmpty
            && specs.allSatisfy { spec in
                if spec.access.contains(.incomplete) { return finder != nil }
                if case .index = spec.begin { return true }
                return false
            }
    }

    /// First, last and step as COMMAND answers them: what can be said so, zeros where nothing can.
    var range: (first: Int, last: Int, step: Int) {
        let ranges = specs.compactMap(\.fixedRange)
        guard let first = ranges.map(\.first).min(), let step = ranges.first?.step else { return (0, 0, 0) }
        let last = ranges.map(\.last).first { $0 < 0 } ?? ranges.map(\.last).max() ?? 0
        return (first, last, step)
    }

    /// Whether `range` does not tell all keys.
    var isMovable: Bool { specs.contains { $0.fixedRange == nil } }
}
