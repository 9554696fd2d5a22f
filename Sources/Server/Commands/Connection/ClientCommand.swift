import Storage

/// CLIENT: what connections there are, and what they may do.
enum ClientCommand {
    static var row: Command {
        .container(
            "client", "2.4.0", "Manages connections.", [.noscript, .loading, .stale, .keepsCaching],
            [
                .connection("id", 2, [], "5.0.0", "", "Returns the id of the connection.", id),
                .connection("info", 2, [], "6.2.0", "", "Describes the connection.", info).tips(
                    "nondeterministic_output"),
                .connection("getname", 2, [], "2.6.9", "", "Returns the name of the connection.", getName),
                .connection("setname", 3, [], "2.6.9", "connection-name", "Names the connection.", setName),
                .connection(
                    "setinfo", 4, [], "7.2.0", "attr(LIB-NAME libname|LIB-VER libver)",
                    "Records the name or the version of the client's library.", setInfo),
                .connection(
                    "reply", 3, [], "3.2.0", "on_off_skip(ON|OFF|SKIP)",
                    "Switches the replies to the connection on or off.", reply),
                .connection(
                    "no-touch", 3, [], "7.2.0", "enabled(ON|OFF)",
                    "Controls whether commands of the connection mark keys as used.", noTouch),
                .admin(
                    "no-evict", 3, [], "7.0.0", "enabled(ON|OFF)",
                    "Controls whether the connection may be closed when memory is short.", noEvict),
                .admin(
                    "list", -2, [], "2.4.0",
                    """
                    [TYPE normal_master_replica_pubsub(NORMAL|MASTER|REPLICA|PUBSUB)@5.0.0] \
                    [ID id{client-id:i...}@6.2.0] [USER username@8.1.0] [ADDR ip:port@8.1.0] [LADDR ip:port@8.1.0] \
                    [SKIPME yes/no@8.1.0] [MAXAGE seconds:i@8.1.0] [IDLE seconds:i@9.0.0] [NAME name@9.0.0] \
                    [FLAGS flags@9.0.0] [LIB-NAME name@9.0.0] [LIB-VER version@9.0.0] [DB index:i@9.0.0] \
                    [CAPA capa@9.0.0] [IP ip@9.0.0] [negated{not-filter value}...@9.0.0]
                    """, "Lists the connections.", list
                ).complexity("O(N) for N connections").tips("nondeterministic_output").history(
                    ("2.8.12", "Shows `id`."), ("5.0.0", "Accepts `TYPE`."), ("6.0.0", "Shows `user`."),
                    ("6.2.0", "Accepts `ID`; shows `argv-mem`, `tot-mem`, `laddr` and `redir`."),
                    ("7.0.0", "Shows `resp`, `multi-mem`, `rbs` and `rbp`."), ("7.0.3", "Shows `ssub`."),
                    ("8.1.0", "Accepts the filters of CLIENT KILL."), ("9.0.0", "Accepts Valkey's filters.")),
                .admin(
                    "kill", -3, [], "2.4.0",
                    """
                    filter(ip:port!2.8.12|new-format([ID client-id:i@2.8.12]|\
                    [TYPE normal_master_slave_pubsub(NORMAL|MASTER@3.2.0|SLAVE|REPLICA@5.0.0|PUBSUB)@2.8.12]|\
                    [USER username]|[ADDR ip:port]|[LADDR ip:port@6.2.0]|[SKIPME yes/no]|[MAXAGE seconds:i@7.4.0]|[IDLE seconds:i@9.0.0]|[NAME name@9.0.0]|\
                    [FLAGS flags@9.0.0]|[LIB-NAME name@9.0.0]|[LIB-VER version@9.0.0]|[DB index:i@9.0.0]|\
                    [CAPA capa@9.0.0]|[IP ip@9.0.0]|[negated{not-filter value}@9.0.0])...)
                    """, "Closes connections by what is known of them.", kill
                ).complexity("O(N) for N connections").history(
                    ("2.8.12", "Accepts filters by name."), ("2.8.12", "Accepts `ID`."),
                    ("3.2.0", "Accepts `TYPE master`."),
                    ("5.0.0", "Accepts `TYPE replica`, which `slave` still stands for."), ("6.2.0", "Accepts `LADDR`."),
                    ("7.4.0", "Accepts `MAXAGE`."), ("9.0.0", "Accepts several ids, and Valkey's filters.")),
                .admin(
                    "unblock", -3, [], "5.0.0", "client-id:i [timeout_error(TIMEOUT|ERROR)]",
                    "Unblocks a connection that waits in a command.", unblock),
                .admin(
                    "pause", -3, [], "2.9.50", "timeout:i [mode(WRITE|ALL)@6.2.0]",
                    "Suspends the commands of all connections for some milliseconds.", pause
                ).history(("6.2.0", "Accepts a mode, so that only writes can be suspended.")),
                .admin("unpause", 2, [], "6.2.0", "", "Resumes the commands of all connections.", unpause).complexity(
                    "O(N) for N connections held up"),
                .help("5.0.0"),
            ] + TrackingCommands.subcommands)
    }

