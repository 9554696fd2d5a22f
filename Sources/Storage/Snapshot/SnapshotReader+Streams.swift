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
            rows.bind(1, CollectionTables.elementID(owners.lowerBound, 0))
            rows.bind(2, CollectionTables.elementID(owners.upperBound - 1, CollectionTables.lastSlot))
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
                type: .stream, id: id, db: try database(owners), key: owners.bytes(2),
                expiresMs: owners.optionalInteger(3))
            var state = StreamState()
            state.lastID = StreamID(words: owners.integer(4), owners.integer(5))
            state.maxDeletedID = StreamID(words: owners.integer(6), owners.integer(7))
            state.entriesAdded = owners.integer(8)
            pass.batch.appendStream(owner: id, .state(state))
            count += 1
            for i in parts.indices {
                while parts[i].hasRow, parts[i].owner <= id {
                    if parts[i].owner < id { throw orphan(.stream, parts[i].rows.integer(0), parts[i].table) }
                    if parts[i].table == .streamEntries {
                        let isText = parts[i].rows.isText(3)
                        guard EntryText.read(parts[i].rows.bytes(3), isText: isText, &pairs, into: packed) else {
                            throw connection.error(
                                "the snapshot is damaged: the fields of a stream's entry "
                                    + "(id \(parts[i].rows.integer(0))) cannot be read: restore it from a backup")
                        }
                        pass.batch.appendStreamEntry(
                            owner: id, slot: parts[i].slot, id: parts[i].id(1), fields: packed.bytes)
                    } else {
                        pass.batch.appendStream(owner: id, row(parts[i]))
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
            if part.hasRow { throw orphan(.stream, part.rows.integer(0), part.table) }
            pass.counts[part.table] = part.count
        }
    }

    private func row(_ cursor: Cursor) -> StreamRow {
        let rows = cursor.rows
        func slot(_ column: Int32) -> UInt32 { UInt32(truncatingIfNeeded: rows.integer(column)) }
        switch cursor.table {
        case .streamGroups:
            return .group(
                slot: cursor.slot, name: rows.bytes(1), lastID: cursor.id(2), entriesRead: rows.optionalInteger(4))
        case .streamConsumers:
            return .consumer(
                slot: cursor.slot, group: slot(1), name: rows.bytes(2), seenMs: rows.integer(3),
                activeMs: rows.optionalInteger(4))
        default:
            return .pending(
                slot: cursor.slot, group: slot(1), consumer: slot(2), id: cursor.id(3), deliveredMs: rows.integer(5),
                deliveries: rows.integer(6))
        }
    }

    private func orphan(_ type: ValueType, _ id: Int64, _ table: SnapshotTable) -> StorageError {
        connection.error(
            "the snapshot is damaged: the row with id \(id) of \(table.name) belongs to no row of "
                + "\(SnapshotTable.streams.name): restore it from a backup or a replica")
    }
}
