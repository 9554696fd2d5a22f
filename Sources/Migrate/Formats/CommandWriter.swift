import Storage

/// Writes the commands that rebuild the keys, in RESP: for `redis-cli --pipe`, and as an append-only file. Large collections are
/// split into commands of some 64 KB.
final class CommandWriter: KeyVisitor {
    struct Options {
        /// XSETID and XGROUP take how many entries there were ever (Redis 7.0); before, that is lost.
        var hasStreamCounts = true
        /// HPEXPIREAT (Redis 7.4, Valkey 9).
        var hasFieldExpiries = true
        var dropsFieldExpiries = false
        var hasFunctions = true
        var dropsFunctions = false
    }

    private let out: Output
    private let options: Options
    private var fieldExpiriesDropped = 0
    private var functionsDropped = 0
    private var streamCountsDropped = 0
    var losses: RDBSink.Losses {
        RDBSink.Losses(
            fieldExpiries: fieldExpiriesDropped, functions: functionsDropped, streamCounts: streamCountsDropped)
    }

    private var database: Int32 = 0
    private let key = OutputBuffer()
    private var type = ValueType.string
    private var expiresMs: Int64?
    /// Of the command that is gathered: its arguments behind the key, encoded.
    private let arguments = OutputBuffer()
    private var count = 0
    private let command = OutputBuffer()
    private let number = OutputBuffer()
    private var pairs: [Bytes] = []
    private var outline = StreamOutline()
    private var entries = 0
    private var hasDroppedExpiries = false
    /// HPEXPIREAT commands, which come after the fields.
    private let expiries = OutputBuffer()

    private static let batchCount = 512
    private static let batchBytes = 64 << 10

    init(_ out: Output, _ options: Options) {
        self.out = out
        self.options = options
    }

    // MARK: - Keys

