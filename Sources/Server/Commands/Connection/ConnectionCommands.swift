import Storage

/// Commands about the connection itself; CLIENT has a file of its own.
enum ConnectionCommands {
    static var table: [Command] {
        CommandGroup.connection.rows([
            .connection(
                "ping", -1, [.fast, .whileSubscribed, .reportsMisconfiguration, .showsPresence], "1.0.0", "[message]",
                "Returns PONG, or the message.", ping
            ).tips("request_policy:all_shards response_policy:all_succeeded"),
            .connection("echo", 2, [.loading, .stale, .fast], "1.0.0", "message", "Returns the message.", echo),
            .connection(
                "select", 2, [.loading, .stale, .fast, .selectsDatabase], "1.0.0", "index:i",
                "Selects the database of the connection.", select
            ).databases(.named([1])),
            .connection(
                "hello", -1, [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy], "6.0.0",
                "[arguments{protover:i [AUTH username_password{username password}] [SETNAME clientname]}]",
                "Selects the protocol version and describes the server.", hello
            ).history(("6.2.0", "Describes the connection where no version is given.")).secrets(helloSecrets),
            .connection(
                "auth", -2, [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy], "1.0.0",
                "[username@6.0.0] password", "Authenticates the connection.", auth
            ).complexity("O(N) for N passwords of the user").history(("6.0.0", "Accepts a user name.")).secrets(
                authSecrets),
            .connection(
                "quit", -1,
                [
                    .noscript, .loading, .stale, .fast, .noAuth, .allowBusy, .unqueued, .whileSubscribed,
                    .leavesTransaction,
                ],
                "1.0.0", "", "Closes the connection.", quit),
            .connection(
                "reset", 1,
                [
                    .noscript, .loading, .stale, .fast, .noAuth, .allowBusy, .unqueued, .whileSubscribed,
                    .leavesTransaction,
                ],
                "6.2.0", "", "Resets the connection to its initial state.", reset),
            ClientCommand.row,
        ])
    }

    private static func ping(_ c: ConnectionContext) throws(CommandError) {
        guard c.args.count <= 2 else { throw .wrongArity("ping") }
        if c.session.hasSubscriptions && !c.resp3 {
            // Such a client expects messages only.
            c.reply.array(2)
            c.reply.bulk(Bytes("pong"))
            c.reply.bulk(c.args.count == 2 ? c.args[1] : Bytes())
        } else if c.args.count == 2 {
            c.reply.bulk(c.args[1])
        } else {
            c.reply.simple("PONG")
        }
    }

    private static func echo(_ c: ConnectionContext) throws(CommandError) { c.reply.bulk(c.args[1]) }

    private static func select(_ c: ConnectionContext) throws(CommandError) {
        let index = try c.args.integer(1)
        guard Int32(exactly: index) != nil else { throw .notInt32 }
        guard index >= 0 && index < c.services.keyspace.databases.count else { throw .databaseOutOfRange }
        c.session.db = Int(index)
        c.reply.ok()
    }

    private static func quit(_ c: ConnectionContext) throws(CommandError) {
        c.reply.ok()
        c.session.flags.insert(.closeAfterReply)
    }

    private static func reset(_ c: ConnectionContext) throws(CommandError) {
        let session = c.session
        c.services.router.watchers.discardTransaction(session)
        c.services.pubsub.end(session)
        c.services.tracking.disable(session)
        c.services.monitors.remove(session)
        for place in c.services.router.parts { place.part.sessionReset(session) }
        session.flags.subtract([.replyOff, .replySkip, .replySkipNext, .noEvict, .noTouch])
        session.db = 0
        session.name = ""
        session.reply.resp3 = false
        c.services.router.beginAsDefault(session)
        c.reply.simple("RESET")
    }

    // MARK: - Who and how

    private static func auth(_ c: ConnectionContext) throws(CommandError) {
        guard c.args.count <= 3 else { throw .syntax }
        if c.args.count == 2 && c.services.users.defaultUser.rules.takesAnyPassword { throw .passwordNotSet }
        let user = c.args.count == 3 ? c.args[1] : Bytes("default")
        guard c.services.router.logIn(c.session, user, c.args[c.args.count - 1], c.args) else { throw .wrongPassword }
        c.reply.ok()
    }

    @Sendable private static func authSecrets(_ args: Arguments, _ body: (Int) -> Void) {
        for i in 1..<max(1, args.count) { body(i) }
    }

    /// The two arguments behind each AUTH, which may stand behind other options.
    @Sendable private static func helloSecrets(_ args: Arguments, _ body: (Int) -> Void) {
        var i = 2
        while i < args.count {
            if args[i].equals(ignoringCase: "auth") {
                for secret in i + 1..<max(i + 1, min(i + 3, args.count)) { body(secret) }
                i += 2
            } else if args[i].equals(ignoringCase: "setname") {
                i += 1
            }
            i += 1
        }
    }

    private static func hello(_ c: ConnectionContext) throws(CommandError) {
        var version = c.session.protocolVersion
        if c.args.count > 1 {
            guard let number = c.args[1].integer else {
                throw CommandError("ERR Protocol version is not an integer or out of range")
            }
            guard number == 2 || number == 3 else { throw .unsupportedProtocol }
            version = Int(number)
        }
        var name: String?
        var login: (user: Bytes, password: Bytes)?
        var i = 2
        while i < c.args.count {
            let more = c.args.count - 1 - i
            if c.args[i].equals(ignoringCase: "auth") && more >= 2 {
                login = (c.args[i + 1], c.args[i + 2])
                i += 3
            } else if c.args[i].equals(ignoringCase: "setname") && more >= 1 {
                name = try ClientCommand.checkedName(c.args[i + 1], "Client names")
                i += 2
            } else {
                throw CommandError(parts: Bytes("ERR Syntax error in HELLO option '"), c.args[i], Bytes("'"))
            }
        }
        // Of several the last counts.
        if let login, !c.services.router.logIn(c.session, login.user, login.password, c.args) { throw .wrongPassword }
        if !c.session.isAuthenticated { throw .helloNeedsAuth }
        if let name { c.session.name = name }
        c.reply.resp3 = version == 3
        c.reply.map(7)
        c.reply.bulk(Bytes("server"))
        c.reply.bulk(Bytes("redis"))
        c.reply.bulk(Bytes("version"))
        c.reply.bulk(Version.redis)
        c.reply.bulk(Bytes("proto"))
        c.reply.integer(version)
        c.reply.bulk(Bytes("id"))
        c.reply.integer(Int64(clamping: c.session.id))
        c.reply.bulk(Bytes("mode"))
        c.reply.bulk(Bytes("standalone"))
        c.reply.bulk(Bytes("role"))
        c.reply.bulk(Bytes(c.services.guards.contains(.readOnlyReplica) ? "replica" : "master"))
        c.reply.bulk(Bytes("modules"))
        c.reply.array(0)
    }
}
