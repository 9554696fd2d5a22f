// The rows of streams: `SnapshotWriter.write` hands them here.

extension SnapshotWriter {
    func writeStreamEntry(
        _ owner: Int64, _ slot: UInt32, _ id: Bytes, _ fields: Bytes
    ) throws(StorageError) {
        guard let id = StreamID(bytes: id) else { return }
        EntryText.write(fields, &pairs, into: entryText)
        let text = entryText.bytes
        try table(.streamEntries).upsertElement(owner, slot) { statement in
            statement.bind(2, id.words.0)
            statement.bind(3, id.words.1)
            statement.bind(4, text)
        }
        // One huge entry does not keep its memory.
        entryText.removeAll(keepingAtMost: 1 << 20)
    }

    func write(stream owner: Int64, _ row: StreamRow) throws(StorageError) {
        switch row {
        case .state(let state):
            let statement = try connection.prepare(named: "raw_streams.state")
            statement.bind(1, owner)
            statement.bind(2, state.lastID.words.0)
            statement.bind(3, state.lastID.words.1)
            statement.bind(4, state.maxDeletedID.words.0)
            statement.bind(5, state.maxDeletedID.words.1)
            statement.bind(6, state.entriesAdded)
            try statement.run()
        case .group(let slot, let name, let lastID, let entriesRead):
            try table(.streamGroups).upsertElement(owner, slot) { statement in
                statement.bind(2, name)
                statement.bind(3, lastID.words.0)
                statement.bind(4, lastID.words.1)
                statement.bind(5, entriesRead)
            }
        case .consumer(let slot, let group, let name, let seenMs, let activeMs):
            try table(.streamConsumers).upsertElement(owner, slot) { statement in
                statement.bind(2, Int64(group))
                statement.bind(3, name)
                statement.bind(4, seenMs)
                statement.bind(5, activeMs)
            }
        case .pending(let slot, let group, let consumer, let id, let deliveredMs, let deliveries):
            try table(.streamPending).upsertElement(owner, slot) { statement in
                statement.bind(2, Int64(group))
                statement.bind(3, Int64(consumer))
                statement.bind(4, id.words.0)
                statement.bind(5, id.words.1)
                statement.bind(6, deliveredMs)
                statement.bind(7, deliveries)
            }
        case .remove(let part, let slots):
            try table(part.table).removeElements(owner, Int64(slots.lowerBound)...Int64(slots.upperBound))
        }
    }

    /// All rows of a stream but its own and its entries'.
    func removeStreamParts(_ owner: Int64) throws(StorageError) {
        for part in StreamPart.allCases { try table(part.table).removeElements(owner, 0...CollectionTables.lastSlot) }
    }
}

extension StreamPart {
    var table: SnapshotTable {
        switch self {
        case .groups: .streamGroups
        case .consumers: .streamConsumers
        case .pending: .streamPending
        }
    }
}
