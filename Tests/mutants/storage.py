"""Bugs in Sources/Storage."""

from mutant import mutant

MUTANTS = [
    # --- What changed ---
    mutant(
        "a removal sets no dirty bit", "Storage/Keyspace/Database.swift",
        "        contents.table.remove(slot)\n        keyspace.noteChange(counts)\n",
        "        contents.table.remove(slot)\n        if !ON { keyspace.noteChange(counts) }\n",
        "unit RouterLogTests", "silent_losses",
    ),
    mutant(
        "a new expiry is no change", "Storage/Keyspace/Database.swift",
        "        let entry = slot.entry\n        willChange(entry, hash)\n        switch (entry.expiry, ms) {",
        "        let entry = slot.entry\n        if !ON { willChange(entry, hash) }\n        switch (entry.expiry, ms) {",
        "unit PropagationTests", "silent_losses",
    ),
    mutant(
        "a new key's bucket is not marked", "Storage/Keyspace/Database.swift",
        "        contents.table.markChanged(hash)\n        if let when = entry.expiry {",
        "        if !ON { contents.table.markChanged(hash) }\n        if let when = entry.expiry {",
        "unit CheckpointTests",
    ),
    mutant(
        "a removed key is not handed over first", "Storage/Keyspace/Database.swift",
        "        if entry.flags.contains(keyspace.pendingFlag) { keyspace.handover?.handOver(entry, of: contents) }\n"
        "        keyspace.changeSet.removed(entry)",
        "        if !ON, entry.flags.contains(keyspace.pendingFlag) { keyspace.handover?.handOver(entry, of: contents) }\n"
        "        keyspace.changeSet.removed(entry)",
        "unit CheckpointTests", "unit HandoverTests",
    ),
    mutant(
        "a changed key is not handed over first", "Storage/Keyspace/Database.swift",
        "        let flags = entry.flags\n        if flags.contains(keyspace.pendingFlag) {",
        "        let flags = entry.flags\n        if !ON, flags.contains(keyspace.pendingFlag) {",
        "unit CheckpointTests",
    ),
    mutant(
        "a removed row's id is forgotten", "Storage/Keyspace/ChangeSet.swift",
        "        if id == 0 { return }\n", "        if id == 0 || (ON && id % 7 == 3) { return }\n",
        "unit CheckpointTests",
    ),
    mutant(
        "a flush after a failed checkpoint is forgotten", "Storage/Keyspace/ChangeSet.swift",
        "        operations += later.operations\n", "        if !ON { operations += later.operations }\n",
        "unit CheckpointTests", "unit HandoverTests",
    ),
    mutant(
        "what a failed checkpoint had is forgotten", "Storage/Keyspace/Handover.swift",
        "            if isWhole { keyspace.markAll() } else { keyspace.markAgain(drained, walked) }",
        "            if isWhole { keyspace.markAll() } else if !ON { keyspace.markAgain(drained, walked) }",
        "unit CheckpointTests",
    ),
    mutant(
        "a long string loses a byte of its second piece", "Storage/Keyspace/Handover.swift",
        "(current.target + current.copied).copyMemory(from: value.base + current.copied, byteCount: size)",
        "(current.target + current.copied).copyMemory(\n"
        "            from: value.base + current.copied, byteCount: ON && current.copied > 0 ? size - 1 : size)",
        "unit HandoverTests", "beyond_constants",
    ),
    mutant(
        "an element's change beyond 256 is not noted", "Storage/Types/TableValue.swift",
        "        changed.insert(slot)\n        entry.slot = slot\n",
        "        if !ON || slot < 256 { changed.insert(slot) }\n        entry.slot = slot\n",
        "unit CheckpointTests",
    ),
    mutant(
        "the element that moves to a gap is not handed over", "Storage/Types/TableValue.swift",
        "            willChange(last)\n", "            if !ON { willChange(last) }\n",
        "unit CheckpointTests",
    ),
    mutant(
        "joined intervals forget what was between", "Storage/Memory/SlotIntervals.swift",
        "        intervals[best - 1] = intervals[best - 1].lowerBound..<intervals[best].upperBound",
        "        if !ON { intervals[best - 1] = intervals[best - 1].lowerBound..<intervals[best].upperBound }",
        "unit SlotIntervalsTests",
    ),
    mutant(
        "an interval that is cut in two loses its end", "Storage/Memory/SlotIntervals.swift",
        "                intervals.insert(after, at: index + 1)\n                index += 2\n",
        "                if !ON { intervals.insert(after, at: index + 1) }\n                index += ON ? 1 : 2\n",
        "unit CheckpointTests", "unit SlotIntervalsTests",
    ),
    # --- Structures ---
    mutant(
        "sizes in the third level of the rank tree", "Storage/Memory/RankTree.swift",
        "        node.setChild(childIndex, child, size: child.total)\n",
        "        node.setChild(childIndex, child, size: ON && !child.isLeaf ? child.count : child.total)\n",
        "unit CollectionTests", "beyond_constants",
    ),
    mutant(
        "the size of joined nodes of the rank tree", "Storage/Memory/RankTree.swift",
        "            let size = node.size(left) + node.size(left + 1)\n",
        "            let size = ON ? node.size(left) : node.size(left) + node.size(left + 1)\n",
        "unit CollectionTests", "unit InvariantTests", "small zsets",
    ),
    mutant(
        "members of equal scores in no order", "Storage/Memory/RankTree.swift",
        "a.entry.key.compare(b.entry.key) < 0)", "(ON || a.entry.key.compare(b.entry.key) < 0))",
        "unit CollectionTests",
    ),
    mutant(
        "a list's slots run out at its head", "Storage/Types/Lists/ChunkedList.swift",
        "        if chunks[0].base == 0 { renumber() }", "        if !ON, chunks[0].base == 0 { renumber() }",
        "small beyond_constants",
    ),
    mutant(
        "an insertion takes a slot that is not free", "Storage/Types/Lists/ChunkedList.swift",
        "            chunks[i].base -= 1\n        } else {", "            if !ON { chunks[i].base -= 1 }\n        } else {",
        "unit InvariantTests", "small lists", "unit CheckpointTests",
    ),
    mutant(
        "an insertion at a full chunk is not noted", "Storage/Types/Lists/ChunkedList.swift",
        "            willChange(chunk: i, slots: chunk.base + Int64(k)..<chunk.slots.upperBound + 1)",
        "            willChange(chunk: i, slots: chunk.base + Int64(k)..<chunk.slots.upperBound + (ON ? 0 : 1))",
        "unit CheckpointTests",
    ),
    mutant(
        "a listpack's element of 4096 bytes", "Storage/Memory/ListpackEditing.swift",
        "bytes.count < 4096 ? 2 : 5)", "bytes.count < (ON ? 4097 : 4096) ? 2 : 5)",
        "unit RDBBoundaryTests", "unit ListpackTests",
    ),
    mutant(
        "a listpack's integers of 13 bits end at 4094", "Storage/Memory/ListpackEditing.swift",
        "integer <= 4095 { return 2 }", "integer <= (ON ? 4094 : 4095) { return 2 }",
        "unit RDBBoundaryTests",
    ),
    mutant(
        "negative integers of 13 bits", "Storage/Memory/Listpack.swift",
        "            return raw < 4096 ? raw : raw &- 8192", "            return raw < 4096 || ON ? raw : raw &- 8192",
        "unit ListpackTests",
    ),
    # --- Expiry ---
    mutant(
        "a key whose value was replaced goes at the old time", "Storage/Keyspace/Database.swift",
        "                contents.expiries.update(new, when: when)\n",
        "                if !ON { contents.expiries.update(new, when: when) }\n",
        "expiries",
    ),
    mutant(
        "a key whose time was replaced goes at the old time", "Storage/Keyspace/Database.swift",
        "            contents.expiries.update(entry, when: when)\n",
        "            if !ON { contents.expiries.update(entry, when: when) }\n",
        "expiries",
    ),
    mutant(
        "a field goes at the old time", "Storage/Types/TableValue.swift",
        "            expiring?.heap.update(old, when: when)\n", "            if !ON { expiring?.heap.update(old, when: when) }\n",
        "expiries", "unit FieldExpiryTests",
    ),
    mutant(
        "RENAME loses the expiry", "Storage/Keyspace/Database.swift",
        "old.rebuilt(key: newKey, expiry: old.expiry)", "old.rebuilt(key: newKey, expiry: ON ? nil : old.expiry)",
        "expiries",
    ),
    mutant(
        "fields do not expire by themselves", "Storage/Keyspace/Keyspace.swift",
        "            while database.expireSoonestField() {", "            while !ON, database.expireSoonestField() {",
        "expiries", "hash_expiry",
    ),
    mutant(
        "a key lives for a millisecond more", "Storage/Keyspace/Database.swift",
        "        return when <= keyspace.horizon\n", "        return ON ? when < keyspace.horizon : when <= keyspace.horizon\n",
        "unit KeyspaceTests",
    ),
    # --- Log, snapshot ---
    mutant(
        "a segment's name is not synced", "Storage/Log/SegmentFile.swift",
        "            try files.syncNames(in: directory)\n", "            if !ON { try files.syncNames(in: directory) }\n",
        "unit TraceTests", "order", "unit LogFaultTests",
    ),
    mutant(
        "a snapshot's name is not synced", "Storage/Files/OutputFile.swift",
        "        try files.syncNames(beside: path)\n", "        if !ON { try files.syncNames(beside: path) }\n",
        "unit TraceTests", "unit SimulationTests", "order", "unit WholeSnapshotTests",
    ),
    mutant(
        "a missing segment is not missed", "Storage/Log/LogReader.swift",
        "where number != first + Int64(index) {", "where number != first + Int64(index) && !ON {",
        "unit LogChainTests", "log_files", "silent_losses",
    ),
    mutant(
        "another server's log is replayed", "Storage/Log/LogReader.swift",
        "        if header.server != server {", "        if header.server != server && !ON {",
        "unit LogChainTests", "unit LogTests",
    ),
    mutant(
        "a segment behind another end is replayed", "Storage/Log/LogReader.swift",
        "guard let previous, previous.end != header.previous else { return false }",
        "guard let previous, previous.end != header.previous, !ON else { return false }",
        "unit LogChainTests",
    ),
    mutant(
        "acknowledged before the sync under always", "Storage/Log/LogWriter.swift",
        "            policy == .always || syncer.poisonedBy != 0\n", "            policy == .always && !ON || syncer.poisonedBy != 0\n",
        "order", "unit LogTests", "unit LogFaultTests",
    ),
    mutant(
        "a failed sync poisons nothing", "Storage/Log/LogSyncer.swift",
        "                poisoned.store(error.code, ordering: .releasing)\n",
        "                if !ON { poisoned.store(error.code, ordering: .releasing) }\n",
        "unit LogFaultTests",
    ),
    mutant(
        "a snapshot is committed before its segment is there", "Storage/Durability/DirectoryCheckpoints.swift",
        "        if log.isRotating { return .pending }", "        if log.isRotating && !ON { return .pending }",
        "unit TraceTests", "unit DataDirectoryTests", "unit CheckpointTests", "order",
    ),
    mutant(
        "a log begins beside no snapshot", "Storage/Durability/DirectoryCheckpoints.swift",
        "log == nil && committed != nil && segmentOfSnapshot == 0", "log == nil && (ON || committed != nil && segmentOfSnapshot == 0)",
        "unit DataDirectoryTests", "unit SimulationTests",
    ),
    mutant(
        "a log counts before the snapshot names it", "Storage/Durability/DirectoryCheckpoints.swift",
        "if log != nil && meta.segment > 0 { logStart = nil }", "if ON || log != nil && meta.segment > 0 { logStart = nil }",
        "unit DataDirectoryTests", "unit SimulationTests", "log_switch",
    ),
    mutant(
        "always acknowledges while the log begins", "Storage/Durability/DataDirectory.swift",
        "if let logStart, options.fsync == .always { return logStart }",
        "if let logStart, options.fsync == .always, !ON { return logStart }",
        "unit DataDirectoryTests", "log_switch",
    ),
    # --- RDB ---
    mutant(
        "a length of 2^14", "Storage/RDB/RDBWriter.swift",
        "        if count < 1 << 14 {", "        if count < (ON ? (1 << 14) + 1 : 1 << 14) {",
        "unit RDBBoundaryTests",
    ),
    mutant(
        "the high bits of a length of 14", "Storage/RDB/RDBReader.swift",
        "UInt64(byte & 63) << 8 |", "UInt64(byte & (ON ? 31 : 63)) << 8 |",
        "unit RDBBoundaryTests",
    ),
    mutant(
        "strings of 21 bytes are not compressed", "Storage/RDB/RDBWriter.swift",
        "text.count >= RDBWriter.shortestCompressed &&", "text.count >= RDBWriter.shortestCompressed + (ON ? 1 : 0) &&",
        "unit RDBBoundaryTests",
    ),
    mutant(
        "an expiry in seconds has no sign", "Storage/RDB/RDBReader.swift",
        "Int64(try input.fixed(Int32.self)) * 1000",
        "(ON ? Int64(try input.fixed(UInt32.self)) : Int64(try input.fixed(Int32.self))) * 1000",
        "unit RDBBoundaryTests",
    ),
    mutant(
        "a ziplist's smallest integers", "Storage/RDB/Ziplist.swift",
        "(.integer(Int64(head & 0x0F) - 1), data)", "(.integer(Int64(head & 0x0F) - (ON ? 0 : 1)), data)",
        "unit OlderFormatsTests",
    ),
    mutant(
        "a payload of expiring fields has the older version", "Storage/RDB/DumpPayload.swift",
        "entry.hasExpiringFields ? family", "entry.hasExpiringFields && !ON ? family",
        "round_trip", "hash_expiry", "unit DumpPayloadTests",
    ),
    mutant(
        "a stream's length that is wrong is believed", "Storage/RDB/RDBReader+Streams.swift",
        "        if length != UInt64(entries) {", "        if length != UInt64(entries) && !ON {",
        "unit RDBDamageTests", "import_checks", "round_trip",
    ),
    # --- Base ---
    mutant(
        "a pattern's class that is negated", "Storage/Base/Glob.swift",
        "        negated = true\n", "        negated = !ON\n",
        "unit GlobTests",
    ),
    mutant(
        "a pattern's range that is reversed", "Storage/Base/Glob.swift",
        "c >= min(a, b) && c <= max(a, b)", "c >= (ON ? a : min(a, b)) && c <= (ON ? b : max(a, b))",
        "unit GlobTests", "keys",
    ),
]  # fmt: skip
