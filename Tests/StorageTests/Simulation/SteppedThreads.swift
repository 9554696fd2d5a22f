@testable import Storage

/// Threads that are none: their work is done on the caller's thread, a message at a time, in an order that the seed
/// chooses, and time goes by when somebody says so. For one thread.
final class SteppedThreads: Threads, @unchecked Sendable {
    private enum Step { case worked, idle, ended }

    private var workers: [(name: String, step: () -> Step)] = []
    private var random: SplitMix64
    private(set) var now: UInt64 = 1_000_000_000
    private var isStepping = false

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    func serve<Message: Sendable>(
        _ mailbox: Mailbox<Message>, named name: String, isYielding: Bool,
        _ makeHandler: @escaping @Sendable () -> (Message) -> Void
    ) {
        let handle = makeHandler()
        workers.append(
            (
                name,
                {
                    guard let message = mailbox.poll() else { return mailbox.isFinished ? .ended : .idle }
                    handle(message)
                    return .worked
                }
            ))
    }

    func receive<Item: Sendable>(_ mailbox: Mailbox<Item>) -> Item? {
        while true {
            if let item = mailbox.poll() { return item }
            if mailbox.isFinished { return nil }
            precondition(step(), "everybody waits for somebody")
        }
    }

    func pause(microseconds: UInt32) {
        now += UInt64(microseconds) * 1000
        step()
    }
    func advance(milliseconds: UInt64) { now += milliseconds * 1_000_000 }

    /// One of the threads that have work does a piece of it. False when none has.
    @discardableResult func step() -> Bool {
        if isStepping || workers.isEmpty { return false }
        isStepping = true
        defer { isStepping = false }
        let first = Int(random.next() % UInt64(workers.count))
        var hasWorked = false
        var ended: [Int] = []
        for i in 0..<workers.count {
            let index = (first + i) % workers.count
            switch workers[index].step() {
            case .worked: hasWorked = true
            case .idle: continue
            case .ended:
                ended.append(index)
                continue
            }
            break
        }
        for index in ended.sorted(by: >) { workers.remove(at: index) }
        return hasWorked
    }

    /// Until nobody has work.
    func settle() { while step() {} }

    /// The process ends: what its threads had to do is not done.
    func abandon() { workers = [] }
}
