/// A key as it stands in what is read. `key` is valid during the call only.
public struct VisitedKey {
    public var database: Int32
    public var key: Bytes
    /// Milliseconds since 1970.
    public var expiresMs: Int64?
    /// Of a hash: no field expires before this time, in ms since 1970. nil: no field expires at all.
    public var earliestFieldExpiry: Int64?

    public init(database: Int32, key: Bytes, expiresMs: Int64? = nil, earliestFieldExpiry: Int64? = nil) {
        self.database = database
        self.key = key
        self.expiresMs = expiresMs
        self.earliestFieldExpiry = earliestFieldExpiry
    }
}

/// A visitor that several hold: what a source tells keys to where its type is known at run time only.
public typealias KeySink = KeyVisitor & AnyObject

/// Receives what an RDB file, a snapshot or another source of keys holds, in the source's order. Every `Bytes` is valid during
/// the call only. A collection is `begin`, its elements, `end`; an empty one is not reported, but for streams. No key or element
/// comes before it has been read whole.
///
/// Of a stream come its entries, its state, then groups, consumers and what is pending: a group before its consumers, a consumer
/// before what is pending for it, all named by slots.
public protocol KeyVisitor {
    /// A note about the file: redis-ver, ctime, repl-id …
    mutating func auxiliary(_ name: Bytes, _ value: Bytes) throws(StorageError)
    mutating func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError)
    /// `sizeHint`: how many elements the file says there are, 0 where that is not known; never more than there are
    /// bytes left in the file.
    mutating func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError)
    /// Of a list, in order, or a set.
    mutating func element(_ value: Bytes) throws(StorageError)
    /// Of a hash. `expiresMs`: milliseconds since 1970.
    mutating func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError)
    /// Of a sorted set; never NaN.
    mutating func scored(_ member: Bytes, _ score: Double) throws(StorageError)
    /// Of a stream, in the order of ids; `fields` as `StreamFields.pack` writes them.
    mutating func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError)
    /// The entries of a stream that follow are of another node: it decides how much an approximate trimming removes.
    mutating func streamNode()
    /// Of a stream: an entry that was deleted, and still takes its place in the node. Its id may be out of order.
    mutating func streamDeletedEntry(_ id: StreamID, _ fields: Bytes)
    /// Of a stream, after its entries.
    mutating func streamRow(_ row: StreamRow) throws(StorageError)
    mutating func end() throws(StorageError)
    /// A library of functions.
    mutating func function(_ name: Bytes, _ code: Bytes) throws(StorageError)
    /// After each key, and now and then inside a big one: how much of how much has been read, bytes of a file or rows of a
    /// snapshot. `size` is 0 where that is not known.
    mutating func reached(_ offset: Int64, of size: Int64) throws(StorageError)
}

extension KeyVisitor {
    public mutating func streamNode() {}
    public mutating func streamDeletedEntry(_ id: StreamID, _ fields: Bytes) {}
    public mutating func auxiliary(_ name: Bytes, _ value: Bytes) throws(StorageError) {}
    public mutating func function(_ name: Bytes, _ code: Bytes) throws(StorageError) {}
    public mutating func reached(_ offset: Int64, of size: Int64) throws(StorageError) {}
}

/// Makes a visitor of a sink, so that a reader is compiled for one type only.
struct AnyKeyVisitor: KeyVisitor {
    private var sink: any KeySink

    init(_ sink: any KeySink) { self.sink = sink }

    mutating func auxiliary(_ name: Bytes, _ value: Bytes) throws(StorageError) { try sink.auxiliary(name, value) }
    mutating func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) { try sink.string(key, value) }
    mutating func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError) {
        try sink.begin(type, key, sizeHint: sizeHint)
    }
    mutating func element(_ value: Bytes) throws(StorageError) { try sink.element(value) }
    mutating func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        try sink.pair(field, value, expiresMs: expiresMs)
    }
    mutating func scored(_ member: Bytes, _ score: Double) throws(StorageError) { try sink.scored(member, score) }
    mutating func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) {
        try sink.streamEntry(id, fields)
    }
    mutating func streamNode() { sink.streamNode() }
    mutating func streamDeletedEntry(_ id: StreamID, _ fields: Bytes) { sink.streamDeletedEntry(id, fields) }
    mutating func streamRow(_ row: StreamRow) throws(StorageError) { try sink.streamRow(row) }
    mutating func end() throws(StorageError) { try sink.end() }
    mutating func function(_ name: Bytes, _ code: Bytes) throws(StorageError) { try sink.function(name, code) }
    mutating func reached(_ offset: Int64, of size: Int64) throws(StorageError) { try sink.reached(offset, of: size) }
}
