import Storage

/// What a stream has besides its entries, gathered from its rows: in memory, a pending entry takes some 50 bytes.
struct StreamOutline {
    struct Pending {
        let id: StreamID
        let deliveredMs: Int64
        let deliveries: Int64
    }
    struct Consumer {
        let name: [UInt8]
        let seenMs: Int64
        let activeMs: Int64?
        var pending: [Pending] = []
    }
    struct Group {
        let name: [UInt8]
        let lastID: StreamID
        let entriesRead: Int64?
        var consumers: [Consumer] = []
    }

    var state = StreamState()
    var groups: [Group] = []
    /// By the slots that rows name: places in `groups`, and in a group's consumers.
    private var groupPlaces: [UInt32: Int] = [:]
    private var consumerPlaces: [UInt32: (group: Int, consumer: Int)] = [:]

    /// Takes a row in. False where it belongs to a group or consumer that is not there.
    mutating func add(_ row: StreamRow) -> Bool {
        switch row {
        case .state(let state): self.state = state
        case .group(let slot, let name, let lastID, let entriesRead):
            groupPlaces[slot] = groups.count
            groups.append(Group(name: name.array, lastID: lastID, entriesRead: entriesRead))
        case .consumer(let slot, let group, let name, let seenMs, let activeMs):
            guard let place = groupPlaces[group] else { return false }
            consumerPlaces[slot] = (place, groups[place].consumers.count)
            groups[place].consumers.append(Consumer(name: name.array, seenMs: seenMs, activeMs: activeMs))
        case .pending(_, _, let consumer, let id, let deliveredMs, let deliveries):
            guard let place = consumerPlaces[consumer] else { return false }
            groups[place.group].consumers[place.consumer].pending.append(
                Pending(id: id, deliveredMs: deliveredMs, deliveries: deliveries))
        case .remove: return false
        }
        return true
    }

    /// Tells the rows to a sink.
    func tell(_ sink: any KeySink) throws(StorageError) {
        var sink = sink
        try sink.streamRow(.state(state))
        var consumerSlot: UInt32 = 0
        var pendingSlot: UInt32 = 0
        for (index, group) in groups.enumerated() {
            let slot = UInt32(truncatingIfNeeded: index)
            try group.name.lend { (name) throws(StorageError) in
                try sink.streamRow(
                    .group(slot: slot, name: name, lastID: group.lastID, entriesRead: group.entriesRead))
            }
            for consumer in group.consumers {
                try consumer.name.lend { (name) throws(StorageError) in
                    try sink.streamRow(
                        .consumer(
                            slot: consumerSlot, group: slot, name: name, seenMs: consumer.seenMs,
                            activeMs: consumer.activeMs))
                }
                for entry in consumer.pending {
                    try sink.streamRow(
                        .pending(
                            slot: pendingSlot, group: slot, consumer: consumerSlot, id: entry.id,
                            deliveredMs: entry.deliveredMs, deliveries: entry.deliveries))
                    pendingSlot += 1
                }
                consumerSlot += 1
            }
        }
    }
}

// MARK: - JSON

extension StreamOutline {
    /// The members `last_id`, `max_deleted_id`, `entries_added` and `groups` of an object, without its braces.
    func append(jsonMembersTo out: OutputBuffer) {
        out.append("\"last_id\":")
        out.append(jsonID: state.lastID)
        out.append(",\"max_deleted_id\":")
        out.append(jsonID: state.maxDeletedID)
        out.append(",\"entries_added\":")
        out.append(decimal: state.entriesAdded)
        out.append(",\"groups\":[")
        for (index, group) in groups.enumerated() {
            if index > 0 { out.append(",") }
            out.append("{\"name\":")
            group.name.lend { out.append(json: $0) }
            out.append(",\"last_id\":")
            out.append(jsonID: group.lastID)
            out.append(",\"entries_read\":")
            out.append(jsonOptional: group.entriesRead)
            out.append(",\"consumers\":[")
            for (index, consumer) in group.consumers.enumerated() {
                if index > 0 { out.append(",") }
                append(consumer, to: out)
            }
            out.append("]}")
        }
        out.append("]")
    }

    private func append(_ consumer: Consumer, to out: OutputBuffer) {
        out.append("{\"name\":")
        consumer.name.lend { out.append(json: $0) }
        out.append(",\"seen_ms\":")
        out.append(decimal: consumer.seenMs)
        out.append(",\"active_ms\":")
        out.append(jsonOptional: consumer.activeMs)
        out.append(",\"pending\":[")
        for (index, entry) in consumer.pending.enumerated() {
            out.append(index > 0 ? ",[" : "[")
            out.append(jsonID: entry.id)
            out.append(",")
            out.append(decimal: entry.deliveredMs)
            out.append(",")
            out.append(decimal: entry.deliveries)
            out.append("]")
        }
        out.append("]}")
    }

    /// Reads a member that `append` writes; false for another one.
    mutating func read(member name: String, _ scanner: inout JSONScanner) throws(StorageError) -> Bool {
        switch name {
        case "last_id": state.lastID = try scanner.streamID()
        case "max_deleted_id": state.maxDeletedID = try scanner.streamID()
        case "entries_added": state.entriesAdded = try scanner.integer()
        case "groups":
            try scanner.array { (scanner) throws(StorageError) in groups.append(try Self.group(&scanner)) }
        case _: return false
        }
        return true
    }

    private static func group(_ scanner: inout JSONScanner) throws(StorageError) -> Group {
        var name: [UInt8]?
        var lastID = StreamID.zero
        var entriesRead: Int64?
        var consumers: [Consumer] = []
        try scanner.object { (member, scanner) throws(StorageError) in
            switch member {
            case "name": name = try scanner.text().array
            case "last_id": lastID = try scanner.streamID()
            case "entries_read": entriesRead = try scanner.optionalInteger()
            case "consumers":
                try scanner.array { (scanner) throws(StorageError) in consumers.append(try consumer(&scanner)) }
            case _: try scanner.skip()
            }
        }
        guard let name else { throw scanner.damage("a group has no name") }
        var group = Group(name: name, lastID: lastID, entriesRead: entriesRead)
        group.consumers = consumers
        return group
    }

    private static func consumer(_ scanner: inout JSONScanner) throws(StorageError) -> Consumer {
        var name: [UInt8]?
        var seenMs: Int64 = 0
        var activeMs: Int64?
        var pending: [Pending] = []
        try scanner.object { (member, scanner) throws(StorageError) in
            switch member {
            case "name": name = try scanner.text().array
            case "seen_ms": seenMs = try scanner.integer()
            case "active_ms": activeMs = try scanner.optionalInteger()
            case "pending":
                try scanner.array { (scanner) throws(StorageError) in
                    var place = 0
                    var id = StreamID.zero
                    var numbers: [Int64] = [0, 0]
                    try scanner.array { (scanner) throws(StorageError) in
                        if place == 0 {
                            id = try scanner.streamID()
                        } else if place < 3 {
                            numbers[place - 1] = try scanner.integer()
                        }
                        place += 1
                    }
                    if place != 3 { throw scanner.damage("a pending entry is not [id, delivered_ms, deliveries]") }
                    pending.append(Pending(id: id, deliveredMs: numbers[0], deliveries: numbers[1]))
                }
            case _: try scanner.skip()
            }
        }
        guard let name else { throw scanner.damage("a consumer has no name") }
        var consumer = Consumer(name: name, seenMs: seenMs, activeMs: activeMs)
        consumer.pending = pending
        return consumer
    }
}
