/// Keys that are not equal and what they hold, in a temporary database which SQLite keeps in memory while it is small, and
/// deletes.
final class ComparisonStore {
    enum Side { case old, new }

    private let connection: SQLiteConnection
    private let find: SQLiteStatement
    private let keys: (old: SQLiteStatement, new: SQLiteStatement)
    private let parts: (old: SQLiteStatement, new: SQLiteStatement)
    private let items: (old: SQLiteStatement, new: SQLiteStatement)
    private var lastID: Int64 = 0

    /// Throws where no temporary file can be made.
    init(_ files: any FileSystem) throws(StorageError) {
        // SQLite's name for a database that has none.
        connection = try SQLiteConnection(path: "", mode: .create, files)
        try connection.execute(named: "comparison.create")
        try connection.execute(named: "comparison.begin")
        find = try connection.prepare(named: "comparison.find")
        keys = (
            try connection.prepare(named: "comparison.old_key"), try connection.prepare(named: "comparison.new_key")
        )
        parts = (
            try connection.prepare(named: "comparison.old_part"), try connection.prepare(named: "comparison.new_part")
        )
        items = (
            try connection.prepare(named: "comparison.old_item"), try connection.prepare(named: "comparison.new_item")
        )
    }

    /// The id of a key that is told; a new one, unless the old side has told it.
    func id(_ side: Side, _ database: Int32, _ key: Bytes) throws(StorageError) -> Int64 {
        if side == .new {
            find.bind(1, Int64(database))
            find.bind(2, key)
            defer { find.reset() }
            if try find.step() { return find.integer(0) }
        }
        lastID += 1
        return lastID
    }

    func add(
        _ side: Side, _ id: Int64, _ database: Int32, _ key: Bytes, _ what: ChangedKey.Side
    ) throws(StorageError) {
        let statement = side == .old ? keys.old : keys.new
        statement.bind(1, id)
        statement.bind(2, Int64(database))
        statement.bind(3, key)
        statement.bind(4, Int64(what.type.rawValue))
        statement.bind(5, Int64(what.size))
        statement.bind(6, what.expiresMs)
        try statement.run()
    }

    func add(
        _ side: Side, _ id: Int64, _ kind: ChangedPart.Kind, _ name: Bytes, _ value: Bytes
    ) throws(StorageError) {
        let statement = bound(side, id, kind, value)
        statement.bind(3, name)
        try statement.run()
    }
    func add(_ side: Side, _ id: Int64, item position: Int, _ value: Bytes) throws(StorageError) {
        let statement = bound(side, id, .item, value)
        statement.bind(3, Int64(position))
        try statement.run()
    }
    private func bound(_ side: Side, _ id: Int64, _ kind: ChangedPart.Kind, _ value: Bytes) -> SQLiteStatement {
        let statement = side == .old ? parts.old : parts.new
        statement.bind(1, id)
        statement.bind(2, kind.rawValue)
        statement.bind(4, value)
        return statement
    }

    /// To be called when both sides have been told.
    func finish() throws(StorageError) { try connection.execute(named: "comparison.commit") }
}

// MARK: - What was found

extension ComparisonStore {
    /// By database and name.
    func forEachKey(_ body: (ChangedKey) throws(StorageError) -> Void) throws(StorageError) {
        let rows = try connection.prepare(named: "comparison.keys")
        defer { rows.reset() }
        while try rows.step() {
            func side(_ column: Int32) -> ChangedKey.Side? {
                guard let number = rows.optionalInteger(column),
                    let type = UInt8(exactly: number).flatMap(ValueType.init(rawValue:))
                else { return nil }
                return ChangedKey.Side(
                    type: type, size: Int(clamping: rows.integer(column + 1)),
                    expiresMs: rows.optionalInteger(column + 2))
            }
            try body(
                ChangedKey(
                    database: Int32(clamping: rows.integer(1)), name: rows.bytes(2).array, old: side(3), new: side(6),
                    store: self, id: rows.integer(0)))
        }
    }

