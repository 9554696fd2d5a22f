import Storage

/// Classes of clients, as CLIENT LIST and KILL know them.
enum ClientType {
    case normal, master, replica, pubsub

    /// nil for a name that is none, whatever its case.
    init?(_ name: Bytes) {
        if name.equals(ignoringCase: "normal") {
            self = .normal
        } else if name.equals(ignoringCase: "master") {
            self = .master
        } else if name.equals(ignoringCase: "replica") || name.equals(ignoringCase: "slave") {
            self = .replica
        } else if name.equals(ignoringCase: "pubsub") {
            self = .pubsub
        } else {
            return nil
        }
    }

    init(_ client: Client) {
        if client.flags.contains(.master) {
            self = .master
        } else if client.flags.contains(.replica) && !client.flags.contains(.monitor) {
            self = .replica
        } else if client.hasSubscriptions {
            self = .pubsub
        } else {
            self = .normal
        }
    }
}

/// A condition of CLIENT KILL.
enum ClientFilter {
    case id(UInt64)
    case type(ClientType)
    case address(String)
    case localAddress(String)
    case user(String)

    func matches(_ client: Client) -> Bool {
        switch self {
        case .id(let id): client.id == id
        case .type(let type): ClientType(client) == type
        case .address(let address): client.address == address
        case .localAddress(let address): client.localAddress == address
        case .user(let user): client.user == user
        }
    }
}

/// A client's line of CLIENT LIST, in the fields and order of Redis 7.2.
enum ClientDescription {
    /// `current`: the arguments of the command that this is for; whose they are is `executing`.
    static func append(
        _ client: Client, _ server: Server, to out: OutputBuffer, executing: Client? = nil, current: Arguments? = nil
    ) {
        let now = server.keyspace.now / 1000
        let input = client.input.count + client.inputInPlace
        let inputFree = client.input.capacity - client.input.count
        let multi = client.flags.contains(.multi) ? client.transaction.queue.count : -1
        // Redis has a fixed buffer, and a list for what does not fit; here there is one buffer, shown as if it were cut.
        let pending = client.pendingOutput
        let inFixed = min(pending, Client.fixedOutput)
        let inList = pending > inFixed ? max(pending, client.output.capacity) - inFixed : 0
        var arguments = client.waiter?.request.argumentBytes ?? 0
        if client === executing, let current { for i in 0..<current.count { arguments += current[i].count } }
        text("id", "\(client.id)", out, first: true)
        text("addr", client.address, out)
        text("laddr", client.localAddress, out)
        number("fd", client.transport?.descriptor ?? -1, out)
        text("name", client.name, out)
        number("age", Int(now - client.created), out)
        number("idle", Int(max(0, now - client.lastInteraction)), out)
        text("flags", flags(client), out)
        number("db", client.db, out)
        number("sub", client.channelSubscriptions, out)
        number("psub", client.patternSubscriptions, out)
        number("ssub", client.shardSubscriptions, out)
        number("multi", multi, out)
        number("qbuf", input, out)
        number("qbuf-free", inputFree, out)
        number("argv-mem", arguments, out)
        number("multi-mem", client.transaction.memoryUsage, out)
        number("rbs", min(client.output.capacity, Client.fixedOutput), out)
        number("rbp", inFixed, out)
        number("obl", inFixed, out)
        number("oll", inList > 0 ? 1 : 0, out)
        number("omem", inList, out)
        number("tot-mem", client.memoryUsage, out)
        text("events", pending > 0 ? "rw" : "r", out)
        text("cmd", client.lastCommand?.fullName ?? "NULL", out)
        text("user", client.user, out)
        number("redir", -1, out)
        number("resp", client.protocolVersion, out)
        text("lib-name", client.libraryName, out)
        text("lib-ver", client.libraryVersion, out)
    }

    private static func flags(_ client: Client) -> String {
        let letters = ClientFlags.letters.filter { client.flags.contains($0.0) }.map(\.1)
        return letters.isEmpty ? "N" : String(letters)
    }
    private static func text(_ name: StaticString, _ value: String, _ out: OutputBuffer, first: Bool = false) {
        if !first { out.append(" ") }
        out.append(name)
        out.append("=")
        out.append(text: value)
    }
    private static func number(_ name: StaticString, _ value: Int, _ out: OutputBuffer) {
        out.append(" ")
        out.append(name)
        out.append("=")
        out.append(decimal: Int64(value))
    }
}
