// Invariant of this file: `digits` has the 24 bytes that integers are rendered into, and a Listpack is made over bytes of
// `blob` that `validate` has just found sound, is only read, and is not freed.

// A stream: nodes (an id and a listpack of entries relative to it, as `StreamNode` describes), what holds for it as a
// whole, then its consumer groups.

extension RDBReader {
    /// Numbers of the slots that rows take.
    private struct Slots {
        var group: UInt32 = 0
        var consumer: UInt32 = 0
        var pending: UInt32 = 0
    }

    /// `version` 2 added the first id, the largest deleted one and counts, 3 a consumer's active time.
    func readStream(version: Int) throws(StorageError) {
        var nodes = try elementCount(bytesEach: 2)
        let hasNodes = nodes > 0
        // An empty stream is a key like others.
        try beginStream()
        var entries: Int64 = 0
        var ends: (first: StreamID, last: StreamID)?
        while nodes > 0 {
            nodes -= 1
            let offset = input.offset
            try string(into: first)
            guard let master = StreamID(bytes: first.bytes) else {
                throw damage("a stream's node has a key of \(first.count) bytes", at: offset)
            }
            try string(into: blob)
            try readNode(master, at: offset, &entries, &ends)
        }
        let offset = input.offset
        let length = try length()
        if length != UInt64(entries) {
            // Redis 5 counted wrong when it trimmed; entries are what is there.
            if length > 0 && !hasNodes { throw damage("a stream of \(length) entries has no node", at: offset) }
            mended(.streamLength)
        }
        var state = StreamState()
        state.lastID = try streamID()
        state.entriesAdded = entries
        if version >= 2 {
            // The first id follows from the entries.
            _ = try streamID()
            state.maxDeletedID = try streamID()
            guard let added = Int64(exactly: try self.length()) else {
                throw damage("a stream's count of entries ever added is out of range", at: offset)
            }
            state.entriesAdded = added
        }
        if let last = ends?.last, last > state.lastID {
            state.lastID = last
            mended(.streamLastID)
        }
        try report(.state(state))
        try readGroups(version, state, entries, ends?.first ?? .zero)
    }

    private func streamID() throws(StorageError) -> StreamID {
        let ms = try length()
        return StreamID(ms: ms, seq: try length())
    }

    private func report(_ row: StreamRow) throws(StorageError) {
        if !dropped { try visitor.streamRow(row) }
    }

    // MARK: - Entries

    /// Walks the elements of a listpack one by one.
    private struct Elements {
        let pack: Listpack
        var next: Int?
        let scratch: UnsafeMutableRawPointer

        init(_ pack: Listpack, from offset: Int?, _ scratch: UnsafeMutableRawPointer) {
            self.pack = pack
            next = offset
            self.scratch = scratch
        }
        /// Valid until the next call; nil at the end.
        mutating func take() -> Bytes? {
            guard let at = next else { return nil }
            next = pack.next(at)
            return pack.value(at: at, scratch: scratch)
        }
        mutating func integer() -> Int64? { take()?.integer }
        /// A number of elements, not more than there can be.
        mutating func count() -> Int? {
            guard let count = integer(), count >= 0, count <= Int64(pack.byteCount) else { return nil }
            return Int(count)
        }
    }

    /// Reports the entries of the node in `blob`.
    private func readNode(
        _ master: StreamID, at offset: Int64, _ entries: inout Int64, _ ends: inout (first: StreamID, last: StreamID)?
    ) throws(StorageError) {
        func damaged(_ what: String) -> StorageError { damage("a stream's node \(what)", at: offset) }
        if let at = Listpack.validate(blob.bytes).damage {
            throw damaged("has a listpack of \(blob.count) bytes that is damaged at its byte \(at)")
        }
        let pack = Listpack(block: blob.base)
        var elements = Elements(pack, from: pack.first, digits.base)
        guard let live = elements.count(), let deleted = elements.count(), let fields = elements.count() else {
            throw damaged("has no counts")
        }
        let names = elements.next
        for _ in 0..<fields { guard elements.take() != nil else { throw damaged("lacks fields") } }
        guard elements.integer() == 0 else { throw damaged("has no end of its fields") }
        if !dropped { visitor.streamNode() }
        var found = 0
        var all = 0
        while elements.next != nil {
            all += 1
            guard let flags = elements.integer(), let ms = elements.integer(), let seq = elements.integer() else {
                throw damaged("lacks an entry")
            }
            let id = StreamID(
                ms: master.ms &+ UInt64(bitPattern: ms), seq: master.seq &+ UInt64(bitPattern: seq))
            let isLikeMaster = flags & StreamNode.hasMasterFields != 0
            let count = isLikeMaster ? fields : elements.count()
            guard let count else { throw damaged("has an entry without a count") }
            second.removeAll()
            var names = Elements(pack, from: names, digits.base)
            for _ in 0..<count {
                guard let field = isLikeMaster ? names.take() : elements.take() else { throw damaged("lacks a field") }
                StreamFields.pack(field, into: second)
                guard let value = elements.take() else { throw damaged("lacks a value") }
                StreamFields.pack(value, into: second)
            }
            guard let total = elements.integer(), total == Int64(isLikeMaster ? count + 3 : 2 * count + 4) else {
                throw damaged("has an entry that does not say its size")
            }
            if flags & StreamNode.isDeleted != 0 {
                if !dropped { visitor.streamDeletedEntry(id, second.bytes) }
                continue
            }
            if let ends, id <= ends.last { throw damaged("has an entry out of order") }
            ends = (ends?.first ?? id, id)
            found += 1
            entries += 1
            summary.elements += 1
            if !dropped { try visitor.streamEntry(id, second.bytes) }
            try advanced()
        }
        if found != live || all != live + deleted {
            if !options.mends { throw damaged("does not hold what it counts") }
            mended(.streamNode)
        }
    }

