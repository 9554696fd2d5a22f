/// The texts of LATENCY GRAPH and LATENCY DOCTOR.
enum LatencyReport {
    // MARK: GRAPH

    /// Rows of a graph.
    private static let height = 4
    /// What the top of a column looks like, the lowest first.
    private static let tops: [Character] = ["_", "o", "#"]

    /// Draws a series: a column a sample, the oldest at the left, with its age below.
    static func graph(_ event: LatencyEvent, _ series: LatencyMonitor.Series, now: Int64) -> String {
        let values = series.samples.map(\.milliseconds)
        let (least, most) = (values.min() ?? 0, values.max() ?? 0)
        var text = "\(event.rawValue) - high \(most) ms, low \(least) ms (all time high \(series.longest) ms)\n"
        text += String(repeating: "-", count: 80) + "\n"
        let columns = zip(series.samples, values).map { column($1, least...most) + label(now - $0.seconds) }
        let rows = columns.map(\.count).max() ?? 0
        for row in 0..<rows {
            text += String(columns.map { row < $0.count ? $0[row] : " " }) + "\n"
        }
        return text
    }

    /// The column of a value, from the top down.
    private static func column(_ value: Int, _ range: ClosedRange<Int>) -> [Character] {
        let steps = height * tops.count
        let spread = max(1, range.upperBound - range.lowerBound)
        let (scaled, _) = (value - range.lowerBound).multipliedReportingOverflow(by: steps - 1)
        let step = min(steps - 1, max(0, scaled / spread))
        let (full, top) = step.quotientAndRemainder(dividingBy: tops.count)
        return Array(repeating: " ", count: height - 1 - full) + [tops[top]] + Array(repeating: "|", count: full)
    }

    /// An age, written downwards below its column: `12s`, `5m`, `3h`, `9d`.
    private static func label(_ age: Int64) -> [Character] {
        let text =
            switch max(0, age) {
            case ..<60: "\(max(0, age))s"
            case ..<3600: "\(age / 60)m"
            case ..<86400: "\(age / 3600)h"
            default: "\(age / 86400)d"
            }
        return [" "] + Array(text)
    }

    // MARK: DOCTOR

    /// What the doctor looks at besides the events.
    struct Circumstances {
        var thresholdMilliseconds: Int
        /// Microseconds; negative: off.
        var slowlogThreshold: Int
        var isAlwaysSynced: Bool
    }

    static func advice(_ monitor: LatencyMonitor, _ circumstances: Circumstances, now: Int64) -> String {
        let events = monitor.events
        if !monitor.isOn && events.isEmpty {
            return
                "The latency monitor is off: nothing is noted. `CONFIG SET latency-monitor-threshold <milliseconds>` "
                + "turns it on.\n"
        }
        if events.isEmpty {
            return
                "No event has taken \(circumstances.thresholdMilliseconds) ms or more. SLOWLOG GET and LATENCY HISTOGRAM "
                + "tell of what took less.\n"
        }
        var text = "These events took \(circumstances.thresholdMilliseconds) ms or more:\n\n"
        for (number, event) in events.enumerated() {
            guard let series = monitor.series(of: event) else { continue }
            let summary = series.summary(now: now)
            text +=
                "\(number + 1). \(event.rawValue): \(series.samples.count) latency spikes (average \(summary.mean)ms, mean "
                + "deviation \(summary.deviation)ms, period \(Info.fixed(summary.period, 2)) sec). Worst all time "
                + "event \(series.longest)ms.\n"
        }
        text += "\nWhat helps:\n\n"
        for line in suggestions(events, circumstances) { text += "- \(line)\n" }
        return text
    }

    private static func suggestions(_ events: [LatencyEvent], _ circumstances: Circumstances) -> [String] {
        var lines: [String] = []
        func add(_ line: String) { if !lines.contains(line) { lines.append(line) } }
        for event in events {
            switch event {
            case .command, .fastCommand:
                let milliseconds = circumstances.thresholdMilliseconds
                if circumstances.slowlogThreshold < 0 || circumstances.slowlogThreshold / 1000 > milliseconds {
                    add(
                        "The slow log misses some of these commands: `CONFIG SET slowlog-log-slower-than "
                            + "\(milliseconds.multipliedReportingOverflow(by: 1000).partialValue)` has it keep them.")
                }
                add("`SLOWLOG GET` names the commands; those that are O(N) take as long as what they work on is large.")
                if event == .fastCommand {
                    add("Even short commands took long: the machine may be out of CPU or swapping. See `vmstat 1`.")
                }
            case .logWrite, .logWriteAlone, .logWriteDuringSync, .logWriteDuringCheckpoint:
                add("Writing to the log waits for the disk: another disk, or less other use of it, helps.")
            case .logSync:
                add(
                    circumstances.isAlwaysSynced
                        ? "Under `appendfsync always` each reply waits for the disk; `everysec` risks one second of writes."
                        : "The disk was slow to sync while `appendfsync always` held.")
            case .expireCycle: add("Many keys expire at the same time: spread their times to live.")
            case .evictionCycle, .evictionRemoval:
                add("Memory is at `maxmemory`: writes wait for room. More memory, or shorter times to live, help.")
            case .checkpointCut, .checkpointSlice:
                add("A checkpoint held commands up, which is to take 0.1 ms at a time: the machine may be out of CPU.")
            }
        }
        return lines
    }
}
