import Storage

/// Passes on the keys that its rules take, changed as they say.
///
/// How large a collection is shows at its end only: where that is asked for, its elements are kept in memory until the answer is
/// certain, which is at the latest when one more than the condition's limit has come.
final class KeyFilter: KeyVisitor {
    /// Keys passed on.
    private(set) var keys = 0
    /// Elements of collections passed on.
    private(set) var elements = 0
    /// Keys left out.
    private(set) var left = 0
    private(set) var functions = 0

    private var sink: any KeySink
    private let rules: KeyRules
    private let name = OutputBuffer()

    private enum State { case passing, leaving, undecided }
    private var state = State.passing
    private var held: HeldCollection?
    private var calls = 0

    init(_ sink: any KeySink, _ rules: KeyRules) {
        self.sink = sink
        self.rules = rules
    }

    func auxiliary(_ name: Bytes, _ value: Bytes) throws(StorageError) { try sink.auxiliary(name, value) }

    func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) {
        try watch()
        let size = Int64(value.count)
        guard rules.takes(.string, key), !rules.asksSize || rules.takes(elements: size, bytes: size) else {
            left += 1
            return
        }
        keys += 1
        try sink.string(rules.changed(key, name), value)
    }

    func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError) {
        guard rules.takes(type, key) else {
            state = .leaving
            return
        }
        if rules.asksSize {
            state = .undecided
            held = HeldCollection(type, rules.changed(key, name))
        } else {
            state = .passing
            try sink.begin(type, rules.changed(key, name), sizeHint: sizeHint)
        }
    }

    func element(_ value: Bytes) throws(StorageError) {
        try watch()
        if state == .undecided { held?.add(.element, value) }
        guard try passes() else { return }
        try sink.element(value)
    }
    func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        try watch()
        if state == .undecided { held?.add(.pair, field, value, expiresMs: expiresMs) }
        guard try passes() else { return }
        try sink.pair(field, value, expiresMs: expiresMs)
    }
    func scored(_ member: Bytes, _ score: Double) throws(StorageError) {
        try watch()
        if state == .undecided { held?.add(.scored, member, score: score) }
        guard try passes() else { return }
        try sink.scored(member, score)
    }
    func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) {
        try watch()
        if state == .undecided { held?.add(.streamEntry, fields, id: id) }
        guard try passes() else { return }
        try sink.streamEntry(id, fields)
    }
    func streamNode() { if state == .passing { sink.streamNode() } }
    func streamDeletedEntry(_ id: StreamID, _ fields: Bytes) {
        if state == .passing { sink.streamDeletedEntry(id, fields) }
    }
    func streamRow(_ row: StreamRow) throws(StorageError) {
        // All entries have come.
        if state == .undecided { try decide(isWhole: true) }
        if state == .passing { try sink.streamRow(row) }
    }
    func end() throws(StorageError) {
        if state == .undecided { try decide(isWhole: true) }
        if state == .leaving {
            left += 1
            return
        }
        keys += 1
        try sink.end()
    }

    func function(_ name: Bytes, _ code: Bytes) throws(StorageError) {
        if !rules.keepsFunctions { return }
        functions += 1
        try sink.function(name, code)
    }
    func reached(_ offset: Int64, of size: Int64) throws(StorageError) { try sink.reached(offset, of: size) }

    /// Whether the element in hand, which is held where nothing is decided yet, goes to the sink by itself.
    private func passes() throws(StorageError) -> Bool {
        switch state {
        case .leaving: return false
        case .passing:
            elements += 1
            return true
        case .undecided:
            try decide(isWhole: false)
            return false
        }
    }

    private func decide(isWhole: Bool) throws(StorageError) {
        guard let held else { return }
        let (count, bytes) = (held.count, held.contentBytes)
        if !isWhole && !rules.isDecided(elements: count, bytes: bytes) { return }
        self.held = nil
        guard rules.takes(elements: count, bytes: bytes) else {
            state = .leaving
            return
        }
        state = .passing
        elements += Int(count)
        try held.tell(sink)
    }

    /// Ends the work where the user asked for it.
    private func watch() throws(StorageError) {
        calls &+= 1
        if calls & 1023 == 0 && Interruption.happened {
            throw StorageError(file: "redis-migrate", message: "was interrupted; nothing was written")
        }
    }
}
