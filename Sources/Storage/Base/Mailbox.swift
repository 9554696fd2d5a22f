import CShims
import Glibc
import Synchronization

// Invariant of this file: mutex and condition live at fixed addresses from init to deinit; `items` and `isClosed` are
// touched with the mutex held only.

/// A queue from one thread to another. `send` never waits longer than a short critical section.
public final class Mailbox<Item: Sendable>: @unchecked Sendable {
    // @unchecked: the mutex guards what changes.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let arrived = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// Those taken are nil until the array is compacted.
    private var items: [(item: Item, weight: Int)?] = []
    private var next = 0
    private var isClosed = false
    /// Sum of the weights of the items that are there, and what the receiver waits for.
    private var weight = 0
    private var wanted = 1

    public init() {
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(arrived, &attributes)
        pthread_condattr_destroy(&attributes)
    }
    deinit {
        pthread_cond_destroy(arrived)
        pthread_mutex_destroy(mutex)
        arrived.deallocate()
        mutex.deallocate()
    }

    private func locked<R>(_ body: () -> R) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    public var count: Int { locked { items.count - next } }

    /// `weight` is what `waitForWeight` adds up.
    public func send(_ item: Item, weight added: Int = 1) {
        locked {
            items.append((item, added))
            weight += added
            if weight >= wanted { _ = pthread_cond_signal(arrived) }
        }
    }
    /// Lets the receiver end once it has taken what is there.
    public func close() {
        locked {
            isClosed = true
            _ = pthread_cond_broadcast(arrived)
        }
    }
    /// The next item; waits for one. nil once closed and empty.
    public func receive() -> Item? {
        locked {
            while next == items.count {
                if isClosed { return nil }
                pthread_cond_wait(arrived, mutex)
            }
            return take()
        }
    }
    /// Waits until what is there weighs so much, but not beyond `deadline`, in nanoseconds of the monotonic clock. Senders
    /// do not wake the thread before.
    public func waitForWeight(_ enough: Int, until deadline: UInt64) {
        locked {
            var time = Clock.systemTime(of: deadline)
            wanted = enough
            defer { wanted = 1 }
            while weight < enough && !isClosed {
                if pthread_cond_timedwait(arrived, mutex, &time) == ETIMEDOUT { return }
            }
        }
    }
    /// The next item, for which it waits no longer than until `deadline`, in nanoseconds of the monotonic clock. nil when
    /// none has come, or none will come any more: then `isFinished`.
    public func receive(until deadline: UInt64) -> Item? {
        waitForWeight(1, until: deadline)
        return poll()
    }
    /// Closed, and all was taken.
    public var isFinished: Bool { locked { isClosed && next == items.count } }
    /// The next item where there is one.
    public func poll() -> Item? { locked { next == items.count ? nil : take() } }

    private func take() -> Item? {
        let item = items[next]
        items[next] = nil
        weight -= item?.weight ?? 0
        next += 1
        if next == items.count || next > StructureSizes.size(1024, small: 2) {
            items.removeFirst(next)
            next = 0
        }
        return item?.item
    }
}

/// Starts a detached thread that runs `body`. `name` shows in ps and debuggers, 15 bytes at most. `isYielding`: nobody
/// waits for it, so where it shares a core with the loop it does not take its turns away.
public func startThread(named name: String, isYielding: Bool = false, _ body: @escaping @Sendable () -> Void) {
    final class Box: Sendable {
        let name: String
        let isYielding: Bool
        let body: @Sendable () -> Void
        init(_ name: String, _ isYielding: Bool, _ body: @escaping @Sendable () -> Void) {
            self.name = name
            self.isYielding = isYielding
            self.body = body
        }
    }
    var thread = pthread_t()
    let box = Unmanaged.passRetained(Box(name, isYielding, body))
    let failed = pthread_create(
        &thread, nil,
        { argument in
            guard let argument else { return nil }
            let box = Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
            cshims_set_thread_name(box.name)
            if box.isYielding { cshims_yield_to_others() }
            MemoryCounters.count()
            box.body()
            MemoryCounters.threadEnds()
            return nil
        }, box.toOpaque())
    precondition(failed == 0, "cannot start the thread \(name)")
    pthread_detach(thread)
}

/// To be called now and then, each 0.1 ms or so, by a thread that nobody waits for: where it shares a core with the
/// loop, which has work by now, that goes first. Else the loop may wait for the end of a slice of some ms.
func giveWay() { sched_yield() }

func sleepMicroseconds(_ microseconds: UInt32) { usleep(microseconds) }
