/// Builds a stream from its rows, as a snapshot or an RDB file has them: entries in the order of ids, then groups, their
/// consumers, and what is pending, each after what it refers to. Nothing in the rows is trusted.
public final class StreamLoader {
    private let limits: Limits
    private let value = StreamValue()
    private var groups: StreamGroups { value.makeGroups() }
    private var pairs: [Bytes] = []
    private var last: StreamID?
    private var nextSlot: UInt32 = 0
    /// Slots that rows name, where they are not those that were given.
    private var groupSlots: [UInt32: UInt32] = [:]
    private var consumerSlots: [UInt32: UInt32] = [:]
    /// Something has another slot than its row.
    private var hasMoved = false

    public init(limits: Limits) { self.limits = limits }

    /// `fields` as `StreamFields.pack` writes them. False for a row that cannot be. `slot`: nil takes the next one.
    public func addEntry(_ id: StreamID, _ fields: Bytes, slot: UInt32? = nil) -> Bool {
        let slot = slot ?? nextSlot
        if let last, id <= last { return false }
        guard slot >= nextSlot, slot < .max, StreamFields.unpack(fields, into: &pairs) else { return false }
        last = id
        nextSlot = slot + 1
        pairs.withUnsafeBufferPointer { value.load(id, $0, slot: Int64(slot), limits) }
        return true
    }

    /// The next entry begins a node.
    public func beginNode() { value.beginsNode = true }
    /// A deleted entry takes the next slot. One that cannot be is passed over.
    public func addDeletedEntry(_ id: StreamID, _ fields: Bytes) {
        if addEntry(id, fields) { value.deleteLoaded() }
    }

    /// False for a row that cannot be.
    public func add(_ row: StreamRow) -> Bool {
        switch row {
        case .state(let state):
            value.set(state)
        case .group(let wanted, let name, let lastID, let entriesRead):
            if groups.find(name) != nil || groupSlots[wanted] != nil { return false }
            let slot = groups.groups.loadingSlot(wanted)
            groupSlots[wanted] = slot
            hasMoved = hasMoved || slot != wanted
            groups.load(StreamGroup(name, slot: slot, lastID: lastID, entriesRead: entriesRead))
        case .consumer(let wanted, let groupSlot, let name, let seenMs, let activeMs):
            guard let found = groupSlots[groupSlot], let group = groups.groups[found], group.consumer(name) == nil,
                consumerSlots[wanted] == nil
            else { return false }
            let slot = groups.consumers.loadingSlot(wanted)
            consumerSlots[wanted] = slot
            hasMoved = hasMoved || slot != wanted
            groups.load(StreamConsumer(name, slot: slot, seenMs: seenMs, activeMs: activeMs), group)
        case .pending(let wanted, let groupSlot, let consumerSlot, let id, let deliveredMs, let deliveries):
            guard let found = groupSlots[groupSlot], let group = groups.groups[found],
                let owner = consumerSlots[consumerSlot], let consumer = groups.consumers[owner],
                consumer.group == group.slot, groups.find(id, in: group) == nil
            else { return false }
            let slot = groups.load(
                PendingEntry(
                    id: id, deliveredMs: deliveredMs, deliveries: deliveries, group: group.slot,
                    consumer: consumer.slot),
                wanted, group, consumer)
            hasMoved = hasMoved || slot != wanted
        case .remove:
            return false
        }
        return true
    }

    /// Whether the rows do not contradict the stream's state.
    var canFinish: Bool { last.map { $0 <= value.state.lastID } ?? true }
    /// nil where they do. True beside it: rows have other slots than what they hold now,
    /// so that the next checkpoint must write the stream whole.
    func finish() -> (value: StreamValue, mustRewrite: Bool)? {
        if !canFinish { return nil }
        value.groups?.finishLoading()
        let moved = value.finishLoading(limits) || hasMoved
        return (value, moved)
    }
    deinit {
        if !isTaken { value.freeElements() }
    }
    private var isTaken = false

    /// Gives the stream to an entry that has none.
    func finish(into entry: Entry) -> Bool? {
        guard let (value, mustRewrite) = finish() else { return nil }
        entry.setLargeValue(value, encoding: .stream)
        isTaken = true
        return mustRewrite
    }
}

extension StreamGroups {
    func load(_ group: StreamGroup) {
        groups.load(group)
        list.insert(group, at: list.place(of: group.name))
    }
    func load(_ consumer: StreamConsumer, _ group: StreamGroup) {
        consumer.group = group.slot
        consumers.load(consumer)
        group.consumers.insert(consumer, at: group.consumers.place(of: consumer.name))
    }
    func load(_ entry: PendingEntry, _ wanted: UInt32, _ group: StreamGroup, _ consumer: StreamConsumer) -> UInt32 {
        let slot = pending.load(entry, slot: wanted)
        group.pending.insert(slot, pending)
        consumer.pending.insert(slot, pending)
        return slot
    }
    func finishLoading() { pending.finishLoading() }
}
