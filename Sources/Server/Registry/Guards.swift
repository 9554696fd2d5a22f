/// States of the server in which some commands are refused. The parts of the server set them; each command knows which
/// of them refuse it, so that all are tested at once.
struct Guards: OptionSet, Sendable {
    let rawValue: UInt16

    static let loading = Guards(rawValue: 1 << 0)
    /// The last save failed, or the log cannot be written. Commands that only remove are not refused.
    static let misconfigured = Guards(rawValue: 1 << 1)
    static let readOnlyReplica = Guards(rawValue: 1 << 2)
    static let staleReplica = Guards(rawValue: 1 << 3)
    static let outOfMemory = Guards(rawValue: 1 << 4)
    static let busyScript = Guards(rawValue: 1 << 5)
    /// CLIENT PAUSE: not refused, but deferred.
    static let pausedWrites = Guards(rawValue: 1 << 6)
    static let pausedAll = Guards(rawValue: 1 << 7)
    /// Fewer replicas than `min-replicas-to-write` keep up.
    static let tooFewReplicas = Guards(rawValue: 1 << 8)
    /// A master's data take the place of those that are here, which still answer.
    static let replacing = Guards(rawValue: 1 << 9)

    /// `maxmemory` is set: refuses nothing, but before each command it is asked whether keys have to go.
    static let limitedMemory = Guards(rawValue: 1 << 10)

    static let paused: Guards = [.pausedWrites, .pausedAll]

    /// Those that refuse a command with these flags.
    init(refusing flags: CommandFlags) {
        var found: Guards = .pausedAll
        if !flags.contains(.loading) { found.insert(.loading) }
        if flags.contains(.noAsyncLoading) { found.insert(.replacing) }
        if flags.contains(.write) { found.formUnion([.readOnlyReplica, .tooFewReplicas]) }
        if flags.contains(.write) && !flags.contains(.frees) { found.insert(.misconfigured) }
        if flags.contains(.reportsMisconfiguration) { found.insert(.misconfigured) }
        if !flags.contains(.stale) { found.insert(.staleReplica) }
        if flags.contains(.denyoom) { found.insert(.outOfMemory) }
        if !flags.contains(.allowBusy) { found.insert(.busyScript) }
        if !flags.isDisjoint(with: [.write, .mayReplicate]) { found.insert(.pausedWrites) }
        self = found
    }
    init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The error that goes with the first of these, in Redis's order. `misconfiguration`: why writes are refused.
    /// `busy`: what runs.
    func error(misconfiguration: CommandError, busy: CommandError) -> CommandError {
        if contains(.outOfMemory) { return .outOfMemory }
        if contains(.misconfigured) { return misconfiguration }
        if contains(.tooFewReplicas) { return .tooFewReplicas }
        if contains(.readOnlyReplica) { return .readOnlyReplica }
        if contains(.staleReplica) { return .masterDown }
        if !isDisjoint(with: [.loading, .replacing]) { return .loading }
        return busy
    }
}
