import Storage

/// The classes of events: those of the setting `notify-keyspace-events`, which has a letter for each.
struct EventClass: OptionSet, Sendable {
    let rawValue: UInt16

    /// Commands for keys of any type, and keys that go because they are empty.
    static let generic = EventClass(rawValue: 1 << 0)
    static let string = EventClass(rawValue: 1 << 1)
    static let list = EventClass(rawValue: 1 << 2)
    static let set = EventClass(rawValue: 1 << 3)
    static let hash = EventClass(rawValue: 1 << 4)
    static let zset = EventClass(rawValue: 1 << 5)
    static let expired = EventClass(rawValue: 1 << 6)
    static let evicted = EventClass(rawValue: 1 << 7)
    static let stream = EventClass(rawValue: 1 << 8)
    static let module = EventClass(rawValue: 1 << 9)
    /// A command that reads has found no key.
    static let keyMiss = EventClass(rawValue: 1 << 10)
    /// A key came into being.
    static let new = EventClass(rawValue: 1 << 11)

    /// The letter `A`: all but misses and new keys.
    static let all: EventClass = [
        .generic, .string, .list, .set, .hash, .zset, .expired, .evicted, .stream, .module,
    ]

    static let letters: [(EventClass, UInt8)] = [
        (.generic, UInt8(ascii: "g")), (.string, UInt8(ascii: "$")), (.list, UInt8(ascii: "l")),
        (.set, UInt8(ascii: "s")), (.hash, UInt8(ascii: "h")), (.zset, UInt8(ascii: "z")),
        (.expired, UInt8(ascii: "x")), (.evicted, UInt8(ascii: "e")), (.stream, UInt8(ascii: "t")),
        (.module, UInt8(ascii: "d")), (.keyMiss, UInt8(ascii: "m")), (.new, UInt8(ascii: "n")),
    ]
}

/// What happened to a key. Its bytes live only until the listener returns.
struct KeyEvent {
    let db: Int
    let key: Bytes
    let kind: EventClass
    /// The event's name as Redis has it: "lpush", "del".
    let name: StaticString
}

/// Hears of events, once what caused them was propagated. Neither writes to the keyspace nor executes commands.
protocol KeyEventListener: AnyObject {
    /// The classes that it hears of; `EventQueue.update` when they change.
    var interest: EventClass { get }
    func happened(_ event: KeyEvent)
}

extension WriteContext {
    /// Removes a key, and says so.
    @discardableResult func remove(_ key: Bytes) -> Bool {
        guard db.remove(key) else { return false }
        changed(key, .generic, "del")
        return true
    }
    /// What was to be stored at a key is nothing: removes what is there, as if nobody had looked whether it has expired.
    func storeNothing(_ key: Bytes) {
        if db.removeEvenIfDue(key) { changed(key, .generic, "del") }
    }
    /// Removes the key of a collection that lost its last element, and says so.
    func removeIfEmpty(_ entry: Entry) {
        if entry.elementCount > 0 { return }
        changed(entry.key, .generic, "del")
        db.removeIfEmpty(entry)
    }
}
