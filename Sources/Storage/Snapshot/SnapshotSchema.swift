import schema

/// Compares what is defined in a snapshot with what this code makes. What would run, fail or refuse rows in the server's own
/// writes is refused by name; what belongs to the user and does no harm stays: other tables, views, plain indexes.
enum SnapshotSchema {
    static func check(_ connection: SQLiteConnection) throws(StorageError) {
        let expected = try expectedTables.get()
        var missing = expected
        var indexed: [String] = []
        let objects = try connection.prepare(named: "schema.objects")
        while try objects.step() {
            let type = objects.bytes(0).string
            let name = objects.bytes(1).string
            let table = objects.bytes(2).string
            guard let definition = expected[table] else { continue }
            switch type {
            case "table":
                if words(objects.bytes(3).string) != definition {
                    throw connection.unusable(
                        "the snapshot's table \(name) is not defined as this program makes it: it was altered by hand; "
                            + "restore the file from a backup")
                }
                missing[name] = nil
            case "trigger":
                throw connection.unusable(
                    "the snapshot has a trigger, '\(name)' on \(table), that would change the server's writes: "
                        + "DROP TRIGGER it, with the server stopped")
            case "index":
                if indexed.last != table { indexed.append(table) }
            default: break
            }
        }
        if let name = missing.keys.min() {
            throw connection.unusable("the snapshot has no table \(name): restore the file from a backup")
        }
        for table in indexed { try checkIndexes(of: table, connection) }
    }

    /// Whether there are tables, views or indexes that are not ours: a file that takes this one's place would not have them.
    static func hasOthers(_ connection: SQLiteConnection) throws(StorageError) -> Bool {
        let ours = try expectedObjects.get()
        for (name, object) in try objects(connection) {
            if object.type != "view" {
                if ours[name]?.type != object.type { return true }
            } else if try !SnapshotViews.isOurs(name, definition: object.definition) {
                return true
            }
        }
        return false
    }

    /// A plain index costs time; one that is unique, partial, over expressions or in an order of others can make a write
    /// fail.
    private static func checkIndexes(of table: String, _ connection: SQLiteConnection) throws(StorageError) {
        let rows = try connection.prepare(named: "schema.indexes")
        let buffer = OutputBuffer(capacity: table.utf8.count)
        buffer.append(text: table)
        rows.bind(1, buffer.bytes)
        defer { rows.reset() }
        while try rows.step() {
            if rows.integer(1) == 0 && rows.integer(2) == 0 && rows.integer(3) == 0 { continue }
            throw connection.unusable(
                "the snapshot has an index, '\(rows.bytes(0).string)' on \(table), that is unique, partial or over "
                    + "expressions, so that the server's writes could fail: DROP INDEX it, with the server stopped")
        }
    }

    /// What is defined in a database.
    struct Object {
        /// "table", "view", "index" or "trigger".
        let type: String
        /// The text that made it; empty for an index that SQLite made for a table.
        let definition: String
    }

    /// All that is defined, by name.
    static func objects(_ connection: SQLiteConnection) throws(StorageError) -> [String: Object] {
        var found: [String: Object] = [:]
        let objects = try connection.prepare(named: "schema.objects")
        defer { objects.reset() }
        while try objects.step() {
            found[objects.bytes(1).string] = Object(
                type: objects.bytes(0).string, definition: objects.bytes(3).string)
        }
        return found
    }

    /// All that is defined in an empty snapshot.
    static let expectedObjects: Result<[String: Object], StorageError> = {
        do throws(StorageError) {
            let connection = try SQLiteConnection(path: ":memory:", mode: .create, Host.real.files)
            try connection.execute(Schema.create)
            return .success(try objects(connection))
        } catch {
            return .failure(error)
        }
    }()

    /// Our tables' names and definitions.
    private static let expectedTables = expectedObjects.map { objects in
        objects.filter { $0.value.type == "table" }.mapValues { words($0.definition) }
    }

    /// A definition without regard to line ends and indentation.
    private static func words(_ definition: String) -> String {
        definition.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }
}
