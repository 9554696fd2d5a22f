import Storage

/// LATENCY.
enum LatencyCommands {
    static var row: Command {
        .container(
            "latency", "2.8.13", "Reports latencies.", [.noscript, .loading, .stale],
            [
                .admin("latest", 2, [], "2.8.13", "", "Returns the latest sample of each event.", latest).tips(
                    "nondeterministic_output request_policy:all_nodes response_policy:special"),
                .admin("history", 3, [], "2.8.13", "event", "Returns the samples of an event.", history).tips(
                    "nondeterministic_output request_policy:all_nodes response_policy:special"),
                .admin(
                    "reset", -2, [], "2.8.13", "[event...]", "Removes the samples of events: of all unless given.",
                    reset
                ).tips("request_policy:all_nodes response_policy:all_succeeded"),
                .admin("graph", 3, [], "2.8.13", "event", "Draws the samples of an event.", graph).tips(
                    "nondeterministic_output request_policy:all_nodes response_policy:special"),
                .admin("doctor", 2, [], "2.8.13", "", "Analyzes the latencies.", doctor).tips(
                    "nondeterministic_output request_policy:all_nodes response_policy:special"),
                .admin(
                    "histogram", -2, [], "7.0.0", "[command...]",
                    "Returns the distribution of the latencies of commands.", histogram
                ).complexity("O(N) for N commands").tips(
                    "nondeterministic_output request_policy:all_nodes response_policy:special"),
                .help("2.8.13"),
            ])
    }

    private static func latest(_ c: AdminContext) throws(CommandError) {
        let monitor = c.services.latency
        let events = monitor.events
        c.reply.array(events.count)
        for event in events {
            guard let series = monitor.series(of: event), let last = series.samples.last else { continue }
            c.reply.array(4)
            c.reply.bulk(event.rawValue)
            c.reply.integer(last.seconds)
            c.reply.integer(last.milliseconds)
            c.reply.integer(series.longest)
        }
    }

    private static func history(_ c: AdminContext) throws(CommandError) {
        let samples = event(c.args[2]).flatMap { c.services.latency.series(of: $0) }?.samples ?? []
        c.reply.array(samples.count)
        for sample in samples {
            c.reply.array(2)
            c.reply.integer(sample.seconds)
            c.reply.integer(sample.milliseconds)
        }
    }

    /// Of the events that are named, or of all.
    private static func reset(_ c: AdminContext) throws(CommandError) {
        let named = (2..<max(2, c.args.count)).compactMap { event(c.args[$0]) }
        let events = c.args.count == 2 ? LatencyEvent.allCases : named
        c.reply.integer(events.count { c.services.latency.reset($0) })
    }

    private static func graph(_ c: AdminContext) throws(CommandError) {
        guard let event = event(c.args[2]), let series = c.services.latency.series(of: event) else {
            throw CommandError(parts: Bytes("ERR No samples available for event '"), c.args[2], Bytes("'"))
        }
        write(LatencyReport.graph(event, series, now: c.now / 1000), c)
    }

    private static func doctor(_ c: AdminContext) throws(CommandError) {
        let circumstances = LatencyReport.Circumstances(
            thresholdMilliseconds: c.settings.latencyThreshold, slowlogThreshold: c.settings.slowlogThreshold,
            isAlwaysSynced: c.settings.appendOnly && c.settings.appendFsync == .always)
        write(LatencyReport.advice(c.services.latency, circumstances, now: c.now / 1000), c)
    }

    private static func histogram(_ c: AdminContext) throws(CommandError) {
        let statistics = c.services.statistics
        // In the order asked for; a container stands for its subcommands.
        let wanted = (2..<max(2, c.args.count)).map { c.args[$0].string.lowercased() }
        let commands = statistics.commands.filter { $0.latencies.total > 0 }
        let found =
            wanted.isEmpty
            ? commands
            : wanted.flatMap { name in
                commands.filter { $0.name == name || $0.name.hasPrefix(name + "|") }
            }
        c.reply.map(found.count)
        for command in found {
            c.reply.bulk(command.name)
            c.reply.map(2)
            c.reply.bulk("calls")
            c.reply.integer(Int64(clamping: command.latencies.total))
            c.reply.bulk("histogram_usec")
            let rows = command.latencies.distribution()
            c.reply.map(rows.count)
            for row in rows {
                c.reply.integer(Int64(clamping: row.microseconds))
                c.reply.integer(Int64(clamping: row.calls))
            }
        }
    }

    // MARK: -

    private static func event(_ name: Bytes) -> LatencyEvent? { LatencyEvent(rawValue: name.string) }

    private static func write(_ text: String, _ c: AdminContext) {
        let buffer = OutputBuffer()
        buffer.append(text: text)
        c.reply.verbatim(buffer.bytes, "txt")
    }
}