    /// But for items. False where `body` returned it.
    func forEachPart(
        _ id: Int64, _ body: (ChangedPart) throws(StorageError) -> Bool
    ) throws(StorageError) {
        let rows = try connection.prepare(named: "comparison.parts")
        rows.bind(1, id)
        rows.bind(2, ChangedPart.Kind.item.rawValue)
        defer { rows.reset() }
        while try rows.step() {
            guard let kind = ChangedPart.Kind(rawValue: rows.integer(0)) else { continue }
            func value(_ column: Int32) -> [UInt8]? {
                if rows.isNull(column) { return nil }
                return kind == .entry ? ComparisonStore.text(ofEntry: rows.bytes(column)) : rows.bytes(column).array
            }
            let part = ChangedPart(
                kind: kind, name: ComparisonStore.text(ofName: rows.bytes(1), kind), old: value(2), new: value(3))
            if !(try body(part)) { return }
        }
    }

    private static func text(ofName name: Bytes, _ kind: ChangedPart.Kind) -> [UInt8] {
        guard kind == .entry, let id = StreamID(bytes: name) else { return name.array }
        return Array("\(id.ms)-\(id.seq)".utf8)
    }
    private static func text(ofEntry fields: Bytes) -> [UInt8] {
        var pairs: [Bytes] = []
        guard StreamFields.unpack(fields, into: &pairs) else { return fields.array }
        return Array(pairs.map(\.quoted).joined(separator: " ").utf8)
    }

    /// The items of a list that are not equal, of so many: those that went from its head and came at its tail, or the other way
    /// round, where that is all; else all between the equal ones at both ends, by position where the lists are of one length.
    /// False where `body` returned it. O(n log n).
    func forEachItem(
        _ id: Int64, _ oldCount: Int, _ newCount: Int, _ body: (ChangedPart) throws(StorageError) -> Bool
    ) throws(StorageError) -> Bool {
        guard let first = try position("comparison.first_unequal", id) else { return true }
        if first == 0, oldCount > 0, newCount > 0 {
            if let count = try position("comparison.removed_head", id), count < oldCount {
                return try replaced(id, 0..<count, (oldCount - count)..<newCount, body)
            }
            if let count = try position("comparison.added_head", id), count < newCount {
                return try replaced(id, (newCount - count)..<oldCount, 0..<count, body)
            }
        }
        var tail = 0
        while first + tail < min(oldCount, newCount) {
            let last = try item(.old, id, oldCount - 1 - tail)
            if last != (try item(.new, id, newCount - 1 - tail)) { break }
            tail += 1
        }
        if oldCount != newCount {
            return try replaced(id, first..<(oldCount - tail), first..<(newCount - tail), body)
        }
        for position in first..<(oldCount - tail) {
            let (old, new) = (try item(.old, id, position), try item(.new, id, position))
            if old == new { continue }
            if !(try body(ComparisonStore.part(position, old, new))) { return false }
        }
        return true
    }

    private func replaced(
        _ id: Int64, _ old: Range<Int>, _ new: Range<Int>, _ body: (ChangedPart) throws(StorageError) -> Bool
    ) throws(StorageError) -> Bool {
        for position in old {
            if !(try body(ComparisonStore.part(position, try item(.old, id, position), nil))) { return false }
        }
        for position in new {
            if !(try body(ComparisonStore.part(position, nil, try item(.new, id, position)))) { return false }
        }
        return true
    }

    private static func part(_ position: Int, _ old: [UInt8]?, _ new: [UInt8]?) -> ChangedPart {
        ChangedPart(kind: .item, name: Array("\(position)".utf8), old: old, new: new)
    }
    private func item(_ side: Side, _ id: Int64, _ position: Int) throws(StorageError) -> [UInt8]? {
        let statement = side == .old ? items.old : items.new
        statement.bind(1, id)
        statement.bind(2, ChangedPart.Kind.item.rawValue)
        statement.bind(3, Int64(position))
        defer { statement.reset() }
        return try statement.step() && !statement.isNull(0) ? statement.bytes(0).array : nil
    }
    private func position(_ name: String, _ id: Int64) throws(StorageError) -> Int? {
        let statement = try connection.prepare(named: name)
        statement.bind(1, id)
        statement.bind(2, ChangedPart.Kind.item.rawValue)
        defer { statement.reset() }
        return try statement.step() ? statement.optionalInteger(0).map { Int(clamping: $0) } : nil
    }
}
