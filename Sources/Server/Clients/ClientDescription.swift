import Storage

/// A client's line of CLIENT LIST, in the fields and order of Redis 7.2.
enum ClientDescription {
    /// For the log.
    static func text(_ session: Session, _ services: Services) -> String {
        let out = OutputBuffer()
        append(session, services, to: out)
        return out.bytes.string
    }

    /// `current`: the arguments of the command that this is for; whose they are is `executing`.
    static func append(
        _ session: Session, _ services: Services, to out: OutputBuffer, executing: Session? = nil,
        current: Arguments? = nil
    ) {
        let now = services.keyspace.now / 1000
        let input = max(0, session.input.count + session.inputInPlace - session.parser.lengthBeforeLargeArgument)
        let inputFree = session.input.capacity - session.input.count
        let multi = session.flags.contains(.multi) ? session.transaction.queue.count : -1
        // Redis has a fixed buffer, and a list for what does not fit; here there is one buffer, shown as if it were cut.
        let pending = session.queue.pending
        let inFixed = min(pending, Session.fixedOutput)
        let capacity = session.output.capacity + session.queue.sharedCount
        let inList = pending > inFixed ? max(pending, capacity) - inFixed : 0
        var arguments = session.waiter?.request.argumentBytes ?? 0
        if session === executing, let current { for i in 0..<current.count { arguments += current[i].count } }
        text("id", "\(session.id)", out, first: true)
        text("addr", session.address, out)
        text("laddr", session.localAddress, out)
        number("fd", session.transport?.descriptor ?? -1, out)
        text("name", session.name, out)
        number("age", Int(now - session.created), out)
        number("idle", Int(max(0, now - session.lastInteraction)), out)
        text("flags", flags(session), out)
        number("db", session.db, out)
        number("sub", session.channelSubscriptions, out)
        number("psub", session.patternSubscriptions, out)
        number("ssub", session.shardSubscriptions, out)
        number("multi", multi, out)
        number("qbuf", input, out)
        number("qbuf-free", inputFree, out)
        number("argv-mem", arguments, out)
        number("multi-mem", session.transaction.memoryUsage, out)
        number("rbs", min(session.output.capacity, Session.fixedOutput), out)
        number("rbp", inFixed, out)
        number("obl", inFixed, out)
        number("oll", inList > 0 ? 1 + session.queue.chunkCount : 0, out)
        number("omem", inList, out)
        number("tot-mem", session.memoryUsage, out)
        text("events", pending > 0 ? "rw" : "r", out)
        text("cmd", session.lastCommand?.fullName ?? "NULL", out)
        text("user", session.user?.name.description ?? "(superuser)", out)
        number("redir", Int(session.trackingRedirection), out)
        number("resp", session.protocolVersion, out)
        text("lib-name", session.libraryName, out)
        text("lib-ver", session.libraryVersion, out)
    }

    /// The letters of all flags, and of those that clients of Redis and Valkey can have besides.
    static let knownFlags = String(ClientFlags.letters.map(\.1)) + "NuArEIi"

    static func flags(_ session: Session) -> String {
        let letters = ClientFlags.letters.filter { session.flags.contains($0.0) }.map(\.1)
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