    // MARK: - This connection

    private static func id(_ c: ConnectionContext) throws(CommandError) {
        c.reply.integer(Int64(clamping: c.session.id))
    }

    private static func info(_ c: ConnectionContext) throws(CommandError) {
        let out = OutputBuffer()
        ClientDescription.append(c.session, c.services, to: out, executing: c.session, current: c.args)
        out.append("\n")
        c.reply.verbatim(out.bytes, "txt")
    }

    private static func getName(_ c: ConnectionContext) throws(CommandError) {
        if c.session.name.isEmpty { c.reply.null() } else { c.reply.bulk(c.session.name) }
    }

    private static func setName(_ c: ConnectionContext) throws(CommandError) {
        c.session.name = try checkedName(c.args[2], "Client names")
        c.reply.ok()
    }

    private static func setInfo(_ c: ConnectionContext) throws(CommandError) {
        if c.args[2].equals(ignoringCase: "lib-name") {
            c.session.libraryName = try checkedName(c.args[3], "lib-name")
        } else if c.args[2].equals(ignoringCase: "lib-ver") {
            c.session.libraryVersion = try checkedName(c.args[3], "lib-ver")
        } else {
            throw CommandError(parts: Bytes("ERR Unrecognized option '"), c.args[2], Bytes("'"))
        }
        c.reply.ok()
    }

    /// Text that CLIENT LIST can show as one word.
    static func checkedName(_ name: Bytes, _ what: String) throws(CommandError) -> String {
        guard name.buffer.allSatisfy({ $0 > 32 && $0 < 127 }) else {
            throw CommandError("ERR \(what) cannot contain spaces, newlines or special characters.")
        }
        return name.string
    }

    private static func reply(_ c: ConnectionContext) throws(CommandError) {
        if c.args[2].equals(ignoringCase: "on") {
            c.session.flags.subtract([.replyOff, .replySkip, .replySkipNext])
            c.reply.ok()
        } else if c.args[2].equals(ignoringCase: "off") {
            c.session.flags.insert(.replyOff)
        } else if c.args[2].equals(ignoringCase: "skip") {
            if !c.session.flags.contains(.replyOff) { c.session.flags.insert(.replySkipNext) }
        } else {
            throw .syntax
        }
    }

    private static func noEvict(_ c: AdminContext) throws(CommandError) { try set(.noEvict, c) }
    private static func noTouch(_ c: ConnectionContext) throws(CommandError) {
        try set(.noTouch, c)
        c.services.keyspace.touchesOnAccess = !c.session.flags.contains(.noTouch)
    }
    private static func set(_ flag: ClientFlags, _ c: some CommandContext) throws(CommandError) {
        if c.args[2].equals(ignoringCase: "on") {
            c.session.flags.insert(flag)
        } else if c.args[2].equals(ignoringCase: "off") {
            c.session.flags.remove(flag)
        } else {
            throw .syntax
        }
        c.reply.ok()
    }

    // MARK: - All connections

