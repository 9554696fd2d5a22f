/// The tables that hold rows.
public enum SnapshotTable: Int, CaseIterable, Sendable {
    case strings, lists, listItems, hashes, hashFields, sets, setMembers, zsets, zsetMembers
    case streams, streamEntries, streamGroups, streamConsumers, streamPending

    /// The table's name in the database.
    public var name: String {
        switch self {
        case .strings: "raw_strings"
        case .lists: "raw_lists"
        case .listItems: "raw_list_items"
        case .hashes: "raw_hashes"
        case .hashFields: "raw_hash_fields"
        case .sets: "raw_sets"
        case .setMembers: "raw_set_members"
        case .zsets: "raw_zsets"
        case .zsetMembers: "raw_zset_members"
        case .streams: "raw_streams"
        case .streamEntries: "raw_stream_entries"
        case .streamGroups: "raw_stream_groups"
        case .streamConsumers: "raw_stream_consumers"
        case .streamPending: "raw_stream_pending"
        }
    }
}

extension SnapshotTable {
    /// The ids that its rows can have. 0 means that there is no row; an entry keeps 40 bits of it, an element's id holds its
    /// owner's in 31.
    var ids: ClosedRange<Int64> {
        switch self {
        case .strings: RowID.strings
        case .lists, .hashes, .sets, .zsets, .streams: RowID.owners
        case .listItems, .hashFields, .setMembers, .zsetMembers, .streamEntries, .streamGroups, .streamConsumers,
            .streamPending:
            RowID.element(RowID.owners.lowerBound, 0)...Int64.max
        }
    }
}

/// A number for each table: how many rows it has.
public struct RowCounts: Equatable, Sendable {
    private var counts = [Int64](repeating: 0, count: SnapshotTable.allCases.count)

    public init() {}

    public subscript(_ table: SnapshotTable) -> Int64 {
        get { counts[table.rawValue] }
        set { counts[table.rawValue] = newValue }
    }
    /// Rows in all tables.
    public var total: Int64 { counts.reduce(0, &+) }

    /// For readers that each counted a part.
    public mutating func add(_ other: RowCounts) {
        for table in SnapshotTable.allCases { self[table] += other[table] }
    }
}

/// A collection type's two tables, and the checks on the numbers that address its rows.
struct CollectionTables {
    let type: ValueType
    let owners: SnapshotTable
    let elements: SnapshotTable

    static let list = CollectionTables(type: .list, owners: .lists, elements: .listItems)
    static let hash = CollectionTables(type: .hash, owners: .hashes, elements: .hashFields)
    static let set = CollectionTables(type: .set, owners: .sets, elements: .setMembers)
    static let zset = CollectionTables(type: .zset, owners: .zsets, elements: .zsetMembers)
    /// Its elements are the entries; it has more tables, see `StreamPart`.
    static let stream = CollectionTables(type: .stream, owners: .streams, elements: .streamEntries)
    /// In the order in which a snapshot is read.
    static let all = [list, hash, set, zset, stream]

    /// nil for a string, which has no elements.
    static func of(_ type: ValueType) -> CollectionTables? {
        switch type {
        case .list: list
        case .hash: hash
        case .set: set
        case .zset: zset
        case .stream: stream
        case .string: nil
        }
    }
}
