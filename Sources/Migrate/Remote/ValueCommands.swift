import Storage

/// Makes a value that is too large for a payload by commands in batches. A client of the target sees it grow meanwhile.
final class ValueCommands {
    private let target: RemoteTarget
    private let type: ValueType
    private let key: OutputBuffer
    private let ordinal: Int
    private let database: Int32
    /// Arguments of the next command: fields, members, items.
    private let arguments = OutputBuffer()
    private var argumentCount = 0
    private var fieldExpiries: [(field: [UInt8], expiresMs: Int64)] = []
    private var pairs: [Bytes] = []
    // Of a stream: what its rows say by slots.
    private var state: StreamState?
    private var groups: [UInt32: [UInt8]] = [:]
    private var consumers: [UInt32: [UInt8]] = [:]

    /// Bytes of rows that are gathered for it.
    static let batchSize = 256 << 10
    /// What a command holds at most, beyond its last element.
    private static let mostArguments = 1000
    private static let mostBytes = 64 << 10
    private static let stringPiece = 4 << 20

    /// `key` is copied.
    init(_ target: RemoteTarget, _ type: ValueType, key: Bytes, ordinal: Int, database: Int32) {
        self.target = target
        self.type = type
        self.key = OutputBuffer(copying: key)
        self.ordinal = ordinal
        self.database = database
    }

    func string(_ value: Bytes) throws(RemoteError) {
        var sent = 0
        while sent < value.count {
            let end = min(sent + Self.stringPiece, value.count)
            add(value[sent..<end])
            try flush(as: "APPEND", repeatable: false)
            sent = end
        }
    }

    /// Sends elements, and rows of streams.
    func send(_ rows: RowBatch) throws(RemoteError) {
        try rows.forEach { (row: Row) throws(RemoteError) in
            switch row {
            case .element(_, _, _, let first, let second, let score, let expiresMs):
                try element(first, second, score, expiresMs)
            case .stream(_, let row): try streamRow(row)
            case .string, .owner, .removeString, .removeOwner, .removeElements, .flushAll, .flushDatabase,
                .swapDatabases:
                break
            }
        }
        try flush()
        try expireFields()
    }

    /// What holds for the whole key comes last.
    func end(expiresMs: Int64?) throws(RemoteError) {
        try flush()
        try sendState()
        guard let expiresMs else { return }
        add(String(max(1, expiresMs)))
        try flush(as: "PEXPIREAT")
    }

    // MARK: - Elements

    private func element(
        _ first: Bytes, _ second: Bytes, _ score: Double, _ expiresMs: Int64?
    ) throws(RemoteError) {
        switch type {
        case .list, .set: add(first)
        case .zset:
            add(Self.text(score))
            add(first)
        case .hash:
            add(first)
            add(second)
            if let expiresMs { fieldExpiries.append((first.array, expiresMs)) }
        case .stream:
            guard let id = StreamID(bytes: first), StreamFields.unpack(second, into: &pairs) else { return }
            add(Self.text(id))
            for part in pairs { add(part) }
            return try flush(as: "XADD")
        case .string: break
        }
        if argumentCount >= Self.mostArguments || arguments.count >= Self.mostBytes { try flush() }
    }

    private func flush() throws(RemoteError) {
        switch type {
        case .list: try flush(as: "RPUSH", repeatable: false)
        case .set: try flush(as: "SADD")
        case .zset: try flush(as: "ZADD")
        case .hash: try flush(as: "HSET")
        case .stream, .string: break
        }
    }

    private func expireFields() throws(RemoteError) {
        for (field, expiresMs) in fieldExpiries {
            for word in [String(max(1, expiresMs)), "FIELDS", "1"] { add(word) }
            field.lend { add($0) }
            try flush(as: "HPEXPIREAT")
        }
        fieldExpiries.removeAll()
    }

    // MARK: - Streams

    private func streamRow(_ row: StreamRow) throws(RemoteError) {
        switch row {
        case .state(let state): self.state = state
        case .group(let slot, let name, let lastID, let entriesRead):
            try sendState()
            groups[slot] = name.array
            add(name)
            add(Self.text(lastID))
            if let entriesRead, target.identity.isSeven {
                add("ENTRIESREAD")
                add(String(entriesRead))
            }
            try flush(as: "XGROUP", "CREATE")
        case .consumer(let slot, let group, let name, _, _):
            guard let groupName = groups[group] else { return }
            consumers[slot] = name.array
            groupName.lend { add($0) }
            add(name)
            try flush(as: "XGROUP", "CREATECONSUMER")
        case .pending(_, let group, let consumer, let id, let deliveredMs, let deliveries):
            guard let groupName = groups[group], let name = consumers[consumer] else { return }
            groupName.lend { add($0) }
            name.lend { add($0) }
            for word in [
                "0", Self.text(id), "TIME", String(deliveredMs), "RETRYCOUNT", String(deliveries), "FORCE", "JUSTID",
            ] {
                add(word)
            }
            try flush(as: "XCLAIM")
        case .remove: break
        }
    }

    /// Behind the entries, before the groups.
    private func sendState() throws(RemoteError) {
        guard let state else { return }
        self.state = nil
        add(Self.text(state.lastID))
        if target.identity.isSeven {
            for word in ["ENTRIESADDED", String(state.entriesAdded), "MAXDELETEDID", Self.text(state.maxDeletedID)] {
                add(word)
            }
        }
        try flush(as: "XSETID")
    }

    // MARK: - Commands

    private func add(_ argument: Bytes) {
        RequestEncoder.argument(argument, to: arguments)
        argumentCount += 1
    }
    private func add(_ text: String) {
        RequestEncoder.argument(text, to: arguments)
        argumentCount += 1
    }

    /// Sends the arguments so far, if there are any, behind the command's name and the key. One that may not be executed
    /// twice is alone on its way.
    private func flush(as name: String, _ subcommand: String? = nil, repeatable: Bool = true) throws(RemoteError) {
        if argumentCount == 0 { return }
        let request = target.makeRequest()
        request.purpose = .piece(repeatable: repeatable)
        request.ordinal = ordinal
        request.database = database
        let output = request.bytes
        RequestEncoder.header(argumentCount + (subcommand == nil ? 2 : 3), to: output)
        RequestEncoder.argument(name, to: output)
        if let subcommand { RequestEncoder.argument(subcommand, to: output) }
        RequestEncoder.argument(key.bytes, to: output)
        request.key = output.count - 2 - key.count..<output.count - 2
        output.append(arguments.bytes)
        arguments.removeAll(keepingAtMost: 1 << 20)
        argumentCount = 0
        try target.send(request)
        if !repeatable { try target.finish() }
    }

    private static func text(_ score: Double) -> String {
        score == .infinity ? "inf" : score == -.infinity ? "-inf" : "\(score)"
    }
    private static func text(_ id: StreamID) -> String { "\(id.ms)-\(id.seq)" }
}