    private static func list(_ c: AdminContext) throws(CommandError) {
        let isByID = c.args.count > 3 && c.args[2].equals(ignoringCase: "id")
        let clients: [Session]
        if isByID, let ids = integers(c.args, from: 3) {
            // The older form, where an id may be any number.
            clients = ids.compactMap { UInt64(exactly: $0) }.compactMap { c.services.router.sessions[$0] }
        } else {
            if isByID && c.args[3].integer == nil { throw CommandError("ERR Invalid client ID") }
            clients = found(by: try ClientFilter(c.args, from: 2, c.services), c)
        }
        let out = OutputBuffer()
        for session in clients {
            ClientDescription.append(session, c.services, to: out, executing: c.session, current: c.args)
            out.append("\n")
        }
        c.reply.verbatim(out.bytes, "txt")
    }

    /// nil where one of the arguments is no integer.
    private static func integers(_ args: Arguments, from start: Int) -> [Int64]? {
        var found: [Int64] = []
        for i in start..<args.count {
            guard let number = args[i].integer else { return nil }
            found.append(number)
        }
        return found
    }

    /// The clients that a filter lets through, by their ids. O(ids) where it names ids, else O(N log N) for N clients.
    private static func found(by filter: ClientFilter, _ c: AdminContext) -> [Session] {
        let sessions = c.services.router.sessions
        let candidates = filter.ids.map { Set($0).compactMap { sessions[$0] } } ?? Array(sessions.values)
        let skipsMe = filter.skipsMe ?? false
        return candidates.filter { filter.matches($0) && !(skipsMe && $0 === c.session) }.sorted { $0.id < $1.id }
    }

    private static func kill(_ c: AdminContext) throws(CommandError) {
        // The older form, an address alone, may name this connection, and answers otherwise.
        if c.args.count == 3 {
            let killed = found(by: ClientFilter(address: c.args[2]), c)
            if killed.isEmpty { throw CommandError("ERR No such client") }
            for session in killed { c.services.router.close(session, current: c.session) }
            return c.reply.ok()
        }
        let filter = try ClientFilter(c.args, from: 2, c.services)
        var killed = 0
        for session in found(by: filter, c) {
            if session === c.session && filter.skipsMe ?? true { continue }
            c.services.router.close(session, current: c.session)
            killed += 1
        }
        c.reply.integer(killed)
    }

    private static func unblock(_ c: AdminContext) throws(CommandError) {
        guard c.args.count <= 4 else { throw .subcommandSyntax(c.args) }
        var isError = false
        if c.args.count == 4 {
            isError = c.args[3].equals(ignoringCase: "error")
            if !isError && !c.args[3].equals(ignoringCase: "timeout") {
                throw CommandError("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
            }
        }
        // Who is held up by a pause is not waiting for anything that could end.
        guard let waiter = UInt64(exactly: try c.args.integer(2)).flatMap({ c.services.router.sessions[$0] })?.waiter,
            waiter.wait.canBeEnded
        else {
            return c.reply.integer(0)
        }
        if isError { c.services.router.abort(waiter, .unblocked) } else { c.services.router.timeOut(waiter) }
        c.reply.integer(1)
    }

    private static func pause(_ c: AdminContext) throws(CommandError) {
        guard c.args.count <= 4 else { throw .subcommandSyntax(c.args) }
        var all = true
        if c.args.count == 4 {
            if c.args[3].equals(ignoringCase: "write") {
                all = false
            } else if !c.args[3].equals(ignoringCase: "all") {
                throw CommandError("ERR CLIENT PAUSE mode must be WRITE or ALL")
            }
        }
        guard let time = c.args[2].integer else {
            throw CommandError("ERR timeout is not an integer or out of range")
        }
        if time < 0 { throw CommandError("ERR timeout is negative") }
        let (end, overflow) = c.now.addingReportingOverflow(time)
        if overflow { throw .timeoutOutOfRange }
        c.services.router.pause.begin(until: end, all: all, c.services.router)
        c.reply.ok()
    }

    private static func unpause(_ c: AdminContext) throws(CommandError) {
        c.services.router.pause.finish(c.services.router)
        c.reply.ok()
    }
}
