// Invariant of this file: a view is used while its entry is live and the keyspace, whose scratch it hands on, exists.

/// A stream, to look at. Bytes that it returns are good until the next call on any view, or write.
public struct StreamView {
    let entry: Entry
    unowned(unsafe) let values: ValueContext
    var value: StreamValue { entry.streamValue }

    public var count: Int { entry.withStream { $0.count } }
    public var state: StreamState { entry.withStream { $0.state } }
    /// The first entry there is, or 0-0.
    public var firstID: StreamID { entry.withStream { $0.firstID } }
    /// The last entry there is, or 0-0.
    public var lastEntryID: StreamID { entry.withStream { $0.lastEntryID } }
    /// O(log n).
    public func contains(_ id: StreamID) -> Bool { entry.withStream { $0.contains(id) } }

    /// Entries from `start` to `end`, both included, upwards or downwards, until `body` returns false. O(log n) to begin.
    public func forEach(
        from start: StreamID = .zero, to end: StreamID = .max, reverse: Bool = false,
        _ body: (StreamID, StreamFields) -> Bool
    ) {
        let scratch = (values.elementScratch, values.valueScratch)
        value.forEach(from: start, to: end, reverse: reverse) { node, entry in
            body(entry.id, node.fields(entry, scratch: scratch))
        }
    }

    // MARK: Nodes

    public var nodeCount: Int { value.nodeCount }
    /// The listpacks in order, each as Redis and its RDB files have it, with the id that its entries are relative to.
    public func forEachNode(_ body: (_ master: StreamID, _ listpack: Bytes) -> Void) {
        for node in value.nodes[value.head...] { body(node.master, node.pack.bytes) }
    }

    // MARK: Groups

    /// In the order of their names.
    public var groups: [StreamGroup] { value.groups?.list ?? [] }
    /// O(log n).
    public func group(_ name: Bytes) -> StreamGroup? { value.groups?.find(name) }

    /// An entry that was delivered to a consumer.
    public struct Pending {
        public let id: StreamID
        public let consumer: StreamConsumer
        public let deliveredMs: Int64
        public let deliveries: Int64
    }

    private func pending(_ slot: UInt32, _ groups: StreamGroups) -> Pending? {
        let entry = groups.pending[slot]
        guard let consumer = groups.consumers[entry.consumer] else { return nil }
        return Pending(id: entry.id, consumer: consumer, deliveredMs: entry.deliveredMs, deliveries: entry.deliveries)
    }

    /// Pending entries of a group, or of one of its consumers, from `start` on in the order of ids, until `body` returns
    /// false. `body` must not change any.
    public func forEachPending(
        _ group: StreamGroup, _ consumer: StreamConsumer? = nil, from start: StreamID = .zero,
        _ body: (Pending) -> Bool
    ) {
        guard let groups = value.groups else { return }
        (consumer?.pending ?? group.pending).forEach(from: start, groups.pending) { slot in
            pending(slot, groups).map(body) ?? true
        }
    }
    /// O(log n).
    public func pending(_ id: StreamID, in group: StreamGroup) -> Pending? {
        guard let groups = value.groups, let slot = groups.find(id, in: group) else { return nil }
        return pending(slot, groups)
    }
    /// The smallest and greatest pending id of a group.
    public func pendingRange(_ group: StreamGroup) -> (StreamID, StreamID)? {
        guard let groups = value.groups, let first = group.pending.first, let last = group.pending.last else {
            return nil
        }
        return (groups.pending.id(first), groups.pending.id(last))
    }

    // MARK: How far a group has read

    /// Entries ever added up to `id`, where that can be known without counting: at the ends of the stream, and only
    /// while no deletion lies between.
    public func entriesAdded(upTo id: StreamID) -> Int64? {
        state.entriesAdded(upTo: id, count: count, firstID: firstID)
    }

    /// Whether XDEL may have removed an entry from `start` on.
    public func hasDeletions(from start: StreamID) -> Bool {
        count > 0 && firstID <= state.maxDeletedID && start <= state.maxDeletedID
    }

    /// Entries that the group has still to read; nil where that is not known.
    public func lag(of group: StreamGroup) -> Int64? {
        if state.entriesAdded == 0 { return 0 }
        if let read = group.entriesRead, !hasDeletions(from: group.lastID) { return state.entriesAdded - read }
        return entriesAdded(upTo: group.lastID).map { state.entriesAdded - $0 }
    }

    /// What a group that has read `read` entries will have read after `id`, the next one.
    public func entriesRead(after id: StreamID, before read: Int64?) -> Int64? {
        if let read, !hasDeletions(from: id) { return read &+ 1 }
        return state.entriesAdded > 0 ? entriesAdded(upTo: id) : read
    }
}
