import CShims
import Glibc
import Storage

/// Drives the handshakes of all connections that have none behind them yet, on a thread of its own, as each costs a
/// millisecond of the CPU: the loop gets them when they are through. Made on the loop's side, and confined to the thread
/// from `run` on.
final class HandshakeWorker {
    /// A handshake that is to be made. Its socket is the worker's until the outcome is there.
    struct Order: Sendable {
        let number: UInt64
        let socket: Int32
        let context: TLSContext
        /// The other side begins. Else the socket may still be connecting.
        let isServer: Bool
        /// Monotonic nanoseconds.
        let deadline: UInt64
    }
    enum Request: Sendable {
        case begin(Order)
        /// Nobody waits any more; the worker closes the socket.
        case cancel(UInt64)
    }
    struct Outcome: Sendable {
        let number: UInt64
        let result: Result<TLSStream, TLSError>
    }

    private struct Pending {
        let order: Order
        /// nil while the other side has said nothing: who only connects costs a descriptor.
        var stream: TLSStream?
        var isWriting: Bool
    }

    private let requests: Mailbox<Request>
    private let outcomes: Mailbox<Outcome>
    /// Wakes this thread, and the loop.
    private let waker: Waker
    private let loop: Waker
    private let readiness: Readiness
    private var pending: [UInt64: Pending] = [:]

    private static let wakeWord = UInt64.max
    private static let expiryInterval: UInt64 = 250_000_000

    init(_ requests: Mailbox<Request>, _ outcomes: Mailbox<Outcome>, _ waker: Waker, loop: Waker) throws(StorageError) {
        self.requests = requests
        self.outcomes = outcomes
        self.waker = waker
        self.loop = loop
        readiness = try Readiness()
        readiness.watch(waker.descriptor, EPOLLIN.rawValue | EPOLLET.rawValue, Self.wakeWord)
    }

    /// Until the process ends.
    func run() -> Never {
        var nextExpiry: UInt64 = 0
        while true {
            for event in readiness.wait(pending.isEmpty ? -1 : Int32(Self.expiryInterval / 1_000_000)) {
                if event.data.u64 == Self.wakeWord { takeRequests() } else { proceed(event.data.u64) }
            }
            let now = monotonicNanoseconds()
            if now < nextExpiry { continue }
            nextExpiry = now + Self.expiryInterval
            for entry in pending.values where entry.order.deadline <= now {
                end(entry.order.number, .failure(TLSError("the other side took too long")))
            }
        }
    }

    private func takeRequests() {
        waker.acknowledge()
        while let request = requests.poll() {
            switch request {
            case .begin(let order):
                pending[order.number] = Pending(order: order, isWriting: !order.isServer)
                readiness.watch(order.socket, Self.events(isWriting: !order.isServer), order.number)
            case .cancel(let number): if let entry = pending.removeValue(forKey: number) { close(entry.order.socket) }
            }
        }
    }

    private func proceed(_ number: UInt64) {
        guard var entry = pending[number] else { return }
        let order = entry.order
        do throws(TLSError) {
            if entry.stream == nil {
                let code = SocketOptions.error(order.socket)
                if code != 0 { throw TLSError("\(systemReason(code))") }
                entry.stream = try TLSStream(order.socket, order.context, isServer: order.isServer)
            }
            guard let stream = entry.stream else { return }
            let isWriting: Bool
            switch try stream.handshake() {
            case .finished: return end(number, .success(stream))
            case .needsRead: isWriting = false
            case .needsWrite: isWriting = true
            }
            if isWriting != entry.isWriting {
                entry.isWriting = isWriting
                readiness.rewatch(order.socket, Self.events(isWriting: isWriting), number)
            }
            pending[number] = entry
        } catch {
            end(number, .failure(error))
        }
    }
    private static func events(isWriting: Bool) -> UInt32 { isWriting ? EPOLLOUT.rawValue : EPOLLIN.rawValue }

    private func end(_ number: UInt64, _ result: Result<TLSStream, TLSError>) {
        guard let entry = pending.removeValue(forKey: number) else { return }
        readiness.unwatch(entry.order.socket)
        if case .failure = result { close(entry.order.socket) }
        outcomes.send(Outcome(number: number, result: result))
        loop.wake()
    }
}
