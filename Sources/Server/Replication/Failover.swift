import Storage

// Invariant of this file: the control that it belongs to outlives it.

/// FAILOVER: a replica takes this server's place, and this one follows it. Writes wait meanwhile, so that none is lost: first
/// until the replica has all, then until it has answered. Confined to the loop.
final class Failover {
    enum State {
        case none
        /// Writes are held until the replica has all.
        case waitingForSync
        /// This server has asked the replica to take over.
        case inProgress

        /// As INFO names it.
        var name: StaticString {
            switch self {
            case .none: "no-failover"
            case .waitingForSync: "waiting-for-sync"
            case .inProgress: "failover-in-progress"
            }
        }
    }

    /// What FAILOVER was asked for.
    struct Request {
        /// nil: the first replica that has all.
        var target: HostAndPort?
        /// Milliseconds; nil: as long as it takes.
        var timeout: Int64?
        /// When the time is up, the target takes over all the same.
        var isForced = false
    }

    private(set) var state = State.none { didSet { control.replicas.isFailingOver = state != .none } }
    private var request = Request()
    /// Monotonic nanoseconds; `.max`: none.
    private var deadline = UInt64.max
    private unowned(unsafe) let control: ReplicationControl
    private var logger: Logger { control.router.logger }

    init(_ control: ReplicationControl) { self.control = control }

    /// Throws what Redis answers where it is not possible.
    func begin(_ request: Request) throws(CommandError) {
        if state != .none { throw CommandError("ERR FAILOVER already in progress.") }
        if control.isReplica { throw CommandError("ERR FAILOVER is not valid when server is a replica.") }
        let replicas = control.replicas
        if replicas.attached.isEmpty { throw CommandError("ERR FAILOVER requires connected replicas.") }
        if request.isForced && (request.timeout == nil || request.target == nil) {
            throw CommandError("ERR FAILOVER with force option requires both a timeout and target HOST and IP.")
        }
        if let target = request.target {
            guard let replica = replicas.find(target) else {
                throw CommandError("ERR FAILOVER target HOST and PORT is not a replica.")
            }
            if replica.state != .online { throw CommandError("ERR FAILOVER target replica is not online.") }
        }
        self.request = request
        deadline = .max
        if let timeout = request.timeout {
            let (nanoseconds, isLong) = UInt64(timeout).multipliedReportingOverflow(by: 1_000_000)
            let (end, isTooLong) = nanoseconds.addingReportingOverflow(monotonicNanoseconds())
            if !isLong && !isTooLong { deadline = end }
        }
        logger.notice("FAILOVER requested to \(request.target?.text ?? "any replica").")
        state = .waitingForSync
        control.router.pause.holdWrites(control.router)
    }

    /// FAILOVER ABORT.
    func abort() throws(CommandError) {
        if state == .none { throw CommandError("ERR No failover in progress.") }
        end("Failover manually aborted")
    }

    /// At a turn's end and regularly: whether it can go on.
    func proceed() {
        guard state == .waitingForSync else { return }
        if monotonicNanoseconds() >= deadline {
            guard request.isForced, let target = request.target else {
                return end("Replica never caught up before timeout")
            }
            logger.notice("Failover to \(target.text) time out exceeded, failing over.")
            return handOver(to: target)
        }
        let replicas = control.replicas
        let end = control.router.stream.offset
        let candidates = request.target.map { [replicas.find($0)].compactMap { $0 } } ?? replicas.attached
        guard let replica = candidates.first(where: { $0.state == .online && $0.acknowledged == end }) else { return }
        logger.notice("Failover target is synced, failing over.")
        handOver(to: replica.place)
    }

    private func handOver(to target: HostAndPort) {
        state = .inProgress
        control.follow(target, failover: true)
    }

    /// The replica has taken over, or refused to: then this server is the master again.
    func answered(isAccepted: Bool) {
        if state != .inProgress { return }
        if isAccepted { finish() } else { end("Failover target rejected psync request") }
    }

    private func end(_ reason: String) {
        if state == .inProgress { control.becomeMaster() }
        logger.notice("Aborting failover: \(reason)")
        finish()
    }

    private func finish() {
        state = .none
        control.router.pause.releaseWrites(control.router)
    }
}

extension HostAndPort {
    fileprivate var text: String { "\(host):\(port)" }
}

extension Replica {
    /// Where it listens.
    fileprivate var place: HostAndPort { HostAndPort(host: ByteString(host), port: listeningPort) }
}

extension ReplicaList {
    /// The replica that listens there.
    fileprivate func find(_ place: HostAndPort) -> Replica? { attached.first { $0.place == place } }
}
