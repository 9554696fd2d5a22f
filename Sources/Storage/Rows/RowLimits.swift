/// What a row of the snapshot can hold. SQLite's rows end at 1,000,000,000 bytes, all columns together; what does not fit
/// must not come into the keyspace, where it would make every checkpoint fail.
public enum RowLimits {
    /// Bytes of a value: a string, an element, the fields of a stream's entry.
    public static let maximumValue = 900_000_000
    /// Bytes of what stands in a row beside a value: a key, a hash's field.
    public static let maximumName = 90_000_000
}
