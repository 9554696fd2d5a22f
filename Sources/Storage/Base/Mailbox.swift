import Glibc
import Synchronization

public final class Mailbox<T: Sendable>: Sendable {
    private let items = Mutex<[T]>([])
    public init() {}
    public var count: Int { items.withLock { $0.count } }
    public func send(_ item: T) { items.withLock { $0.append(item) } }
    public func receive() -> T? { nil }
}
func startThread(named: String, _ body: @escaping @Sendable () -> Void) {}
