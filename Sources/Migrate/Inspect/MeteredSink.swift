import Storage

/// Passes on what it is told, and shows how far the reading has come.
final class MeteredSink: KeyVisitor {
    private let sink: any KeySink
    private let file: String
    private let isBytes: Bool
    private let meter: ProgressMeter
    private var keys = 0
    private var calls = 0

    /// `isBytes`: what `reached` says is of a file's bytes, not of rows.
    init(_ sink: any KeySink, file: String, isBytes: Bool, _ meter: ProgressMeter) {
        self.sink = sink
        self.file = file
        self.isBytes = isBytes
        self.meter = meter
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

    /// How many calls of `reached` pass between looks at the clock.
    private static let interval = 256

    func reached(_ offset: Int64, of size: Int64) throws(StorageError) {
        calls &+= 1
        if isBytes && calls % MeteredSink.interval != 0 { return }
        meter.update(ReadProgress(done: offset, of: size, isBytes: isBytes, keys: keys))
        if Interruption.happened { throw StorageError(file: file, message: "was not read to its end: interrupted") }
    }
}
