import Storage

/// A connection to a server that has let us in, for questions with one answer each; `RequestLine` sends many.
final class RemoteConnection {
    let access: ServerAccess
    let wire: Wire
    let replies: ReplyReader

    /// Connects and authenticates. Throws what the server says against it.
    init(_ access: ServerAccess) throws(RemoteError) {
        self.access = access
        wire = try Wire(access)
        replies = ReplyReader(wire)
        guard let password = access.password else { return }
        let answer = try call(access.user.map { ["AUTH", $0, password] } ?? ["AUTH", password])
        if let failure = answer.failure { throw RemoteError(failure) }
    }

    func call(_ words: [String]) throws(RemoteError) -> Reply {
        let request = OutputBuffer(capacity: 256)
        RequestEncoder.command(words, to: request)
        try wire.send(request.bytes)
        return try replies.next()
    }

    func select(_ database: Int32) throws(RemoteError) {
        if let failure = try call(["SELECT", String(database)]).failure { throw RemoteError(failure) }
    }
}

/// Writes requests in RESP.
enum RequestEncoder {
    static func command(_ words: [String], to output: OutputBuffer) {
        header(words.count, to: output)
        for word in words { argument(word, to: output) }
    }
    /// How many arguments follow, the command's name being one.
    static func header(_ count: Int, to output: OutputBuffer) {
        output.append(byte: UInt8(ascii: "*"))
        output.append(decimal: Int64(count))
        output.appendLineEnd()
    }
    static func argument(_ bytes: Bytes, to output: OutputBuffer) {
        output.append(byte: UInt8(ascii: "$"))
        output.append(decimal: Int64(bytes.count))
        output.appendLineEnd()
        output.append(bytes)
        output.appendLineEnd()
    }
    static func argument(_ text: String, to output: OutputBuffer) {
        var text = text
        text.withUTF8 { utf8 in argument(utf8.baseAddress.map { Bytes($0, utf8.count) } ?? Bytes(), to: output) }
    }
}

/// Which server it is, and what it can take: from INFO, which every kind answers.
struct ServerIdentity {
    private(set) var name = "Redis"
    private(set) var version = (major: 6, minor: 2)
    /// Of this start of the server; empty where it does not say.
    private(set) var runID = ""
    private(set) var isCluster = false

    /// Throws for a server that is too old.
    init(_ connection: RemoteConnection) throws(RemoteError) {
        // A server that does not tell is taken for an old one: its payloads are read by all.
        guard case .bulk(let text) = try connection.call(["INFO", "server"]) else { return }
        var fields: [String: String] = [:]
        for line in text.bytes.string.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2 { fields[String(parts[0])] = String(parts[1]) }
        }
        runID = fields["run_id"] ?? ""
        isCluster = (fields["redis_mode"] ?? fields["server_mode"]) == "cluster"
        if let swiftlet = fields["swiftlet_version"] {
            (name, version) = ("Swiftlet", Self.numbers(swiftlet))
        } else if let valkey = fields["valkey_version"] {
            (name, version) = ("Valkey", Self.numbers(valkey))
        } else if let redis = fields["redis_version"] {
            version = Self.numbers(redis)
        }
        if name == "Redis", version.major < 5 {
            throw RemoteError(
                "is Redis \(version.major).\(version.minor): 5.0 is the first that takes absolute expiries")
        }
    }

    private static func numbers(_ text: String) -> (major: Int, minor: Int) {
        let parts = text.split(separator: ".").map { Int($0) ?? 0 }
        return (parts.first ?? 0, parts.count > 1 ? parts[1] : 0)
    }

    var description: String { "\(name) \(version.major).\(version.minor)" }
    private var isRedis: Bool { name == "Redis" }

    /// The newest RDB version of payloads that it takes.
    var payloadVersion: Int {
        switch name {
        case "Swiftlet": 12
        case "Valkey": version.major >= 9 ? 80 : 11
        default: version >= (7, 4) ? 12 : version >= (7, 2) ? 11 : version >= (7, 0) ? 10 : 9
        }
    }
    /// FUNCTION, XSETID's counts, PEXPIRETIME.
    var isSeven: Bool { !isRedis || version.major >= 7 }
}
