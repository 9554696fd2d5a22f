/// The SQL of the snapshot, as text: all there is of it, embedded from sql/*.sql.
public enum Schema {
    /// PRAGMA application_id: "RSQL".
    public static let applicationID: Int64 = 0x5253_514C
    /// PRAGMA application_id of an analysis copy, on which no server starts: "RSQA".
    public static let analysisID: Int64 = 0x5253_5141
    /// PRAGMA user_version of what `create` makes. A change of the tables raises it and adds a script from the version
    /// before; views do not count: see `SnapshotViews`.
    public static let version: Int64 = 2

    /// Makes all tables and views in an empty database, and sets application_id and user_version.
    public static let create =
        String(decoding: PackageResources.tables_sql, as: UTF8.self)
        + String(decoding: PackageResources.views_sql, as: UTF8.self)

    /// The statement under `-- name: ` in statements.sql or comparison.sql; nil when there is none. O(1) after the first call.
    public static func statement(_ name: String) -> String? { statements[name] }

    /// All names, for the test that prepares every statement.
    public static var statementNames: [String] { statements.keys.sorted() }

    private static let statements = Dictionary(
        uniqueKeysWithValues: [PackageResources.statements_sql, PackageResources.comparison_sql].flatMap {
            NamedStatement.all(in: $0).map { ($0.name, $0.sql) }
        })

    /// What index.sql has, in its order: the steps that make an analysis copy.
    public static let indexing = NamedStatement.all(in: PackageResources.index_sql)

    /// What recipes.sql has, in its order.
    public static let recipes = NamedStatement.all(in: PackageResources.recipes_sql)
}

/// A statement of a file, and what the comment lines before it say.
public struct NamedStatement: Sendable {
    public let name: String
    /// What `-- title: ` says; empty where there is no such line.
    public internal(set) var title = ""
    /// The other comment lines, one after the other in one line.
    public internal(set) var about = ""
    /// Ends with a semicolon and a line end. In statements.sql there may be more than one.
    public internal(set) var sql = ""

    /// The statements of a file whose line `-- name: ` opens each; what stands before the first is left out.
    static func all(in file: [UInt8]) -> [NamedStatement] {
        let (opening, heading) = ("-- name: ", "-- title: ")
        var found: [NamedStatement] = []
        for line in String(decoding: file, as: UTF8.self).split(separator: "\n") {
            if line.hasPrefix(opening) {
                found.append(NamedStatement(name: String(line.dropFirst(opening.count))))
            } else if let last = found.indices.last {
                if line.hasPrefix(heading) {
                    found[last].title = String(line.dropFirst(heading.count))
                } else if line.hasPrefix("--") {
                    found[last].about += (found[last].about.isEmpty ? "" : " ") + line.drop { "- ".contains($0) }
                } else {
                    found[last].sql += line + "\n"
                }
            }
        }
        return found
    }
}
