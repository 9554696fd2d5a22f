import Storage

/// A prefix that clients in broadcast mode have asked for.
final class BroadcastPrefix {
    let name: [UInt8]
    var clients: [UInt64: TrackingClient] = [:]
    /// Changes with a lower number came before it.
    fileprivate let firstChange: Int
    /// Changed keys that begin with it, as places in the list of those of this turn.
    fileprivate var keys: ContiguousArray<Int32> = []

    fileprivate init(_ name: Bytes, firstChange: Int) {
        self.name = name.array
        self.firstChange = firstChange
    }
}

/// What clients in broadcast mode are to be told of, gathered over a turn: each changed key once, whoever changed it last.
final class Broadcasts {
    private struct Change {
        let key: Range<Int>
        let hash: UInt64
        /// The client that changed it last; 0: none did.
        var by: UInt64
        /// Counts up with each change to any key.
        var number: Int
    }
    private var prefixes = PrefixTree<BroadcastPrefix>()
    private var changes: ContiguousArray<Change> = []
    /// The changed keys, one behind the other.
    private let keys = OutputBuffer(capacity: 16)
    /// Open addressing: places in `changes`, or -1. At least half are empty.
    private var index: ContiguousArray<Int32> = []
    private var lastNumber = 0

    var isEmpty: Bool { prefixes.isEmpty }
    var prefixCount: Int { prefixes.count }
    var hasChanges: Bool { !changes.isEmpty }

    // MARK: Prefixes

    /// O(bytes of the prefix).
    func add(_ name: Bytes, for client: TrackingClient) {
        let prefix: BroadcastPrefix
        if let found = prefixes.find(name) {
            prefix = found
        } else {
            prefix = BroadcastPrefix(name, firstChange: lastNumber + 1)
            prefixes.insert(name, prefix)
        }
        prefix.clients[client.session.id] = client
        client.prefixes.insert(name, prefix)
    }

    /// Ends all that the client has asked for. O(bytes of its prefixes).
    func removeAll(of client: TrackingClient) {
        client.prefixes.forEach { name, prefix in
            prefix.clients[client.session.id] = nil
            if prefix.clients.isEmpty { prefixes.remove(name) }
        }
        client.prefixes = PrefixTree()
        if prefixes.isEmpty { forgetChanges() }
    }

    // MARK: Changes

    /// A key has changed. O(bytes of the key), however many prefixes there are.
    func note(_ key: Bytes, by client: UInt64) {
        if !prefixes.hasPrefix(of: key) { return }
        lastNumber += 1
        let hash = Hashing.hash(key)
        if changes.count * 2 >= index.count { rebuildIndex() }
        let mask = index.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while index[slot] >= 0 {
            let place = Int(index[slot])
            if changes[place].hash == hash && keys.bytes[changes[place].key] == key {
                changes[place].by = client
                changes[place].number = lastNumber
                return
            }
            slot = (slot &+ 1) & mask
        }
        index[slot] = Int32(changes.count)
        let start = keys.count
        keys.append(key)
        changes.append(Change(key: start..<keys.count, hash: hash, by: client, number: lastNumber))
    }
    private func rebuildIndex() {
        var size = Self.smallestIndex
        while size < changes.count * 4 { size *= 2 }
        index = ContiguousArray(repeating: -1, count: size)
        for (place, change) in changes.enumerated() {
            var slot = Int(truncatingIfNeeded: change.hash) & (size - 1)
            while index[slot] >= 0 { slot = (slot &+ 1) & (size - 1) }
            index[slot] = Int32(place)
        }
    }
    private static var smallestIndex: Int { StructureSizes.size(64, small: 2) }

    private func forgetChanges() {
        changes.removeAll(keepingCapacity: changes.count <= Self.keptChanges)
        keys.removeAll(keepingAtMost: Self.keptKeys)
        if index.count > 4 * Self.keptChanges { index = [] }
        for slot in index.indices { index[slot] = -1 }
    }
    /// Room for so many changes, and so many bytes of keys, stays.
    private static let keptChanges = 1024
    private static let keptKeys = 64 << 10

    // MARK: Messages

    /// Calls `send` with each client and the array of keys that it is to be told of: prefixes in byte order, and so the keys of
    /// each. Then there are no changes any more. A message that several clients get is the same object.
    func deliver(_ scratch: OutputBuffer, _ send: (Invalidation, TrackingClient) -> Void) {
        var told: [BroadcastPrefix] = []
        let sorted = changes.indices.sorted { keys.bytes[changes[$0].key].compare(keys.bytes[changes[$1].key]) < 0 }
        for place in sorted {
            let change = changes[place]
            prefixes.forEachPrefix(of: keys.bytes[change.key]) { prefix in
                if change.number < prefix.firstChange { return }
                if prefix.keys.isEmpty { told.append(prefix) }
                prefix.keys.append(Int32(place))
            }
        }
        told.sort { $0.name.lexicographicallyPrecedes($1.name) }
        for prefix in told {
            deliver(prefix, scratch, send)
            prefix.keys = []
        }
        forgetChanges()
    }

    private func deliver(
        _ prefix: BroadcastPrefix, _ scratch: OutputBuffer, _ send: (Invalidation, TrackingClient) -> Void
    ) {
        let changers = Set(prefix.keys.map { changes[Int($0)].by })
        let body = OutputBuffer(capacity: 256)
        writeBody(prefix, changedBy: nil, to: body)
        let message = Invalidation(body.bytes, scratch)
        var own: [TrackingClient] = []
        for client in prefix.clients.values {
            if client.session.flags.contains(.trackingNoLoop) && changers.contains(client.session.id) {
                own.append(client)
            } else {
                send(message, client)
            }
        }
        for client in own {
            body.removeAll()
            if !writeBody(prefix, changedBy: client.session.id, to: body) { continue }
            send(Invalidation(body.bytes, scratch), client)
        }
    }

    /// Writes the array of a prefix's keys without those that this client has changed. False: there are no others.
    @discardableResult
    private func writeBody(_ prefix: BroadcastPrefix, changedBy client: UInt64?, to body: OutputBuffer) -> Bool {
        let own = client.map { client in prefix.keys.count { changes[Int($0)].by == client } } ?? 0
        if own == prefix.keys.count { return false }
        Invalidation.beginBody(prefix.keys.count - own, to: body)
        for place in prefix.keys where client == nil || changes[Int(place)].by != client {
            RESPEncoder.argument(keys.bytes[changes[Int(place)].key], to: body)
        }
        return true
    }

    /// O(prefixes and changes).
    func checkInvariants() throws(BrokenInvariant) {
        try prefixes.checkInvariants()
        try invariant(index.count { $0 >= 0 } == changes.count, "broadcasts: a wrong index")
    }
}
