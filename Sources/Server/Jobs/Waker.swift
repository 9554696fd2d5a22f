import CShims
import Glibc
import Synchronization

/// Wakes the loop from any thread. The descriptor is for the loop, which watches it for edges and never reads it.
final class Waker: Sendable {
    /// An eventfd(2); -1 where the system refused one.
    let descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
    private let isPending = Atomic<Bool>(false)

    init() {}
    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Has the loop take up what was handed over before this call. One system call for all calls until it does.
    func wake() {
        if isPending.exchange(true, ordering: .acquiringAndReleasing) { return }
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// On the loop, before it looks at what was handed over: a later `wake` wakes it again.
    func acknowledge() { _ = isPending.exchange(false, ordering: .acquiringAndReleasing) }
}
