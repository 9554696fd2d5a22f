// Invariant of this file: a `LongCopy`'s target lies in its batch, with room for the whole string, and its entry is not
// changed or freed while it still counts as to be handed over.

/// The loop's side of a running checkpoint: hands the state at the cut over, key by key, to the thread that writes it.
///
/// After the cut every entry that changed before it carries the pending flag. `step` walks the buckets that hold such
/// entries, a slice at a time; a write to one hands it over first, so that what is handed over is the state at the cut.
/// Large collections hand over by element, see `LargeValue`.
final class Handover {
    private unowned(unsafe) let keyspace: Keyspace
    let sink: RowSink
    /// What each database held at the cut; those walked to the end are dropped.
    private var sources: [Contents]
    /// Large collections with pending elements.
    private var draining: [LargeValue] = []
    /// Large collections drained so far, to be written whole if the checkpoint fails.
    private var drained: [LargeValue] = []
    private var walked: [Contents] = []
    /// Made after the cut, and emptied again while values were drained.
    private var leftBehind: [Contents] = []
    private var removed: ChangeSet
    /// Entries of the bucket that is walked that take longer, and those behind them, in order: rows for a new file are to ascend.
    /// They still count as to be handed over.
    private var waiting: [Entry] = []
    /// A long string that is being copied; its entry still counts as to be handed over.
    private var copy: LongCopy?
    private struct LongCopy {
        let entry: Entry
        let contents: Contents
        let batch: RowBatch
        let target: UnsafeMutableRawPointer
        var copied = 0
    }
    /// Strings of at least so many bytes are copied in pieces of as many, between commands.
    private static var pieceSize: Int { StructureSizes.size(128 << 10, small: 150) }
    /// The value of `changes` at the cut.
    let writesAtCut: Int

    /// Every key is handed over, for a new file: rows get new ids, in the order in which they come.
    private let isWhole: Bool

    /// The cut: O(1) in the number of keys, but for the list of removed rows. `isWhole`: every key is marked as changed.
    init(_ keyspace: Keyspace, isWhole: Bool, sink: RowSink) {
        precondition(keyspace.handover == nil, "one checkpoint at a time")
        self.keyspace = keyspace
        self.sink = sink
        writesAtCut = keyspace.writes
        sources = keyspace.databases.map(\.contents)
        self.isWhole = isWhole
        removed = isWhole ? ChangeSet() : keyspace.changeSet
        keyspace.changeSet = ChangeSet()
        // No key has an id after a flush, unless an attempt that failed has given it one.
        if isWhole || removed.flushesAll && !keyspace.lastCheckpointFailed { keyspace.ids = RowIDs() }
        Swift.swap(&keyspace.currentFlag, &keyspace.pendingFlag)
        for (index, contents) in sources.enumerated() {
            contents.indexAtCut = Int32(index)
            contents.table.cut()
        }
        removed.appendOperations(to: sink)
        keyspace.handover = self
    }

    /// Takes contents over that are no database's any more, where they may still be read: `finish` frees them. Those that came
    /// into being after the cut, too, while a value is drained: it may have been moved into them.
    func takeOver(_ contents: Contents) -> Bool {
        if sources.contains(where: { $0 === contents }) || walked.contains(where: { $0 === contents }) { return true }
        if draining.isEmpty { return false }
        leftBehind.append(contents)
        return true
    }

    /// Works for about `budgetNanoseconds`. True when all is handed over; the last batch is sent then.
    func step(budgetNanoseconds: UInt64) -> Bool {
        let end = monotonicNanoseconds() + budgetNanoseconds
        // What a write makes it hand over, between the calls of this function, comes as it comes.
        sink.isOrdered = true
        defer { sink.isOrdered = false }
        var work = 0
        func goOn() -> Bool {
            work += 1
            return work & 15 != 0 || monotonicNanoseconds() < end
        }
        if !removed.drain(to: sink, while: goOn) { return false }
        repeat {
            while copy != nil {
                copyPiece()
                if monotonicNanoseconds() >= end { return false }
            }
            while let value = draining.first {
                if !value.drain(while: goOn) { return false }
                draining.removeFirst()
                if value.isOrphan {
                    value.free()
                } else if !isWhole {
                    drained.append(value)
                }
            }
            guard let contents = sources.last else {
                sink.flush()
                return true
            }
            if !waiting.isEmpty {
                begin(waiting.removeFirst(), of: contents)
                continue
            }
            let done = contents.table.drainPending(
                { entry in
                    if !entry.flags.contains(keyspace.pendingFlag) { return }
                    if waiting.isEmpty && !isLong(entry) {
                        handOver(entry, of: contents)
                    } else {
                        waiting.append(entry)
                    }
                },
                while: { waiting.isEmpty && goOn() })
            if !waiting.isEmpty { continue }
            if !done { return false }
            if draining.isEmpty {
                sources.removeLast()
                walked.append(contents)
            }
        } while true
    }

