import Glibc
import Storage

enum ServerCommands {
    static var table: [Command] {
        CommandGroup.server.rows(
            keyspace + persistence + replication + [
                .connection(
                    "info", -1, [.loading, .stale], "1.0.0", "[section...]",
                    "Returns information and statistics about the server.", info
                ).tips("nondeterministic_output request_policy:all_shards response_policy:special").history(
                    ("7.0.0", "Accepts several sections.")
                ).categories(.dangerous),
                .connection(
                    "time", 1, [.loading, .stale, .fast], "2.6.0", "",
                    "Returns the server's time in seconds and microseconds.", time
                ).tips("nondeterministic_output"),
                .read(
                    "lolwut", -1, .fast, [], "5.0.0", "[VERSION version:i]", "Draws a picture and returns the version.",
                    Lolwut.reply
                ).complexity(nil),
            ])
    }

    private static var keyspace: [Command] {
        [
            .read("dbsize", 1, .fast, [], "1.0.0", "", "Returns the number of keys in the database.", dbsize).tips(
                "request_policy:all_shards response_policy:agg_sum"
            ).categories(.keyspace),
            .write(
                "flushdb", -1, .frees, [], "1.0.0", "[async(ASYNC@4.0.0|SYNC@6.2.0)]",
                "Deletes all keys of the database.", flushdb
            ).complexity("O(N) for N keys").tips("request_policy:all_shards response_policy:all_succeeded").history(
                ("4.0.0", "Accepts `ASYNC`."), ("6.2.0", "Accepts `SYNC`.")
            ).categories([.keyspace, .dangerous]),
            .write(
                "flushall", -1, .frees, [], "1.0.0", "[async(ASYNC@4.0.0|SYNC@6.2.0)]",
                "Deletes all keys of all databases.", flushall
            ).complexity("O(N) for N keys").tips("request_policy:all_shards response_policy:all_succeeded").history(
                ("4.0.0", "Accepts `ASYNC`."), ("6.2.0", "Accepts `SYNC`.")
            ).categories([.keyspace, .dangerous]).databases(.all),
            .write(
                "swapdb", 3, .fast, [], "4.0.0", "index1:i index2:i", "Exchanges the contents of two databases.", swapdb
            ).complexity("O(N) for N watching or blocked clients").categories([.keyspace, .dangerous]).databases(
                .named([1, 2])),
        ]
    }

    private static var persistence: [Command] {
        [
            .admin(
                "save", 1, [.noscript, .noAsyncLoading, .noMulti], "1.0.0", "", "Writes the snapshot and waits for it.",
                save
            ).complexity("O(N) for N changes since the last one"),
            .admin(
                "bgsave", -1, [.noscript, .noAsyncLoading], "1.0.0", "[SCHEDULE@3.2.2]",
                "Starts to write the snapshot in the background.", bgsave
            ).history(("3.2.2", "Accepts `SCHEDULE`.")),
            .admin(
                "bgrewriteaof", 1, [.noscript, .noAsyncLoading], "1.0.0", "",
                "Starts to write the snapshot in the background, so that the log can be truncated.", bgrewriteaof),
            .connection(
                "lastsave", 1, [.loading, .stale, .fast], "1.0.0", "",
                "Returns the Unix time in seconds of the last snapshot.", lastsave
            ).tips("nondeterministic_output").categories([.admin, .dangerous]),
            .admin(
                "shutdown", -1, [.noscript, .loading, .stale, .noMulti, .allowBusy], "1.0.0",
                "[nosave_save(NOSAVE|SAVE)] [NOW@7.0.0] [FORCE@7.0.0] [ABORT@7.0.0]",
                "Shuts the server down, after saving as asked.", shutdown
            ).complexity("O(N) for N changes to save").history(("7.0.0", "Accepts `NOW`, `FORCE` and `ABORT`.")),
        ]
    }

    private static var replication: [Command] {
        [
            .admin(
                "replicaof", 3, [.noscript, .stale, .noAsyncLoading], "5.0.0",
                "args(host-port{host port:i}|no-one{NO ONE})",
                "Turns the server into a replica of another one, or into a master.", replicaof),
            .admin(
                "slaveof", 3, [.noscript, .stale, .noAsyncLoading], "1.0.0",
                "args(host-port{host port:i}|no-one{NO ONE})",
                "Turns the server into a replica of another one, or into a master.", replicaof
            ).deprecated("5.0.0", "`REPLICAOF`"),
        ]
    }

    // MARK: - About the server

    private static func info(_ c: ConnectionContext) throws(CommandError) {
        let out = OutputBuffer(capacity: 8192)
        Info(c.services).write((1..<c.args.count).map { c.args[$0].string.lowercased() }, to: out)
        c.reply.verbatim(out.bytes, "txt")
    }

    private static func time(_ c: ConnectionContext) throws(CommandError) {
        // In a script time stands still.
        let now = c.session.flags.contains(.script) ? c.now * 1_000_000 : Clock.wallNanoseconds
        c.reply.array(2)
        c.reply.bulkDecimal(now / 1_000_000_000)
        c.reply.bulkDecimal(now % 1_000_000_000 / 1000)
    }

    // MARK: - Keyspace

    private static func dbsize(_ c: ReadContext) throws(CommandError) { c.reply.integer(c.db.count) }

