import Glibc
import Storage

/// What one command has done since the last CONFIG RESETSTAT.
struct CommandStatistics {
    /// As INFO names it: `get`, `config|set`.
    let name: String
    var calls = 0
    var microseconds = 0
    /// Refused before they ran: wrong arity, no permission, out of memory.
    var rejected = 0
    /// Ran, and answered an error.
    var failed = 0
    /// How long they took, of those that ran while `latency-tracking` was on.
    var latencies = LatencyHistogram()

    @inline(__always)
    fileprivate mutating func count(_ nanoseconds: UInt64, failed hasFailed: Bool, tracksLatency: Bool) {
        calls &+= 1
        microseconds &+= Int(clamping: nanoseconds / 1000)
        if hasFailed { failed &+= 1 }
        if tracksLatency { latencies.record(nanoseconds: nanoseconds) }
    }

    fileprivate mutating func reset() {
        calls = 0
        microseconds = 0
        rejected = 0
        failed = 0
        latencies.removeAll()
    }
}

/// Counters behind INFO. Confined to the loop; adding costs an increment.
final class Statistics {
    /// 40 hexadecimal digits, another for each start.
    let runID = Statistics.randomID()
    let startedNanoseconds = monotonicNanoseconds()

    /// What started the process and hears how far it is: `no`, or `systemd`.
    var supervisor: StaticString = "no"
    var connectionsReceived = 0
    var connectionsRejected = 0
    var commandsProcessed = 0
    var bytesRead = 0
    /// From a master.
    var replicationBytesRead = 0
    var bytesWritten = 0
    var reads = 0
    var writes = 0
    var keyspaceHits = 0
    var keyspaceMisses = 0
    var evictedKeys = 0
    var evictedClients = 0
    /// Connections that were closed by `client-query-buffer-limit` and `client-output-buffer-limit`.
    var queryBufferDisconnections = 0
    var outputBufferDisconnections = 0
    /// What replicas asked for: all data, what they had missed, and that in vain.
    var fullSyncs = 0
    var partialSyncs = 0
    var partialSyncsRefused = 0
    /// Of the stream and of snapshots, to replicas.
    var replicationBytesWritten = 0
    /// The most that waited of one connection's requests and of its replies, in bytes.
    var inputMaximum = RecentMaximum()
    var outputMaximum = RecentMaximum()
    /// `expired` of the keyspace at the last CONFIG RESETSTAT.
    var expiredBase = 0
    /// `expiredFields` at the last CONFIG RESETSTAT.
    var expiredFieldsBase = 0
    /// `Reaper.freed` at the last CONFIG RESETSTAT.
    var freedBase = 0
    /// Turns of the loop, and the nanoseconds that they took without waiting for events.
    private(set) var turns = 0
    private(set) var turnNanoseconds = 0
    private var turnBegan: UInt64 = 0
    /// The longest turn, and the most commands that one had.
    private(set) var longestTurnNanoseconds = 0
    private(set) var mostCommandsOfTurn = 0
    private var commandsAtTurnEnd = 0
    /// What timers took, and writing the log.
    var timerNanoseconds: UInt64 = 0
    var logNanoseconds: UInt64 = 0
    /// Commands of the master that failed here.
    var unexpectedErrorReplies = 0
    var errorReplies = 0
    /// How often each error code (the first word) was answered. A client can make up codes with scripts: bounded.
    private(set) var errors: [String: Int] = [:]
    private static let maximumErrorCodes = 128
    private static let longestErrorCode = 31
    private(set) var commands: [CommandStatistics] = []
    /// `latency-tracking`.
    var tracksLatency = true
    /// Bytes; the highest that the timer has seen.
    var peakMemory = 0
    /// What the process used before it held data.
    private(set) var startupMemory = 0

    init() {
        MemoryCounters.count()
        isReadyForData()
    }
    /// The server is put together, and has no data yet.
    func isReadyForData() { startupMemory = MemoryCounters.inUse }

    private var operations = Rate()
    private var turnRate = Rate()
    private var turnTime = Rate()
    private var input = Rate()
    private var output = Rate()
    private var replicationInput = Rate()
    private var replicationOutput = Rate()

    deinit { for i in commands.indices { commands[i].latencies.deallocate() } }

    // MARK: Counting

    /// Adds a command to those counted; the number is for `count` and `reject`.
    func register(_ name: String) -> Int {
        commands.append(CommandStatistics(name: name))
        return commands.count - 1
    }

    /// A command ran.
    func count(_ command: Int, nanoseconds: UInt64, failed: Bool) {
        commandsProcessed &+= 1
        commands[command].count(nanoseconds, failed: failed, tracksLatency: tracksLatency)
    }

    /// A command that ran counts as failed, though it may have answered none of the errors that it came across.
    func fail(_ command: Int) { commands[command].failed &+= 1 }

    /// A command was refused before it ran.
    func reject(_ command: Int) { commands[command].rejected &+= 1 }

    /// An error with this text was answered.
    func count(error text: String) {
        errorReplies &+= 1
        // The first word, unless it is long or all there is.
        let start = text.utf8.prefix(Self.longestErrorCode)
        let code = start.firstIndex(of: 32).map { String(text[..<$0]) } ?? "ERR"
        if errors[code] != nil || errors.count < Self.maximumErrorCodes { errors[code, default: 0] &+= 1 }
    }

