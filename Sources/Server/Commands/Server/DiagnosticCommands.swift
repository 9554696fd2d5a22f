import Storage

/// SLOWLOG, LATENCY and MEMORY.
enum DiagnosticCommands {
    private static let admin: CommandFlags = [.admin, .noscript, .loading, .stale]

    static let table: [Command] = [slowlog, latency, memory]

    private static let slowlog = Command(
        "slowlog", arity: -2, keys: .none, group: .server, since: "2.2.12", complexity: "Depends on subcommand.",
        summary: "The commands that took long.",
        subcommands: [
            Command(
                "get", arity: -2, flags: [.admin, .loading, .stale], keys: .none, group: .server, since: "2.2.12",
                complexity: "O(N) for N entries answered", summary: "Answers the latest entries, newest first.",
                .connection(slowlogGet)),
            Command(
                "len", arity: 2, flags: [.admin, .loading, .stale], keys: .none, group: .server, since: "2.2.12",
                summary: "How many entries there are.", .connection(slowlogLength)),
            Command(
                "reset", arity: 2, flags: [.admin, .loading, .stale], keys: .none, group: .server, since: "2.2.12",
                complexity: "O(N) for N entries", summary: "Removes all entries.", .connection(slowlogReset)),
            Command(
                "help", arity: 2, flags: [.loading, .stale], keys: .none, group: .server, since: "6.2.0",
                summary: "Answers what SLOWLOG can do.", .connection(slowlogHelp)),
        ])

    private static let latency = Command(
        "latency", arity: -2, keys: .none, group: .server, since: "2.8.13", complexity: "Depends on subcommand.",
        summary: "How long things took.",
        subcommands: [
            Command(
                "latest", arity: 2, flags: admin, keys: .none, group: .server, since: "2.8.13",
                summary: "Answers the latest sample of each event.", .connection(latencyLatest)),
            Command(
                "history", arity: 3, flags: admin, keys: .none, group: .server, since: "2.8.13",
                summary: "Answers the samples of an event.", .connection(latencyLatest)),
            Command(
                "reset", arity: -2, flags: admin, keys: .none, group: .server, since: "2.8.13",
                summary: "Removes the samples of events.", .connection(latencyReset)),
            Command(
                "graph", arity: 3, flags: admin, keys: .none, group: .server, since: "2.8.13",
                summary: "Draws the samples of an event.", .connection(latencyGraph)),
            Command(
                "doctor", arity: 2, flags: admin, keys: .none, group: .server, since: "2.8.13",
                summary: "Says what stands out.", .connection(latencyDoctor)),
            Command(
                "histogram", arity: -2, flags: admin, keys: .none, group: .server, since: "7.0.0",
                complexity: "O(N) for N commands", summary: "Answers how the times of commands are distributed.",
                .connection(latencyHistogram)),
            Command(
                "help", arity: 2, flags: [.loading, .stale], keys: .none, group: .server, since: "2.8.13",
                summary: "Answers what LATENCY can do.", .connection(latencyHelp)),
        ])

    private static let memory = Command(
        "memory", arity: -2, keys: .none, group: .server, since: "4.0.0", complexity: "Depends on subcommand.",
        summary: "What memory is used for.",
        subcommands: [
            Command(
                "usage", arity: -3, keys: .range(2, 2, 1), group: .server, since: "4.0.0",
                summary: "Answers the bytes that a key and its value take.", .read(memoryUsage)),
            Command(
                "stats", arity: 2, keys: .none, group: .server, since: "4.0.0",
                summary: "Answers what memory is used for.", .connection(memoryStatistics)),
            Command(
                "doctor", arity: 2, keys: .none, group: .server, since: "4.0.0", summary: "Says what stands out.",
                .connection(memoryDoctor)),
            Command(
                "malloc-stats", arity: 2, keys: .none, group: .server, since: "4.0.0",
                summary: "Answers the allocator's statistics.", .connection(memoryAllocator)),
            Command(
                "purge", arity: 2, keys: .none, group: .server, since: "4.0.0",
                summary: "Gives freed pages back to the system.", .connection(memoryPurge)),
            Command(
                "help", arity: 2, flags: [.loading, .stale], keys: .none, group: .server, since: "4.0.0",
                summary: "Answers what MEMORY can do.", .connection(memoryHelp)),
        ])

