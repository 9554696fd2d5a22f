/// What the engine asks of the machine: files, threads and time. One is chosen when a data directory is opened.
public final class Host: Sendable {
    /// The machine itself.
    public static let real = Host(files: RealFileSystem(), threads: RealThreads())

    public let files: any FileSystem
    public let threads: any Threads
    /// Makes, records and deletes names, in the order asked for.
    let background: BackgroundFiles

    public init(files: any FileSystem, threads: any Threads) {
        self.files = files
        self.threads = threads
        background = BackgroundFiles(files, threads)
    }
}

/// The threads beside the one that executes commands, and the clock that they wait by. A simulation has none: it runs
/// their work on its own thread, a message at a time, in an order that it chooses.
public protocol Threads: AnyObject, Sendable {
    /// Calls what `makeHandler` returns with each message, one after the other, on a thread of its own, until the mailbox
    /// is closed and empty. `name`, `isYielding`: as for `startThread`.
    func serve<Message: Sendable>(
        _ mailbox: Mailbox<Message>, named name: String, isYielding: Bool,
        _ makeHandler: @escaping @Sendable () -> (Message) -> Void)
    /// The next item; waits for one. nil once closed and empty.
    func receive<Item: Sendable>(_ mailbox: Mailbox<Item>) -> Item?
    /// Waits a little for what another thread does.
    func pause(microseconds: UInt32)
    /// Nanoseconds of a clock that never goes back.
    var now: UInt64 { get }
}

public final class RealThreads: Threads {
    public init() {}

    public func serve<Message: Sendable>(
        _ mailbox: Mailbox<Message>, named name: String, isYielding: Bool,
        _ makeHandler: @escaping @Sendable () -> (Message) -> Void
    ) {
        startThread(named: name, isYielding: isYielding) {
            let handle = makeHandler()
            while let message = mailbox.receive() { handle(message) }
        }
    }
    public func receive<Item: Sendable>(_ mailbox: Mailbox<Item>) -> Item? { mailbox.receive() }
    public func pause(microseconds: UInt32) { sleepMicroseconds(microseconds) }
    public var now: UInt64 { monotonicNanoseconds() }
}
