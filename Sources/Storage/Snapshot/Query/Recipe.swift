import schema

/// A query of schema/sql/recipes.sql.
public struct Recipe: Sendable {
    public let name: String
    public let title: String
    public let sql: String

    /// In the order of the file.
    public static let all = Schema.recipes.map { Recipe(name: $0.name, title: $0.title, sql: $0.sql) }

    /// Returns name and title of each of `names`, which are its parameter.
    public static let list = Schema.statement("query.recipes") ?? ""
    /// A JSON array of arrays: name, title.
    public static let names = "[" + all.map { "[\(quoted($0.name)),\(quoted($0.title))]" }.joined(separator: ",") + "]"

    private static func quoted(_ line: String) -> String {
        "\"" + line.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : "\($0)" }.joined() + "\""
    }
}
