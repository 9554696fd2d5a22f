import Storage

/// Where a command's keys are among its arguments (0 is the name, for a subcommand the container's name).
enum KeySpec: Sendable {
    case none
    /// From `first` to `last` (negative: counted from the end, -1 is the last argument), every `step`th.
    case range(_ first: Int, _ last: Int, _ step: Int)
    /// Argument `at` says how many keys follow it; `storingAt` is one more key, which is written.
    case numkeys(at: Int, storingAt: Int? = nil)
    /// Calls back with the index of each key; false when the arguments make no sense.
    case function(@Sendable (Arguments, (Int) -> Void) -> Bool)

    /// The first argument alone.
    static let first = KeySpec.range(1, 1, 1)

    /// Calls `body` with the index of each key; false when the arguments make no sense. Indices are within `args`.
    @discardableResult func forEach(_ args: Arguments, _ body: (Int) -> Void) -> Bool {
        switch self {
        case .none:
            return true
        case .range(let first, let last, let step):
            let end = last < 0 ? args.count + last : last
            guard end < args.count, first < args.count, step > 0 else { return false }
            var i = first
            while i <= end {
                body(i)
                i += step
            }
            return true
        case .numkeys(let at, let storingAt):
            guard at < args.count else { return false }
            let count = KeySpec.looseInteger(args[at])
            guard count > 0, count < args.count - at else { return false }
            if let storingAt { body(storingAt) }
            for i in 0..<count { body(at + 1 + i) }
            return true
        case .function(let find):
            return find(args) { if $0 > 0 && $0 < args.count { body($0) } }
        }
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

    /// first, last and step as COMMAND answers them: zeros where only the arguments can tell.
    var positions: (first: Int, last: Int, step: Int) {
        switch self {
        case .none, .function: (0, 0, 0)
        case .range(let first, let last, let step): (first, last, step)
        case .numkeys(_, let storingAt): storingAt.map { ($0, $0, 1) } ?? (0, 0, 0)
        }
    }

    /// Whether `positions` do not tell all keys.
    var isMovable: Bool {
        switch self {
        case .none, .range: false
        case .numkeys, .function: true
        }
    }

    /// Whether the key at `index` is one that is written from the others.
    func storesAt(_ index: Int) -> Bool {
        if case .numkeys(_, let storingAt) = self { storingAt == index } else { false }
    }
    var hasStore: Bool {
        if case .numkeys(_, .some) = self { true } else { false }
    }
}