    /// Whether handing the entry over takes longer than a row or a small collection does.
    private func isLong(_ entry: Entry) -> Bool {
        entry.type == .string
            ? entry.encoding != .int && entry.stringCount >= Handover.pieceSize : entry.largeValue != nil
    }

    /// Begins to hand over an entry that waited.
    private func begin(_ entry: Entry, of contents: Contents) {
        guard entry.type == .string && isLong(entry) else { return handOver(entry, of: contents) }
        let batch = RowBatch(capacity: entry.stringCount + entry.key.count + 64)
        let target = batch.appendString(
            id: entry.id, db: contents.indexAtCut, key: entry.key, count: entry.stringCount, expiresMs: entry.expiry)
        copy = LongCopy(entry: entry, contents: contents, batch: batch, target: target)
    }

    /// Hands one entry over, at once, as it may be about to change: a row or, of a small collection, its rows. A large one is
    /// frozen here and drained later.
    func handOver(_ entry: Entry, of contents: Contents) {
        if let index = waiting.firstIndex(where: { $0.raw == entry.raw }) { waiting.remove(at: index) }
        if let copy, copy.entry.raw == entry.raw {
            while self.copy != nil { copyPiece() }
            return
        }
        let isNew = count(entry, of: contents)
        let db = contents.indexAtCut
        if entry.type == .string {
            sink.batch.appendString(
                id: entry.id, db: db, key: entry.key, value: entry.text(in: keyspace.valueScratch),
                expiresMs: entry.expiry)
        } else {
            sink.batch.appendOwner(type: entry.type, id: entry.id, db: db, key: entry.key, expiresMs: entry.expiry)
            if let value = entry.largeValue {
                value.freeze(owner: entry.id, sink: sink)
                draining.append(value)
            } else {
                if !isNew { sink.batch.appendRemoveElements(type: entry.type, owner: entry.id, slots: 0..<(1 << 32)) }
                entry.appendSmallElements(to: sink.batch, scratch: (keyspace.elementScratch, keyspace.valueScratch))
            }
        }
        sink.sendIfFull()
    }

    /// The entry counts as handed over, and has an id. True for one that has no rows yet.
    private func count(_ entry: Entry, of contents: Contents) -> Bool {
        entry.flags.remove(keyspace.pendingFlag)
        // A failure makes the next one whole as well: all keys are marked again then.
        if !isWhole { contents.handedOver.append(UInt32(truncatingIfNeeded: Hashing.hash(entry.key))) }
        let isNew = isWhole || entry.id == 0
        if isNew { entry.id = keyspace.ids.take(entry.type) }
        return isNew
    }

    /// Copies the next piece of the long string; its row is on its way after the last one.
    private func copyPiece() {
        guard let current = copy else { return }
        let value = current.entry.stringBytes
        let size = min(Handover.pieceSize, value.count - current.copied)
        (current.target + current.copied).copyMemory(from: value.base + current.copied, byteCount: size)
        copy?.copied += size
        if current.copied + size < value.count { return }
        copy = nil
        // Only now, so that ids ascend in the order of the rows.
        _ = count(current.entry, of: current.contents)
        current.batch.setFirstID(current.entry.id)
        sink.send(whole: current.batch)
    }

    /// Long lists, for the reaper to let go of.
    private final class Kept {
        let values: [LargeValue]
        let hashes: [[UInt32]]
        init(values: [LargeValue], hashes: [[UInt32]]) {
            self.values = values
            self.hashes = hashes
        }
    }

    /// The checkpoint is durable (`committed`) or has failed: then the keyspace's marking makes all that was handed over
    /// count as changed again. Call once `step` has returned true.
    func finish(committed: Bool) {
        if committed {
            for type in ValueType.allCases { keyspace.ids.give(type, removed.removedIDs(type)) }
        } else {
            if isWhole { keyspace.markAll() } else { keyspace.markAgain(drained, walked) }
            removed.merge(keyspace.changeSet)
            keyspace.changeSet = removed
        }
        Reaper.shared.letGo(of: Kept(values: drained, hashes: walked.map(\.handedOver)))
        drained = []
        for contents in walked {
            contents.handedOver = []
            if contents.isOrphan { Reaper.shared.free(all: contents) }
        }
        walked = []
        for contents in leftBehind { Reaper.shared.free(all: contents) }
        leftBehind = []
        keyspace.handover = nil
        keyspace.lastCheckpointFailed = !committed
    }
}
