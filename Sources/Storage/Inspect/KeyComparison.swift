/// Compares two sources of keys: which keys one of them has alone, which hold something else, and what.
public struct KeyComparison {
    /// Tells a sink what a source holds; called up to twice with another sink, and must tell the same each time.
    public typealias Reading = (any KeySink) throws(StorageError) -> Void

    public struct Count: Sendable {
        public internal(set) var added = 0
        public internal(set) var removed = 0
        public internal(set) var changed = 0
    }

    public struct Summary: Sendable {
        public internal(set) var equal = 0
        /// By type, in the order of `ValueType.allCases`: a changed key counts with its new type.
        public internal(set) var types = ValueType.allCases.map { ($0, Count()) }
        /// Names of the libraries of functions.
        public internal(set) var functionsAdded: [[UInt8]] = []
        public internal(set) var functionsRemoved: [[UInt8]] = []
        public internal(set) var functionsChanged: [[UInt8]] = []

        public var all: Count {
            var all = Count()
            for (_, count) in types {
                all.added += count.added
                all.removed += count.removed
                all.changed += count.changed
            }
            return all
        }
        public var isEqual: Bool {
            let all = all
            return all.added + all.removed + all.changed == 0
                && functionsAdded.isEmpty && functionsRemoved.isEmpty && functionsChanged.isEmpty
        }
    }

    /// Compares `old` with `new`; `body` is called with each key that is not equal, by database and name. Each is read once, and
    /// once more where they are not equal. Memory: about 24 bytes a key of either, the largest value and 20 MB; what keys that
    /// are not equal hold goes through a temporary file. Throws what the readings and `body` throw, and where a key comes twice
    /// in a source.
    public static func run(
        _ old: Reading, _ new: Reading, files: any FileSystem = Host.real.files,
        _ body: (ChangedKey) throws(StorageError) -> Void
    ) throws(StorageError) -> Summary {
        // Equal digests of two names are chance the first time, which other seeds tell from a name that comes twice.
        for _ in 0..<2 {
            var comparison = KeyComparison()
            if try comparison.readDigests(old, new) { return try comparison.findParts(old, new, files, body) }
        }
        throw StorageError(
            file: "the comparison",
            message: "a key comes twice in one of the files: `redis-migrate verify` says which")
    }

    private let seeds = (name: UInt64.random(in: 1 ... .max), value: UInt64.random(in: 1 ... .max))
    private let table = DigestTable()
    private var summary = Summary()

    /// False where a key came twice.
    private mutating func readDigests(_ old: Reading, _ new: Reading) throws(StorageError) -> Bool {
        let table = table
        var isRepeated = false
        let first = KeyDigester(seeds: seeds) { (name, value) throws(StorageError) in
            if !table.insert(name, value, .old) { isRepeated = true }
        }
        try old(first)
        if isRepeated { return false }
        let second = KeyDigester(seeds: seeds) { (name, value) throws(StorageError) in
            if !table.match(name, value) { isRepeated = true }
        }
        try new(second)
        if isRepeated { return false }
        compareFunctions(first.functions, second.functions)
        summary.equal = table.counts[.equal] ?? 0
        return true
    }

    private mutating func compareFunctions(_ old: [[UInt8]: UInt64], _ new: [[UInt8]: UInt64]) {
        func sorted(_ names: some Sequence<[UInt8]>) -> [[UInt8]] {
            names.sorted { $0.lexicographicallyPrecedes($1) }
        }
        summary.functionsRemoved = sorted(old.keys.filter { new[$0] == nil })
        summary.functionsAdded = sorted(new.keys.filter { old[$0] == nil })
        summary.functionsChanged = sorted(new.keys.filter { old[$0] != nil && old[$0] != new[$0] })
    }

    private consuming func findParts(
        _ old: Reading, _ new: Reading, _ files: any FileSystem,
        _ body: (ChangedKey) throws(StorageError) -> Void
    ) throws(StorageError) -> Summary {
        let counts = table.counts
        let unequal = (counts[.old] ?? 0) + (counts[.changed] ?? 0) + (counts[.added] ?? 0)
        if unequal == 0 { return summary }
        let store = try ComparisonStore(files)
        try old(PartSink(store, .old, table, nameSeed: seeds.name))
        try new(PartSink(store, .new, table, nameSeed: seeds.name))
        try store.finish()
        try store.forEachKey { (key) throws(StorageError) in
            let index = ValueType.allCases.firstIndex(of: (key.new ?? key.old)?.type ?? .string) ?? 0
            if key.old == nil {
                summary.types[index].1.added += 1
            } else if key.new == nil {
                summary.types[index].1.removed += 1
            } else {
                if !(try key.isUnequal) {
                    summary.equal += 1
                    return
                }
                summary.types[index].1.changed += 1
            }
            try body(key)
        }
        return summary
    }
}

/// A key that two sources do not hold alike.
public struct ChangedKey {
    /// What there is of it in one of them.
    public struct Side {
        public let type: ValueType
        /// Elements; bytes of a string.
        public let size: Int
        /// Milliseconds since 1970.
        public let expiresMs: Int64?
    }
    public let database: Int32
    public let name: [UInt8]
    /// nil: it was added, or removed.
    public let old: Side?
    public let new: Side?
    let store: ComparisonStore
    let id: Int64

    /// Whether it is there on both sides, with the same type: then there are parts.
    public var hasParts: Bool { old != nil && old?.type == new?.type }

    var isUnequal: Bool {
        get throws(StorageError) {
            if !hasParts || old?.expiresMs != new?.expiresMs { return true }
            var found = false
            try forEachPart { (_) throws(StorageError) in
                found = true
                return false
            }
            return found
        }
    }

    /// Calls `body` with each part that is not equal until it returns false: by kind, then by name, items of a list from its
    /// head.
    public func forEachPart(_ body: (ChangedPart) throws(StorageError) -> Bool) throws(StorageError) {
        if !hasParts { return }
        if let old, let new, old.type == .list, !(try store.forEachItem(id, old.size, new.size, body)) { return }
        try store.forEachPart(id, body)
    }
}

/// A field, member, item, entry or other part of a value.
public struct ChangedPart {
    public enum Kind: Int64, Sendable, CaseIterable {
        case value, field, fieldExpiry, member, score, item, entry, state, group, consumer, pending

        public var name: StaticString {
            switch self {
            case .value: "value"
            case .field: "field"
            case .fieldExpiry: "expiry of field"
            case .member: "member"
            case .score: "score of member"
            case .item: "item"
            case .entry: "entry"
            case .state: "state"
            case .group: "group"
            case .consumer: "consumer"
            case .pending: "pending"
            }
        }
    }
    public let kind: Kind
    /// Of an item its position, which counts from 0 in the list it stands in.
    public let name: [UInt8]
    /// As text or bytes for people; nil: it was added, or removed.
    public let old: [UInt8]?
    public let new: [UInt8]?
}
