import Glibc
import Storage

/// DEBUG, as far as test suites use it. `enable-debug-command` says who may.
enum DebugCommands {
    static let table: [Command] = [
        Command(
            "debug", arity: -2, flags: [.admin, .noscript, .loading, .stale], keys: .none, group: .server,
            since: "1.0.0", complexity: "Depends on subcommand.", summary: "For testing and debugging the server.",
            .admin(debug))
    ]

    /// A subcommand: how many arguments may follow its name, and what it does.
    private struct Action: Sendable {
        let name: StaticString
        let arguments: ClosedRange<Int>
        /// Refused while data loads.
        var usesData = true
        let run: @Sendable (AdminContext) throws(CommandError) -> Void
    }

    private static let actions: [Action] = [
        Action(name: "digest", arguments: 0...0, run: digest),
        Action(name: "digest-value", arguments: 0...1024, run: digestValue),
        Action(name: "object", arguments: 1...2, run: object),
        Action(name: "reload", arguments: 0...3, run: reload),
        Action(name: "loadaof", arguments: 0...0, run: loadaof),
        Action(name: "sleep", arguments: 1...1, usesData: false, run: sleep),
        Action(name: "advance-clock", arguments: 1...2, usesData: false, run: advanceClock),
        Action(name: "set-active-expire", arguments: 1...1, usesData: false, run: setActiveExpire),
        Action(name: "set-skip-checksum-validation", arguments: 1...1, usesData: false, run: setSkipChecksum),
        Action(name: "events", arguments: 1...1, usesData: false, run: DebugEvents.reply),
        Action(name: "populate", arguments: 1...3, run: populate),
        Action(name: "error", arguments: 1...1, usesData: false, run: error),
        Action(name: "log", arguments: 1...1, usesData: false, run: log),
        Action(name: "protocol", arguments: 1...1, usesData: false, run: DebugProtocol.reply),
        Action(name: "stringmatch-len", arguments: 2...2, usesData: false, run: stringMatch),
        Action(name: "htstats", arguments: 1...2, run: tableStatistics),
        Action(name: "htstats-key", arguments: 1...2, run: valueTableStatistics),
        Action(name: "listpack", arguments: 1...1, run: listpack),
        Action(name: "sdslen", arguments: 1...1, run: stringLengths),
        Action(name: "allocated", arguments: 0...0, usesData: false, run: allocated),
        Action(name: "config-rewrite-force-all", arguments: 0...0, run: rewriteAll),
        Action(name: "change-repl-id", arguments: 0...0, run: changeReplicationID),
        // Of Redis's insides that Swiftlet does not have: accepted, so that suites go on.
        Action(name: "quicklist-packed-threshold", arguments: 1...1, run: accept),
        Action(name: "replicate", arguments: 1...1024, run: accept),
        Action(name: "set-disable-deny-scripts", arguments: 1...1, run: accept),
        Action(name: "aof-flush-sleep", arguments: 1...1, run: accept),
        Action(name: "replybuffer", arguments: 2...2, run: accept),
        Action(name: "dict-resizing", arguments: 1...1, run: accept),
        Action(name: "pause-cron", arguments: 1...1, run: accept),
        Action(name: "client-eviction", arguments: 0...0, run: accept),
        Action(name: "jmap", arguments: 0...0, usesData: false, run: accept),
        Action(name: "help", arguments: 0...0, usesData: false, run: help),
    ]

    /// Bytes that this thread has asked the allocator for since the start: what tests hold the hot path to.
    private static func allocated(_ c: AdminContext) throws(CommandError) {
        c.reply.integer(Int64(clamping: MemoryStatistics.allocatedByThread))
    }

    private static func debug(_ c: AdminContext) throws(CommandError) {
        guard c.services.config.settings.enableDebugCommand.allows(c.session) else {
            throw CommandError(
                "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it "
                    + "from a local connection, otherwise you need to set this option in the configuration file, and "
                    + "then restart the server.")
        }
        for action in actions where c.args[1].equals(ignoringCase: action.name) {
            guard action.arguments.contains(c.args.count - 2) else { break }
            if action.usesData && c.services.guards.contains(.loading) { throw .loading }
            return try action.run(c)
        }
        throw .subcommandSyntax(c.args)
    }

