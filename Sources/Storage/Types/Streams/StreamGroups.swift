/// The consumer groups of a stream: made with the first one, so that streams without any pay nothing.
///
/// Every change goes through the trackers first: what a slot held at the cut is handed over before it changes.
final class StreamGroups {
    /// In the order of their names.
    var list: [StreamGroup] = []
    var groups = NameTable<StreamGroup>()
    var consumers = NameTable<StreamConsumer>()
    var pending = PendingTable()

    private var changedGroups = SlotTracker()
    private var changedConsumers = SlotTracker()
    private var changedPending = SlotTracker()
    /// Where pending rows go, as the stream's own.
    private var owner: Int64 = 0
    private var sink: RowSink?

    deinit {
        pending.free()
        changedGroups.free()
        changedConsumers.free()
        changedPending.free()
    }

    func find(_ name: Bytes) -> StreamGroup? {
        let index = list.place(of: name)
        return index < list.count && list[index].name == name ? list[index] : nil
    }

    /// Bytes but for names.
    var byteCount: Int {
        pending.byteCount + pending.live * 8 + groups.count * 160 + consumers.count * 144
    }

    // MARK: Change

    private func willChange(group slot: UInt32) { changedGroups.willChange(slot) { emitGroup($0) } }
    private func willChange(consumer slot: UInt32) { changedConsumers.willChange(slot) { emitConsumer($0) } }
    private func willChange(pending slot: UInt32) { changedPending.willChange(slot) { emitPending($0) } }

    /// A group with a name that none has.
    func add(_ name: Bytes, lastID: StreamID, entriesRead: Int64?) -> StreamGroup {
        let slot = groups.nextSlot
        willChange(group: slot)
        let group = StreamGroup(name, slot: slot, lastID: lastID, entriesRead: entriesRead)
        groups.add(group)
        list.insert(group, at: list.place(of: name))
        return group
    }
    func set(_ group: StreamGroup, lastID: StreamID, entriesRead: Int64?) {
        if group.lastID == lastID && group.entriesRead == entriesRead { return }
        willChange(group: group.slot)
        group.lastID = lastID
        group.entriesRead = entriesRead
    }
    /// O(pending entries).
    func remove(_ group: StreamGroup) {
        for consumer in group.consumers { drop(consumer) }
        forget(group.pending)
        group.pending = PendingIndex()
        group.consumers = []
        willChange(group: group.slot)
        groups.remove(group.slot)
        list.remove(at: list.place(of: group.name))
    }

    /// A consumer with a name that none in the group has.
    func addConsumer(_ name: Bytes, to group: StreamGroup, now: Int64) -> StreamConsumer {
        let slot = consumers.nextSlot
        willChange(consumer: slot)
        let consumer = StreamConsumer(name, slot: slot, seenMs: now, activeMs: nil)
        consumer.group = group.slot
        consumers.add(consumer)
        group.consumers.insert(consumer, at: group.consumers.place(of: name))
        return consumer
    }
    func touch(_ consumer: StreamConsumer, seenMs: Int64, activeMs: Int64?) {
        if consumer.seenMs == seenMs && consumer.activeMs == activeMs { return }
        willChange(consumer: consumer.slot)
        consumer.seenMs = seenMs
        consumer.activeMs = activeMs
    }
    /// With its pending entries. O(their number).
    func remove(_ consumer: StreamConsumer, from group: StreamGroup) {
        consumer.pending.forEach(from: .zero, pending) { slot in
            group.pending.remove(pending.id(slot), pending)
            return true
        }
        forget(consumer.pending)
        drop(consumer)
        group.consumers.remove(at: group.consumers.place(of: consumer.name))
    }
    private func drop(_ consumer: StreamConsumer) {
        willChange(consumer: consumer.slot)
        consumers.remove(consumer.slot)
        consumer.pending = PendingIndex()
    }
    private func forget(_ index: PendingIndex) {
        // The table may go with its last entry, and the ids with it: gather the slots first.
        var slots: [UInt32] = []
        slots.reserveCapacity(index.count)
        index.forEach(from: .zero, pending) { slot in
            slots.append(slot)
            return true
        }
        for slot in slots {
            willChange(pending: slot)
            pending.remove(slot)
        }
    }

    func find(_ id: StreamID, in group: StreamGroup) -> UInt32? { group.pending.find(id, pending) }

    /// An entry becomes pending, or changes hands, or is delivered again. O(log n).
    func deliver(
        _ id: StreamID, _ group: StreamGroup, to consumer: StreamConsumer, deliveredMs: Int64, deliveries: Int64
    ) {
        if let slot = find(id, in: group) {
            willChange(pending: slot)
            let old = pending[slot]
            if old.consumer != consumer.slot {
                consumers[old.consumer]?.pending.remove(id, pending)
                consumer.pending.insert(slot, pending)
            }
            pending[slot].deliveredMs = deliveredMs
            pending[slot].deliveries = deliveries
            pending[slot].consumer = consumer.slot
            return
        }
        willChange(pending: pending.nextSlot)
        let slot = pending.add(
            PendingEntry(
                id: id, deliveredMs: deliveredMs, deliveries: deliveries, group: group.slot, consumer: consumer.slot))
        group.pending.insert(slot, pending)
        consumer.pending.insert(slot, pending)
    }
    /// False where the entry is not pending. O(log n).
    func acknowledge(_ id: StreamID, _ group: StreamGroup) -> Bool {
        guard let slot = find(id, in: group) else { return false }
        willChange(pending: slot)
        consumers[pending[slot].consumer]?.pending.remove(id, pending)
        group.pending.remove(id, pending)
        pending.remove(slot)
        return true
    }

