/// Limits of one query.
public struct QueryLimits: Sendable {
    /// From the beginning to the last row.
    public var nanoseconds: UInt64
    /// Bytes that SQLite may hold for it. A value that is read or made along the way has a quarter of them at most.
    public var memory: Int
    public var rows: Int

    public init(nanoseconds: UInt64, memory: Int, rows: Int) {
        self.nanoseconds = nanoseconds
        self.memory = memory
        self.rows = rows
    }

    /// Bytes of a value.
    var value: Int { min(memory / 4, 1_000_000_000) }

    /// Bytes of a statement.
    static let statement: Int32 = 256 << 10
    static let expressionDepth: Int32 = 300
    static let compounds: Int32 = 100
    static let columns: Int32 = 500
    static let arguments: Int32 = 100
    static let parameters: Int32 = 1000
    /// Instructions between two looks at the clock: some 10 µs.
    static let instructionsBetweenLooks: Int32 = 500
    /// Milliseconds to wait while the file is being replaced.
    static let replacement = 1000
    /// Nanoseconds after which the loop is let go first.
    static let slice: UInt64 = 100_000
}

/// Why a query has no answer.
public enum QueryFailure: Error, Equatable, Sendable {
    /// There is no snapshot.
    case missing
    /// The statement is wrong, or asks for what is not allowed: what SQLite says, or why.
    case refused(String)
    /// The file cannot be read.
    case unreadable(String)
    case timeLimit
    case memoryLimit
    /// A value is longer than a value may be.
    case valueLimit
    case rowLimit
    /// Whoever takes the rows has no room for more.
    case byteLimit
    /// Nobody waits for the answer any more.
    case cancelled
}