    /// ASYNC and SYNC are accepted and do the same: large tables are always given back off the loop.
    private static func checkFlushMode(_ args: Arguments) throws(CommandError) {
        guard args.count <= 2 else { throw .syntax }
        if args.count == 2, !args[1].equals(ignoringCase: "async"), !args[1].equals(ignoringCase: "sync") {
            throw .syntax
        }
    }

    private static func flushdb(_ c: WriteContext) throws(CommandError) {
        try checkFlushMode(c.args)
        // An empty database stays as it is, and still the command is logged, as in Redis: replicas may have keys.
        c.db.flush()
        c.propagate(Bytes("FLUSHDB"))
        c.reply.ok()
    }

    private static func flushall(_ c: WriteContext) throws(CommandError) {
        try checkFlushMode(c.args)
        c.flushAll()
        c.propagate(Bytes("FLUSHALL"))
        c.reply.ok()
    }

    private static func swapdb(_ c: WriteContext) throws(CommandError) {
        guard let first = c.args[1].integer.flatMap({ Int32(exactly: $0) }) else {
            throw CommandError("ERR invalid first DB index")
        }
        guard let second = c.args[2].integer.flatMap({ Int32(exactly: $0) }) else {
            throw CommandError("ERR invalid second DB index")
        }
        guard c.swapDatabases(Int64(first), Int64(second)) else { throw .databaseOutOfRange }
        c.count(as: 1)
        c.propagate(c.args[0], c.args[1], c.args[2])
        c.reply.ok()
    }

    // MARK: - Persistence

    private static func save(_ c: AdminContext) throws(CommandError) {
        if c.services.persistence.isSavingByRequest { throw .saveInProgress }
        try c.services.persistence.save()
        c.reply.ok()
    }

    private static func bgsave(_ c: AdminContext) throws(CommandError) {
        guard c.args.count == 1 || (c.args.count == 2 && c.args[1].equals(ignoringCase: "schedule")) else {
            throw .syntax
        }
        let isInExec = c.session.flags.contains(.denyBlocking)
        switch try c.services.persistence.backgroundSave(mayWait: c.args.count == 2 || isInExec) {
        case .started where !isInExec: c.reply.simple("Background saving started")
        // In a transaction it begins behind that, as in Redis.
        case .started, .scheduled: c.reply.simple("Background saving scheduled")
        }
    }

    private static func bgrewriteaof(_ c: AdminContext) throws(CommandError) {
        switch try c.services.persistence.rewriteLog() {
        case .started where !c.session.flags.contains(.denyBlocking):
            c.reply.simple("Background append only file rewriting started")
        case .started, .scheduled: c.reply.simple("Background append only file rewriting scheduled")
        }
    }

    private static func lastsave(_ c: ConnectionContext) throws(CommandError) {
        c.reply.integer(c.services.persistence.lastSaveTime)
    }

    private static func shutdown(_ c: AdminContext) throws(CommandError) {
        var options: ShutdownOptions = []
        var isAbort = false
        for i in 1..<max(1, c.args.count) {
            let word = c.args[i]
            if word.equals(ignoringCase: "abort") {
                isAbort = true
            } else if word.equals(ignoringCase: "save") {
                options.insert(.save)
            } else if word.equals(ignoringCase: "nosave") {
                options.insert(.noSave)
            } else if word.equals(ignoringCase: "now") {
                options.insert(.now)
            } else if word.equals(ignoringCase: "force") {
                options.insert(.force)
            } else {
                throw .syntax
            }
        }
        if options.isSuperset(of: [.save, .noSave]) || (isAbort && !options.isEmpty) { throw .syntax }
        if isAbort {
            try c.services.persistence.abortShutdown()
            c.reply.ok()
            return
        }
        if c.services.guards.contains(.busyScript) && !options.contains(.noSave) { throw c.services.router.busy }
        // No reply: the connection's end tells the client.
        let persistence = c.services.persistence
        try persistence.shutdown(options)
        if persistence.pendingShutdown == nil { return }
        c.wait(for: 0..<0, Wait(timeout: 0, canBeEnded: false))
        if let waiter = c.session.waiter { persistence.pendingShutdown?.waiters.append(waiter) }
    }

    // MARK: - Replication

    private static func replicaof(_ c: AdminContext) throws(CommandError) {
        let client = ClientDescription.text(c.session, c.services)
        if c.args[1].equals(ignoringCase: "no"), c.args[2].equals(ignoringCase: "one") {
            if c.services.replication.isReplica {
                c.services.replication.becomeMaster()
                c.services.logger.notice("MASTER MODE enabled (user request from '\(client)')")
            }
            c.reply.ok()
            return
        }
        if c.session.flags.contains(.replica) {
            throw CommandError("ERR Command is not valid when client is a replica.")
        }
        guard let port = c.args[2].integer, (0...65535).contains(port) else {
            throw CommandError("ERR Invalid master port")
        }
        let master = HostAndPort(host: ByteString(c.args[1]), port: Int(port))
        if c.services.replication.master.map({ $0.hasAddress(master) }) ?? false {
            c.services.logger.notice(
                "REPLICAOF would result into synchronization with the master we are already connected with. No operation "
                    + "performed.")
            return c.reply.simple("OK Already connected to specified master")
        }
        c.services.replication.follow(master)
        c.services.logger.notice(
            "REPLICAOF \(master.host):\(master.port) enabled (user request from '\(client)')")
        c.reply.ok()
    }
}
