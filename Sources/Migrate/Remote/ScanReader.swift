import Storage

/// Reads a server's keys by SCAN and DUMP, where it lets nobody follow it. What changes meanwhile is read before or after its
/// change: the keys are of no one moment. A key that is there all the time is read once.
struct ScanReader {
    let connection: RemoteConnection
    let identity: ServerIdentity
    let options: RDBOptions
    /// Keys that went away between SCAN and DUMP.
    private(set) var vanished = 0
    private(set) var keys = 0
    private(set) var expired = 0
    /// Values of modules that were left out.
    private(set) var skipped = 0

    private static let scanned = "512"
    /// Bytes of values that may be under way.
    private static let batchBytes = 8 << 20
    private static let mostKeys = 512

    init(_ connection: RemoteConnection, _ identity: ServerIdentity, _ options: RDBOptions) {
        self.connection = connection
        self.identity = identity
        self.options = options
    }

    /// Reads libraries of functions, and all databases. O(data), in memory of the largest value and 32 to 64 bytes a key.
    mutating func read(into sink: any KeySink, hasFunctions: Bool) throws(StorageError) {
        var sink = sink
        if hasFunctions && identity.isSeven { try readFunctions(into: &sink) }
        let databases: [(number: Int32, keys: Int64)] = try remote { () throws(RemoteError) in try findDatabases() }
        let all = databases.reduce(0) { $0 + $1.keys }
        for (number, _) in databases {
            try remote { () throws(RemoteError) in try connection.select(number) }
            try read(number, of: all, into: &sink)
        }
    }

    private func remote<T>(_ body: () throws(RemoteError) -> T) throws(StorageError) -> T {
        do throws(RemoteError) { return try body() } catch { throw error.asStorageError(connection.access.endpoint) }
    }

    private func damage(_ message: String) -> StorageError {
        StorageError(file: connection.access.endpoint.description, message: message)
    }

    private func readFunctions(into sink: inout any KeySink) throws(StorageError) {
        let answer = try remote { () throws(RemoteError) in try connection.call(["FUNCTION", "DUMP"]) }
        guard case .bulk(let payload) = answer else { return }
        let libraries: [[UInt8]]
        do throws(FunctionPayload.Failure) {
            libraries = try FunctionPayload.read(payload.bytes, checksum: true)
        } catch {
            throw damage("FUNCTION DUMP: the payload is damaged or of a version that is not known")
        }
        for code in libraries {
            try code.lend { (code) throws(StorageError) in
                guard let name = FunctionLibrary.name(in: code) else {
                    throw damage("a library of functions does not begin with #!engine name=...")
                }
                try sink.function(name, code)
            }
        }
    }

    /// Those with keys: "db0:keys=12,expires=3,…".
    private func findDatabases() throws(RemoteError) -> [(number: Int32, keys: Int64)] {
        guard case .bulk(let text) = try connection.call(["INFO", "keyspace"]) else { return [(0, 0)] }
        return text.bytes.string.split(whereSeparator: \.isNewline).compactMap { line in
            guard line.hasPrefix("db"), let colon = line.firstIndex(of: ":"),
                let number = Int32(line[line.index(line.startIndex, offsetBy: 2)..<colon]),
                let equals = line.firstIndex(of: "=")
            else { return nil }
            let digits = line[line.index(after: equals)...].prefix { $0.isNumber }
            return (number, Int64(digits) ?? 0)
        }
    }

    // MARK: - Keys

    private mutating func read(
        _ database: Int32, of all: Int64, into sink: inout any KeySink
    ) throws(StorageError) {
        var cursor = "0"
        var seen = DuplicateFilter()
        var batch = 32
        repeat {
            let answer = try remote { () throws(RemoteError) in
                try connection.call(["SCAN", cursor, "COUNT", Self.scanned])
            }
            guard let parts = answer.array, parts.count == 2, let next = parts[0].text, let found = parts[1].array
            else {
                throw damage("SCAN: \(answer.failure ?? "answers something else than keys")")
            }
            cursor = next
            var names: [OutputBuffer] = []
            for case .bulk(let name) in found where seen.insert(name.bytes) { names.append(name) }
            var first = 0
            while first < names.count {
                let last = min(first + batch, names.count)
                let bytes = try read(names[first..<last], database, into: sink)
                // Batches of as many keys as values under way may be large.
                batch = max(1, min(Self.mostKeys, Self.batchBytes / max(1, bytes / (last - first))))
                first = last
                try sink.reached(Int64(keys), of: max(all, Int64(keys)))
            }
        } while cursor != "0"
    }

    /// Reads some keys, whose values are asked for all at once. Returns the bytes of the values.
    private mutating func read(
        _ names: ArraySlice<OutputBuffer>, _ database: Int32, into sink: any KeySink
    ) throws(StorageError) -> Int {
        let request = OutputBuffer()
        for name in names {
            if !identity.isSeven { RequestEncoder.command(["TIME"], to: request) }
            for word in [identity.isSeven ? "PEXPIRETIME" : "PTTL", "DUMP"] {
                RequestEncoder.header(2, to: request)
                RequestEncoder.argument(word, to: request)
                RequestEncoder.argument(name.bytes, to: request)
            }
        }
        try remote { () throws(RemoteError) in try connection.wire.send(request.bytes) }
        var bytes = 0
        for name in names {
            // What is left of a key's time counts from the moment before.
            let now = identity.isSeven ? 0 : try serverTime(try nextReply())
            let expiry = try nextReply()
            let value = try nextReply()
            if let failure = expiry.failure ?? value.failure { throw damage("key \(name.bytes.quoted): \(failure)") }
            guard case .bulk(let payload) = value, let left = expiry.integer, left != -2 else {
                vanished += 1
                continue
            }
            bytes += payload.count
            let expiresMs: Int64? = left < 0 ? nil : left &+ now
            if let expiresMs, let due = options.dropExpiredAt, expiresMs <= due {
                expired += 1
                continue
            }
            if DumpPayload.isModule(payload.bytes) && options.skipUnsupported {
                skipped += 1
                continue
            }
            keys += 1
            let key = VisitedKey(database: database, key: name.bytes, expiresMs: expiresMs)
            try DumpPayload.visit(payload.bytes, as: key, options: options, sink)
        }
        return bytes
    }

    private func nextReply() throws(StorageError) -> Reply {
        try remote { () throws(RemoteError) in try connection.replies.next() }
    }

    /// In ms since 1970.
    private func serverTime(_ reply: Reply) throws(StorageError) -> Int64 {
        guard let parts = reply.array, parts.count == 2, let seconds = parts[0].text.flatMap({ Int64($0) }),
            let micros = parts[1].text.flatMap({ Int64($0) }), seconds < 1 << 40
        else { throw damage("TIME: \(reply.failure ?? "answers no time")") }
        return seconds &* 1000 &+ micros / 1000
    }
}
