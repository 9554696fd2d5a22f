import Storage

// Invariant of this file: what a job makes, the loop has once the job has ended, and nobody else; the router outlives this.

/// What a client asks with SQL.
struct QueryRequest: Sendable {
    var format = AnswerFormat.rows
    let statement: [UInt8]
    var parameters: [[UInt8]] = []
}

/// Queries of the snapshot that clients sent: one at a time on a thread, which there is only while one is executed; the others
/// wait in their order. Confined to the loop.
final class Queries: ServerPart {
    private struct Query {
        let waiter: Waiter
        let request: QueryRequest
    }
    private struct Running {
        let waiter: Waiter
        let job: BackgroundJob
        /// Monotonic nanoseconds at which its client is answered, whatever the thread still does.
        let deadline: UInt64
    }
    /// Made by the job's thread.
    private final class Answer: @unchecked Sendable {
        let chunks: [SharedChunk]
        init(_ chunks: [SharedChunk]) { self.chunks = chunks }
    }

    private unowned(unsafe) let router: Router
    private let persistence: PersistenceControl
    private var waiting: [Query] = []
    private var running: Running?

    /// Milliseconds over the time limit after which a client is answered though the thread is not done: a function is not
    /// interrupted.
    private static let patience = 200

    init(_ router: Router, _ persistence: PersistenceControl) {
        self.router = router
        self.persistence = persistence
    }

    /// `session` has its answer when the query was executed; `args` is the command.
    func begin(_ session: Session, _ args: Arguments, _ request: QueryRequest) {
        let most = router.config.settings.sqlMaxWaiting
        if running != nil && waiting.count >= most {
            return session.reply.error(
                CommandError("ERR SQL: \(waiting.count) queries wait already (sql-max-waiting): try again later"))
        }
        guard let waiter = router.wait(session, args) else { return }
        waiting.append(Query(waiter: waiter, request: request))
        startNext()
    }

    private func startNext() {
        if running != nil || waiting.isEmpty { return }
        let query = waiting.removeFirst()
        let settings = router.config.settings
        let milliseconds = UInt64(settings.sqlTimeLimit)
        let limits = QueryLimits(
            nanoseconds: milliseconds * 1_000_000, memory: settings.sqlMaxMemory, rows: settings.sqlMaxRows)
        let snapshot = SnapshotQuery(path: persistence.data?.snapshotPath ?? "", limits: limits)
        let maximumBytes = settings.sqlMaxBytes
        let resp3 = query.waiter.session.reply.resp3
        let request = query.request
        let job = router.jobs.start("sql", isYielding: true) { (job) throws(QueryFailure) -> Answer in
            let encoder = request.format.encoder(limit: maximumBytes, resp3: resp3)
            try snapshot.run(request.statement, request.parameters, into: encoder) { job.isCancelled }
            return Answer(encoder.finish())
        } completion: { [unowned self] (outcome: Result<Answer, QueryFailure>) in
            ended(outcome)
        }
        running = Running(
            waiter: query.waiter, job: job,
            deadline: monotonicNanoseconds() + (milliseconds + UInt64(Self.patience)) * 1_000_000)
    }

    private func ended(_ outcome: Result<Answer, QueryFailure>) {
        guard let done = running else { return }
        running = nil
        // Its client may be gone, or have been answered.
        if done.waiter.session.waiter === done.waiter {
            switch outcome {
            case .success(let answer):
                if mayHave(done.waiter) {
                    router.answer(done.waiter, answer.chunks)
                } else {
                    router.answer(done.waiter, .noKeyPermission)
                }
            case .failure(let failure): router.answer(done.waiter, error(failure))
            }
        }
        startNext()
    }

    /// The rights of its user may be others by now.
    private func mayHave(_ waiter: Waiter) -> Bool {
        var mayHave = true
        waiter.request.forEach { _, args, _ in
            mayHave = ReadContext(args: args, session: waiter.session).mayReadAnyKey
        }
        return mayHave
    }

    private func error(_ failure: QueryFailure) -> CommandError {
        let settings = router.config.settings
        let text =
            switch failure {
            case .missing: "there is no snapshot yet: BGSAVE makes one"
            case .refused(let reason): reason
            case .unreadable(let reason): "the snapshot cannot be read: \(reason)"
            case .timeLimit:
                "stopped after \(settings.sqlTimeLimit) ms (sql-time-limit): read less, or query a copy of the snapshot"
            case .memoryLimit:
                "the query takes more than \(settings.sqlMaxMemory) bytes of memory (sql-max-memory): sort or group less"
            case .valueLimit:
                "a value has more than \(settings.sqlMaxMemory / 4) bytes, a quarter of sql-max-memory: leave it out"
            case .rowLimit: "the answer has more than \(settings.sqlMaxRows) rows (sql-max-rows): add a LIMIT"
            case .byteLimit:
                "the answer has more than \(settings.sqlMaxBytes) bytes (sql-max-bytes): add a LIMIT, or ask for less"
            case .cancelled: "the query was cancelled"
            }
        return CommandError("ERR SQL: \(text)")
    }

    // MARK: - ServerPart

    /// A function of SQLite's is not interrupted: its client does not wait for it.
    func cron() {
        guard let running, monotonicNanoseconds() >= running.deadline else { return }
        if running.waiter.session.waiter === running.waiter { router.answer(running.waiter, error(.timeLimit)) }
    }

    func sessionEnded(_ session: Session) {
        waiting.removeAll { $0.waiter.session === session }
        if let running, running.waiter.session === session { running.job.cancel() }
    }

    func shutdownBegins() { running?.job.cancel() }
}
