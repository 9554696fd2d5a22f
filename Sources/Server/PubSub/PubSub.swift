import Storage

/// Who is subscribed to what, and the way of a message to them. Confined to the loop.
final class PubSub {
    private let services: Services
    private var topics = TopicKind.allCases.map { _ in TopicTable<Topic>() }
    /// What each client is subscribed to, by its session's id; none without subscriptions.
    private var subscribers: [UInt64: Subscriber] = [:]
    let notifications: KeyspaceNotifications
    /// Forms of a short message.
    private let scratch = OutputBuffer(capacity: 1024)

    private final class Subscriber {
        var subscriptions = TopicKind.allCases.map { _ in TopicTable<Subscription>() }
        subscript(kind: TopicKind) -> TopicTable<Subscription> {
            get { subscriptions[kind.rawValue] }
            _modify { yield &subscriptions[kind.rawValue] }
        }
    }

    init(_ services: Services) {
        self.services = services
        notifications = KeyspaceNotifications(services.events)
        notifications.pubsub = self
    }

    var hasSubscribers: Bool { !subscribers.isEmpty }
    var subscriberCount: Int { subscribers.count }
    func count(of kind: TopicKind) -> Int { topics[kind.rawValue].count }
    func subscriberCount(of name: Bytes, _ kind: TopicKind) -> Int {
        topics[kind.rawValue].find(name, Hashing.hash(name))?.places.count ?? 0
    }
    /// The names that somebody is subscribed to.
    func forEachName(_ kind: TopicKind, _ body: (Bytes) -> Void) { topics[kind.rawValue].forEach { body($0.bytes) } }

    // MARK: - Subscriptions

    /// Nothing happens when the client is subscribed already. O(1).
    func subscribe(_ session: Session, to name: Bytes, _ kind: TopicKind) {
        deliverEvents()
        let hash = Hashing.hash(name)
        let subscriber = subscribers[session.id] ?? Subscriber()
        if subscriber[kind].find(name, hash) != nil { return }
        let topic: Topic
        if let found = topics[kind.rawValue].find(name, hash) {
            topic = found
        } else {
            topic = Topic(name, hash: hash)
            topics[kind.rawValue].insert(topic)
        }
        subscriber[kind].insert(topic.add(session))
        let isFirst = subscribers.isEmpty
        subscribers[session.id] = subscriber
        countChanged(session, kind, subscriber)
        if isFirst { notifications.subscribersChanged() }
    }

    /// Nothing happens when the client is not subscribed. O(1).
    func unsubscribe(_ session: Session, from name: Bytes, _ kind: TopicKind) {
        deliverEvents()
        let hash = Hashing.hash(name)
        guard let subscriber = subscribers[session.id], let subscription = subscriber[kind].remove(name, hash) else {
            return
        }
        drop(subscription, kind)
        countChanged(session, kind, subscriber)
        if !session.hasSubscriptions { forget(session) }
    }

    /// Ends all subscriptions of a kind; calls `body` after each, in the order in which they were made. O(subscriptions).
    func unsubscribeAll(_ session: Session, _ kind: TopicKind, _ body: (Bytes) -> Void) {
        guard let subscriber = subscribers[session.id] else { return }
        var names: [Topic] = []
        subscriber[kind].forEach { names.append($0.topic) }
        for topic in names {
            unsubscribe(session, from: topic.bytes, kind)
            body(topic.bytes)
        }
    }

    /// The client is gone, or begins anew. O(its subscriptions).
    func end(_ session: Session) {
        guard let subscriber = subscribers[session.id] else { return }
        for kind in TopicKind.allCases {
            subscriber[kind].forEach { drop($0, kind) }
            subscriber[kind] = TopicTable()
            countChanged(session, kind, subscriber)
        }
        forget(session)
    }

    /// Whether the client is subscribed to what these patterns of channels do not allow. O(subscriptions * patterns).
    func hears(_ session: Session, beyond allowed: [ByteString]) -> Bool {
        guard let subscriber = subscribers[session.id] else { return false }
        var isBeyond = false
        for kind in TopicKind.allCases {
            subscriber[kind].forEach {
                if !allowed.allow(channel: $0.topic.bytes, isPattern: kind == .pattern) { isBeyond = true }
            }
        }
        return isBeyond
    }

