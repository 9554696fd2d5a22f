import Storage

/// What the latency monitor distinguishes. The names are Redis's where it has the same.
enum LatencyEvent: String, CaseIterable {
    /// A command took long: a fast one, or another.
    case fastCommand = "fast-command"
    case command
    /// The write(2) of a turn's changes to the log; the same told apart by what went on meanwhile: a sync of the log, a
    /// checkpoint, or neither.
    case logWrite = "aof-write"
    case logWriteDuringSync = "aof-write-pending-fsync"
    case logWriteDuringCheckpoint = "aof-write-active-child"
    case logWriteAlone = "aof-write-alone"
    /// Replies had to wait for the log to be on disk, under `appendfsync always`.
    case logSync = "aof-fsync-always"
    /// The removal of keys and fields whose time had come.
    case expireCycle = "expire-cycle"
    /// Making room under `maxmemory`: all that a command had to wait for, and the removal of one key.
    case evictionCycle = "eviction-cycle"
    case evictionRemoval = "eviction-del"
    /// A checkpoint's cut, and a slice of handing over what it saves.
    case checkpointCut = "checkpoint-cut"
    case checkpointSlice = "checkpoint-slice"
}

/// LATENCY: what took at least `latency-monitor-threshold`, a series of samples for each event. Confined to the loop.
final class LatencyMonitor {
    /// The longest that an event took in one second.
    struct Sample: Equatable {
        /// Seconds since 1970.
        let seconds: Int64
        var milliseconds: Int
    }

    /// What is known of one event: the last 160 seconds in which it took long.
    struct Series {
        fileprivate(set) var samples: [Sample] = []
        /// Since the last reset, also of samples that are gone.
        fileprivate(set) var longest = 0
        fileprivate static let capacity = 160
    }

    /// Milliseconds from which on an event is noted; 0: none is.
    var threshold = 0
    /// Whether it is worth measuring how long something takes.
    var isOn: Bool { threshold > 0 }
    private var series: [Series] = Array(repeating: Series(), count: LatencyEvent.allCases.count)

    /// Notes that `event` took so long, where it is as long as the threshold. O(1).
    @inline(__always) func note(_ event: LatencyEvent, milliseconds: Int) {
        if isOn && milliseconds >= threshold { add(event, milliseconds) }
    }
    @inline(__always) func note(_ event: LatencyEvent, nanoseconds: UInt64) {
        note(event, milliseconds: Int(truncatingIfNeeded: nanoseconds / 1_000_000))
    }

    /// Executes `body` and notes how long it took.
    @inline(__always) func measure<T, E: Error>(_ event: LatencyEvent, _ body: () throws(E) -> T) throws(E) -> T {
        if !isOn { return try body() }
        let began = monotonicNanoseconds()
        defer { note(event, nanoseconds: monotonicNanoseconds() &- began) }
        return try body()
    }

    @inline(never) private func add(_ event: LatencyEvent, _ milliseconds: Int) {
        let now = wallClockMilliseconds() / 1000
        series[Self.index(event)].add(Sample(seconds: now, milliseconds: milliseconds))
    }

    /// What is known of an event; nil: it never took long.
    func series(of event: LatencyEvent) -> Series? {
        let found = series[Self.index(event)]
        return found.samples.isEmpty ? nil : found
    }

    /// The events that took long.
    var events: [LatencyEvent] { LatencyEvent.allCases.filter { series(of: $0) != nil } }

    /// Forgets an event; true where there was something to forget.
    func reset(_ event: LatencyEvent) -> Bool {
        defer { series[Self.index(event)] = Series() }
        return series(of: event) != nil
    }

    private static func index(_ event: LatencyEvent) -> Int {
        LatencyEvent.allCases.firstIndex(of: event) ?? 0
    }
}

extension LatencyMonitor.Series {
    fileprivate mutating func add(_ sample: LatencyMonitor.Sample) {
        longest = max(longest, sample.milliseconds)
        if let last = samples.last, last.seconds == sample.seconds {
            samples[samples.count - 1].milliseconds = max(last.milliseconds, sample.milliseconds)
            return
        }
        if samples.count == Self.capacity { samples.removeFirst() }
        samples.append(sample)
    }

    /// In milliseconds, over the samples that are kept. `deviation` is the mean distance from the mean.
    struct Summary: Equatable {
        var mean = 0
        var deviation = 0
        var least = 0
        var most = 0
        /// Seconds between two samples, on average.
        var period = 0.0
    }
    func summary(now: Int64) -> Summary {
        guard let first = samples.first else { return Summary() }
        let values = samples.map(\.milliseconds)
        let mean = values.reduce(0, &+) / values.count
        return Summary(
            mean: mean, deviation: values.reduce(0) { $0 &+ abs($1 - mean) } / values.count,
            least: values.min() ?? 0, most: values.max() ?? 0,
            period: Double(max(0, now - first.seconds)) / Double(values.count))
    }
}
