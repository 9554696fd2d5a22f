/// The SQL of the snapshot, as text.
public enum Schema {
    public static var tables: String { String(decoding: PackageResources.tables_sql, as: UTF8.self) }
}
