/// How many keys of each type are how large: bytes of strings, elements of collections. Streams are not counted, as in
/// Redis. [i] has those whose size is at least 2^(i-1) and less than 2^i; [0] the empty ones.
public struct KeySizes: Sendable {
    public static let types: [ValueType] = [.string, .list, .set, .zset, .hash]
    private static let ranges = 64
    private var counts = [[Int]](repeating: [Int](repeating: 0, count: ranges), count: types.count)

    mutating func count(_ type: ValueType, size: Int) {
        guard let row = Self.types.firstIndex(of: type) else { return }
        counts[row][Int.bitWidth - max(0, size).leadingZeroBitCount] += 1
    }

    /// The ranges of `type` that have keys: the least size of each, and how many.
    public func ranges(of type: ValueType) -> [(least: Int, keys: Int)] {
        guard let row = Self.types.firstIndex(of: type) else { return [] }
        return counts[row].indices.filter { counts[row][$0] > 0 }.map { ($0 == 0 ? 0 : 1 << ($0 - 1), counts[row][$0]) }
    }
}

/// A walk over all keys that counts their sizes, in slices between which the keyspace changes: keys that are there all the
/// while count once, but for some that a rehash has moved meanwhile.
public final class KeySizeWalk {
    private let keyspace: Keyspace
    private var database = 0
    private var cursor: UInt64 = 0
    /// By database; all of them once `step` has returned true.
    public private(set) var sizes: [KeySizes]

    public init(_ keyspace: Keyspace) {
        self.keyspace = keyspace
        sizes = Array(repeating: KeySizes(), count: keyspace.databases.count)
    }

    /// Walks for about `budgetNanoseconds`; true when all keys were seen.
    public func step(budgetNanoseconds: UInt64) -> Bool {
        let began = monotonicNanoseconds()
        while database < keyspace.databases.count {
            let table = keyspace.databases[database].contents.table
            if table.count > 0 {
                cursor = table.scan(cursor, count: 64) {
                    sizes[database].count($0.type, size: size(of: $0))
                }
            }
            if table.count == 0 || cursor == 0 {
                database += 1
                cursor = 0
            }
            if monotonicNanoseconds() &- began > budgetNanoseconds { break }
        }
        return database == keyspace.databases.count
    }

    /// A string's bytes, a collection's elements.
    private func size(of entry: Entry) -> Int {
        switch entry.encoding {
        case .int: entry.text(in: keyspace.valueScratch).count
        case .embstr, .raw: entry.stringCount
        case .listpack, .intset, .quicklist, .hashtable, .skiplist, .stream: entry.elementCount
        }
    }
}
