import Storage

/// MIGRATE: keys to another server.
enum MigrateCommand {
    static let table: [Command] = [
        Command(
            "migrate", arity: -6, flags: [.repliesLater], keys: .function(keys), group: .generic, since: "2.6.0",
            complexity: "O(N) for values of N elements or bytes together; writes wait until it is done",
            summary: "Moves keys to another server.", categories: [.keyspace, .dangerous], secrets: secrets,
            .write(migrate))
    ]

    private struct Options {
        var isCopy = false
        var replaces = false
        /// AUTH's arguments.
        var credentials: Range<Int>?
        var keys = 3..<4

        init(_ args: Arguments) throws(CommandError) {
            var i = 6
            while i < args.count {
                if args[i].equals(ignoringCase: "copy") {
                    isCopy = true
                } else if args[i].equals(ignoringCase: "replace") {
                    replaces = true
                } else if args[i].equals(ignoringCase: "auth") {
                    credentials = i + 1..<i + 2
                    i += 1
                } else if args[i].equals(ignoringCase: "auth2") {
                    credentials = i + 1..<i + 3
                    i += 2
                } else if args[i].equals(ignoringCase: "keys") {
                    guard args[3].isEmpty else {
                        throw CommandError(
                            "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string")
                    }
                    keys = i + 1..<args.count
                    i = args.count
                } else {
                    throw .syntax
                }
                if let credentials, credentials.upperBound > args.count { throw .syntax }
                i += 1
            }
        }
    }

    private static func keys(_ args: Arguments, _ body: (Int) -> Void) -> Bool {
        guard let options = try? Options(args) else { return false }
        options.keys.forEach(body)
        return true
    }

    private static let defaultTimeout = 1000

    private static func migrate(_ c: WriteContext) throws(CommandError) {
        let options = try Options(c.args)
        let timeout = try c.args.integer(5)
        let database = try c.args.integer(4)
        let requests = OutputBuffer()
        var keys: [[UInt8]] = []
        for i in options.keys {
            guard let entry = c.reading.find(c.args[i]) else { continue }
            restore(c, c.args[i], entry, replaces: options.replaces, to: requests)
            keys.append(c.args[i].array)
        }
        if keys.isEmpty { return c.reply.simple("NOKEY") }
        let job = MigrationWorker.Job(
            target: MigrationWorker.Target(host: c.args[1].string, port: c.args[2].string), database: database,
            authentication: authentication(c.args, options), requests: requests.bytes.array, count: keys.count,
            timeout: timeout <= 0 ? defaultTimeout : Int(timeout))
        c.session.services.migrations.begin(c.session, c.args, job, keys: keys, isCopy: options.isCopy)
    }

    /// What follows AUTH, and AUTH2; a key or anything else may be called so too, and is not shown then.
    @Sendable private static func secrets(_ args: Arguments, _ body: (Int) -> Void) {
        var i = 6
        while i < args.count, !args[i].equals(ignoringCase: "keys") {
            let count = args[i].equals(ignoringCase: "auth") ? 1 : args[i].equals(ignoringCase: "auth2") ? 2 : 0
            for secret in i + 1..<max(i + 1, min(i + 1 + count, args.count)) { body(secret) }
            i += 1 + count
        }
    }

    private static func restore(
        _ c: WriteContext, _ key: Bytes, _ entry: Entry, replaces: Bool, to requests: OutputBuffer
    ) {
        // What is here has not expired; the other server must not take 0 for "never".
        let left = c.db.expiry(of: entry).map { max(1, $0 - c.now) } ?? 0
        DumpPayload.of(entry, compresses: c.settings.rdbCompression) { payload in
            withDecimal(left) { left in
                RESPEncoder.command(
                    [Bytes("RESTORE"), key, left, payload] + (replaces ? [Bytes("REPLACE")] : []), to: requests)
            }
        }
    }

    private static func authentication(_ args: Arguments, _ options: Options) -> [UInt8] {
        guard let credentials = options.credentials else { return [] }
        let request = OutputBuffer()
        RESPEncoder.command([Bytes("AUTH")] + credentials.map { args[$0] }, to: request)
        return request.bytes.array
    }
}