    func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) {
        try select(key.database)
        try send([Bytes("SET"), key.key, value])
        try expire(key.key, key.expiresMs)
    }

    func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError) {
        try select(key.database)
        self.type = type
        self.key.removeAll(keepingAtMost: 1 << 20)
        self.key.append(key.key)
        expiresMs = key.expiresMs
        entries = 0
        hasDroppedExpiries = false
        if type == .stream { outline = StreamOutline() }
    }
    func element(_ value: Bytes) throws(StorageError) { try add([value]) }
    func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        try add([field, value])
        if let expiresMs { try expire(field: field, expiresMs) }
    }
    func scored(_ member: Bytes, _ score: Double) throws(StorageError) {
        number.removeAll()
        number.append(score: score)
        try add([number.bytes, member])
    }

    private func add(_ words: [Bytes]) throws(StorageError) {
        for word in words { arguments.append(bulk: word) }
        count += words.count
        if count >= Self.batchCount || arguments.count >= Self.batchBytes { try sendBatch() }
    }
    private func sendBatch() throws(StorageError) {
        if count == 0 { return }
        let name: StaticString =
            switch type {
            case .list: "RPUSH"
            case .set: "SADD"
            case .zset: "ZADD"
            case .hash: "HSET"
            case .string: "SET"
            case .stream: "XADD"
            }
        command.removeAll()
        command.append(arrayOf: count + 2)
        command.append(bulk: Bytes(name))
        command.append(bulk: key.bytes)
        try out.write(command.bytes)
        try out.write(arguments.bytes)
        arguments.removeAll(keepingAtMost: 4 * Self.batchBytes)
        count = 0
    }

    func end() throws(StorageError) {
        if type == .stream { try endStream() } else { try sendBatch() }
        try out.write(expiries.bytes)
        expiries.removeAll(keepingAtMost: 1 << 20)
        try expire(key.bytes, expiresMs)
    }

    func function(_ name: Bytes, _ code: Bytes) throws(StorageError) {
        if options.hasFunctions { return try send([Bytes("FUNCTION"), Bytes("LOAD"), Bytes("REPLACE"), code]) }
        guard options.dropsFunctions else {
            throw StorageError(
                file: "the library of functions \(name.quoted)",
                message: "cannot be loaded by this server; `--drop-functions` leaves libraries out")
        }
        functionsDropped += 1
    }

    // MARK: - Streams

    func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) {
        guard StreamFields.unpack(fields, into: &pairs) else { return }
        entries += 1
        number.removeAll()
        number.append(id: id)
        try send([Bytes("XADD"), key.bytes, number.bytes] + pairs)
    }
    func streamRow(_ row: StreamRow) throws(StorageError) {
        if !outline.add(row) {
            throw StorageError(file: "the stream", message: "a row belongs to a group or consumer that is not there")
        }
    }

    private func endStream() throws(StorageError) {
        if entries == 0 {
            // No other command makes an empty one.
            try send([Bytes("XGROUP"), Bytes("CREATE"), key.bytes, Bytes("x"), Bytes("$"), Bytes("MKSTREAM")])
            try send([Bytes("XGROUP"), Bytes("DESTROY"), key.bytes, Bytes("x")])
        }
        let state = outline.state
        let last = text { $0.append(id: state.lastID) }
        var words = [Bytes("XSETID"), key.bytes, last.bytes]
        let added = text { $0.append(decimal: state.entriesAdded) }
        let deleted = text { $0.append(id: state.maxDeletedID) }
        if !options.hasStreamCounts { streamCountsDropped += 1 }
        if options.hasStreamCounts {
            words += [Bytes("ENTRIESADDED"), added.bytes, Bytes("MAXDELETEDID"), deleted.bytes]
        }
        try send(words)
        for group in outline.groups { try write(group) }
    }

    private func write(_ group: StreamOutline.Group) throws(StorageError) {
        let name = OutputBuffer()
        group.name.lend { name.append($0) }
        let last = text { $0.append(id: group.lastID) }
        var words = [Bytes("XGROUP"), Bytes("CREATE"), key.bytes, name.bytes, last.bytes]
        let read = text { $0.append(decimal: group.entriesRead ?? -1) }
        if options.hasStreamCounts && group.entriesRead != nil { words += [Bytes("ENTRIESREAD"), read.bytes] }
        try send(words)
        for consumer in group.consumers {
            let owner = OutputBuffer()
            consumer.name.lend { owner.append($0) }
            try send([Bytes("XGROUP"), Bytes("CREATECONSUMER"), key.bytes, name.bytes, owner.bytes])
            for entry in consumer.pending {
                let id = text { $0.append(id: entry.id) }
                let time = text { $0.append(decimal: entry.deliveredMs) }
                let deliveries = text { $0.append(decimal: entry.deliveries) }
                try send([
                    Bytes("XCLAIM"), key.bytes, name.bytes, owner.bytes, Bytes("0"), id.bytes, Bytes("TIME"),
                    time.bytes, Bytes("RETRYCOUNT"), deliveries.bytes, Bytes("JUSTID"), Bytes("FORCE"),
                ])
            }
        }
    }

    // MARK: - Commands

    private func expire(_ key: Bytes, _ ms: Int64?) throws(StorageError) {
        guard let ms else { return }
        let time = text { $0.append(decimal: ms) }
        try send([Bytes("PEXPIREAT"), key, time.bytes])
    }

    private func expire(field: Bytes, _ ms: Int64) throws(StorageError) {
        guard options.hasFieldExpiries else {
            guard options.dropsFieldExpiries else {
                throw StorageError(
                    file: "the hash \(key.bytes.quoted) in database \(database)",
                    message: "has fields that expire, which this server cannot hold; `--drop-field-ttls` leaves their "
                        + "expiries out")
            }
            if !hasDroppedExpiries { fieldExpiriesDropped += 1 }
            hasDroppedExpiries = true
            return
        }
        let time = text { $0.append(decimal: ms) }
        expiries.append(
            command: [
                Bytes("HPEXPIREAT"), key.bytes, time.bytes, Bytes("FIELDS"), Bytes("1"), field,
            ])
        // The fields that are gathered must be there first.
        if expiries.count >= Self.batchBytes {
            try sendBatch()
            try out.write(expiries.bytes)
            expiries.removeAll()
        }
    }

    private func select(_ database: Int32) throws(StorageError) {
        if database == self.database { return }
        self.database = database
        let number = text { $0.append(decimal: Int64(database)) }
        try send([Bytes("SELECT"), number.bytes])
    }

    private func text(_ write: (OutputBuffer) -> Void) -> OutputBuffer {
        let buffer = OutputBuffer(capacity: 64)
        write(buffer)
        return buffer
    }

    private func send(_ words: [Bytes]) throws(StorageError) {
        command.removeAll(keepingAtMost: 1 << 20)
        command.append(command: words)
        try out.write(command.bytes)
    }
}

extension OutputBuffer {
    fileprivate func append(arrayOf count: Int) {
        append("*")
        append(decimal: Int64(count))
        appendLineEnd()
    }
    fileprivate func append(bulk bytes: Bytes) {
        append("$")
        append(decimal: Int64(bytes.count))
        appendLineEnd()
        append(bytes)
        appendLineEnd()
    }
    fileprivate func append(command words: [Bytes]) {
        append(arrayOf: words.count)
        for word in words { append(bulk: word) }
    }
}