    @Sendable private static func accept(_ c: AdminContext) throws(CommandError) { c.reply.ok() }

    // MARK: - Data

    @Sendable private static func digest(_ c: AdminContext) throws(CommandError) {
        c.reply.simple(text: DataDigest.hex(of: c.services.keyspace))
    }

    @Sendable private static func digestValue(_ c: AdminContext) throws(CommandError) {
        c.reply.array(c.args.count - 2)
        for i in 2..<max(2, c.args.count) {
            c.reply.simple(text: DataDigest.hex(ofValueAt: c.args[i], in: c.db))
        }
    }

    @Sendable private static func object(_ c: AdminContext) throws(CommandError) {
        guard let entry = c.db.peek(c.args[2]) else { throw .noSuchKey }
        let size = entry.memoryUsage
        let idle = c.db.idleSeconds(of: entry)
        let clock = (Int(c.now / 1000) - idle) & 0xff_ffff
        var line = "Value at:0x\(String(UInt(bitPattern: entry.key.base), radix: 16)) refcount:1 "
        line += "encoding:\(entry.encodingName) serializedlength:\(size) lru:\(clock) lru_seconds_idle:\(idle)"
        if entry.encoding == .quicklist {
            let count = c.db.list(of: entry).count
            line += " ql_nodes:\(max(1, count / 128)) ql_avg_node:\(Info.fixed(Double(min(count, 128)), 2))"
            line += " ql_listpack_max:\(c.services.config.settings.listMaxListpackSize) ql_compressed:0"
            line += " ql_uncompressed_size:\(size)"
        }
        c.reply.simple(text: line)
    }

    @Sendable private static func populate(_ c: AdminContext) throws(CommandError) {
        guard let count = c.args[2].integer, count >= 0 else { throw .mustBePositive }
        var size = 0
        if c.args.count == 5 {
            guard let wanted = c.args[4].integer, (0...Int64(c.services.config.settings.maxBulkLength)).contains(wanted)
            else { throw .mustBePositive }
            size = Int(wanted)
        }
        let key = OutputBuffer()
        let value = OutputBuffer()
        for i in 0..<count {
            key.removeAll()
            key.append(c.args.count > 3 ? c.args[3] : Bytes("key"))
            key.append(byte: UInt8(ascii: ":"))
            key.append(decimal: i)
            if c.db.peek(key.bytes) != nil { continue }
            value.removeAll()
            value.append("value:")
            value.append(decimal: i)
            if size > 0 {
                // The text is cut or filled up with zero bytes.
                while value.count < size { value.append(byte: 0) }
                value.truncate(to: size)
            }
            c.db.setString(key.bytes, value.bytes, expiry: .clear)
            // Not replicated in Redis; here each is logged, so that a restart finds what the client was told is there.
            c.propagate(Bytes("SET"), key.bytes, value.bytes)
        }
        c.reply.ok()
    }

    @Sendable private static func stringLengths(_ c: AdminContext) throws(CommandError) {
        guard let entry = c.db.peek(c.args[2]) else { throw .noSuchKey }
        guard entry.type == .string else { throw CommandError("ERR Not an sds encoded string.") }
        let value = c.db.string(of: entry).count
        c.reply.simple(
            text: "key_sds_len:\(entry.key.count), key_sds_avail:0, key_zmalloc: \(entry.key.count), "
                + "val_sds_len:\(value), val_sds_avail:0, val_zmalloc: \(value)")
    }

