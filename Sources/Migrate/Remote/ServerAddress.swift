import ArgumentParser

/// Where a server is, in which database, and who asks: `host:port[/db]`, `redis://` and `rediss://` URLs as redis-cli takes
/// them (https://www.iana.org/assignments/uri-schemes/prov/redis), and the path of a socket.
struct ServerAddress {
    enum Endpoint: Hashable, CustomStringConvertible {
        case host(String, port: String)
        case path(String)

        var description: String {
            switch self {
            case .host(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            case .path(let path): path
            }
        }
    }

    var endpoint: Endpoint
    /// nil where none is named.
    var database: Int32?
    var user: String?
    var password: String?
    var isEncrypted = false

    /// Throws what a user can mend.
    init(_ text: String) throws {
        var rest = Substring(text)
        for (scheme, encrypted) in [
            ("redis://", false), ("valkey://", false), ("rediss://", true), ("valkeys://", true),
        ]
        where rest.hasPrefix(scheme) {
            rest = rest.dropFirst(scheme.count)
            isEncrypted = encrypted
        }
        for scheme in ["unix://", "unix:"] where rest.hasPrefix(scheme) {
            endpoint = .path(String(rest.dropFirst(scheme.count)))
            return
        }
        if rest.hasPrefix("/") || rest.hasPrefix("./") {
            endpoint = .path(String(rest))
            return
        }
        if let at = rest.lastIndex(of: "@") {
            let login = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            rest = rest[rest.index(after: at)...]
            if let name = login.first, login.count == 2, !name.isEmpty { user = try Self.decoded(name, text) }
            if let secret = login.last { password = try Self.decoded(secret, text) }
        }
        if let slash = rest.firstIndex(of: "/") {
            let number = rest[rest.index(after: slash)...]
            if !number.isEmpty {
                guard let database = Int32(number), database >= 0 else {
                    throw ValidationError("\"\(text)\" names no database: /0, /1 … follow the port.")
                }
                self.database = database
            }
            rest = rest[..<slash]
        }
        endpoint = try Self.endpoint(rest, text)
    }

    private static func endpoint(_ rest: Substring, _ text: String) throws -> Endpoint {
        var (host, port) = (rest, Substring("6379"))
        if rest.hasPrefix("["), let end = rest.lastIndex(of: "]") {
            host = rest[rest.index(after: rest.startIndex)..<end]
            let behind = rest[rest.index(after: end)...]
            if behind.hasPrefix(":") { port = behind.dropFirst() }
        } else if let colon = rest.lastIndex(of: ":") {
            host = rest[..<colon]
            port = rest[rest.index(after: colon)...]
        }
        guard !host.isEmpty, let number = UInt16(port), number > 0 else {
            throw ValidationError(
                "\"\(text)\" is no address: host:port, host:port/db, redis://… or a socket's path is one.")
        }
        return .host(String(host), port: String(port))
    }

    /// Without %XX.
    private static func decoded(_ text: Substring, _ whole: String) throws -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte != UInt8(ascii: "%") {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                throw ValidationError("the name or password in the URL has a % without two hexadecimal digits.")
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