    private func drop(_ subscription: Subscription, _ kind: TopicKind) {
        let topic = subscription.topic
        topic.remove(subscription)
        if topic.places.isEmpty { _ = topics[kind.rawValue].remove(topic.bytes, topic.hash) }
    }

    private func forget(_ session: Session) {
        subscribers[session.id] = nil
        if subscribers.isEmpty { notifications.subscribersChanged() }
    }

    /// The session has what CLIENT LIST and the guards ask for.
    private func countChanged(_ session: Session, _ kind: TopicKind, _ subscriber: Subscriber) {
        let had = session.hasSubscriptions
        switch kind {
        case .channel: session.channelSubscriptions = subscriber[kind].count
        case .pattern: session.patternSubscriptions = subscriber[kind].count
        case .shardChannel: session.shardSubscriptions = subscriber[kind].count
        }
        if session.hasSubscriptions == had { return }
        if had { session.flags.remove(.pubsub) } else { session.flags.insert(.pubsub) }
        session.updateOutputLimit()
    }

    // MARK: - Messages

    /// Sends a client's message to the subscribers of `name`, and to those of matching patterns; returns how many got it.
    /// O(subscribers + patterns).
    func publish(_ payload: Bytes, to name: Bytes, _ kind: TopicKind) -> Int {
        deliverEvents()
        return send(payload, to: name, kind)
    }

    /// Events that happened before, in the same unit, are told before what a client says and hears now.
    private func deliverEvents() { if services.events.hasUndelivered { services.events.deliver() } }

    /// As `publish`, for what the server itself says.
    func send(_ payload: Bytes, to name: Bytes, _ kind: TopicKind) -> Int {
        var receivers = 0
        if let topic = topics[kind.rawValue].find(name, Hashing.hash(name)) {
            receivers += deliver(Message(kind: kind, pattern: nil, channel: name, payload: payload), to: topic)
        }
        if kind == .channel {
            topics[TopicKind.pattern.rawValue].forEach { topic in
                let pattern = topic.bytes
                if !stringmatch(pattern, name) { return }
                receivers += deliver(
                    Message(kind: .pattern, pattern: pattern, channel: name, payload: payload), to: topic)
            }
        }
        return receivers
    }

    private func deliver(_ message: Message, to topic: Topic) -> Int {
        // What was written so far may show in it.
        let offset = services.stream.offset
        if message.count <= SharedChunk.copiedLength {
            scratch.removeAll()
            message.encode(resp3: false, to: scratch)
            let length = scratch.count
            // The other form begins with another byte.
            scratch.reserve(length)
            scratch.append(scratch.bytes)
            scratch.overwrite(at: length, with: Bytes(">"))
            let forms = scratch.bytes
            for place in topic.places {
                let isRESP3 = place.session.reply.resp3
                place.session.push(isRESP3 ? forms[length..<2 * length] : forms[0..<length], after: offset)
            }
        } else {
            var resp2: SharedChunk?
            var resp3: SharedChunk?
            for place in topic.places {
                if place.session.reply.resp3 {
                    let chunk = resp3 ?? message.chunk(resp3: true)
                    resp3 = chunk
                    place.session.push(chunk, after: offset)
                } else {
                    let chunk = resp2 ?? message.chunk(resp3: false)
                    resp2 = chunk
                    place.session.push(chunk, after: offset)
                }
            }
        }
        return topic.places.count
    }
}

/// A message as its subscribers get it.
private struct Message {
    let kind: TopicKind
    let pattern: Bytes?
    let channel: Bytes
    let payload: Bytes

    /// Bytes of its form, at most.
    var count: Int { 96 &+ (pattern?.count ?? 0) &+ channel.count &+ payload.count }

    func encode(resp3: Bool, to output: OutputBuffer) {
        RESPEncoder.pushHeader(pattern == nil ? 3 : 4, resp3: resp3, to: output)
        RESPEncoder.argument(Bytes(kind.message), to: output)
        if let pattern { RESPEncoder.argument(pattern, to: output) }
        RESPEncoder.argument(channel, to: output)
        RESPEncoder.argument(payload, to: output)
    }
    func chunk(resp3: Bool) -> SharedChunk {
        let buffer = OutputBuffer(capacity: count)
        encode(resp3: resp3, to: buffer)
        return SharedChunk(buffer)
    }
}
