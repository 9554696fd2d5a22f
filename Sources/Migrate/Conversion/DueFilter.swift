import Storage

/// Leaves out keys and fields that have expired, for sources whose readers do not, as redis-server does when it loads a file.
final class DueFilter: KeyVisitor {
    private(set) var expired = 0
    private var sink: any KeySink
    private let time: Int64?
    private enum State { case passing, leaving, waiting }
    private var state = State.passing
    private let key = OutputBuffer()
    private var pending = VisitedKey(database: 0, key: Bytes())

    /// `time` in ms since 1970; nil: nothing is left out.
    init(_ sink: any KeySink, _ time: Int64?) {
        self.sink = sink
        self.time = time
    }

    private func isDue(_ expiry: Int64?) -> Bool {
        guard let expiry, let time else { return false }
        return expiry <= time
    }

    func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) {
        if isDue(key.expiresMs) { expired += 1 } else { try sink.string(key, value) }
    }
    func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError) {
        if isDue(key.expiresMs) {
            state = .leaving
        } else if key.earliestFieldExpiry != nil && time != nil {
            // All of its fields may have expired.
            state = .waiting
            self.key.removeAll(keepingAtMost: 1 << 20)
            self.key.append(key.key)
            pending = key
            pending.key = self.key.bytes
        } else {
            state = .passing
            try sink.begin(type, key, sizeHint: sizeHint)
        }
    }
    func element(_ value: Bytes) throws(StorageError) { if state == .passing { try sink.element(value) } }
    func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        if state == .leaving || isDue(expiresMs) { return }
        if state == .waiting {
            state = .passing
            try sink.begin(.hash, pending, sizeHint: 0)
        }
        try sink.pair(field, value, expiresMs: expiresMs)
    }
    func scored(_ member: Bytes, _ score: Double) throws(StorageError) {
        if state == .passing { try sink.scored(member, score) }
    }
    func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) {
        if state == .passing { try sink.streamEntry(id, fields) }
    }
    func streamRow(_ row: StreamRow) throws(StorageError) { if state == .passing { try sink.streamRow(row) } }
    func end() throws(StorageError) { if state == .passing { try sink.end() } else { expired += 1 } }
    func function(_ name: Bytes, _ code: Bytes) throws(StorageError) { try sink.function(name, code) }
    func reached(_ offset: Int64, of size: Int64) throws(StorageError) { try sink.reached(offset, of: size) }
}
