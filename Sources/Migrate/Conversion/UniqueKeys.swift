import Storage

/// Passes keys on and finds out whether one came twice, in 8 bytes a key.
final class UniqueKeys: KeyVisitor {
    private var sink: any KeySink
    private var digests = KeyDigests()

    init(_ sink: any KeySink) { self.sink = sink }

    /// O(keys).
    var hasRepeated: Bool { digests.hasRepeated }

    func auxiliary(_ name: Bytes, _ value: Bytes) throws(StorageError) { try sink.auxiliary(name, value) }
    func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) {
        digests.insert(key)
        try sink.string(key, value)
    }
    func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError) {
        digests.insert(key)
        try sink.begin(type, key, sizeHint: sizeHint)
    }
    func element(_ value: Bytes) throws(StorageError) { try sink.element(value) }
    func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        try sink.pair(field, value, expiresMs: expiresMs)
    }
    func scored(_ member: Bytes, _ score: Double) throws(StorageError) { try sink.scored(member, score) }
    func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) { try sink.streamEntry(id, fields) }
    func streamNode() { sink.streamNode() }
    func streamDeletedEntry(_ id: StreamID, _ fields: Bytes) { sink.streamDeletedEntry(id, fields) }
    func streamRow(_ row: StreamRow) throws(StorageError) { try sink.streamRow(row) }
    func end() throws(StorageError) { try sink.end() }
    func function(_ name: Bytes, _ code: Bytes) throws(StorageError) { try sink.function(name, code) }
    func reached(_ offset: Int64, of size: Int64) throws(StorageError) { try sink.reached(offset, of: size) }
}