    // MARK: - SLOWLOG

    private static func slowlogGet(_ c: ConnectionContext) throws(CommandError) {
        guard c.args.count <= 3 else {
            throw .subcommandSyntax(c.args)
        }
        var wanted = 10
        if c.args.count == 3 {
            guard let count = c.args[2].integer, count >= -1 else {
                throw CommandError("ERR count should be greater than or equal to -1")
            }
            wanted = count == -1 ? Int.max : Int(count)
        }
        let entries = c.services.slowlog.entries.suffix(wanted).reversed()
        c.reply.array(entries.count)
        for entry in entries {
            c.reply.array(6)
            c.reply.integer(entry.id)
            c.reply.integer(entry.time)
            c.reply.integer(entry.microseconds)
            c.reply.array(entry.arguments.count)
            for argument in entry.arguments { c.reply.bulk(array: argument) }
            c.reply.bulk(entry.address)
            c.reply.bulk(entry.client)
        }
    }

    private static func slowlogLength(_ c: ConnectionContext) throws(CommandError) {
        c.reply.integer(c.services.slowlog.entries.count)
    }

    private static func slowlogReset(_ c: ConnectionContext) throws(CommandError) {
        c.services.slowlog.removeAll()
        c.reply.ok()
    }

    private static func slowlogHelp(_ c: ConnectionContext) throws(CommandError) {
        c.reply.help(
            "SLOWLOG",
            [
                "GET [<count>]", "    The latest entries, 10 unless said otherwise, -1 for all: id, time,",
                "    microseconds, arguments, the client's address and name.",
                "LEN", "    How many entries there are.", "RESET", "    Remove all entries.",
            ])
    }

    // MARK: - LATENCY

    /// LATEST and HISTORY: no events are sampled yet.
    private static func latencyLatest(_ c: ConnectionContext) throws(CommandError) { c.reply.array(0) }

    private static func latencyReset(_ c: ConnectionContext) throws(CommandError) { c.reply.integer(0) }

    private static func latencyGraph(_ c: ConnectionContext) throws(CommandError) {
        throw CommandError(parts: Bytes("ERR No samples available for event '"), c.args[2], Bytes("'"))
    }

    private static func latencyDoctor(_ c: ConnectionContext) throws(CommandError) {
        c.reply.verbatim(Bytes("No latency events were sampled. SLOWLOG GET and LATENCY HISTOGRAM tell more.\n"), "txt")
    }

    private static func latencyHistogram(_ c: ConnectionContext) throws(CommandError) {
        let wanted = (2..<max(2, c.args.count)).map { c.args[$0].string.lowercased() }
        let found = c.services.statistics.commands.filter { command in
            // A container stands for its subcommands.
            command.calls > 0
                && (wanted.isEmpty || wanted.contains { command.name == $0 || command.name.hasPrefix($0 + "|") })
        }
        c.reply.map(found.count)
        for command in found {
            c.reply.bulk(command.name)
            c.reply.map(2)
            c.reply.bulk("calls")
            c.reply.integer(command.calls)
            c.reply.bulk("histogram_usec")
            let used = command.histogram.indices.filter { command.histogram[$0] > 0 }
            c.reply.map(used.count)
            var total: Int64 = 0
            for bucket in used {
                total += Int64(command.histogram[bucket])
                c.reply.integer(Int64(1) << Int64(bucket))
                c.reply.integer(total)
            }
        }
    }

    private static func latencyHelp(_ c: ConnectionContext) throws(CommandError) {
        c.reply.help(
            "LATENCY",
            [
                "DOCTOR", "    What stands out.", "GRAPH <event>", "    A drawing of the event's samples.",
                "HISTOGRAM [<command> ...]", "    How the times of commands are distributed.",
                "HISTORY <event>", "    The event's samples.", "LATEST", "    The latest sample of each event.",
                "RESET [<event> ...]", "    Remove the samples of events, of all unless named.",
            ])
    }

    // MARK: - MEMORY

