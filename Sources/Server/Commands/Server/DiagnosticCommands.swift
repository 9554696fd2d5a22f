import Storage

/// SLOWLOG and LATENCY.
enum DiagnosticCommands {
    static var table: [Command] {
        CommandGroup.server.rows([slowlog, latency, MemoryCommands.row, MonitorCommand.row])
    }

    private static var slowlog: Command {
        .container(
            "slowlog", "2.2.12", "Manages the log of slow commands.", [.loading, .stale],
            [
                .admin(
                    "get", -2, [], "2.2.12", "[count:i]",
                    "Returns the newest entries of the log: 10 unless given, all with -1.", slowlogGet
                ).complexity("O(N) for N entries returned").tips("request_policy:all_nodes nondeterministic_output")
                    .history(("4.0.0", "Returns the address and the name of the client.")),
                .admin("len", 2, [], "2.2.12", "", "Returns the number of entries of the log.", slowlogLength).tips(
                    "request_policy:all_nodes response_policy:agg_sum nondeterministic_output"),
                .admin("reset", 2, [], "2.2.12", "", "Removes all entries of the log.", slowlogReset).complexity(
                    "O(N) for N entries"
                ).tips("request_policy:all_nodes response_policy:all_succeeded"),
                .help("6.2.0"),
            ])
    }

    private static var latency: Command {
        .container(
            "latency", "2.8.13", "Reports latencies.", [.noscript, .loading, .stale],
            [
                .admin("latest", 2, [], "2.8.13", "", "Returns the latest sample of each event.", latencyLatest).tips(
                    "nondeterministic_output request_policy:all_nodes response_policy:special"),
                .admin("history", 3, [], "2.8.13", "event", "Returns the samples of an event.", latencyLatest).tips(
                    "nondeterministic_output request_policy:all_nodes response_policy:special"),
                .admin(
                    "reset", -2, [], "2.8.13", "[event...]", "Removes the samples of events: of all unless given.",
                    latencyReset
                ).tips("request_policy:all_nodes response_policy:all_succeeded"),
                .admin("graph", 3, [], "2.8.13", "event", "Draws the samples of an event.", latencyGraph).tips(
                    "nondeterministic_output request_policy:all_nodes response_policy:special"),
                .admin("doctor", 2, [], "2.8.13", "", "Analyzes the latencies.", latencyDoctor).tips(
                    "nondeterministic_output request_policy:all_nodes response_policy:special"),
                .admin(
                    "histogram", -2, [], "7.0.0", "[command...]",
                    "Returns the distribution of the latencies of commands.", latencyHistogram
                ).complexity("O(N) for N commands").tips(
                    "nondeterministic_output request_policy:all_nodes response_policy:special"),
                .help("2.8.13"),
            ])
    }

    // MARK: - SLOWLOG

    private static func slowlogGet(_ c: AdminContext) throws(CommandError) {
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

    private static func slowlogLength(_ c: AdminContext) throws(CommandError) {
        c.reply.integer(c.services.slowlog.entries.count)
    }

    private static func slowlogReset(_ c: AdminContext) throws(CommandError) {
        c.services.slowlog.removeAll()
        c.reply.ok()
    }

    // MARK: - LATENCY

    /// LATEST and HISTORY: no events are sampled yet.
    private static func latencyLatest(_ c: AdminContext) throws(CommandError) { c.reply.array(0) }

    private static func latencyReset(_ c: AdminContext) throws(CommandError) { c.reply.integer(0) }

    private static func latencyGraph(_ c: AdminContext) throws(CommandError) {
        throw CommandError(parts: Bytes("ERR No samples available for event '"), c.args[2], Bytes("'"))
    }

    private static func latencyDoctor(_ c: AdminContext) throws(CommandError) {
        c.reply.verbatim(Bytes("No latency events were sampled. SLOWLOG GET and LATENCY HISTOGRAM tell more.\n"), "txt")
    }

    private static func latencyHistogram(_ c: AdminContext) throws(CommandError) {
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
}

extension ReplyWriter {
    func bulk(array bytes: [UInt8]) {
        bytes.withUnsafeBytes { raw in
            bulk(raw.baseAddress.map { Bytes($0, raw.count) } ?? Bytes())
        }
    }
}
