import Storage

/// Client-side caching: which clients may have cached what, and the messages by which they learn that it has changed. Observes the
/// keyspace only while there are clients that track. Confined to the loop.
///
/// What changes is looked up when it happens, as what the same transaction reads afterwards is tracked anew; messages are sent at
/// the end of the unit, those of broadcast mode at the end of the turn.
final class Tracking: KeyspaceObserver {
    private let services: Services
    private let work: PendingWork
    /// Clients that track or have done so, by their ids, until they are gone.
    private var clients: [UInt64: TrackingClient] = [:]
    /// Clients that others redirect their messages to.
    private var redirections: [UInt64: Redirection] = [:]
    /// Clients that track now.
    private(set) var clientCount = 0 { didSet { update() } }
    private var keys: TrackedKeys?
    private let broadcasts = Broadcasts()
    /// How often in succession the table was still too large after keys were evicted from it.
    private var evictionsInVain = 0
    private var random = SplitMix64()

    private enum Pending {
        case key(Range<Int>, clients: ClientIDs, changedBy: UInt64)
        /// Databases have other contents.
        case everything
    }
    private var pending: [Pending] = []
    /// The keys of `pending`, one behind the other.
    private let pendingKeys = OutputBuffer(capacity: 16)
    /// The command that is executed has said already that databases have other contents.
    private var hasSaidEverything = false
    /// What is touched next goes because its time has come.
    private var isExpiring = false
    private let scratch = OutputBuffer(capacity: 16)
    private let body = OutputBuffer(capacity: 16)

    init(_ services: Services, _ work: PendingWork) {
        self.services = services
        self.work = work
    }

    var keyCount: Int { keys?.count ?? 0 }
    /// Pairs of a key and a client.
    var itemCount: Int { keys?.itemCount ?? 0 }
    var prefixCount: Int { broadcasts.prefixCount }

    // MARK: - Clients

    /// Throws where prefixes would overlap. `redirection`: who gets the messages in the client's place.
    func enable(_ session: Session, _ options: TrackingOptions, redirection: Session?, prefixes: [Bytes])
        throws(CommandError)
    {
        let client = clients[session.id] ?? TrackingClient(session)
        if options.isBroadcast {
            try checkOverlaps(prefixes, client)
            for prefix in prefixes.isEmpty ? [Bytes()] : prefixes where !session.mayKnowAll(from: prefix) {
                throw .noKeyPermission
            }
        }
        let isNew = !session.flags.contains(.tracking)
        clients[session.id] = client
        session.setTracking(options, redirectedTo: redirection?.id)
        client.redirection = redirection.map { target in
            let found = redirections[target.id] ?? Redirection(target)
            redirections[target.id] = found
            return found
        }
        if options.isBroadcast {
            for prefix in prefixes.isEmpty ? [Bytes()] : prefixes { broadcasts.add(prefix, for: client) }
            session.trackingPrefixes = client.prefixes.count
        }
        if isNew { clientCount += 1 }
    }

    /// Whether the client hears of keys that its user may not know of. O(prefixes * patterns).
    func hearsTooMuch(_ session: Session) -> Bool {
        guard session.flags.contains(.trackingBroadcast) else { return false }
        var hears = false
        forEachPrefix(of: session) { if !session.mayKnowAll(from: $0) { hears = true } }
        return hears
    }

    /// O(bytes of the prefixes).
    private func checkOverlaps(_ prefixes: [Bytes], _ client: TrackingClient) throws(CommandError) {
        var later = PrefixTree<Int>()
        for (number, prefix) in prefixes.enumerated().reversed() where later.find(prefix) == nil {
            later.insert(prefix, number)
        }
        for (i, prefix) in prefixes.enumerated() {
            if let other = client.prefixes.firstOverlap(with: prefix) {
                throw .prefixesOverlap(prefix, "an existing", other)
            }
            // Most sets of prefixes have no overlaps, which is seen at once.
            if !overlapsLater(prefix, i, &later, prefixes) { continue }
            for other in prefixes[(i + 1)...] where Self.overlap(prefix, other) {
                throw .prefixesOverlap(prefix, "another provided", other.array)
            }
        }
    }
    /// Whether a prefix overlaps with one further back in the list; those before it are not in `later` any more.
    private func overlapsLater(
        _ prefix: Bytes, _ place: Int, _ later: inout PrefixTree<Int>, _ prefixes: [Bytes]
    ) -> Bool {
        if let last = later.find(prefix), last != place { return true }
        later.remove(prefix)
        return later.firstOverlap(with: prefix) != nil
    }
    private static func overlap(_ a: Bytes, _ b: Bytes) -> Bool {
        let shared = min(a.count, b.count)
        return a[0..<shared] == b[0..<shared]
    }

