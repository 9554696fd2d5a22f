import Glibc
import Storage

enum ServerCommands {
    private static let admin: CommandFlags = [.admin, .noscript, .loading, .stale]

    static let table: [Command] =
        keyspace + persistence + replication + [
            Command(
                "info", arity: -1, flags: [.loading, .stale], keys: .none, group: .server, since: "1.0.0",
                summary: "Answers facts and statistics about the server.", categories: .dangerous, .connection(info)),
            Command(
                "time", arity: 1, flags: [.loading, .stale, .fast], keys: .none, group: .server, since: "2.6.0",
                summary: "Answers the server's time in seconds and microseconds.", .connection(time)),
            Command(
                "lolwut", arity: -1, flags: [.fast], keys: .none, group: .server, since: "5.0.0",
                summary: "Draws, and answers the version.", .read(lolwut)),
        ]

    private static let keyspace: [Command] = [
        Command(
            "dbsize", arity: 1, flags: [.fast], keys: .none, group: .server, since: "1.0.0",
            summary: "How many keys the database has.", categories: .keyspace, .read(dbsize)),
        Command(
            "flushdb", arity: -1, flags: [.frees], keys: .none, group: .server, since: "1.0.0",
            complexity: "O(N) for N keys",
            summary: "Removes all keys of the database.", categories: [.keyspace, .dangerous], .write(flushdb)),
        Command(
            "flushall", arity: -1, flags: [.frees], keys: .none, group: .server, since: "1.0.0",
            complexity: "O(N) for N keys",
            summary: "Removes all keys of all databases.", categories: [.keyspace, .dangerous], .write(flushall)),
        Command(
            "swapdb", arity: 3, flags: [.fast], keys: .none, group: .server, since: "4.0.0",
            complexity: "O(N) for N watching or blocked clients", summary: "Exchanges two databases.",
            categories: [.keyspace, .dangerous], .write(swapdb)),
    ]

    private static let persistence: [Command] = [
        Command(
            "save", arity: 1, flags: [.admin, .noscript, .noAsyncLoading, .noMulti], keys: .none, group: .server,
            since: "1.0.0", complexity: "O(N) for N changes since the last one",
            summary: "Brings the snapshot up to date and waits for it.", .connection(save)),
        Command(
            "bgsave", arity: -1, flags: [.admin, .noscript, .noAsyncLoading], keys: .none, group: .server,
            since: "1.0.0", summary: "Begins to bring the snapshot up to date.", .connection(bgsave)),
        Command(
            "bgrewriteaof", arity: 1, flags: [.admin, .noscript, .noAsyncLoading], keys: .none, group: .server,
            since: "1.0.0", summary: "Begins to bring the snapshot up to date, so that the log can start anew.",
            .connection(bgrewriteaof)),
        Command(
            "lastsave", arity: 1, flags: [.loading, .stale, .fast], keys: .none, group: .server, since: "1.0.0",
            summary: "When the snapshot was brought up to date last, in seconds since 1970.",
            categories: [.admin, .dangerous], .connection(lastsave)),
        Command(
            "shutdown", arity: -1, flags: [.admin, .noscript, .loading, .stale, .noMulti, .allowBusy], keys: .none,
            group: .server, since: "1.0.0", complexity: "O(N) for N changes to save",
            summary: "Saves as told and ends the server.", .connection(shutdown)),
    ]

    private static let replication: [Command] = [
        Command(
            "role", arity: 1, flags: [.noscript, .loading, .stale, .fast], keys: .none, group: .server,
            since: "2.8.12", summary: "Answers whether this is a master or a replica.",
            categories: [.admin, .dangerous], .connection(role)),
        Command(
            "replicaof", arity: 3, flags: [.admin, .noscript, .stale, .noAsyncLoading], keys: .none,
            group: .server, since: "5.0.0", summary: "Makes the server a replica, or a master again.",
            .connection(replicaof)),
        Command(
            "slaveof", arity: 3, flags: [.admin, .noscript, .stale, .noAsyncLoading], keys: .none,
            group: .server, since: "1.0.0", summary: "The older name of REPLICAOF.", .connection(replicaof)),
        Command(
            "wait", arity: 3, flags: [.noscript], keys: .none, group: .connection, since: "3.0.0",
            summary: "Waits until replicas have what this client wrote.", .connection(wait)),
        Command(
            "waitaof", arity: 4, flags: [.noscript], keys: .none, group: .connection, since: "7.2.0",
            summary: "Waits until what this client wrote is on disk, here and at replicas.", .connection(waitaof)),
    ]

    // MARK: - About the server

    private static func info(_ c: ConnectionContext) throws(CommandError) {
        let out = OutputBuffer(capacity: 8192)
        Info(c.services).write((1..<c.args.count).map { c.args[$0].string.lowercased() }, to: out)
        c.reply.verbatim(out.bytes, "txt")
    }

    private static func time(_ c: ConnectionContext) throws(CommandError) {
        let now = Clock.wallNanoseconds
        c.reply.array(2)
        c.reply.bulkDecimal(now / 1_000_000_000)
        c.reply.bulkDecimal(now % 1_000_000_000 / 1000)
    }

