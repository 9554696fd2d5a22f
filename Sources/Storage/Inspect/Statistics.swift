/// What a file holds, counted.
public struct Statistics: Sendable {
    public struct Options: Sendable {
        /// What ends a prefix; empty: there are none.
        public var separator = Array(":".utf8)
        /// Up to how many separators a prefix goes.
        public var depth = 1
        /// How many of the biggest keys, the longest keys and the prefixes are named.
        public var top = 20
        /// Milliseconds since 1970, from which the time left counts.
        public var now = wallClockMilliseconds()

        public init() {}
    }

    /// Sums over some keys.
    public struct Tally: Sendable, Equatable {
        public internal(set) var keys = 0
        /// Of collections.
        public internal(set) var elements = 0
        /// Of names, elements and values, as a client would get them; scores and ids count 8 and 16.
        public internal(set) var bytes = 0
        /// Keys that expire.
        public internal(set) var expiring = 0

        public init() {}

        /// Counts a key whose name has so many bytes.
        mutating func add(key count: Int) {
            keys += 1
            bytes += count
        }
        mutating func add(_ other: Tally) {
            keys += other.keys
            elements += other.elements
            bytes += other.bytes
            expiring += other.expiring
        }
    }

    /// A key by itself.
    public struct NamedKey: Sendable {
        public let database: Int32
        public let name: [UInt8]
        public let type: ValueType
        public let tally: Tally
        /// Milliseconds since 1970.
        public let expiresMs: Int64?
    }

    /// Keys of which some measure is at most `limit`; nil: more than the last one.
    public struct Class: Sendable {
        public let limit: Int64?
        public internal(set) var tally = Tally()
    }

    public internal(set) var all = Tally()
    /// By type, in the order of `ValueType.allCases`; types without keys too.
    public internal(set) var types = ValueType.allCases.map { ($0, Tally()) }
    /// Ascending.
    public internal(set) var databases: [(database: Int32, tally: Tally)] = []
    /// By milliseconds left, of the keys that expire.
    public internal(set) var timesLeft = Statistics.classes(of: Statistics.timeLimits)
    /// By bytes.
    public internal(set) var sizes = Statistics.classes(of: Statistics.sizeLimits)
    /// The largest by bytes, descending.
    public internal(set) var prefixes: [(name: [UInt8], tally: Tally)] = []
    /// Of keys without a separator.
    public internal(set) var withoutPrefix = Tally()
    /// Of prefixes that are not among `prefixes`.
    public internal(set) var otherPrefixes = Tally()
    /// False: there were more prefixes than are counted at a time, and a prefix may have more than stands there.
    public internal(set) var hasExactPrefixes = true
    /// By bytes, and by elements, descending.
    public internal(set) var biggest: [NamedKey] = []
    public internal(set) var longest: [NamedKey] = []
    public internal(set) var functions = 0

    static let timeLimits: [Int64] = [60, 3600, 86_400, 7 * 86_400, 30 * 86_400].map { $0 * 1000 }
    static let sizeLimits: [Int64] = [64, 1 << 10, 16 << 10, 256 << 10, 4 << 20]
    private static func classes(of limits: [Int64]) -> [Class] {
        limits.map { Class(limit: $0) } + [Class(limit: nil)]
    }

    init() {}
}

/// Counts what it is told. O(1) an element, in memory of the largest name and some megabytes.
public final class StatisticsVisitor: KeyVisitor {
    private let options: Statistics.Options
    private var found = Statistics()
    private var databases: [Int32: Statistics.Tally] = [:]
    private var prefixes: PrefixTable
    private var biggest: TopKeys
    private var longest: TopKeys
    // The key in hand.
    private let name = OutputBuffer()
    private var type = ValueType.string
    private var database: Int32 = 0
    private var expiresMs: Int64?
    private var one = Statistics.Tally()
    private var pairs: [Bytes] = []

    public init(_ options: Statistics.Options) {
        self.options = options
        prefixes = PrefixTable(separator: options.separator, depth: options.depth)
        biggest = TopKeys(options.top) { $0.bytes }
        longest = TopKeys(options.top) { $0.elements }
    }

    private func open(_ type: ValueType, _ key: VisitedKey) {
        name.removeAll()
        name.append(key.key)
        self.type = type
        database = key.database
        expiresMs = key.expiresMs
        one = Statistics.Tally()
        one.add(key: key.key.count)
        one.expiring = key.expiresMs == nil ? 0 : 1
    }
    private func count(_ bytes: Int) {
        one.elements &+= 1
        one.bytes &+= bytes
    }

    public func string(_ key: VisitedKey, _ value: Bytes) {
        open(.string, key)
        one.bytes &+= value.count
        end()
    }
    public func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) { open(type, key) }
    public func element(_ value: Bytes) { count(value.count) }
    public func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) { count(field.count &+ value.count) }
    public func scored(_ member: Bytes, _ score: Double) { count(member.count &+ 8) }
    public func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) {
        guard StreamFields.unpack(fields, into: &pairs) else {
            throw StorageError(file: "", message: "the fields of a stream's entry cannot be read")
        }
        count(pairs.reduce(StreamID.byteCount) { $0 &+ $1.count })
    }
    public func streamRow(_ row: StreamRow) {
        switch row {
        case .group(_, let name, _, _), .consumer(_, _, let name, _, _): one.bytes &+= name.count
        case .pending: one.bytes &+= StreamID.byteCount
        case .state, .remove: break
        }
    }
    public func function(_ name: Bytes, _ code: Bytes) { found.functions += 1 }

    public func end() {
        found.all.add(one)
        if let index = ValueType.allCases.firstIndex(of: type) { found.types[index].1.add(one) }
        databases[database, default: Statistics.Tally()].add(one)
        StatisticsVisitor.classify(Int64(clamping: one.bytes), one, in: &found.sizes)
        if let expiresMs {
            let (left, overflow) = expiresMs.subtractingReportingOverflow(options.now)
            StatisticsVisitor.classify(overflow ? .min : left, one, in: &found.timesLeft)
        }
        prefixes.add(name.bytes, one)
        biggest.offer(one, self.key)
        if type != .string { longest.offer(one, self.key) }
    }

    private func key() -> Statistics.NamedKey {
        Statistics.NamedKey(
            database: database, name: name.bytes.array, type: type, tally: one, expiresMs: expiresMs)
    }

    private static func classify(_ value: Int64, _ tally: Statistics.Tally, in classes: inout [Statistics.Class]) {
        let index = classes.firstIndex { $0.limit.map { value <= $0 } ?? true }
        if let index { classes[index].tally.add(tally) }
    }

    /// What was counted.
    public func finish() -> Statistics {
        found.databases = databases.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        prefixes.finish(top: options.top, into: &found)
        found.biggest = biggest.sorted
        found.longest = longest.sorted
        return found
    }
}
