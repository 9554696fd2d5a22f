// A stream as RDB types 15, 19 (from version 10 on) and 21 (from version 11 on) have it
// (https://redis.io/docs/latest/develop/data-types/streams/): nodes as they are in memory, ids, then the groups.

extension RDBWriter {
    var streamKind: RDBFormat.Kind {
        version >= 11 ? .streamListpacks3 : version >= 10 ? .streamListpacks2 : .streamListpacks
    }

    /// Whether streams say how many entries were ever added, and groups how many they have read.
    var hasStreamCounts: Bool { version >= 10 }

    /// What follows the key. O(nodes + pending entries).
    func stream(_ stream: StreamValue) {
        length(stream.nodeCount)
        for node in stream.nodes[stream.head...] {
            length(16)
            rawID(node.master)
            string(node.pack.bytes)
        }
        length(stream.length)
        id(stream.state.lastID)
        if hasStreamCounts {
            id(stream.firstID)
            id(stream.state.maxDeletedID)
            length(unsigned: UInt64(clamping: stream.state.entriesAdded))
        }
        guard let groups = stream.groups else { return length(0) }
        length(groups.list.count)
        for group in groups.list { self.group(group, groups) }
    }

    private func group(_ group: StreamGroup, _ groups: StreamGroups) {
        string(group.name)
        id(group.lastID)
        // All ones: not known.
        if hasStreamCounts { length(unsigned: group.entriesRead.map { UInt64(clamping: $0) } ?? .max) }
        length(group.pendingCount)
        group.pending.forEach(from: .zero, groups.pending) { slot in
            let entry = groups.pending[slot]
            rawID(entry.id)
            output.append(littleEndian: entry.deliveredMs)
            length(unsigned: UInt64(clamping: entry.deliveries))
            return true
        }
        length(group.consumers.count)
        for consumer in group.consumers {
            string(consumer.name)
            output.append(littleEndian: consumer.seenMs)
            if version >= 11 { output.append(littleEndian: consumer.activeMs ?? -1) }
            length(consumer.pendingCount)
            consumer.pending.forEach(from: .zero, groups.pending) { slot in
                rawID(groups.pending[slot].id)
                return true
            }
        }
    }

    private func id(_ id: StreamID) {
        length(unsigned: id.ms)
        length(unsigned: id.seq)
    }
    private func rawID(_ id: StreamID) {
        output.append(bigEndian: id.ms)
        output.append(bigEndian: id.seq)
    }
    private func length(unsigned value: UInt64) {
        if let small = UInt32(exactly: value) { return length(Int(small)) }
        output.append(byte: 0x81)
        output.append(bigEndian: value)
    }
}
