import Storage

/// The conditions that CLIENT LIST and CLIENT KILL have for clients, all of which must hold: those of Redis 7.4 and Valkey
/// 9. Of two conditions of one kind the last one counts, as in Redis, but ids add up.
struct ClientFilter {
    private typealias Condition = (Session) -> Bool

    /// Those that ID names, in their order; nil: any.
    private(set) var ids: [UInt64]?
    /// Whether the client that asks is left out; nil where nothing is said.
    private(set) var skipsMe: Bool?
    /// By their options' names in lower case.
    private var conditions: [String: Condition] = [:]

    /// The older form of CLIENT KILL: an address alone.
    init(address: Bytes) {
        let address = address.string
        conditions["addr"] = { $0.address == address }
    }

    /// Parses the options of `args` from `start` on. Throws Redis's error, or Valkey's, at the first that is unknown.
    init(_ args: Arguments, from start: Int, _ services: Services) throws(CommandError) {
        var i = start
        while i < args.count {
            let name = args[i].string.lowercased()
            guard i + 1 < args.count else { throw .syntax }
            switch name {
            case "id":
                ids = (ids ?? []) + (try Self.ids(args, &i))
            case "not-id":
                let excluded = Set(try Self.ids(args, &i))
                conditions[name] = { !excluded.contains($0.id) }
            case "skipme":
                skipsMe = try Self.isYes(args[i + 1])
                i += 2
            default:
                conditions[name] = try Self.condition(name, args[i + 1], services)
                i += 2
            }
        }
    }

    func matches(_ session: Session) -> Bool { conditions.values.allSatisfy { $0(session) } }

    // MARK: - Values

    /// Ids from behind `args[i]` on, as many as there are; the first must be one.
    private static func ids(_ args: Arguments, _ i: inout Int) throws(CommandError) -> [UInt64] {
        var found: [UInt64] = []
        i += 1
        while i < args.count, let id = args[i].integer {
            if id < 1 { throw .invalidClientID }
            found.append(UInt64(id))
            i += 1
        }
        if found.isEmpty { throw .invalidClientID }
        return found
    }

    private static func isYes(_ value: Bytes) throws(CommandError) -> Bool {
        if value.equals(ignoringCase: "yes") { return true }
        if value.equals(ignoringCase: "no") { return false }
        throw .syntax
    }

    /// An option with one value. Times have no opposite.
    private static func condition(_ name: String, _ value: Bytes, _ services: Services) throws(CommandError)
        -> Condition
    {
        switch name {
        case "maxage":
            let age = try seconds(value, name)
            return { $0.services.keyspace.now / 1000 - $0.created >= age }
        case "idle":
            let idle = try seconds(value, name)
            return { $0.services.keyspace.now / 1000 - $0.lastInteraction >= idle }
        case _ where name.hasPrefix("not-"):
            let opposite = try property(String(name.dropFirst(4)), value, services)
            return { !opposite($0) }
        default: return try property(name, value, services)
        }
    }

    private static func property(_ name: String, _ value: Bytes, _ services: Services) throws(CommandError)
        -> Condition
    {
        let text = value.string
        switch name {
        case "type":
            guard let type = ClientType(value) else { throw .unknownClientType(value) }
            return { ClientType($0) == type }
        case "user":
            guard let user = services.users.find(value) else {
                throw CommandError(parts: Bytes("ERR No such user '"), value, Bytes("'"))
            }
            return { $0.user === user }
        case "addr": return { $0.address == text }
        case "laddr": return { $0.localAddress == text }
        case "ip": return { host(of: $0.address) == text }
        case "name": return { $0.name == text }
        case "lib-name": return { $0.libraryName == text }
        case "lib-ver": return { $0.libraryVersion == text }
        case "flags":
            let letters = try known(text, ClientDescription.knownFlags, "flags")
            return { Set(ClientDescription.flags($0)).isSuperset(of: letters) }
        case "capa":
            // Of what CLIENT CAPA claims in Valkey, nothing is there.
            let letters = try known(text, "r", "capa")
            return { _ in letters.isEmpty }
        case "db":
            let index = try number(value, "DB")
            let count = services.keyspace.databases.count
            guard (0..<Int64(count)).contains(index) else {
                throw CommandError("ERR DB number should be between 0 and \(count - 1)")
            }
            return { $0.db == index }
        default: throw .syntax
        }
    }

    private static func number(_ value: Bytes, _ name: String) throws(CommandError) -> Int64 {
        guard let number = value.integer else { throw CommandError("ERR \(name) is not an integer or out of range") }
        return number
    }

    private static func seconds(_ value: Bytes, _ name: String) throws(CommandError) -> Int64 {
        let seconds = try number(value, name)
        if seconds < 1 { throw CommandError("ERR \(name) should be greater than 0") }
        return seconds
    }

    private static func known(_ letters: String, _ known: String, _ what: String) throws(CommandError) -> Set<Character>
    {
        if let unknown = letters.first(where: { !known.contains($0) }) {
            throw CommandError("ERR Unknown \(what) found in the provided filter: \(unknown)")
        }
        return Set(letters)
    }

    /// What stands before the port, without the brackets of IPv6.
    private static func host(of address: String) -> Substring {
        let host = address[..<(address.lastIndex(of: ":") ?? address.endIndex)]
        return host.hasPrefix("[") && host.hasSuffix("]") ? host.dropFirst().dropLast() : host
    }
}

extension CommandError {
    static let invalidClientID = CommandError("ERR client-id should be greater than 0")
    static func unknownClientType(_ name: Bytes) -> CommandError {
        CommandError(parts: Bytes("ERR Unknown client type '"), name, Bytes("'"))
    }
}
