/// A stream, to change. Streams stay when their last entry goes.
///
/// Changes of entries are changes of the key; those of groups are counted and logged, but watched keys stay as they are,
/// as with Redis.
public struct StreamEditor {
    public let entry: Entry
    unowned(unsafe) let recorder: ChangeRecorder
    public var view: StreamView { StreamView(entry: entry, values: recorder.values) }
    private var value: StreamValue { entry.streamValue }

    // MARK: Entries

    /// `id` is above the last one; `pairs` are fields and values in turn, of at most `maxEntrySize` bytes together.
    /// Amortised O(fields).
    public func append(_ id: StreamID, _ pairs: UnsafeBufferPointer<Bytes>) {
        recorder.willChange(entry)
        entry.withStream { $0.append(id, pairs, recorder.values.limits) }
        recorder.hasMore(entry)
    }
    /// Bytes of fields and values that an entry may have.
    public static let maxEntrySize = Listpack.maxByteCount

    /// False where there is no such entry. O(log n).
    public func delete(_ id: StreamID) -> Bool {
        if !value.contains(id) { return false }
        recorder.willChange(entry)
        return value.delete(id)
    }

    /// Removes the oldest entries, so that `count` are left. `approximately`: only as many as goes fast; `limit`: at most
    /// so many, 0: any number. Returns how many. O(removed).
    public func trim(toCount count: Int, approximately: Bool = false, limit: Int = 0) -> Int {
        if value.count <= count { return 0 }
        return trim(.length(count), approximately, limit)
    }
    /// Removes the entries before `id`; the rest as above.
    public func trim(before id: StreamID, approximately: Bool = false, limit: Int = 0) -> Int {
        if value.count == 0 || value.firstID >= id { return 0 }
        return trim(.id(id), approximately, limit)
    }
    private func trim(_ bound: StreamValue.Bound, _ approximately: Bool, _ limit: Int) -> Int {
        recorder.willChangeQuietly(entry)
        let removed = value.trim(to: bound, approximately: approximately, limit: limit)
        if removed > 0 { recorder.willChange(entry) }
        return removed
    }

    public func set(_ state: StreamState) {
        recorder.willChangeUnwatched(entry)
        value.set(state)
    }

    // MARK: Groups

    /// nil where there is a group of this name.
    @discardableResult
    public func addGroup(_ name: Bytes, lastID: StreamID, entriesRead: Int64?) -> StreamGroup? {
        if view.group(name) != nil { return nil }
        recorder.willChangeUnwatched(entry)
        return value.makeGroups().add(name, lastID: lastID, entriesRead: entriesRead)
    }
    public func set(_ group: StreamGroup, lastID: StreamID, entriesRead: Int64?) {
        recorder.willChangeUnwatched(entry)
        value.groups?.set(group, lastID: lastID, entriesRead: entriesRead)
    }
    /// Who waits as a member of it hears that it is gone. O(its pending entries).
    public func remove(_ group: StreamGroup) {
        recorder.willChangeUnwatched(entry)
        value.groups?.remove(group)
        recorder.hasMore(entry)
    }

    /// The consumer of this name, made where there is none.
    public func consumer(_ name: Bytes, in group: StreamGroup, now: Int64) -> StreamConsumer {
        if let consumer = group.consumer(name) { return consumer }
        recorder.willChangeUnwatched(entry)
        return value.makeGroups().addConsumer(name, to: group, now: now)
    }
    /// With its pending entries. O(their number).
    public func remove(_ consumer: StreamConsumer, from group: StreamGroup) {
        recorder.willChangeUnwatched(entry)
        value.groups?.remove(consumer, from: group)
    }
    /// Notes when a consumer was seen, and when it got something. Not counted as a change.
    public func touch(_ consumer: StreamConsumer, seenMs: Int64, active: Bool) {
        recorder.willChangeQuietly(entry)
        value.groups?.touch(consumer, seenMs: seenMs, activeMs: active ? seenMs : consumer.activeMs)
    }

    /// An entry becomes pending, changes hands, or is delivered again. O(log n).
    public func deliver(
        _ id: StreamID, _ group: StreamGroup, to consumer: StreamConsumer, deliveredMs: Int64, deliveries: Int64
    ) {
        recorder.willChangeUnwatched(entry)
        value.groups?.deliver(id, group, to: consumer, deliveredMs: deliveredMs, deliveries: deliveries)
    }
    /// False where the entry is not pending in this group. O(log n).
    public func acknowledge(_ id: StreamID, _ group: StreamGroup) -> Bool {
        guard let groups = value.groups, groups.find(id, in: group) != nil else { return false }
        recorder.willChangeUnwatched(entry)
        return groups.acknowledge(id, group)
    }
}
