@testable import Storage

/// Calls back for each key and field that expires; a key's field is nil.
final class ExpiryObserver: KeyspaceObserver {
    private let body: (_ key: Bytes, _ field: Bytes?) -> Void

    init(_ keyspace: Keyspace, _ body: @escaping (_ key: Bytes, _ field: Bytes?) -> Void) {
        self.body = body
        keyspace.observe(.expired, by: self)
    }
    func keyExpired(_ db: Int, _ key: Bytes) { body(key, nil) }
    func fieldExpired(_ db: Int, _ key: Bytes, _ field: Bytes, isLast: Bool) { body(key, field) }
}
