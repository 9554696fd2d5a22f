import Storage

/// What INFO shows of the work done; CONFIG RESETSTAT sets most of it to zero.
struct Statistics {
    var commands = 0
    var connections = 0
    var rejectedConnections = 0
    var inputBytes = 0
    var outputBytes = 0
    var errorReplies = 0
    /// Replies by the first word of the error.
    var errors: [String: Int] = [:]
    var peakClients = 0
    var keyspaceHits = 0
    var keyspaceMisses = 0

    /// Errors have their code from the command's author, but a script may make up any number of them.
    private static let maximumErrors = 128

    mutating func count(_ error: CommandError) {
        errorReplies += 1
        let code = error.text.prefix { $0 != " " }
        let name = String(code)
        if errors.count >= Self.maximumErrors && errors[name] == nil { return }
        errors[name, default: 0] += 1
    }

    // MARK: Rates

    /// The last samples of a counter that only grows, and what it grew by in a second.
    struct Rate {
        private var last = 0
        private var lastTime: UInt64 = 0
        private var samples = Array(repeating: 0, count: 16)
        private var next = 0

        mutating func sample(_ value: Int, _ now: UInt64) {
            if lastTime != 0, now > lastTime {
                let perSecond = Double(max(0, value - last)) * 1e9 / Double(now - lastTime)
                samples[next] = Int(perSecond)
                next = (next + 1) % samples.count
            }
            last = value
            lastTime = now
        }
        var perSecond: Int { samples.reduce(0, +) / samples.count }
    }
    var commandRate = Rate()
    var inputRate = Rate()
    var outputRate = Rate()

    mutating func sample(_ now: UInt64) {
        commandRate.sample(commands, now)
        inputRate.sample(inputBytes, now)
        outputRate.sample(outputBytes, now)
    }

    /// The rates go on.
    mutating func reset() {
        var fresh = Statistics()
        (fresh.commandRate, fresh.inputRate, fresh.outputRate) = (Rate(), Rate(), Rate())
        self = fresh
    }
}
