import CShims
import Glibc
import Storage

// Invariant of this file: `events` has room for `capacity` events; the descriptor is open from init to deinit.

/// epoll: which descriptors are ready. What is watched has a word of its user's, which comes with its events.
final class Readiness {
    private let poll = epoll_create1(Int32(EPOLL_CLOEXEC))
    private static let capacity = 1024
    private var events = UnsafeMutablePointer<epoll_event>.allocate(capacity: Readiness.capacity)
    private var otherEvents: UnsafeMutablePointer<epoll_event>?

    /// Throws when the system refuses a descriptor.
    init() throws(StorageError) { if poll < 0 { throw .system("epoll", "cannot make the event loop") } }
    deinit {
        close(poll)
        events.deallocate()
        otherEvents?.deallocate()
    }

    /// The next call of `wait` leaves those of the last one as they are; twice: as before.
    func exchangeEvents() {
        let other = otherEvents ?? .allocate(capacity: Readiness.capacity)
        otherEvents = events
        events = other
    }

    func watch(_ descriptor: Int32, _ events: UInt32, _ word: UInt64) {
        control(EPOLL_CTL_ADD, descriptor, events, word)
    }
    /// Reports anew what the descriptor is ready for by now.
    func rewatch(_ descriptor: Int32, _ events: UInt32, _ word: UInt64) {
        control(EPOLL_CTL_MOD, descriptor, events, word)
    }
    func unwatch(_ descriptor: Int32) { control(EPOLL_CTL_DEL, descriptor, 0, 0) }

    private func control(_ operation: Int32, _ descriptor: Int32, _ events: UInt32, _ word: UInt64) {
        var event = epoll_event(events: events, data: epoll_data(u64: word))
        _ = epoll_ctl(poll, operation, descriptor, &event)
    }

    /// The events that are there, or come within `milliseconds`; good until the next call.
    @inline(__always) func wait(_ milliseconds: Int32) -> UnsafeBufferPointer<epoll_event> {
        let count = cshims_epoll_wait(poll, events, Int32(Readiness.capacity), milliseconds)
        return UnsafeBufferPointer(start: events, count: Int(max(0, count)))
    }
}

/// Whether to look for events a little longer before the thread sleeps: as long as at least every other look finds some.
/// Being put to sleep and woken costs this thread, and the one that wakes it, more than the look. On two virtual cores it was
/// 0.88 of the CPU a request and 1.06 times the requests with 50 clients, and with one client half as many requests
/// again for the same CPU; 5 µs were too short for one, 40 µs cost more than they saved.
struct BusyPoll {
    static let nanoseconds: UInt64 = 20_000
    private static let creditLimit = 256
    private var credit = 0
    private var skipped = 0

    /// Now and then also without credit, to see whether it has become worth it.
    @inline(__always) mutating func isWorthIt() -> Bool {
        if credit > 0 { return true }
        skipped &+= 1
        return skipped & 31 == 0
    }
    @inline(__always) mutating func ended(foundEvents: Bool) {
        credit = foundEvents ? min(credit + 1, Self.creditLimit) : max(credit - 1, 0)
    }
}
