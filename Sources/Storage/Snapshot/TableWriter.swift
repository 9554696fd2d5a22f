/// Writes one table and keeps its number of rows, without ever counting them.
///
/// An id above all that exist is inserted; for others an UPDATE comes first, and an INSERT where it changed nothing.
/// That tells new rows from changed ones, which ON CONFLICT does not, and measured no slower: most checkpoints update.
final class TableWriter {
    /// What a transaction changes here, so that a rollback can put it back.
    struct State {
        var count: Int64 = 0
        /// No id above this one exists; removals do not lower it.
        var lastID: Int64 = -1
        /// The largest id within the owner whose elements were written last; nil while it is not known.
        var ownerLastID: Int64?
        var owner: Int64 = -1
    }

    let table: SnapshotTable
    private(set) var state = State()
    private let connection: SQLiteConnection
    private let insert: SQLiteStatement
    private let update: SQLiteStatement
    /// Of one row in tables of strings and owners, of a range in tables of elements.
    private let delete: SQLiteStatement
    private let last: SQLiteStatement

    /// `count`: what meta says; nil counts the rows, which reads the whole table.
    init(_ table: SnapshotTable, count: Int64?, _ connection: SQLiteConnection) throws(StorageError) {
        self.table = table
        self.connection = connection
        insert = try connection.prepare(named: table.name + ".insert")
        update = try connection.prepare(named: table.name + ".update")
        delete = try connection.prepare(named: table.name + ".delete")
        last = try connection.prepare(named: table.name + ".last")
        state.count =
            if let count { count } else { try connection.integer(named: table.name + ".count") }
        state.lastID = try lastID(.min, .max) ?? -1
    }

    func restore(_ state: State) { self.state = state }

    /// Writes a row. `bind` binds all columns but the id. Once an element of an owner was not found, its last one is looked
    /// up, so that a new collection among older ones is inserted without a search for each row.
    @inline(__always)
    func upsert(_ place: RowPlace, _ bind: (SQLiteStatement) -> Void) throws(StorageError) {
        let id = place.id
        if place.owner != state.owner {
            state.owner = place.owner
            state.ownerLastID = nil
        }
        if id > state.lastID {
            try run(insert, id, bind)
            state.lastID = id
            state.ownerLastID = id
            state.count += 1
            return
        }
        if let ownerLastID = state.ownerLastID, id > ownerLastID, place.owner >= 0 {
            try run(insert, id, bind)
            state.ownerLastID = id
            state.count += 1
            return
        }
        try run(update, id, bind)
        if connection.changes != 0 { return }
        try run(insert, id, bind)
        state.count += 1
        if state.ownerLastID == nil && place.owner >= 0 {
            let end = RowID.element(place.owner, RowID.lastSlot)
            state.ownerLastID = try lastID(RowID.element(place.owner, 0), end)
        }
    }

    func remove(_ id: Int64) throws(StorageError) {
        delete.bind(1, id)
        try delete.run()
        state.count -= connection.changes
    }
    func removeElements(_ owner: Int64, _ slots: ClosedRange<Int64>) throws(StorageError) {
        delete.bind(1, RowID.element(owner, slots.lowerBound))
        delete.bind(2, RowID.element(owner, slots.upperBound))
        try delete.run()
        state.count -= connection.changes
    }

    /// All rows; costs about the freeing of pages.
    func clear() throws(StorageError) {
        try connection.execute(named: table.name + ".clear")
        state = State()
    }
    /// All rows of `db`, in a table of strings or owners.
    func clear(database db: Int32) throws(StorageError) {
        let statement = try connection.prepare(named: table.name + ".clear_database")
        statement.bind(1, Int64(db))
        try statement.run()
        state.count -= connection.changes
    }
    /// True where no other database than `db` has rows: then all can go at once.
    func holdsOnly(database db: Int32) throws(StorageError) -> Bool {
        let statement = try connection.prepare(named: table.name + ".other_databases")
        statement.bind(1, Int64(db))
        return try !statement.step()
    }
    func ids(inDatabase db: Int32) throws(StorageError) -> [Int64] {
        let statement = try connection.prepare(named: table.name + ".in_database")
        statement.bind(1, Int64(db))
        var found: [Int64] = []
        while try statement.step() { found.append(statement.integer(0)) }
        return found
    }
    /// Reads the whole table and writes what lies in the two databases.
    func swapDatabases(_ a: Int32, _ b: Int32) throws(StorageError) {
        let statement = try connection.prepare(named: table.name + ".swap_databases")
        statement.bind(1, Int64(a))
        statement.bind(2, Int64(b))
        try statement.run()
    }

    @inline(__always)
    private func run(
        _ statement: SQLiteStatement, _ id: Int64, _ bind: (SQLiteStatement) -> Void
    ) throws(StorageError) {
        statement.bind(1, id)
        bind(statement)
        try statement.run()
    }
    private func lastID(_ first: Int64, _ end: Int64) throws(StorageError) -> Int64? {
        last.bind(1, first)
        last.bind(2, end)
        defer { last.reset() }
        return try last.step() ? last.optionalInteger(0) : nil
    }
}
