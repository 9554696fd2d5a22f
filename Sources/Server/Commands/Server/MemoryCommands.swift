import Storage

/// MEMORY: what is in use, and for what.
enum MemoryCommands {
    static var row: Command {
        .container(
            "memory", "4.0.0", "Reports the use of memory.", [],
            [
                .read(
                    "usage", -3, [], [.key(.ro, at: 2)], "4.0.0", "key [SAMPLES count:i]",
                    "Estimates the bytes that a key and its value take.", usage),
                .connection("stats", 2, [], "4.0.0", "", "Returns statistics of the memory in use.", statistics)
                    .tips("nondeterministic_output request_policy:all_shards response_policy:special"),
                .connection("doctor", 2, [], "4.0.0", "", "Analyzes the memory in use.", doctor).tips(
                    "nondeterministic_output request_policy:all_shards response_policy:special"),
                .connection(
                    "malloc-stats", 2, [], "4.0.0", "", "Returns the statistics of the allocator.", allocator
                ).tips("nondeterministic_output request_policy:all_shards response_policy:special"),
                .connection("purge", 2, [], "4.0.0", "", "Returns freed pages to the system.", purge).tips(
                    "request_policy:all_shards response_policy:all_succeeded"),
                .help("4.0.0"),
            ])
    }

    private static func usage(_ c: ReadContext) throws(CommandError) {
        // SAMPLES is checked and not needed: sizes are known without sampling.
        var i = 3
        while i < c.args.count {
            guard c.args[i].equals(ignoringCase: "samples"), i + 1 < c.args.count else { throw .syntax }
            guard try c.args.integer(i + 1) >= 0 else { throw .syntax }
            i += 2
        }
        if let entry = c.db.inspectEvenIfDue(c.args[2]) { c.reply.integer(entry.memoryUsage) } else { c.reply.null() }
    }

    private enum Figure {
        case bytes(StaticString, Int)
        case ratio(StaticString, Double)
        case database(Int, keys: Int, expiries: Int)
    }

    /// In Redis's order.
    private static func figures(_ report: MemoryReport) -> [Figure] {
        let now = report.now
        let first: [Figure] = [
            .bytes("peak.allocated", report.peak), .bytes("total.allocated", now.inUse),
            .bytes("startup.allocated", report.startup), .bytes("replication.backlog", report.backlog),
            .bytes("clients.slaves", report.replicas), .bytes("clients.normal", report.clients),
            .bytes("cluster.links", 0), .bytes("aof.buffer", report.log), .bytes("lua.caches", report.scripts),
            .bytes("functions.caches", report.functions),
        ]
        let databases = report.databases.map { Figure.database($0.index, keys: $0.keys, expiries: $0.expiries) }
        let last: [Figure] = [
            .bytes("overhead.total", report.overhead), .bytes("keys.count", report.keys),
            .bytes("keys.bytes-per-key", report.bytesPerKey), .bytes("dataset.bytes", report.dataset),
            .ratio("dataset.percentage", report.datasetPercentage), .ratio("peak.percentage", report.peakPercentage),
            .bytes("allocator.allocated", now.allocated), .bytes("allocator.active", now.active),
            .bytes("allocator.resident", now.resident),
            .ratio("allocator-fragmentation.ratio", report.allocatorFragmentation),
            .bytes("allocator-fragmentation.bytes", now.active - now.allocated),
            .ratio("allocator-rss.ratio", report.allocatorResidency),
            .bytes("allocator-rss.bytes", now.resident - now.active),
            .ratio("rss-overhead.ratio", report.processOverhead),
            .bytes("rss-overhead.bytes", now.residentSetSize - now.resident),
            .ratio("fragmentation", report.fragmentation),
            .bytes("fragmentation.bytes", now.residentSetSize - now.inUse),
        ]
        return first + databases + last
    }

    private static func statistics(_ c: ConnectionContext) throws(CommandError) {
        let figures = figures(MemoryReport(c.services))
        c.reply.map(figures.count)
        for figure in figures {
            switch figure {
            case .bytes(let name, let value):
                c.reply.bulk(name)
                c.reply.integer(value)
            case .ratio(let name, let value):
                c.reply.bulk(name)
                c.reply.double(value)
            case .database(let index, let keys, let expiries):
                c.reply.bulk("db.\(index)")
                c.reply.map(3)
                c.reply.bulk("overhead.hashtable.main")
                c.reply.integer(keys)
                c.reply.bulk("overhead.hashtable.expires")
                c.reply.integer(expiries)
                c.reply.bulk("overhead.hashtable.slot-to-keys")
                c.reply.integer(0)
            }
        }
    }

    // MARK: - DOCTOR

    /// Below this nothing can be said.
    private static let fewBytes = 5 << 20

    private static func doctor(_ c: ConnectionContext) throws(CommandError) {
        let report = MemoryReport(c.services)
        let sessions = c.services.router.sessions
        let text = OutputBuffer()
        if report.now.inUse < fewBytes {
            text.append("Little memory is used: there is nothing to say about it.\n")
        } else {
            for remark in remarks(report, clients: sessions.count) { text.append(text: "* \(remark)\n") }
            if text.count == 0 { text.append("Nothing stands out.\n") }
        }
        c.reply.verbatim(text.bytes, "txt")
    }

    private static func remarks(_ report: MemoryReport, clients: Int) -> [String] {
        let now = report.now
        let some = 10 << 20
        var remarks: [String] = []
        if Info.share(report.peak, now.inUse) > 1.5 {
            remarks.append(
                "Peak memory: the server once used over 1.5 times what it uses now. Pages of that time may still be its own: "
                    + "MEMORY PURGE returns those that are free.")
        }
        if report.fragmentation > 1.4 && now.residentSetSize - now.inUse > some {
            remarks.append(
                "High total RSS: the process has over 1.4 times the memory that is in use; the ratios below say where.")
        }
        if report.allocatorFragmentation > 1.1 && now.active - now.allocated > some {
            remarks.append(
                "High allocator fragmentation: pages are only partly in use, as after many values were deleted or changed "
                    + "their size. They fill again as data comes.")
        }
        if report.allocatorResidency > 1.1 && now.resident - now.active > some {
            remarks.append("High allocator RSS overhead: the allocator holds free pages. MEMORY PURGE returns them.")
        }
        if report.processOverhead > 1.1 && now.residentSetSize - now.resident > some {
            remarks.append(
                "High process RSS overhead: memory past the allocator, such as that of scripts or of the snapshot.")
        }
        if clients > 0 && report.clients / clients > 200 << 10 {
            remarks.append(
                "Big client buffers: clients have over 200 KB each, on average. CLIENT LIST shows whose, maxmemory-clients "
                    + "limits them.")
        }
        if report.replicas > some {
            remarks.append("Big replica buffers: a replica reads more slowly than clients write. See INFO replication.")
        }
        return remarks
    }

    private static func allocator(_ c: ConnectionContext) throws(CommandError) {
        let text = OutputBuffer(capacity: 32 << 10)
        MemoryStatistics.writeAllocatorReport(to: text)
        c.reply.verbatim(text.bytes, "txt")
    }

    private static func purge(_ c: ConnectionContext) throws(CommandError) {
        MemoryStatistics.purge()
        c.reply.ok()
    }
}
