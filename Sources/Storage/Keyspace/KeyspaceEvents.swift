/// What the keyspace tells of while it changes.
public struct KeyspaceEvents: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A key was written or removed, or has other contents because its database has.
    public static let touched = KeyspaceEvents(rawValue: 1 << 0)
    /// A list, sorted set or stream came into being, a stream got entries, or one is about to go.
    public static let ready = KeyspaceEvents(rawValue: 1 << 1)
    /// A key, or a field of a hash, is about to go because its time has come.
    public static let expired = KeyspaceEvents(rawValue: 1 << 2)
    /// A database has other contents: SWAPDB, FLUSHALL, a reload.
    public static let replaced = KeyspaceEvents(rawValue: 1 << 3)
    /// All databases were emptied at once: FLUSHALL.
    public static let flushed = KeyspaceEvents(rawValue: 1 << 4)
    /// A key came into being, not where one takes the place of another.
    public static let created = KeyspaceEvents(rawValue: 1 << 5)
}

/// Observes a keyspace: it is told of the events that it asked for in `Keyspace.observe`, on the keyspace's thread and
/// in the midst of the change, so that it records what it learns and acts on it later: only in `contentsReplaced` may it look
/// keys up, which removes those that have expired.
public protocol KeyspaceObserver: AnyObject {
    func keyTouched(_ db: Int, _ key: Bytes)
    func keyReady(_ db: Int, _ key: Bytes)
    func keyCreated(_ db: Int, _ key: Bytes)
    func keyExpired(_ db: Int, _ key: Bytes)
    /// `isLast`: the hash goes with it.
    func fieldExpired(_ db: Int, _ key: Bytes, _ field: Bytes, isLast: Bool)
    /// The contents of `db` are about to be replaced by those of `other`; nil: by nothing.
    func contentsWillBeReplaced(_ db: Database, by other: Database?)
    func contentsReplaced(_ db: Int)
    func everythingFlushed()
}

extension KeyspaceObserver {
    public func keyTouched(_ db: Int, _ key: Bytes) {}
    public func keyReady(_ db: Int, _ key: Bytes) {}
    public func keyCreated(_ db: Int, _ key: Bytes) {}
    public func keyExpired(_ db: Int, _ key: Bytes) {}
    public func fieldExpired(_ db: Int, _ key: Bytes, _ field: Bytes, isLast: Bool) {}
    public func contentsWillBeReplaced(_ db: Database, by other: Database?) {}
    public func contentsReplaced(_ db: Int) {}
    public func everythingFlushed() {}
}

/// The observers of a keyspace, and the union of what they want, which is all that a write looks at.
struct KeyspaceObservers {
    private struct Place {
        unowned let observer: any KeyspaceObserver
        var events: KeyspaceEvents
    }
    private var places: [Place] = []
    private(set) var wanted: KeyspaceEvents = []

    mutating func set(_ observer: any KeyspaceObserver, _ events: KeyspaceEvents) {
        places.removeAll { $0.observer === observer }
        if !events.isEmpty { places.append(Place(observer: observer, events: events)) }
        wanted = places.reduce([]) { $0.union($1.events) }
    }

    @inline(never) func tell(_ event: KeyspaceEvents, _ body: (any KeyspaceObserver) -> Void) {
        for place in places where place.events.contains(event) { body(place.observer) }
    }
}

extension Keyspace {
    /// Has `observer` told of these events from here on, and of no others; none: it observes no longer. The keyspace does
    /// not keep it alive. An event that nobody wants costs a test of a word.
    public func observe(_ events: KeyspaceEvents, by observer: any KeyspaceObserver) { observers.set(observer, events) }
}

extension Database {
    @inline(__always) func tellTouched(_ key: Bytes) {
        if keyspace.observers.wanted.contains(.touched) {
            keyspace.observers.tell(.touched) { $0.keyTouched(index, key) }
        }
    }

    @inline(__always) func tellCreated(_ key: Bytes) {
        if keyspace.observers.wanted.contains(.created) {
            keyspace.observers.tell(.created) { $0.keyCreated(index, key) }
        }
    }

    /// Tells that an entry came into being, has more in it, or is about to go, for those who wait for its key.
    @inline(__always) func tellReady(_ entry: Entry) {
        if keyspace.observers.wanted.contains(.ready), entry.type.canBeAwaited {
            keyspace.observers.tell(.ready) { $0.keyReady(index, entry.key) }
        }
    }

    func tellWillBeReplaced(by other: Database?) {
        if keyspace.observers.wanted.contains(.touched) {
            keyspace.observers.tell(.touched) { $0.contentsWillBeReplaced(self, by: other) }
        }
    }
    func tellReplaced() {
        if keyspace.observers.wanted.contains(.replaced) {
            keyspace.observers.tell(.replaced) { $0.contentsReplaced(index) }
        }
    }
}