    private static func memoryUsage(_ c: ReadContext) throws(CommandError) {
        // SAMPLES is checked and not needed: sizes are known without sampling.
        var i = 3
        while i < c.args.count {
            guard c.args[i].equals(ignoringCase: "samples"), i + 1 < c.args.count else { throw .syntax }
            guard try c.args.integer(i + 1) >= 0 else { throw .syntax }
            i += 2
        }
        if let entry = c.db.inspect(c.args[2]) { c.reply.integer(entry.memoryUsage) } else { c.reply.null() }
    }

    private static func memoryStatistics(_ c: ConnectionContext) throws(CommandError) {
        let now = MemoryStatistics()
        let statistics = c.services.statistics
        let keys = c.services.keyspace.count
        let data = max(0, now.allocated - statistics.startupMemory)
        statistics.peakMemory = max(statistics.peakMemory, now.allocated)
        let integers: [(StaticString, Int)] = [
            ("peak.allocated", statistics.peakMemory), ("total.allocated", now.allocated),
            ("startup.allocated", statistics.startupMemory), ("replication.backlog", 0), ("clients.slaves", 0),
            ("clients.normal", 0), ("cluster.links", 0), ("aof.buffer", 0), ("lua.caches", 0),
            ("functions.caches", 0), ("overhead.total", statistics.startupMemory), ("keys.count", keys),
            ("keys.bytes-per-key", keys > 0 ? data / keys : 0), ("dataset.bytes", data),
            ("allocator.allocated", now.allocated), ("allocator.active", now.active),
            ("allocator.resident", now.resident), ("allocator-fragmentation.bytes", now.active - now.allocated),
            ("allocator-rss.bytes", now.resident - now.active),
            ("rss-overhead.bytes", now.residentSetSize - now.resident),
            ("fragmentation.bytes", now.residentSetSize - now.allocated),
        ]
        let doubles: [(StaticString, Double)] = [
            ("dataset.percentage", Info.share(data, now.allocated) * 100),
            ("peak.percentage", Info.share(now.allocated, statistics.peakMemory) * 100),
            ("allocator-fragmentation.ratio", Info.share(now.active, now.allocated)),
            ("allocator-rss.ratio", Info.share(now.resident, now.active)),
            ("rss-overhead.ratio", Info.share(now.residentSetSize, now.resident)),
            ("fragmentation", Info.share(now.residentSetSize, now.allocated)),
        ]
        c.reply.map(integers.count + doubles.count)
        for (name, value) in integers {
            c.reply.bulk(name)
            c.reply.integer(value)
        }
        for (name, value) in doubles {
            c.reply.bulk(name)
            c.reply.double(value)
        }
    }

    private static func memoryDoctor(_ c: ConnectionContext) throws(CommandError) {
        let now = MemoryStatistics()
        let text = OutputBuffer()
        if now.allocated < 5 << 20 {
            text.append("Little memory is used: there is nothing to say about it.\n")
        } else if Info.share(now.residentSetSize, now.allocated) > 1.4 && now.residentSetSize > 10 << 20 {
            text.append("The process takes much more memory than it uses: see MEMORY STATS, and try MEMORY PURGE.\n")
        } else {
            text.append("Nothing stands out.\n")
        }
        c.reply.verbatim(text.bytes, "txt")
    }

    private static func memoryAllocator(_ c: ConnectionContext) throws(CommandError) {
        let now = MemoryStatistics()
        let text = OutputBuffer()
        text.append(
            text:
                "\(MemoryStatistics.allocator)\nallocated: \(now.allocated), active: \(now.active), resident: "
                + "\(now.resident)\n")
        c.reply.verbatim(text.bytes, "txt")
    }

    private static func memoryPurge(_ c: ConnectionContext) throws(CommandError) {
        MemoryStatistics.purge()
        c.reply.ok()
    }

    private static func memoryHelp(_ c: ConnectionContext) throws(CommandError) {
        c.reply.help(
            "MEMORY",
            [
                "DOCTOR", "    What stands out.", "MALLOC-STATS", "    The allocator's statistics.",
                "PURGE", "    Give freed pages back to the system.", "STATS", "    What memory is used for.",
                "USAGE <key> [SAMPLES <count>]", "    Bytes that a key and its value take.",
            ])
    }
}

extension ReplyWriter {
    func bulk(array bytes: [UInt8]) {
        bytes.withUnsafeBytes { raw in
            bulk(raw.baseAddress.map { Bytes($0, raw.count) } ?? Bytes())
        }
    }
}
