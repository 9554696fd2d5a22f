/// The SQL of the snapshot, as text: all there is of it, embedded from sql/*.sql.
public enum Schema {
    /// PRAGMA application_id: "RSQL".
    public static let applicationID: Int64 = 0x5253_514C
    /// PRAGMA user_version of what `create` makes. A change of the tables raises it and adds a script from the version
    /// before.
    public static let version: Int64 = 2

    /// Makes all tables and views in an empty database, and sets application_id and user_version.
    public static let create =
        String(decoding: PackageResources.tables_sql, as: UTF8.self)
        + String(decoding: PackageResources.views_sql, as: UTF8.self)

    /// The statement under `-- name: ` in statements.sql or comparison.sql; nil when there is none. O(1) after the first call.
    public static func statement(_ name: String) -> String? { statements[name] }

    /// All names, for the test that prepares every statement.
    public static var statementNames: [String] { statements.keys.sorted() }

    private static let statements: [String: String] = {
        let marker = "-- name: "
        var found: [String: String] = [:]
        var name: String?
        var text = ""
        let files = [PackageResources.statements_sql, PackageResources.comparison_sql]
        for line in files.flatMap({ String(decoding: $0, as: UTF8.self).split(separator: "\n") }) {
            if line.hasPrefix(marker) {
                if let name { found[name] = text }
                name = String(line.dropFirst(marker.count))
                text = ""
            } else if !line.hasPrefix("--") {
                text += line + "\n"
            }
        }
        if let name { found[name] = text }
        return found
    }()
}