    /// Redis prints the elements to its standard output; here only whether there is such a form.
    @Sendable private static func listpack(_ c: AdminContext) throws(CommandError) {
        guard let entry = c.db.peek(c.args[2]) else { throw .noSuchKey }
        guard entry.encoding == .listpack || Bytes(entry.encodingName) == Bytes("listpackex") else {
            throw CommandError("ERR Not a listpack encoded object.")
        }
        c.reply.simple("Listpack structure printed on stdout")
    }

    @Sendable private static func tableStatistics(_ c: AdminContext) throws(CommandError) {
        guard let index = c.args[2].integer else { throw .notInteger }
        guard index >= 0, index < Int64(c.services.keyspace.databases.count) else {
            throw CommandError("ERR Out of range database")
        }
        let database = c.services.keyspace.databases[Int(index)]
        let text = OutputBuffer()
        text.append("[Dictionary HT]\n")
        text.append(text: Self.statistics(size: database.tableSize.buckets, count: database.count))
        text.append("[Expires HT]\n")
        text.append(text: Self.statistics(size: database.expiringCount, count: database.expiringCount))
        c.reply.verbatim(text.bytes, "txt")
    }

    private static func statistics(size: Int, count: Int) -> String {
        if count == 0 {
            return "Hash table 0 stats (main hash table):\nNo stats available for empty dictionaries\n"
        }
        return "Hash table 0 stats (main hash table):\n table size: \(size)\n number of elements: \(count)\n"
    }

    @Sendable private static func valueTableStatistics(_ c: AdminContext) throws(CommandError) {
        guard let entry = c.db.peek(c.args[2]) else { throw .noSuchKey }
        guard entry.encoding == .hashtable || entry.encoding == .skiplist else {
            throw CommandError("ERR The value stored at the specified key is not represented using an hash table")
        }
        let count: Int
        switch entry.type {
        case .hash: count = c.db.hash(of: entry).count
        case .set: count = c.db.set(of: entry).count
        case .zset: count = c.db.zset(of: entry).count
        case .string, .list, .stream: count = 0
        }
        // The capacity that this many elements make a power-of-two table have.
        var size = 4
        while size < count { size *= 2 }
        let text = OutputBuffer()
        text.append(text: Self.statistics(size: size, count: count))
        c.reply.verbatim(text.bytes, "txt")
    }

    // MARK: - Persistence