    // MARK: - Groups

    private func readGroups(
        _ version: Int, _ state: StreamState, _ entries: Int64, _ firstID: StreamID
    ) throws(StorageError) {
        var slots = Slots()
        var groups = try elementCount(bytesEach: 5)
        while groups > 0 {
            groups -= 1
            let offset = input.offset
            try string(into: first)
            try unique(first.bytes, "group")
            let lastID = try streamID()
            var read = state.entriesAdded(upTo: lastID, count: Int(entries), firstID: firstID)
            if version >= 2 {
                // All ones: not known.
                read = Int64(bitPattern: try length())
                if let known = read, known < 0 { read = nil }
            }
            try report(.group(slot: slots.group, name: first.bytes, lastID: lastID, entriesRead: read))
            try readPending(version, &slots, at: offset)
            slots.group += 1
        }
    }

    /// What is pending in a group, which stands before the consumers that it belongs to.
    private func readPending(_ version: Int, _ slots: inout Slots, at offset: Int64) throws(StorageError) {
        var pending: [StreamID: Delivery] = [:]
        var count = try elementCount(bytesEach: 25)
        while count > 0 {
            count -= 1
            let id = try rawStreamID()
            let delivery = Delivery(ms: try input.fixed(Int64.self), count: Int64(bitPattern: try length()))
            if pending.updateValue(delivery, forKey: id) != nil {
                throw damage("an entry is pending twice in the group that begins here", at: offset)
            }
        }
        var consumers = try elementCount(bytesEach: 10)
        var names = DuplicateFilter()
        var nameless: UInt32?
        while consumers > 0 {
            consumers -= 1
            try string(into: first)
            if !names.insert(first.bytes) {
                throw damage("a consumer comes twice in the group that begins here", at: offset)
            }
            if first.count == 0 { nameless = slots.consumer }
            let seenMs = try input.fixed(Int64.self)
            // Version 3; -1 for never. Before, to be seen was to be active.
            let activeMs = version >= 3 ? try input.fixed(Int64.self) : seenMs
            try report(
                .consumer(
                    slot: slots.consumer, group: slots.group, name: first.bytes, seenMs: seenMs,
                    activeMs: activeMs < 0 ? nil : activeMs))
            var owned = try elementCount(bytesEach: 16)
            while owned > 0 {
                owned -= 1
                let id = try rawStreamID()
                guard let delivery = pending.removeValue(forKey: id) else {
                    throw damage("a consumer has an entry that its group, which begins here, has not", at: offset)
                }
                try report(id, delivery, &slots, slots.consumer)
            }
            slots.consumer += 1
        }
        if pending.isEmpty { return }
        if !options.mends {
            throw damage("entries are pending for no consumer in the group that begins here", at: offset)
        }
        // A consumer that nobody is, from which XCLAIM and XAUTOCLAIM take them.
        if nameless == nil {
            try report(
                .consumer(slot: slots.consumer, group: slots.group, name: Bytes(), seenMs: 0, activeMs: nil))
        }
        for (id, delivery) in pending.sorted(by: { $0.key < $1.key }) {
            try report(id, delivery, &slots, nameless ?? slots.consumer)
            mended(.pendingOfNobody)
        }
        if nameless == nil { slots.consumer += 1 }
    }

    /// An entry's last one, in a group.
    private struct Delivery {
        /// Since 1970.
        let ms: Int64
        let count: Int64
    }

    private func report(
        _ id: StreamID, _ delivery: Delivery, _ slots: inout Slots, _ consumer: UInt32
    ) throws(StorageError) {
        try report(
            .pending(
                slot: slots.pending, group: slots.group, consumer: consumer, id: id, deliveredMs: delivery.ms,
                deliveries: delivery.count))
        slots.pending += 1
    }

    private func rawStreamID() throws(StorageError) -> StreamID {
        let ms = try input.fixed(UInt64.self).byteSwapped
        return StreamID(ms: ms, seq: try input.fixed(UInt64.self).byteSwapped)
    }
}
