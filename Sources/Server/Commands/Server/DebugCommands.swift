import Glibc
import Storage

/// DEBUG, as far as test suites use it. `enable-debug-command` says who may.
enum DebugCommands {
    static var table: [Command] {
        CommandGroup.server.rows([
            .admin(
                "debug", -2, [.noscript, .loading, .stale, .showsData], "1.0.0", "",
                "Inspects and manipulates the server's internals, for tests.", debug
            ).complexity("Depends on subcommand.").systemCommand()
        ])
    }

    /// A subcommand: its arguments in the notation of `ArgumentSyntax`, what it does, and how.
    private struct Action: Sendable {
        let name: StaticString
        let arguments: StaticString
        let summary: StaticString
        /// Refused while data loads.
        let usesData: Bool
        let run: AdminHandler

        init(
            _ name: StaticString, _ arguments: StaticString, _ summary: StaticString, usesData: Bool = true,
            _ run: @escaping AdminHandler
        ) {
            (self.name, self.arguments, self.summary) = (name, arguments, summary)
            (self.usesData, self.run) = (usesData, run)
        }
    }

    private static let withoutEffect: StaticString = "Does nothing: Swiftlet has no such part."

    private static let actions: [Action] = [
        Action("digest", "", "Returns a digest of all data.", digest),
        Action("digest-value", "[key...]", "Returns a digest of the value at each key.", digestValue),
        Action("object", "key [FAST]", "Describes how a value is stored.", object),
        Action("reload", "[NOSAVE] [NOFLUSH] [MERGE]", "Saves, and loads the snapshot again.", reload),
        Action("loadaof", "", "Loads the snapshot and the log again.", loadaof),
        Action("sleep", "seconds:d", "Stops the server for some seconds.", usesData: false, sleep),
        Action(
            "advance-clock", "milliseconds:i [WALL]", "Moves the clocks forward, or the wall clock alone either way.",
            usesData: false, advanceClock),
        Action(
            "set-active-expire", "enabled(0|1)", "Controls whether expired keys are removed in the background.",
            usesData: false, setActiveExpire),
        Action(
            "set-skip-checksum-validation", "enabled(0|1)",
            "Controls whether RESTORE accepts payloads with a wrong checksum.", usesData: false, setSkipChecksum),
        Action(
            "events", "action(ON|TAKE|OFF)", "Records what happens to keys, and returns it.", usesData: false,
            DebugEvents.reply),
        Action("populate", "count:i [prefix] [size:i]", "Creates strings named prefix:0 and so on.", populate),
        Action("segfault", "", "Crashes the server with a segmentation fault.", usesData: false) {
            _ throws(CommandError) in
            raise(SIGSEGV)
        },
        Action("error", "message", "Returns the message as an error.", usesData: false, error),
        Action("log", "message", "Writes the message to the server's log.", usesData: false, log),
        Action("protocol", "type", "Returns a value of a type of the protocol.", usesData: false, DebugProtocol.reply),
        Action(
            "stringmatch-len", "length:i pattern", "Matches a long string of the letter a with a pattern.",
            usesData: false, stringMatch),
        Action("htstats", "dbid:i [FULL]", "Describes the hash table of a database.", tableStatistics),
        Action("htstats-key", "key [FULL]", "Describes the hash table of a value.", valueTableStatistics),
        Action("listpack", "key", "Checks that a value is stored in a listpack.", listpack),
        Action("sdslen", "key", "Returns the lengths of a key and its string.", stringLengths),
        Action("allocated", "", "Returns the bytes that the main thread has allocated.", usesData: false, allocated),
        Action(
            "config-rewrite-force-all", "", "Writes all settings to the configuration file, defaults too.", rewriteAll),
        Action(
            "check-invariants", "", "Returns an error if a structure in memory contradicts itself.", checkInvariants),
        Action("change-repl-id", "", "Changes the replication id.", changeReplicationID),
        Action(
            "replicate", "arg...", "Sends a command to replicas and the log, without executing it.", usesData: false,
            replicate),
        Action(
            "set-disable-deny-scripts", "enabled(0|1)", "Controls whether scripts may call every command.",
            usesData: false
        ) { c throws(CommandError) in
            c.services.scripting.runner.allowsEverything = try c.args.integer(2) != 0
            c.reply.ok()
        },
        Action(
            "mallctl", "name [value:i]", "Returns a variable of the allocator, or sets it.", usesData: false, control),
        Action(
            "mallctl-str", "name [value]", "Has the allocator execute a command: the value is VOID.", usesData: false
        ) { c throws(CommandError) in
            guard MemoryStatistics.command(c.args[2].string) else { throw .unknownVariable }
            c.reply.ok()
        },
        Action("pause-cron", "enabled(0|1)", "Stops what is done regularly, or goes on with it.") {
            c throws(CommandError) in
            c.services.router.isCronPaused = try c.args.integer(2) != 0
            c.reply.ok()
        },
        // Of Redis's insides: accepted, so that suites go on.
        Action("quicklist-packed-threshold", "size", withoutEffect, accept),
        Action("aof-flush-sleep", "microseconds:i", withoutEffect, accept),
        Action("replybuffer", "attribute value", withoutEffect, usesData: false, accept),
        Action("dict-resizing", "enabled(0|1)", withoutEffect, accept),
        Action("client-eviction", "", withoutEffect, accept),
        Action("jmap", "", withoutEffect, usesData: false, accept),
    ]

