import Storage

/// A key and the number of its database, kept: what clients watch or wait for.
struct DatabaseKey: Hashable {
    let db: Int
    let key: [UInt8]

    init(_ db: Int, _ key: Bytes) {
        self.db = db
        self.key = key.array
    }

    /// Calls `body` with the key.
    func withBytes(_ body: (Bytes) -> Void) {
        key.withUnsafeBytes { key in body(key.baseAddress.map { Bytes($0, key.count) } ?? Bytes()) }
    }
}