    /// Nothing happens where the client does not track. What it may have cached stays known, as it does in Redis.
    func disable(_ session: Session) {
        guard session.flags.contains(.tracking), let client = clients[session.id] else { return }
        if session.flags.contains(.trackingBroadcast) { broadcasts.removeAll(of: client) }
        session.trackingPrefixes = 0
        session.endTracking()
        client.redirection = nil
        clientCount -= 1
    }

    /// The client is gone. O(1), and the bytes of its prefixes.
    func end(_ session: Session) {
        if let redirection = redirections.removeValue(forKey: session.id) { redirection.session = nil }
        if clients[session.id] == nil { return }
        disable(session)
        clients[session.id] = nil
        if clients.isEmpty {
            forgetKeys()
            update()
        }
    }

    /// Calls `body` with what the client is told of in broadcast mode, in byte order.
    func forEachPrefix(of session: Session, _ body: (Bytes) -> Void) {
        clients[session.id]?.prefixes.forEach { name, _ in body(name) }
    }
    func prefixCount(of session: Session) -> Int { clients[session.id]?.prefixes.count ?? 0 }

    private func update() {
        services.keyspace.observe(clients.isEmpty ? [] : [.touched, .expired, .replaced], by: self)
        work.set(.tracking, clientCount > 0)
    }

    /// O(1): the table is freed on another thread.
    private func forgetKeys() {
        guard let keys, !keys.isEmpty else { return }
        Reaper.shared.letGo(of: keys)
        self.keys = nil
    }

    // MARK: - What is read

    /// A command was executed, for whoever is served: the keys that it has read are tracked for that client, which may not be the
    /// session that executes it, but whose script it is.
    func commandEnded(_ command: CommandEntry, _ args: Arguments) {
        hasSaidEverything = false
        switch command.row.handler {
        case .read, .readCaching: remember(command, args)
        case .write, .connection, .admin, .container, .help: break
        }
        limitKeys()
    }

    private func remember(_ command: CommandEntry, _ args: Arguments) {
        guard let flags = services.executing?.flags, let id = services.executing?.id,
            flags.contains(.tracking), !flags.contains(.trackingBroadcast)
        else { return }
        let isGiven = flags.contains(.cachingGiven)
        if flags.contains(.trackingOptIn) && !isGiven || flags.contains(.trackingOptOut) && isGiven { return }
        command.row.keys.forEach(args) { index, _ in
            let table = keys ?? TrackedKeys()
            keys = table
            table.insert(args[index], id)
        }
    }

    /// Has clients forget keys at random where the table has more than `tracking-table-max-keys`: more each time as long as that
    /// was not enough. After each command, and periodically.
    func limitKeys() {
        guard let keys else { return }
        let maximumKeys = services.config.settings.trackingTableMaxKeys
        if maximumKeys == 0 || keys.count <= maximumKeys {
            evictionsInVain = 0
            return
        }
        var effort = Self.evictions * (evictionsInVain + 1)
        while effort > 0, keys.count > maximumKeys, let (key, ids) = keys.removeRandom(using: &random) {
            effort -= 1
            key.withUnsafeBytes { bytes in
                let name = bytes.baseAddress.map { Bytes($0, bytes.count) } ?? Bytes()
                deliver(name, ids, changedBy: 0)
            }
        }
        evictionsInVain = keys.count > maximumKeys ? evictionsInVain + 1 : 0
    }
    private static let evictions = 100

    // MARK: - What changes

    func keyExpired(_ db: Int, _ key: Bytes) { isExpiring = true }

    func keyTouched(_ db: Int, _ key: Bytes) {
        let changer = services.executing?.id ?? 0
        // Who comes upon a key whose time has come is nobody's change to those who get all.
        if !broadcasts.isEmpty { broadcasts.note(key, by: isExpiring ? 0 : changer) }
        isExpiring = false
        guard let keys, !keys.isEmpty, let ids = keys.remove(key) else { return }
        let start = pendingKeys.count
        pendingKeys.append(key)
        pending.append(.key(start..<pendingKeys.count, clients: ids, changedBy: changer))
        work.kinds.insert(.invalidations)
    }

