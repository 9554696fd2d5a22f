import Storage

/// MEMORY; SLOWLOG, LATENCY and MONITOR stand in files of their own.
enum DiagnosticCommands {
    static var table: [Command] {
        CommandGroup.server.rows([SlowlogCommands.row, LatencyCommands.row, memory, MonitorCommand.row])
    }

    private static var memory: Command {
        .container(
            "memory", "4.0.0", "Reports the use of memory.", [],
            [
                .read(
                    "usage", -3, [], [.key(.ro, at: 2)], "4.0.0", "key [SAMPLES count:i]",
                    "Estimates the bytes that a key and its value take.", memoryUsage),
                .connection("stats", 2, [], "4.0.0", "", "Returns statistics of the memory in use.", memoryStatistics)
                    .tips("nondeterministic_output request_policy:all_shards response_policy:special"),
                .connection("doctor", 2, [], "4.0.0", "", "Analyzes the memory in use.", memoryDoctor).tips(
                    "nondeterministic_output request_policy:all_shards response_policy:special"),
                .connection(
                    "malloc-stats", 2, [], "4.0.0", "", "Returns the statistics of the allocator.", memoryAllocator
                ).tips("nondeterministic_output request_policy:all_shards response_policy:special"),
                .connection("purge", 2, [], "4.0.0", "", "Returns freed pages to the system.", memoryPurge).tips(
                    "request_policy:all_shards response_policy:all_succeeded"),
                .help("4.0.0"),
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
        if let entry = c.db.inspectEvenIfDue(c.args[2]) { c.reply.integer(entry.memoryUsage) } else { c.reply.null() }
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
}

extension ReplyWriter {
    func bulk(array bytes: [UInt8]) {
        bytes.withUnsafeBytes { raw in
            bulk(raw.baseAddress.map { Bytes($0, raw.count) } ?? Bytes())
        }
    }
}