    private static func lolwut(_ c: ReadContext) throws(CommandError) {
        // A swiftlet on the wing.
        let drawing = """
              __                                 __
              \\ `--..__                   __..--' /
               `-.      `--..__     __..--'     .-'
                  `-.__        `\\ /'       __.-'
                       `--..__   Y   __..--'
                              `\\ | /'
                               / ^ \\
                              '  '  '

            """
        let text = OutputBuffer()
        text.append(text: drawing)
        text.append(text: "Redis ver. \(Version.redis), \(Version.name) \(Version.number)\n")
        c.reply.verbatim(text.bytes, "txt")
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
        guard let first = c.args[1].integer.flatMap(Int32.init(exactly:)) else {
            throw CommandError("ERR invalid first DB index")
        }
        guard let second = c.args[2].integer.flatMap(Int32.init(exactly:)) else {
            throw CommandError("ERR invalid second DB index")
        }
        guard c.swapDatabases(Int64(first), Int64(second)) else { throw .databaseOutOfRange }
        c.count(as: 1)
        c.propagate(c.args[0], c.args[1], c.args[2])
        c.reply.ok()
    }

    // MARK: - Persistence

    private static func save(_ c: ConnectionContext) throws(CommandError) {
        if c.services.persistence.isSaving { throw .saveInProgress }
        try c.services.persistence.save()
        c.reply.ok()
    }

    private static func bgsave(_ c: ConnectionContext) throws(CommandError) {
        guard c.args.count == 1 || (c.args.count == 2 && c.args[1].equals(ignoringCase: "schedule")) else {
            throw .syntax
        }
        switch try c.services.persistence.backgroundSave(mayWait: c.args.count == 2) {
        case .started: c.reply.simple("Background saving started")
        case .scheduled: c.reply.simple("Background saving scheduled")
        }
    }

    private static func bgrewriteaof(_ c: ConnectionContext) throws(CommandError) {
        switch try c.services.persistence.rewriteLog() {
        case .started: c.reply.simple("Background append only file rewriting started")
        case .scheduled: c.reply.simple("Background append only file rewriting scheduled")
        }
    }

    private static func lastsave(_ c: ConnectionContext) throws(CommandError) {
        c.reply.integer(c.services.persistence.lastSaveTime)
    }

    private static func shutdown(_ c: ConnectionContext) throws(CommandError) {
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
        // No reply: the connection's end tells the client.
        try c.services.persistence.shutdown(options)
    }

    // MARK: - Replication, as far as a server without replicas goes

    private static func role(_ c: ConnectionContext) throws(CommandError) {
        c.reply.array(3)
        c.reply.bulk("master")
        c.reply.integer(0)
        c.reply.array(0)
    }

    private static func replicaof(_ c: ConnectionContext) throws(CommandError) {
        if c.args[1].equals(ignoringCase: "no"), c.args[2].equals(ignoringCase: "one") {
            c.services.config.setMaster(nil)
            c.reply.ok()
            return
        }
        guard let port = c.args[2].integer, (0...65535).contains(port) else {
            throw CommandError("ERR Invalid master port")
        }
        throw CommandError("ERR Replication is not supported yet")
    }

    /// In milliseconds; 0: for ever.
    private static func timeout(_ text: Bytes) throws(CommandError) -> Int64 {
        guard let timeout = text.integer else {
            throw CommandError("ERR timeout is not an integer or out of range")
        }
        if timeout < 0 { throw CommandError("ERR timeout is negative") }
        return timeout
    }

    private static func wait(_ c: ConnectionContext) throws(CommandError) {
        let wanted = try c.args.integer(1)
        let timeout = try timeout(c.args[2])
        // There are no replicas, so that waiting for some ends with the time alone.
        if wanted <= 0 { return c.reply.integer(0) }
        c.wait(
            for: 0..<0, orAnswer: .zero,
            Wait(timeout: timeout, answerAtTimeout: .zero, attempt: .none))
    }

    /// WAITAOF numlocal numreplicas timeout. Answers whether what this client wrote is on disk here, and at how many
    /// replicas, of which there are none.
    private static func waitaof(_ c: ConnectionContext) throws(CommandError) {
        let local = try c.args.integer(1, in: 0...1)
        let replicas = try c.args.integer(2)
        if replicas < 0 { throw .mustBePositive }
        let timeout = try timeout(c.args[3])
        let session = c.session
        let persistence = c.services.persistence
        if local > 0 && persistence.log == nil { throw .waitsForNoLog }
        let answer = EmptyReply.written { reply in
            reply.array(2)
            reply.integer(persistence.isSynced(session) ? 1 : 0)
            reply.integer(0)
        }
        if replicas == 0 && (local == 0 || persistence.isSynced(session)) { return answer.write(to: c.reply) }
        c.wait(for: 0..<0, orAnswer: answer, Wait(timeout: timeout, answerAtTimeout: answer, attempt: .none))
        // Replicas that there are none of are waited for until the time is up.
        if replicas == 0, let waiter = session.waiter { persistence.syncWaiters.append(waiter) }
    }
}
