import schema

/// The views of a snapshot, which are the server's: a file that an older version wrote gets today's when it is opened for
/// writing. They are no part of the schema's version, as no program needs them to read rows: an older server goes on with a
/// file that has newer views, and with one that has fewer.
enum SnapshotViews {
    /// What schema version 2 began with, where views did not say whose they are.
    private static let first: Set = [
        "hashes", "keys", "lists", "sets", "stream_consumers", "stream_groups", "stream_pending", "streams", "strings",
        "zsets",
    ]
    /// Stands in each of views.sql.
    private static let mark = "AS -- Swiftlet's"

    /// Whether the server made this view, of whatever version.
    static func isOurs(_ name: String, definition: String) throws(StorageError) -> Bool {
        if first.contains(name) { return true }
        return try SnapshotSchema.expectedObjects.get()[name] != nil && definition.contains(mark)
    }

    /// Puts today's views in the place of older ones, in one transaction. What somebody else has made stays, under a name of
    /// ours, too. Throws with the reason `.busy` where another program writes.
    static func update(_ connection: SQLiteConnection) throws(StorageError) {
        let script = try changes(connection)
        if script.isEmpty { return }
        try connection.execute(named: "begin.write")
        do throws(StorageError) {
            try connection.execute(script)
            try connection.execute(named: "commit")
        } catch {
            try? connection.execute(named: "rollback")
            throw error
        }
    }

    /// What makes the views those of today; empty where they are.
    private static func changes(_ connection: SQLiteConnection) throws(StorageError) -> String {
        let expected = try SnapshotSchema.expectedObjects.get().filter { $0.value.type == "view" }
        let found = try SnapshotSchema.objects(connection)
        var script = ""
        for (name, object) in expected.sorted(by: { $0.key < $1.key }) {
            if let there = found[name] {
                if there.type != "view" || there.definition == object.definition { continue }
                if try !isOurs(name, definition: there.definition) { continue }
                script += try connection.text("view.drop").replacing("?1", with: name)
            }
            script += object.definition + ";\n"
        }
        return script
    }
}
