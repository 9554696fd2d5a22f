import Storage
import Synchronization

/// The thread that carries the payloads of MIGRATE to other servers. It keeps connections for a while, as one MIGRATE
/// seldom comes alone.
final class MigrationWorker: Sendable {
    struct Target: Hashable, Sendable {
        let host: String
        let port: String
    }
    struct Job: Sendable {
        let target: Target
        /// The database there.
        let database: Int64
        /// The request for AUTH; empty: none is sent.
        let authentication: [UInt8]
        /// A RESTORE for each key.
        let requests: [UInt8]
        let count: Int
        /// Milliseconds for each step.
        let timeout: Int
    }
    struct Outcome: Sendable {
        /// Of each key, in the order of the requests: whether the target has it now.
        var restored: [Bool] = []
        /// What the client is told; nil: all went well.
        var error: [UInt8]?
    }

    private let jobs = Mailbox<Job>()
    private let outcomes = Mailbox<Outcome>()
    private let cached = Atomic<Int>(0)
    private static let keptNanoseconds: UInt64 = 10_000_000_000

    /// Connections that are open.
    var connectionCount: Int { cached.load(ordering: .relaxed) }

    /// `wake` is called on the thread when there is an outcome.
    init(wake: @escaping @Sendable () -> Void) {
        startThread(named: "migrate") { [self] in run(wake) }
    }

    func send(_ job: Job) { jobs.send(job) }
    func poll() -> Outcome? { outcomes.poll() }

    // MARK: On the thread

    private struct Cached {
        let connection: OutboundConnection
        /// What is selected there.
        var database: Int64?
        var lastUse: UInt64
    }

    private func run(_ wake: () -> Void) {
        var connections: [Target: Cached] = [:]
        while true {
            let now = monotonicNanoseconds()
            connections = connections.filter { now - $0.value.lastUse < MigrationWorker.keptNanoseconds }
            cached.store(connections.count, ordering: .relaxed)
            let oldest = connections.values.map(\.lastUse).min()
            jobs.waitForWeight(1, until: oldest.map { $0 + MigrationWorker.keptNanoseconds } ?? .max)
            guard let job = jobs.poll() else { continue }
            let outcome = perform(job, &connections)
            cached.store(connections.count, ordering: .relaxed)
            outcomes.send(outcome)
            wake()
        }
    }

    private func perform(_ job: Job, _ connections: inout [Target: Cached]) -> Outcome {
        while true {
            var outcome = Outcome()
            let old = connections.removeValue(forKey: job.target)
            do throws(OutboundConnection.Failure) {
                var connection = if let old { old } else { try MigrationWorker.connect(job) }
                try carry(job, &connection, &outcome)
                connection.lastUse = monotonicNanoseconds()
                connections[job.target] = connection
                return outcome
            } catch {
                // A connection that was kept may have been closed by the other side since: once more, on a new one.
                if old != nil && outcome.restored.isEmpty && outcome.error == nil && !error.isTimeout { continue }
                outcome.error = Array(MigrationWorker.text(error).utf8)
                return outcome
            }
        }
    }

    private static func connect(_ job: Job) throws(OutboundConnection.Failure) -> Cached {
        let connection = try OutboundConnection(
            host: job.target.host, port: job.target.port, timeout: job.timeout)
        return Cached(connection: connection, lastUse: 0)
    }

    /// RESTORE comes only once AUTH and SELECT have gone well: nothing is to end up in another database.
    private func carry(
        _ job: Job, _ cached: inout Cached, _ outcome: inout Outcome
    ) throws(OutboundConnection.Failure) {
        let connection = cached.connection
        if !job.authentication.isEmpty {
            try connection.send(job.authentication, timeout: job.timeout)
            if isError(try connection.readLine(timeout: job.timeout), &outcome) { return }
        }
        if cached.database != job.database {
            try connection.send(Array("SELECT \(job.database)\r\n".utf8), timeout: job.timeout)
            cached.database = nil
            if isError(try connection.readLine(timeout: job.timeout), &outcome) { return }
            cached.database = job.database
        }
        try connection.send(job.requests, timeout: job.timeout)
        for _ in 0..<job.count {
            outcome.restored.append(!isError(try connection.readLine(timeout: job.timeout), &outcome))
        }
    }

    /// The first error counts.
    private func isError(_ line: [UInt8], _ outcome: inout Outcome) -> Bool {
        guard line.first == UInt8(ascii: "-") else { return false }
        if outcome.error == nil {
            outcome.error = Array("ERR Target instance replied with error: ".utf8) + line.dropFirst()
        }
        return true
    }

    private static func text(_ failure: OutboundConnection.Failure) -> String {
        switch failure {
        case .unknownHost: "IOERR error or timeout connecting to the client"
        case .writing: "IOERR error or timeout writing to target instance"
        case .reading: "IOERR error or timeout reading to target instance"
        }
    }
}