    func contentsReplaced(_ db: Int) {
        forgetKeys()
        if hasSaidEverything { return }
        hasSaidEverything = true
        pending.append(.everything)
        work.kinds.insert(.invalidations)
    }

    // MARK: - Messages

    /// At the end of a unit: tells clients of what it has changed, in that order.
    func deliver() {
        for what in pending {
            switch what {
            case .key(let range, let ids, let changer): deliver(pendingKeys.bytes[range], ids, changedBy: changer)
            case .everything: deliverEverything()
            }
        }
        hasSaidEverything = false
        pending.removeAll(keepingCapacity: pending.count <= Self.keptPending)
        pendingKeys.removeAll(keepingAtMost: Self.keptKeys)
    }
    /// Room for so many keys, and so many bytes of them, stays.
    private static let keptPending = 1024
    private static let keptKeys = 64 << 10

    private func deliver(_ key: Bytes, _ ids: ClientIDs, changedBy changer: UInt64) {
        body.removeAll(keepingAtMost: Self.keptKeys)
        Invalidation.writeBody(key, to: body)
        let message = Invalidation(body.bytes, scratch)
        ids.forEach { id in
            // A client may be gone, or track in another way by now.
            guard let client = clients[id] else { return }
            let flags = client.session.flags
            if !flags.contains(.tracking) || flags.contains(.trackingBroadcast) { return }
            if flags.contains(.trackingNoLoop) && id == changer { return }
            // Its rights may have changed since it read the key.
            if flags.contains(.restricted) && !client.session.mayKnow(key) { return }
            send(message, to: client)
        }
    }

    private func deliverEverything() {
        for client in clients.values.sorted(by: { $0.session.id < $1.session.id })
        where client.session.flags.contains(.tracking) {
            send(Invalidation(Invalidation.everything(resp3: client.session.reply.resp3), scratch), to: client)
        }
    }

    /// Whether `turnEnded` has something to do.
    var hasBroadcasts: Bool { broadcasts.hasChanges }
    /// Tells clients in broadcast mode what has changed in this turn.
    func turnEnded() { broadcasts.deliver(scratch) { send($0, to: $1) } }

    private func send(_ message: Invalidation, to client: TrackingClient) {
        let offset = services.stream.offset
        guard let redirection = client.redirection else {
            // A client of RESP2 can be told nothing on its own connection.
            if client.session.reply.resp3 { message.sendPush(to: client.session, after: offset) }
            return
        }
        guard let target = redirection.session else { return redirectionBroken(client, redirection.id) }
        if target.reply.resp3 {
            message.sendPush(to: target, after: offset)
        } else if target.flags.contains(.pubsub) {
            message.sendMessage(to: target, after: offset)
        }
    }

    /// Who should get the messages is gone: the client itself is told.
    private func redirectionBroken(_ client: TrackingClient, _ id: UInt64) {
        client.session.flags.insert(.trackingBroken)
        if !client.session.reply.resp3 { return }
        let output = OutputBuffer(capacity: 64)
        RESPEncoder.pushHeader(2, resp3: true, to: output)
        RESPEncoder.argument(Bytes("tracking-redir-broken"), to: output)
        output.append(byte: UInt8(ascii: ":"))
        output.append(decimal: Int64(clamping: id))
        output.appendLineEnd()
        client.session.push(output.bytes, after: services.stream.offset)
    }

    /// O(keys and prefixes).
    func checkInvariants() throws(BrokenInvariant) {
        try keys?.checkInvariants()
        try broadcasts.checkInvariants()
        let tracking = clients.values.count { $0.session.flags.contains(.tracking) }
        try invariant(tracking == clientCount, "tracking: \(tracking) clients, counted \(clientCount)")
        for client in clients.values { try client.prefixes.checkInvariants() }
    }
}

extension CommandError {
    static func prefixesOverlap(_ prefix: Bytes, _ which: StaticString, _ other: [UInt8]) -> CommandError {
        // What Redis prints ends at the first zero byte.
        let first = prefix.array.prefix { $0 != 0 }
        return CommandError(
            bytes: Array("ERR Prefix '".utf8) + first + Array("' overlaps with \(which) prefix '".utf8)
                + other.prefix { $0 != 0 } + Array("'. Prefixes for a single client must not overlap.".utf8))
    }
}