    @Sendable private static func reload(_ c: AdminContext) throws(CommandError) {
        var saveFirst = true
        for i in 2..<max(2, c.args.count) {
            if c.args[i].equals(ignoringCase: "nosave") {
                saveFirst = false
            } else if !c.args[i].equals(ignoringCase: "noflush"), !c.args[i].equals(ignoringCase: "merge") {
                throw CommandError("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
            }
        }
        try c.services.persistence.reload(saveFirst: saveFirst)
        c.services.logger.warning("DB reloaded by DEBUG RELOAD")
        c.reply.ok()
    }

    @Sendable private static func loadaof(_ c: AdminContext) throws(CommandError) {
        try c.services.persistence.reloadLog()
        c.services.logger.warning("Append Only File loaded by DEBUG LOADAOF")
        c.reply.ok()
    }

    @Sendable private static func rewriteAll(_ c: AdminContext) throws(CommandError) {
        try ConfigCommands.rewrite(c.services, all: true)
        c.reply.ok()
    }

    // MARK: - The server

    /// Longest sleep that DEBUG SLEEP grants, in seconds: a day.
    private static let maximumSleep = 86400.0

    @Sendable private static func sleep(_ c: AdminContext) throws(CommandError) {
        let seconds = min(maximumSleep, max(0, c.args[2].double ?? 0))
        var time = timespec()
        time.tv_sec = Int(seconds)
        time.tv_nsec = Int((seconds - seconds.rounded(.down)) * 1e9)
        var rest = timespec()
        while nanosleep(&time, &rest) != 0 && errno == EINTR { time = rest }
        c.reply.ok()
    }

    /// DEBUG ADVANCE-CLOCK milliseconds [WALL]: tests wait for nothing. With WALL, which may go back, only the wall clock moves.
    @Sendable private static func advanceClock(_ c: AdminContext) throws(CommandError) {
        let isWallOnly = c.args.count == 4
        if isWallOnly && !c.args[3].equals(ignoringCase: "wall") { throw .syntax }
        guard let milliseconds = c.args[2].integer, milliseconds >= 0 || isWallOnly,
            milliseconds.magnitude <= 3650 * 86_400_000
        else { throw .notInteger }
        if isWallOnly {
            Clock.shiftWallClock(nanoseconds: milliseconds * 1_000_000)
        } else {
            Clock.advance(nanoseconds: UInt64(milliseconds) * 1_000_000)
        }
        // For the commands behind this one in its batch.
        c.services.router.beginBatch()
        c.reply.ok()
    }

    @Sendable private static func setActiveExpire(_ c: AdminContext) throws(CommandError) {
        c.services.router.isActiveExpireEnabled = c.args[2].integer != 0
        c.reply.ok()
    }

    @Sendable private static func setSkipChecksum(_ c: AdminContext) throws(CommandError) {
        c.services.skipsPayloadChecksum = c.args[2].integer ?? 0 != 0
        c.reply.ok()
    }

    @Sendable private static func error(_ c: AdminContext) throws(CommandError) {
        throw CommandError(parts: c.args[2])
    }

    @Sendable private static func log(_ c: AdminContext) throws(CommandError) {
        let text = c.args[2].string
        c.services.logger.warning("DEBUG LOG: \(text)")
        c.reply.ok()
    }

    @Sendable private static func changeReplicationID(_ c: AdminContext) throws(CommandError) {
        c.services.stream.beginHistory()
        c.reply.ok()
    }

    /// DEBUG STRINGMATCH-LEN length pattern: matches so many `a` with the pattern, to see how long it takes.
    @Sendable private static func stringMatch(_ c: AdminContext) throws(CommandError) {
        guard let length = c.args[2].integer, (0...(64 << 20)).contains(length) else { throw .mustBePositive }
        let text = OutputBuffer(capacity: Int(length))
        memset(text.appendUninitialized(Int(length)), Int32(UInt8(ascii: "a")), Int(length))
        _ = stringmatch(c.args[3], text.bytes)
        c.reply.ok()
    }

    @Sendable private static func help(_ c: AdminContext) throws(CommandError) {
        c.reply.help(
            "DEBUG",
            [
                "ADVANCE-CLOCK <milliseconds> [WALL]",
                "    Move the clocks forward, or the wall clock alone either way.",
                "CHANGE-REPL-ID", "    Take a new replication id.",
                "CONFIG-REWRITE-FORCE-ALL", "    CONFIG REWRITE that writes settings at their default, too.",
                "DIGEST", "    A digest of all data.", "DIGEST-VALUE [<key> ...]", "    A digest of each value.",
                "ERROR <text>", "    Answer this error.", "EVENTS <ON|TAKE|OFF>",
                "    Record what happens to keys; answer it, as name, database and key of each event.", "HTSTATS <db>", "    Size of a database's table.",
                "HTSTATS-KEY <key>", "    Size of a value's table.", "LISTPACK <key>",
                "    Whether a value lies in a listpack.", "LOADAOF", "    Load snapshot and log again.",
                "LOG <text>", "    Write to the server's log.", "OBJECT <key>", "    How a value lies in memory.",
                "POPULATE <count> [<prefix>] [<size>]", "    Make keys named prefix:0 and so on.",
                "PROTOCOL <type>", "    Answer a value of a type of the protocol.",
                "RELOAD [NOSAVE]", "    Save, and load the snapshot again.", "SET-ACTIVE-EXPIRE <0|1>",
                "    Whether keys that are due are removed without being asked for.",
                "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
                "    Whether RESTORE takes payloads whose checksum is wrong.", "SLEEP <seconds>",
                "    Stop the server for a while.", "STRINGMATCH-LEN <length> <pattern>",
                "    Match a long string of the letter a.",
            ])
    }
}
