import Storage

// Invariant of this file: a place is taken out of its topic before its session or its subscription is freed.

/// What clients can subscribe to; each kind has names of its own.
enum TopicKind: Int, CaseIterable {
    case channel, pattern, shardChannel

    /// The first word of the reply to subscribing, of that to unsubscribing, and of a message.
    var subscribed: StaticString {
        switch self {
        case .channel: "subscribe"
        case .pattern: "psubscribe"
        case .shardChannel: "ssubscribe"
        }
    }
    var unsubscribed: StaticString {
        switch self {
        case .channel: "unsubscribe"
        case .pattern: "punsubscribe"
        case .shardChannel: "sunsubscribe"
        }
    }
    var message: StaticString {
        switch self {
        case .channel: "message"
        case .pattern: "pmessage"
        case .shardChannel: "smessage"
        }
    }
}

/// A channel or a pattern that somebody is subscribed to. It exists as long as somebody is.
final class Topic {
    /// A subscriber, as delivering walks over them: the session stands here, so that nothing else is looked at.
    struct Place {
        unowned(unsafe) let session: Session
        unowned(unsafe) let subscription: Subscription
    }
    private let name: OutputBuffer
    let hash: UInt64
    /// In no particular order.
    fileprivate(set) var places = ContiguousArray<Place>()

    init(_ name: Bytes, hash: UInt64) {
        self.name = OutputBuffer(copying: name)
        self.hash = hash
    }
    var bytes: Bytes { name.bytes }

    /// O(1).
    func add(_ session: Session) -> Subscription {
        let subscription = Subscription(self, place: places.count)
        places.append(Place(session: session, subscription: subscription))
        return subscription
    }
    /// O(1): the last subscriber takes the place.
    func remove(_ subscription: Subscription) {
        let last = places.removeLast()
        if last.subscription === subscription { return }
        places[subscription.place] = last
        last.subscription.place = subscription.place
    }
}

/// That one client is subscribed to a topic.
final class Subscription {
    let topic: Topic
    fileprivate var place: Int

    fileprivate init(_ topic: Topic, place: Int) {
        self.topic = topic
        self.place = place
    }
}

/// What a `TopicTable` holds.
protocol Named: AnyObject { var topic: Topic { get } }
extension Topic: Named { var topic: Topic { self } }
extension Subscription: Named {}

/// Elements by the name of their topic, walked over in the order in which they were added: a dense array, and an index of
/// open addressing that has places in it. Looking up neither allocates nor makes an array of the name.
struct TopicTable<Element: Named> {
    private struct Entry {
        let hash: UInt64
        let element: Element
    }
    /// nil where one was removed.
    private var entries = ContiguousArray<Entry?>()
    /// A place in `entries`, or one of these. At least half are empty, so that a search ends.
    private var index = ContiguousArray<Int32>()
    private static var empty: Int32 { -1 }
    private static var removed: Int32 { -2 }

    private(set) var count = 0
    var isEmpty: Bool { count == 0 }

    /// O(1).
    @inline(__always) func find(_ name: Bytes, _ hash: UInt64) -> Element? {
        if count == 0 { return nil }
        return slot(name, hash).flatMap { entries[Int(index[$0])]?.element }
    }
    private func slot(_ name: Bytes, _ hash: UInt64) -> Int? {
        let mask = index.count - 1
        var at = Int(truncatingIfNeeded: hash) & mask
        while index[at] != Self.empty {
            if index[at] >= 0, let entry = entries[Int(index[at])], entry.hash == hash {
                let topic = entry.element.topic
                if topic.bytes == name { return at }
            }
            at = (at &+ 1) & mask
        }
        return nil
    }

    /// Its topic must not be there. O(1), amortised.
    mutating func insert(_ element: Element) {
        if entries.count * 2 >= index.count { rebuild() }
        place(entries.count, element.topic.hash)
        entries.append(Entry(hash: element.topic.hash, element: element))
        count += 1
    }
    private mutating func place(_ position: Int, _ hash: UInt64) {
        let mask = index.count - 1
        var at = Int(truncatingIfNeeded: hash) & mask
        while index[at] != Self.empty { at = (at &+ 1) & mask }
        index[at] = Int32(position)
    }

    /// The element that was there. O(1), amortised.
    mutating func remove(_ name: Bytes, _ hash: UInt64) -> Element? {
        guard count > 0, let slot = slot(name, hash) else { return nil }
        let position = Int(index[slot])
        let found = entries[position]?.element
        entries[position] = nil
        index[slot] = Self.removed
        count -= 1
        // Else a walk over few would be one over all that ever were.
        if entries.count > Self.smallest && count < entries.count / 8 { rebuild() }
        return found
    }
    private static var smallest: Int { StructureSizes.size(16, small: 2) }

    /// Without what was removed, and with room for as many again.
    private mutating func rebuild() {
        entries.removeAll { $0 == nil }
        var size = Self.smallest * 2
        while size < entries.count * 4 { size *= 2 }
        index = ContiguousArray(repeating: Self.empty, count: size)
        for (position, entry) in entries.enumerated() { if let entry { place(position, entry.hash) } }
    }

    /// All elements, in the order in which they were added.
    @inline(__always) func forEach(_ body: (Element) -> Void) {
        if count == 0 { return }
        for entry in entries { if let entry { body(entry.element) } }
    }
}
