import CJemalloc
import Glibc

// Invariant of this file: a value that mallctl reads or writes is passed with its own size, in the C type that
// jemalloc's manual names for that key. The buffer of a report outlives the call that writes it.

/// What the allocator and the kernel say about this process's memory, in bytes.
public struct MemoryStatistics: Sendable {
    /// Handed out by the allocator, its own size classes included, and mapped. INFO's `used_memory`.
    public var inUse = 0
    /// Handed out by the allocator, and mapped past it. It differs from the above by what the allocator keeps for each thread.
    public var allocated = 0
    /// In pages that hold something handed out.
    public var active = 0
    /// In pages that the allocator has from the kernel and that are backed by memory.
    public var resident = 0
    /// Of the whole process, as the kernel counts it.
    public var residentSetSize = 0

    /// Asks now. About 10 µs: the allocator merges its threads' counts.
    public init() {
        // Counts are as of the last refresh, which writing any epoch asks for.
        var epoch: UInt64 = 1
        _ = mallctl("epoch", nil, nil, &epoch, MemoryLayout<UInt64>.size)
        let mapped = MemoryCounters.mapped
        inUse = MemoryCounters.inUse
        allocated = Self.size("stats.allocated") + mapped
        active = Self.size("stats.active") + mapped
        resident = Self.size("stats.resident") + mapped
        residentSetSize = Self.readResidentSetSize()
    }

    /// The machine's memory.
    public static var totalSystemMemory: Int { Int(sysconf(Int32(_SC_PHYS_PAGES))) * pageSize }

    /// `jemalloc-5.3.0`: INFO's `mem_allocator`.
    public static var allocator: String {
        var text: UnsafePointer<CChar>?
        var length = MemoryLayout<UnsafePointer<CChar>?>.size
        guard mallctl("version", &text, &length, nil, 0) == 0, let text else { return "jemalloc" }
        return "jemalloc-" + String(cString: text).prefix { $0 != "-" }
    }

    /// What the calling thread has asked for since it began, in bytes.
    public static var allocatedByThread: Int { size("thread.allocated") }

    /// The allocator's own report, for those who know it.
    public static func writeAllocatorReport(to buffer: OutputBuffer) {
        // The call may be made where no Swift closure can be captured: the buffer comes as its argument.
        malloc_stats_print(
            { argument, text in
                guard let argument, let text else { return }
                Unmanaged<OutputBuffer>.fromOpaque(argument).takeUnretainedValue().append(text: String(cString: text))
            }, Unmanaged.passUnretained(buffer).toOpaque(), nil)
    }

    /// Gives freed pages back to the kernel.
    public static func purge() {
        // 4096 stands for all arenas (MALLCTL_ARENAS_ALL).
        _ = mallctl("arena.4096.purge", nil, nil, nil, 0)
    }

    /// The allocator's variable of this name, as a number, after it was set to `value` where that is given; nil: there is none.
    public static func control(_ name: String, setTo value: Int? = nil) -> Int? {
        var old = 0
        var length = MemoryLayout<Int>.size
        guard mallctl(name, &old, &length, nil, 0) == 0 else { return nil }
        if var value, mallctl(name, nil, nil, &value, length) != 0 { return nil }
        return old
    }
    /// Has the allocator do what it does when it is asked for a variable without a value: `thread.tcache.flush`.
    public static func command(_ name: String) -> Bool { mallctl(name, nil, nil, nil, 0) == 0 }

    private static func size(_ key: String) -> Int {
        var value = 0
        var length = MemoryLayout<Int>.size
        return mallctl(key, &value, &length, nil, 0) == 0 ? value : 0
    }

    private static var pageSize: Int { Int(sysconf(Int32(_SC_PAGESIZE))) }

    /// The second number of /proc/self/statm, in pages.
    private static func readResidentSetSize() -> Int {
        let descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 128) { buffer in
            let n = read(descriptor, buffer.baseAddress, 128)
            guard n > 0 else { return 0 }
            let numbers = String(decoding: buffer[..<n], as: UTF8.self).split(separator: " ")
            return numbers.count > 1 ? (Int(numbers[1]) ?? 0) * pageSize : 0
        }
    }
}
