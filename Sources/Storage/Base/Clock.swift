import Glibc
import Synchronization

/// The clocks that everything here reads, and the one place where tests move them.
///
/// `monotonicNanoseconds` and `wallClockMilliseconds` are the system's clocks plus an offset, which is 0 but in tests. A wait
/// in the kernel knows nothing of the offset: who hands it a deadline takes `Clock.systemTime(of:)`.
public enum Clock {
    /// Nanoseconds that tests have added to both clocks, and to the wall clock alone.
    private static let advanced = Atomic<UInt64>(0)
    private static let wallShift = Atomic<Int64>(0)

    /// Moves both clocks forward, for all threads: what is due within the time is due at the next look at a clock. Operations
    /// that are under way seem to have taken so much longer.
    public static func advance(nanoseconds: UInt64) { advanced.wrappingAdd(nanoseconds, ordering: .relaxed) }

    /// Moves the wall clock alone, in either direction, as an administrator or NTP does.
    public static func shiftWallClock(nanoseconds: Int64) { wallShift.wrappingAdd(nanoseconds, ordering: .relaxed) }

    @inline(__always) fileprivate static func read(_ clock: clockid_t) -> timespec {
        var time = timespec()
        clock_gettime(clock, &time)
        return time
    }
    fileprivate static var monotonicOffset: UInt64 { advanced.load(ordering: .relaxed) }
    fileprivate static var wallOffset: Int64 {
        Int64(truncatingIfNeeded: advanced.load(ordering: .relaxed)) &+ wallShift.load(ordering: .relaxed)
    }

    /// Nanoseconds since 1970.
    public static var wallNanoseconds: Int64 {
        let time = read(CLOCK_REALTIME)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec) &+ wallOffset
    }

    /// The time on the kernel's CLOCK_MONOTONIC at which `monotonicNanoseconds` reaches `deadline`, for calls that wait.
    static func systemTime(of deadline: UInt64) -> timespec {
        let time = deadline - min(deadline, monotonicOffset)
        return timespec(tv_sec: Int(time / 1_000_000_000), tv_nsec: Int(time % 1_000_000_000))
    }
}

/// Nanoseconds since an arbitrary moment, which only go up.
@inline(__always) public func monotonicNanoseconds() -> UInt64 {
    let time = Clock.read(CLOCK_MONOTONIC)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec) &+ Clock.monotonicOffset
}

/// Milliseconds since 1970.
public func wallClockMilliseconds() -> Int64 { Clock.wallNanoseconds / 1_000_000 }