    func copy() -> StreamGroups {
        let copy = StreamGroups()
        copy.pending = pending.copy()
        for group in list {
            let twin = StreamGroup(
                group.name, slot: group.slot, lastID: group.lastID, entriesRead: group.entriesRead)
            twin.pending = group.pending
            twin.consumers = group.consumers.map { consumer in
                let twin = StreamConsumer(
                    consumer.name, slot: consumer.slot, seenMs: consumer.seenMs, activeMs: consumer.activeMs)
                twin.group = consumer.group
                twin.pending = consumer.pending
                return twin
            }
            copy.list.append(twin)
        }
        copy.groups = groups.replacing { slot in copy.list.first { $0.slot == slot } }
        let all = Dictionary(uniqueKeysWithValues: copy.list.flatMap(\.consumers).map { ($0.slot, $0) })
        copy.consumers = consumers.replacing { all[$0] }
        return copy
    }

    // MARK: Checkpoint

    func freeze(owner: Int64, sink: RowSink, all: Bool) {
        self.owner = owner
        self.sink = sink
        changedGroups.freeze(count: groups.count, all: all)
        changedConsumers.freeze(count: consumers.count, all: all)
        changedPending.freeze(count: pending.count, all: all)
    }

    func drain(while goOn: () -> Bool) -> Bool {
        if !changedGroups.drain(while: goOn, emit: emitGroup) { return false }
        if !changedConsumers.drain(while: goOn, emit: emitConsumer) { return false }
        if !changedPending.drain(while: goOn, emit: emitPending) { return false }
        sink = nil
        return true
    }

    func markClean() {
        changedGroups.markClean()
        changedConsumers.markClean()
        changedPending.markClean()
    }

    private func emit(_ row: StreamRow?, else part: StreamPart, _ slot: UInt32) {
        sink?.batch.appendStream(owner: owner, row ?? .remove(part, slot...slot))
        sink?.sendIfFull()
    }
    private func emitGroup(_ slot: UInt32) { emit(groups[slot].map { $0.row }, else: .groups, slot) }
    private func emitConsumer(_ slot: UInt32) { emit(consumers[slot].map { $0.row }, else: .consumers, slot) }
    private func emitPending(_ slot: UInt32) {
        emit(pending.isLive(slot) ? pending[slot].row(slot) : nil, else: .pending, slot)
    }
}

extension StreamGroup {
    var row: StreamRow { .group(slot: slot, name: name, lastID: lastID, entriesRead: entriesRead) }
}
extension StreamConsumer {
    var row: StreamRow { .consumer(slot: slot, group: group, name: name, seenMs: seenMs, activeMs: activeMs) }
}
extension PendingEntry {
    func row(_ slot: UInt32) -> StreamRow {
        .pending(
            slot: slot, group: group, consumer: consumer, id: id, deliveredMs: deliveredMs, deliveries: deliveries)
    }
}

extension StreamGroups {
    /// O(n).
    func checkInvariants() throws(BrokenInvariant) {
        try pending.checkInvariants()
        var found = (pending: 0, consumers: 0)
        for (i, group) in list.enumerated() {
            try invariant(groups[group.slot] === group, "groups: \(group.name.quoted) is not in its slot")
            try invariant(i == 0 || list[i - 1].name.compare(group.name) < 0, "groups: not in the order of names")
            try group.pending.checkInvariants(pending)
            var ofConsumers = 0
            for (j, consumer) in group.consumers.enumerated() {
                try invariant(
                    consumers[consumer.slot] === consumer && consumer.group == group.slot,
                    "groups: the consumer \(consumer.name.quoted) is not in its slot")
                try invariant(
                    j == 0 || group.consumers[j - 1].name.compare(consumer.name) < 0,
                    "groups: consumers are not in order")
                try consumer.pending.checkInvariants(pending)
                var wrong = false
                consumer.pending.forEach(from: .zero, pending) { slot in
                    wrong = pending[slot].consumer != consumer.slot || pending[slot].group != group.slot
                    return !wrong
                }
                try invariant(!wrong, "groups: an entry that is pending for \(consumer.name.quoted) says otherwise")
                ofConsumers += consumer.pending.count
            }
            try invariant(
                ofConsumers == group.pending.count,
                "groups: \(ofConsumers) entries are pending for the consumers of a group that counts \(group.pending.count)"
            )
            found.pending += group.pending.count
            found.consumers += group.consumers.count
        }
        try invariant(found.pending == pending.live, "groups: \(found.pending) entries pending of \(pending.live)")
        try groups.checkInvariants(live: list.count)
        try consumers.checkInvariants(live: found.consumers)
    }
}
