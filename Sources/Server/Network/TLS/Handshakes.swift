import Glibc
import Storage

/// The handshakes that are under way, as the loop sees them. Confined to the loop.
final class Handshakes {
    /// What a handshake is for.
    enum Purpose {
        /// A client from `peer`.
        case client(Peer)
        /// An outbound connection.
        case link(Link)
    }
    /// Clients that have connected, and whose handshakes are not through, at most. A new one takes the place of the
    /// oldest, as those that wait for long are not clients.
    static let maximumClients = 1000
    /// Time for a client's handshake.
    private static let nanoseconds: UInt64 = 10_000_000_000

    private let logger: Logger
    private let loop: Waker
    private let requests = Mailbox<HandshakeWorker.Request>()
    private let outcomes = Mailbox<HandshakeWorker.Outcome>()
    private let waker = Waker()
    private var isRunning = false

    private var pending: [UInt64: Purpose] = [:]
    private var lastNumber: UInt64 = 0
    /// No client has an older number.
    private var oldestClient: UInt64 = 1
    /// Clients among those that are under way.
    private(set) var clientCount = 0

    /// Failures that the log was not told of, since when they are counted, in monotonic nanoseconds.
    private var untold = 0
    private var toldAt: UInt64 = 0

    /// `loop` wakes the loop when a handshake has ended.
    init(_ logger: Logger, loop: Waker) {
        self.logger = logger
        self.loop = loop
    }

    /// Begins the handshake of a client that was accepted.
    func accept(_ socket: Int32, _ peer: Peer, _ context: TLSContext) {
        if clientCount >= Self.maximumClients { dropOldestClient() }
        clientCount += 1
        _ = begin(socket, context, .client(peer), deadline: monotonicNanoseconds() &+ Self.nanoseconds)
    }
    private func dropOldestClient() {
        while oldestClient <= lastNumber {
            let number = oldestClient
            oldestClient += 1
            guard case .client(let peer) = pending[number] else { continue }
            cancel(number)
            return failed(peer, "too many clients are in the middle of one")
        }
    }

    /// Begins one for an outbound connection, on a socket that may still be connecting; the link limits its time.
    /// Returns how to cancel it.
    func connect(_ socket: Int32, _ link: Link, _ context: TLSContext) -> () -> Void {
        let number = begin(socket, context, .link(link), deadline: .max)
        return { [unowned self] in cancel(number) }
    }

    private func begin(_ socket: Int32, _ context: TLSContext, _ purpose: Purpose, deadline: UInt64) -> UInt64 {
        startWorker()
        lastNumber += 1
        pending[lastNumber] = purpose
        requests.send(
            .begin(
                HandshakeWorker.Order(
                    number: lastNumber, socket: socket, context: context, isServer: purpose.isClient, deadline: deadline
                )))
        waker.wake()
        return lastNumber
    }

    private func cancel(_ number: UInt64) {
        guard let purpose = pending.removeValue(forKey: number) else { return }
        if purpose.isClient { clientCount -= 1 }
        requests.send(.cancel(number))
        waker.wake()
    }

    private func startWorker() {
        if isRunning { return }
        isRunning = true
        startThread(named: "handshakes", isYielding: true) { [requests, outcomes, waker, loop, logger] in
            do throws(StorageError) {
                try HandshakeWorker(requests, outcomes, waker, loop: loop).run()
            } catch {
                logger.warning("No TLS handshakes can be made: \(error)")
            }
        }
    }

    /// The next one that has ended well, with what it was for; nil: none has. The others are logged, and a link hears of
    /// it.
    func nextFinished() -> (ByteStream, Purpose)? {
        while let outcome = outcomes.poll() {
            let purpose = pending.removeValue(forKey: outcome.number)
            if purpose?.isClient == true { clientCount -= 1 }
            switch (outcome.result, purpose) {
            case (.success(let stream), nil):
                // Cancelled when it was through.
                ByteStream(stream).close()
            case (.success(let stream), let purpose?): return (ByteStream(stream), purpose)
            case (.failure(let error), .client(let peer)): failed(peer, error.message)
            case (.failure(let error), .link(let link)):
                logger.warning("TLS with \(link.name) failed: \(error.message)")
                link.closed()
            case (.failure, nil): break
            }
        }
        return nil
    }

    /// Tells the log, once a second at most.
    private func failed(_ peer: Peer, _ reason: String) {
        let now = monotonicNanoseconds()
        if now &- toldAt < 1_000_000_000 {
            untold += 1
            return
        }
        let others = untold == 0 ? "" : "; so did \(untold) before it"
        logger.warning(
            "Error accepting a client connection: \(reason) (addr=\(peer.address) laddr=\(peer.localAddress))\(others)")
        toldAt = now
        untold = 0
    }
}

extension Handshakes.Purpose {
    fileprivate var isClient: Bool {
        switch self {
        case .client: true
        case .link: false
        }
    }
}