    private static func help(_ c: AdminContext) {
        let lines = actions.map { CommandHelp.Line(name: $0.name, arguments: $0.arguments, summary: $0.summary) }
        CommandHelp.write("debug", lines.sorted { "\($0.name)" < "\($1.name)" }, c.reply)
    }

    /// Those of each subcommand, for the test that parses all.
    static let argumentsOfActions = actions.map(\.arguments)

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
        if c.args.count == 2, c.args[1].equals(ignoringCase: "help") { return help(c) }
        for action in actions where c.args[1].equals(ignoringCase: action.name) {
            let count = ArgumentSyntax.count(ArgumentSyntax.parse(action.arguments) ?? [])
            guard c.args.count - 2 >= count.least, c.args.count - 2 <= count.most ?? .max else { break }
            if action.usesData && c.services.guards.contains(.loading) { throw .loading }
            return try action.run(c)
        }
        throw .subcommandSyntax(c.args)
    }

    @Sendable private static func control(_ c: AdminContext) throws(CommandError) {
        let value = c.args.count > 3 ? try c.args.integer(3) : nil
        guard let old = MemoryStatistics.control(c.args[2].string, setTo: value.map { Int($0) }) else {
            throw .unknownVariable
        }
        c.reply.integer(old)
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
        guard let entry = c.db.findEvenIfDue(c.args[2]) else { throw .noSuchKey }
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
        // As in Redis, replicas do not get them; the log does, so that a restart finds what the client was told is there.
        let stream = c.services.router.stream
        stream.targets = .log
        defer { stream.targets = .all }
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
            c.propagate(Bytes("SET"), key.bytes, value.bytes)
        }
        c.reply.ok()
    }

    /// Checks all structures in memory. O(everything that is stored).
    @Sendable private static func checkInvariants(_ c: AdminContext) throws(CommandError) {
        do throws(BrokenInvariant) {
            try c.services.keyspace.checkInvariants()
            try c.services.router.blocked.checkInvariants()
            try c.services.tracking.checkInvariants()
        } catch {
            throw CommandError("ERR \(error.description)")
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
        var (flushes, merges) = (true, false)
        for i in 2..<max(2, c.args.count) {
            if c.args[i].equals(ignoringCase: "nosave") {
                saveFirst = false
            } else if c.args[i].equals(ignoringCase: "noflush") {
                flushes = false
            } else if c.args[i].equals(ignoringCase: "merge") {
                merges = true
            } else {
                throw CommandError("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
            }
        }
        let keyspace = c.services.keyspace
        // What is there would be loaded on top of itself.
        if !flushes && !merges && (keyspace.count > 0 || !keyspace.libraries.isEmpty) {
            throw PersistenceControl.loadFailed
        }
        let libraries = keyspace.libraries.all
        try c.services.persistence.reload(saveFirst: saveFirst)
        if !flushes {
            let loaded = Set(keyspace.libraries.all.map(\.name))
            for (name, code) in libraries where !loaded.contains(name) {
                _ = try code.lend { (code) throws(CommandError) in
                    try c.services.scripting.load(library: code, replaces: true)
                }
            }
        }
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
        c.services.logger.notice("Changing replication IDs after receiving change-repl-id")
        c.services.stream.beginHistory()
        c.reply.ok()
    }

    /// DEBUG REPLICATE arg…: a command that is not executed here.
    @Sendable private static func replicate(_ c: AdminContext) throws(CommandError) {
        let isKnown = c.services.declaredCommands.find(c.args[2]) != nil
        if !isKnown && c.services.persistence.keepsLog {
            throw CommandError("ERR the log could not be replayed with an unknown command in it: set appendonly to no")
        }
        c.services.stream.append(c.db.index, rewritten: (2..<c.args.count).map { c.args[$0] })
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
}

extension CommandError {
    fileprivate static let unknownVariable = CommandError("ERR No such file or directory")
}
