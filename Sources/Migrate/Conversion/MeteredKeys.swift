import Storage

/// Passes keys on and shows how far the work is.
final class MeteredKeys: KeyVisitor {
    private var sink: any KeySink
    private let name: String
    private let isBytes: Bool
    private let meter: ProgressMeter
    private var keys = 0
    /// In bytes, where the clock is looked at next.
    private var next: Int64 = 0

    /// Keys of `name`, whose reading it ends where the user asks for it. `isBytes`: they tell how far they are in bytes, not rows.
    init(_ sink: any KeySink, of name: String, isBytes: Bool, _ meter: ProgressMeter) {
        self.sink = sink
        self.name = name
        self.isBytes = isBytes
        self.meter = meter
    }
    convenience init(_ sink: any KeySink, of source: DataSource, _ meter: ProgressMeter) {
        self.init(sink, of: source.name, isBytes: source.form != .snapshot, meter)
    }

    func auxiliary(_ name: Bytes, _ value: Bytes) throws(StorageError) { try sink.auxiliary(name, value) }
    func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) {
        keys += 1
        try sink.string(key, value)
    }
    func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError) {
        keys += 1
        try sink.begin(type, key, sizeHint: sizeHint)
    }
    func element(_ value: Bytes) throws(StorageError) { try sink.element(value) }
    func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        try sink.pair(field, value, expiresMs: expiresMs)
    }
    func scored(_ member: Bytes, _ score: Double) throws(StorageError) { try sink.scored(member, score) }
    func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) { try sink.streamEntry(id, fields) }
    func streamRow(_ row: StreamRow) throws(StorageError) { try sink.streamRow(row) }
    func end() throws(StorageError) { try sink.end() }
    func function(_ name: Bytes, _ code: Bytes) throws(StorageError) { try sink.function(name, code) }
    private static let step: Int64 = 64 << 10

    func reached(_ offset: Int64, of size: Int64) throws(StorageError) {
        if !isBytes || offset >= next {
            next = offset + MeteredKeys.step
            meter.update(ReadProgress(done: offset, of: size, isBytes: isBytes, keys: keys))
            if Interruption.happened {
                throw StorageError(file: name, message: "was not read to its end: interrupted")
            }
        }
        try sink.reached(offset, of: size)
    }
}
