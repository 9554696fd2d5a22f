import Storage

/// MIGRATE: keys to another server.
enum MigrateCommand {
    static var table: [Command] {
        CommandGroup.generic.rows([
            .write(
                "migrate", -6, .repliesLater,
                [.key(.rwAccessDelete, at: 3), .after("KEYS", from: -2, [.rwAccessDelete, .incomplete], last: -1)],
                "2.6.0",
                """
                host port:i key_or_empty_string(key|""=empty_string) destination-db:i timeout:i \
                [COPY@3.0.0] [REPLACE@3.0.0] [authentication([AUTH password@4.0.7]|\
                [AUTH2 username_password{username password}@6.0.0])] [KEYS key...@3.0.6]
                """, "Moves keys to another server.", migrate
            ).complexity("O(N) for values of N elements or bytes together; writes wait until it is done").tips(
                "nondeterministic_output"
            ).history(
                ("3.0.0", "Accepts `COPY` and `REPLACE`."), ("3.0.6", "Accepts `KEYS`."), ("4.0.7", "Accepts `AUTH`."),
                ("6.0.0", "Accepts `AUTH2`.")
            ).categories([.keyspace, .dangerous]).secrets(secrets).findingKeys(keys)
        ])
    }

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

    /// The key, or those behind KEYS. Words that MIGRATE does not know do not matter to where keys are.
    private static let keys: KeyFinder = { args, body in
        var i = 6
        while i < args.count {
            if args[i].equals(ignoringCase: "keys"), i + 1 < args.count {
                guard args[3].isEmpty else { return false }
                for key in i + 1..<args.count { body(key, .rwAccessDelete) }
                return true
            }
            i += args[i].equals(ignoringCase: "auth") ? 2 : args[i].equals(ignoringCase: "auth2") ? 3 : 1
        }
        body(3, .rwAccessDelete)
        return true
    }

    private static let defaultTimeout = 1000

    private static func migrate(_ c: WriteContext) throws(CommandError) {
        let options = try Options(c.args)
        let timeout = try c.args.integer(5)
        let database = try c.args.integer(4)
        let requests = OutputBuffer()
        var valkeyRequests: OutputBuffer?
        var keys: [[UInt8]] = []
        for i in options.keys {
            guard let entry = c.reading.find(c.args[i]) else { continue }
            if entry.hasExpiringFields && valkeyRequests == nil {
                valkeyRequests = OutputBuffer(copying: requests.bytes)
            }
            restore(c, c.args[i], entry, for: .redis, replaces: options.replaces, to: requests)
            if let valkeyRequests {
                restore(c, c.args[i], entry, for: .valkey, replaces: options.replaces, to: valkeyRequests)
            }
            keys.append(c.args[i].array)
        }
        if keys.isEmpty { return c.reply.simple("NOKEY") }
        let migration = Migration(
            host: c.args[1].string, port: c.args[2].string, database: database,
            authentication: authentication(c.args, options), requests: SharedChunk(requests),
            valkeyRequests: valkeyRequests.map { SharedChunk($0) }, keys: keys, isCopy: options.isCopy,
            timeout: timeout <= 0 ? defaultTimeout : Int(timeout))
        c.session.services.migrations.begin(c.session, c.args, migration)
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
        _ c: WriteContext, _ key: Bytes, _ entry: Entry, for family: DumpPayload.Family, replaces: Bool,
        to requests: OutputBuffer
    ) {
        // What is here has not expired; the other server must not take 0 for "never".
        let left = c.db.expiry(of: entry).map { max(1, $0 - c.now) } ?? 0
        DumpPayload.of(entry, for: family, compresses: c.settings.rdbCompression) { payload in
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
