// A stream's rows come from five tables, merged by the owner's id: the stream with its state, entries, groups,
// consumers, what is pending.

extension SnapshotReader {
    /// One of the tables that hold rows of owners, read in the order of ids.
    private struct Cursor {
        let table: SnapshotTable
        let rows: SQLiteStatement
        var hasRow = false
        var count: Int64 = 0

        init(_ table: SnapshotTable, _ owners: Range<Int64>, _ connection: SQLiteConnection) throws(StorageError) {
            self.table = table
            rows = try connection.prepare(named: table.name + ".read")
            rows.bind(1, RowID.element(owners.lowerBound, 0))
            rows.bind(2, RowID.element(owners.upperBound - 1, RowID.lastSlot))
            hasRow = try rows.step()
        }
        var owner: Int64 { rows.integer(0) >> 32 }
        var slot: UInt32 { UInt32(truncatingIfNeeded: rows.integer(0)) }
        func id(_ column: Int32) -> StreamID { StreamID(words: rows.integer(column), rows.integer(column + 1)) }
    }

    func readStreams(
        _ ids: Range<Int64>, _ pass: inout Pass, _ exchange: (RowBatch) throws -> RowBatch
    ) throws {
        if ids.isEmpty { return }
        let owners = try connection.prepare(named: SnapshotTable.streams.name + ".read")
        owners.bind(1, ids.lowerBound)
        owners.bind(2, ids.upperBound - 1)
        var parts: [Cursor] = []
        for table in [
            SnapshotTable.streamEntries, .streamGroups, .streamConsumers, .streamPending,
        ] { parts.append(try Cursor(table, ids, connection)) }
        var pairs: [Bytes] = []
        let packed = OutputBuffer(capacity: 1024)
        var count: Int64 = 0
        while try owners.step() {
            let id = owners.integer(0)
            pass.batch.appendOwner(
                type: .stream, id: id, db: try database(owners, .streams), key: owners.bytes(2),
                expiresMs: owners.expiry(3))
            var state = StreamState()
            state.lastID = StreamID(words: owners.integer(4), owners.integer(5))
            state.maxDeletedID = StreamID(words: owners.integer(6), owners.integer(7))
            state.entriesAdded = max(0, owners.integer(8))
            pass.batch.appendStream(owner: id, .state(state))
            count += 1
            for i in parts.indices {
                while parts[i].hasRow, parts[i].owner <= id {
                    if parts[i].owner < id { throw orphan(parts[i]) }
                    if parts[i].table == .streamEntries {
                        let isText = parts[i].rows.isText(3)
                        guard EntryText.read(parts[i].rows.bytes(3), isText: isText, &pairs, into: packed) else {
                            throw damage(.streamEntries, parts[i].rows.integer(0), "has fields that cannot be read")
                        }
                        pass.batch.appendStreamEntry(
                            owner: id, slot: parts[i].slot, id: parts[i].id(1), fields: packed.bytes)
                    } else {
                        pass.batch.appendStream(owner: id, try row(parts[i]))
                    }
                    parts[i].count += 1
                    try pass.handOverIfFull(exchange)
                    parts[i].hasRow = try parts[i].rows.step()
                }
            }
            try pass.handOverIfFull(exchange)
        }
        pass.counts[.streams] = count
        for part in parts {
            if part.hasRow { throw orphan(part) }
            pass.counts[part.table] = part.count
        }
    }

    /// Slots and counts that cannot be are refused; times are compared and subtracted only, so that any will do.
    private func row(_ cursor: Cursor) throws(StorageError) -> StreamRow {
        let rows = cursor.rows
        func slot(_ column: Int32, of what: String) throws(StorageError) -> UInt32 {
            guard let slot = UInt32(exactly: rows.integer(column)) else {
                throw damage(cursor.table, rows.integer(0), "names a \(what) with slot \(rows.integer(column))")
            }
            return slot
        }
        switch cursor.table {
        case .streamGroups:
            return .group(
                slot: cursor.slot, name: rows.bytes(1), lastID: cursor.id(2),
                entriesRead: rows.optionalInteger(4).map { max(0, $0) })
        case .streamConsumers:
            return .consumer(
                slot: cursor.slot, group: try slot(1, of: "group"), name: rows.bytes(2), seenMs: rows.integer(3),
                activeMs: rows.optionalInteger(4))
        case .streamPending, .strings, .lists, .listItems, .hashes, .hashFields, .sets, .setMembers, .zsets,
            .zsetMembers,
            .streams, .streamEntries:
            return .pending(
                slot: cursor.slot, group: try slot(1, of: "group"), consumer: try slot(2, of: "consumer"),
                id: cursor.id(3), deliveredMs: rows.integer(5), deliveries: rows.integer(6))
        }
    }

    private func orphan(_ cursor: Cursor) -> StorageError {
        damage(cursor.table, cursor.rows.integer(0), "belongs to no row of \(SnapshotTable.streams.name)")
    }
}
