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

    /// Which entries stay when the oldest ones are removed.
    public enum TrimBound {
        /// So many.
        case length(Int)
        /// Those from this id on.
        case id(StreamID)
    }
    /// Removes the oldest entries. `approximately`: only as many as goes fast; `limit`: at most so many, 0: any number. Returns
    /// how many; `each` is called with their ids, where they are wanted. O(removed).
    public func trim(
        to bound: TrimBound, approximately: Bool = false, limit: Int = 0, each: ((StreamID) -> Void)? = nil
    ) -> Int {
        if !isBeyond(bound) { return 0 }
        recorder.willChangeQuietly(entry)
        let removed = value.trim(to: bound, approximately: approximately, limit: limit, each: each)
        if removed > 0 { recorder.willChange(entry) }
        return removed
    }
    private func isBeyond(_ bound: TrimBound) -> Bool {
        switch bound {
        case .length(let count): value.count > count
        case .id(let id): value.count > 0 && value.firstID < id
        }
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

    // MARK: Entries that groups refer to

    /// Whether a group has still to read the entry, or to acknowledge it. O(groups * log n).
    public func isReferenced(_ id: StreamID) -> Bool {
        guard let groups = value.groups else { return false }
        return groups.list.contains { $0.lastID < id || groups.find(id, in: $0) != nil }
    }
    /// Groups do not wait for an acknowledgement of the entry any more; `each` is called with those that did.
    /// O(groups * log n).
    public func dropReferences(_ id: StreamID, each: (StreamGroup) -> Void) {
        for group in value.groups?.list ?? [] where acknowledge(id, group) { each(group) }
    }
    /// The entries that a `trim` may remove which leaves those that groups refer to: it passes over them, but
    /// `approximately`, it ends there. O(entries up to the last one that all groups have read).
    public func unreferenced(
        beyond bound: TrimBound, approximately: Bool = false, limit: Int = 0
    ) -> [StreamID] {
        if !isBeyond(bound) { return [] }
        let read = value.groups?.list.map(\.lastID).min() ?? .max
        return value.trimmable(to: bound, approximately: approximately, limit: limit, upTo: read) { !isReferenced($0) }
    }
}