    func reset(expired: Int, expiredFields: Int) {
        connectionsReceived = 0
        connectionsRejected = 0
        commandsProcessed = 0
        bytesRead = 0
        replicationBytesRead = 0
        bytesWritten = 0
        reads = 0
        writes = 0
        keyspaceHits = 0
        keyspaceMisses = 0
        evictedKeys = 0
        evictedClients = 0
        queryBufferDisconnections = 0
        outputBufferDisconnections = 0
        fullSyncs = 0
        partialSyncs = 0
        partialSyncsRefused = 0
        replicationBytesWritten = 0
        freedBase = Reaper.shared.freed
        turns = 0
        turnNanoseconds = 0
        longestTurnNanoseconds = 0
        mostCommandsOfTurn = 0
        commandsAtTurnEnd = 0
        timerNanoseconds = 0
        logNanoseconds = 0
        turnRate = Rate()
        turnTime = Rate()
        expiredBase = expired
        expiredFieldsBase = expiredFields
        errorReplies = 0
        unexpectedErrorReplies = 0
        errors = [:]
        for i in commands.indices { commands[i].reset() }
        operations = Rate()
        input = Rate()
        output = Rate()
        replicationInput = Rate()
        replicationOutput = Rate()
    }

    /// What the loop does between two waits for events. The times are monotonic nanoseconds.
    @inline(__always) func beginTurn(_ now: UInt64) { turnBegan = now }
    @inline(__always) func endTurn(_ now: UInt64) {
        if turnBegan == 0 { return }
        turns &+= 1
        let taken = Int(truncatingIfNeeded: now &- turnBegan)
        turnNanoseconds &+= taken
        longestTurnNanoseconds = max(longestTurnNanoseconds, taken)
        mostCommandsOfTurn = max(mostCommandsOfTurn, commandsProcessed &- commandsAtTurnEnd)
        commandsAtTurnEnd = commandsProcessed
    }
    /// Microseconds that commands took. O(commands in the table).
    var commandMicroseconds: Int { commands.reduce(0) { $0 &+ $1.microseconds } }

    // MARK: Rates

    /// Called by the timer, ten times a second or so.
    func sample() {
        let now = monotonicNanoseconds()
        operations.sample(commandsProcessed, now)
        input.sample(bytesRead, now)
        output.sample(bytesWritten, now)
        replicationInput.sample(replicationBytesRead, now)
        replicationOutput.sample(replicationBytesWritten, now)
        turnRate.sample(turns, now)
        turnTime.sample(turnNanoseconds, now)
        inputMaximum.step(now)
        outputMaximum.step(now)
        peakMemory = max(peakMemory, MemoryCounters.inUse)
    }
    /// Commands a second, over the last samples.
    var operationsPerSecond: Int { Int(operations.perSecond) }
    var inputKilobytesPerSecond: Double { input.perSecond / 1024 }
    var outputKilobytesPerSecond: Double { output.perSecond / 1024 }
    var replicationInputKilobytesPerSecond: Double { replicationInput.perSecond / 1024 }
    var replicationOutputKilobytesPerSecond: Double { replicationOutput.perSecond / 1024 }

    var turnsPerSecond: Int { Int(turnRate.perSecond) }
    /// Mean of the last samples.
    var microsecondsPerTurn: Int {
        turnRate.perSecond > 0 ? Int(turnTime.perSecond / turnRate.perSecond / 1000) : 0
    }

    var uptimeSeconds: Int { Int((monotonicNanoseconds() - startedNanoseconds) / 1_000_000_000) }

    /// 40 hexadecimal digits, as Redis's run and replication ids have them.
    static func randomID() -> String {
        var generator = SystemRandomNumberGenerator()
        var text = ""
        for _ in 0..<40 { text += String(UInt8.random(in: 0...15, using: &generator), radix: 16) }
        return text
    }
}

/// The largest of the values noted in the last 8 seconds.
struct RecentMaximum {
    private var seconds: InlineArray<8, Int> = .init(repeating: 0)
    private var current = 0
    private var began: UInt64 = 0

    @inline(__always) mutating func note(_ value: Int) { if value > seconds[current] { seconds[current] = value } }

    /// Called by the timer, with the monotonic time in nanoseconds.
    mutating func step(_ now: UInt64) {
        if now &- began < 1_000_000_000 { return }
        began = now
        current = (current + 1) % seconds.count
        seconds[current] = 0
    }

    var value: Int {
        var largest = 0
        for i in seconds.indices { largest = max(largest, seconds[i]) }
        return largest
    }
}

/// How fast a counter grows: the mean of the last 16 samples.
private struct Rate {
    private var samples: [Double] = []
    private var next = 0
    private var lastValue = 0
    private var lastTime: UInt64 = 0

    mutating func sample(_ value: Int, _ now: UInt64) {
        defer {
            lastValue = value
            lastTime = now
        }
        guard lastTime != 0, now > lastTime else { return }
        let rate = Double(value &- lastValue) * 1e9 / Double(now - lastTime)
        if samples.count < 16 { samples.append(rate) } else { samples[next] = rate }
        next = (next + 1) % 16
    }

    var perSecond: Double { samples.isEmpty ? 0 : samples.reduce(0, +) / Double(samples.count) }
}
