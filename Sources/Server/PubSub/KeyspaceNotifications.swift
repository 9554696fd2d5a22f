import Storage

// Invariant of this file: the pub/sub room owns this object.

/// Publishes what happens to keys, as `notify-keyspace-events` says: in `__keyspace@db__:key` the event's name, in
/// `__keyevent@db__:event` the key. It asks for events only while somebody is subscribed to something.
final class KeyspaceNotifications: KeyEventListener {
    unowned(unsafe) var pubsub: PubSub?
    private unowned(unsafe) let events: EventQueue
    private var classes = NotificationClasses()
    private var isListening = false
    private(set) var interest: EventClass = []
    private let channel = OutputBuffer(capacity: 128)

    init(_ events: EventQueue) { self.events = events }

    func settingsChanged(_ settings: Settings) {
        if classes == settings.notifyKeyspaceEvents { return }
        classes = settings.notifyKeyspaceEvents
        update()
    }
    func subscribersChanged() { if !classes.isEmpty { update() } }

    private func update() {
        let isWanted = !classes.isDisjoint(with: [.keyspace, .keyevent]) && pubsub?.hasSubscribers ?? false
        interest = isWanted ? EventClass(classes) : []
        if isWanted == isListening { return events.update() }
        isListening = isWanted
        if isWanted { events.add(self) } else { events.remove(self) }
    }

    func happened(_ event: KeyEvent) {
        guard let pubsub else { return }
        let name = Bytes(event.name)
        if classes.contains(.keyspace) {
            writeChannel("__keyspace@", event.db, event.key)
            _ = pubsub.send(name, to: channel.bytes, .channel)
        }
        if classes.contains(.keyevent) {
            writeChannel("__keyevent@", event.db, name)
            _ = pubsub.send(event.key, to: channel.bytes, .channel)
        }
    }

    private func writeChannel(_ prefix: StaticString, _ db: Int, _ rest: Bytes) {
        channel.removeAll(keepingAtMost: Self.keptChannel)
        channel.append(prefix)
        channel.append(decimal: Int64(db))
        channel.append("__:")
        channel.append(rest)
    }
    private static let keptChannel = 4096
}

extension EventClass {
    /// Those of the setting, by their letters.
    fileprivate init(_ classes: NotificationClasses) {
        self = []
        for (kind, letter) in Self.letters {
            if let one = NotificationClasses(letters: ByteString([letter])), classes.contains(one) { insert(kind) }
        }
    }
}
