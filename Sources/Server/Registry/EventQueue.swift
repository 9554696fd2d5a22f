import Storage

/// Events from the moment they happen until what caused them was propagated; only then are listeners told, so that none
/// hears of what is not in the log. Without listeners nothing is recorded. Confined to the loop.
final class EventQueue {
    private struct Recorded {
        let db: Int
        let key: Range<Int>
        let kind: EventClass
        let name: StaticString
    }
    private let keyspace: Keyspace
    private let work: PendingWork
    private var listeners: [any KeyEventListener] = []
    private var recorded: [Recorded] = []
    /// The recorded events' keys, one behind the other.
    private let keys = OutputBuffer(capacity: 0)
    /// What any listener hears of.
    private(set) var interest: EventClass = []

    /// `work`: where the end of the unit sees that there is something to deliver.
    init(_ keyspace: Keyspace, _ work: PendingWork) {
        self.keyspace = keyspace
        self.work = work
    }

    @inline(__always) func isWanted(_ kind: EventClass) -> Bool { !interest.isDisjoint(with: kind) }

    /// An event happened; `key` is copied.
    @inline(__always) func record(_ db: Int, _ key: Bytes, _ kind: EventClass, _ name: StaticString) {
        if isWanted(kind) { append(db, key, kind, name) }
    }
    @inline(never) private func append(_ db: Int, _ key: Bytes, _ kind: EventClass, _ name: StaticString) {
        let start = keys.count
        keys.append(key)
        recorded.append(Recorded(db: db, key: start..<keys.count, kind: kind, name: name))
        work.kinds.insert(.events)
    }

    /// As `record`, but where the last event was the same: fields of one hash that expire one after the other are one event.
    func recordOnce(_ db: Int, _ key: Bytes, _ kind: EventClass, _ name: StaticString) {
        if let last = recorded.last, last.db == db, last.name.utf8Start == name.utf8Start, keys.bytes[last.key] == key {
            return
        }
        record(db, key, kind, name)
    }

    var hasUndelivered: Bool { !recorded.isEmpty }

    /// Tells the listeners, each event in the order in which it happened. Called when what caused them was propagated.
    @inline(never) func deliver() {
        for i in recorded.indices {
            let event = recorded[i]
            let told = KeyEvent(db: event.db, key: keys.bytes[event.key], kind: event.kind, name: event.name)
            for listener in listeners where listener.interest.contains(event.kind) { listener.happened(told) }
        }
        recorded.removeAll(keepingCapacity: recorded.count <= Self.keptEvents)
        keys.removeAll(keepingAtMost: Self.keptKeys)
    }
    /// Room for so many events, and so many bytes of keys, stays.
    private static let keptEvents = 1024
    private static let keptKeys = 64 << 10

    // MARK: Listeners

    func add(_ listener: any KeyEventListener) {
        listeners.append(listener)
        update()
    }
    func remove(_ listener: any KeyEventListener) {
        listeners.removeAll { $0 === listener }
        update()
    }
    /// The listener of this class, if there is one.
    func listener<L: KeyEventListener>(_ type: L.Type) -> L? {
        for listener in listeners { if let found = listener as? L { return found } }
        return nil
    }

    /// A listener's interest is another.
    func update() {
        interest = listeners.reduce(into: []) { $0.formUnion($1.interest) }
        // The keyspace alone knows which keys are new and which expire.
        var observed: KeyspaceEvents = []
        if isWanted(.new) { observed.insert(.created) }
        if isWanted([.expired, .hash, .generic]) { observed.insert(.expired) }
        keyspace.observe(observed, by: self)
    }
}

extension EventQueue: KeyspaceObserver {
    func keyCreated(_ db: Int, _ key: Bytes) { record(db, key, .new, "new") }
    func keyExpired(_ db: Int, _ key: Bytes) { record(db, key, .expired, "expired") }
    func fieldExpired(_ db: Int, _ key: Bytes, _ field: Bytes, isLast: Bool) {
        recordOnce(db, key, .hash, "hexpired")
        if isLast { record(db, key, .generic, "del") }
    }
}
