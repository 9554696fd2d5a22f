import Storage

extension SplitMix64 {
    /// `count` different numbers below `bound`, each subset as likely as any other. O(count) where `count` is small
    /// against `bound`, else O(bound). `count` is at most `bound`.
    mutating func distinct(_ count: Int, below bound: Int) -> [Int] {
        if count > bound / 3 {
            var all = Array(0..<bound)
            for i in 0..<min(count, bound) { all.swapAt(i, Int.random(in: i..<bound, using: &self)) }
            return Array(all.prefix(count))
        }
        var seen = Set<Int>(minimumCapacity: count)
        var picked: [Int] = []
        picked.reserveCapacity(count)
        while picked.count < count {
            let candidate = Int.random(in: 0..<bound, using: &self)
            if seen.insert(candidate).inserted { picked.append(candidate) }
        }
        return picked
    }
}

/// What HRANDFIELD, SRANDMEMBER and ZRANDMEMBER are asked for behind the key: nothing, a count (negative: the same
/// member may come again), and for two of them the word that asks for values too.
struct RandomRequest {
    let count: Int?
    let withValues: Bool

    init(_ args: Arguments, valuesWord: StaticString?) throws(CommandError) {
        guard args.count > 2 else {
            count = nil
            withValues = false
            return
        }
        if valuesWord == nil, args.count > 3 { throw .syntax }
        guard let number = args[2].integer else { throw .notInteger }
        guard number != .min else { throw CommandError(Self.countText) }
        if args.count > 3 {
            guard args.count == 4, let valuesWord, args[3].equals(ignoringCase: valuesWord) else { throw .syntax }
            // Twice as many elements as asked for must be countable.
            guard number.magnitude <= UInt64(Int64.max / 2) else { throw .outOfRange }
        }
        count = Int(number)
        withValues = args.count > 3
    }
    private static let countText =
        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"

    /// Calls `body` with the dense index of each element of the answer, from a collection of `size` > 0 elements.
    static func forEachIndex(count: Int, size: Int, _ body: (Int) -> Void) {
        if count >= size {
            for index in 0..<size { body(index) }
            return
        }
        var random = SplitMix64()
        if count >= 0 {
            for index in random.distinct(count, below: size) { body(index) }
        } else {
            for _ in 0..<count.magnitude { body(Int.random(in: 0..<size, using: &random)) }
        }
    }
    /// How many elements the answer has.
    static func answerLength(count: Int, size: Int) -> Int { count < 0 ? -count : min(count, size) }
}
