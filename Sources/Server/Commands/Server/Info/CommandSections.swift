/// Commandstats, Errorstats and Latencystats.
extension Info {
    func commandSection() {
        for command in services.statistics.commands
        where command.calls > 0 || command.rejected > 0 || command.failed > 0 {
            let mean = Self.fixed(Self.share(command.microseconds, command.calls), 2)
            out?.append(
                text:
                    "cmdstat_\(command.name):calls=\(command.calls),usec=\(command.microseconds),usec_per_call=\(mean),"
                    + "rejected_calls=\(command.rejected),failed_calls=\(command.failed)\r\n")
        }
    }

    func errorSection() {
        for (code, count) in services.statistics.errors.sorted(by: { $0.key < $1.key }) {
            out?.append(text: "errorstat_\(code):count=\(count)\r\n")
        }
    }

    func latencySection() {
        let settings = services.config.settings
        guard settings.latencyTracking else { return }
        for command in services.statistics.commands where command.latencies.total > 0 {
            let parts = settings.latencyPercentiles.map {
                "p\($0)="
                    + Self.fixed(Double(command.latencies.nanoseconds(percentile: Double($0) ?? 0)) / 1000, 3)
            }
            out?.append(text: "latency_percentiles_usec_\(command.name):\(parts.joined(separator: ","))\r\n")
        }
    }
}
