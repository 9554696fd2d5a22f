import Glibc
import Storage
import Synchronization

/// A line on the terminal that is rewritten as work goes on, with the rate and the time left; nothing where stderr is no
/// terminal.
final class ProgressMeter: Sendable {
    private static let interval = 100
    /// Before it the rate says little.
    private static let settledAfter = 1.0
    private let shown: Bool
    private let started = monotonicSeconds
    /// Of the last line, in ms since the start.
    private let lastShown = Atomic<Int>(-1000)

    init() { shown = isatty(STDERR_FILENO) == 1 }

    func update(_ progress: ReadProgress) {
        update(
            done: progress.done, of: progress.all, keys: progress.keys, bytes: progress.isBytes ? progress.done : nil)
    }

    /// `all` is 0 where it is not known. `bytes` read or written, for the rate; nil: the rate is that of `done`, in rows.
    func update(done: Int64, of all: Int64, keys: Int, bytes: Int64?) {
        guard let seconds = due() else { return }
        var parts: [String] = []
        let share = all > 0 ? min(Double(done) / Double(all), 1) : 0
        if all > 0 { parts.append("\(fixedPoint(100 * share, 1)) %") }
        parts.append("\(keys) keys")
        if let bytes {
            if all == 0 { parts.append("\(fixedPoint(Double(bytes) / 1e6, 1)) MB") }
            parts.append("\(fixedPoint(Double(bytes) / 1e6 / max(seconds, 1e-3), 1)) MB/s")
        } else {
            parts.append("\(Int64(Double(done) / max(seconds, 1e-3))) rows/s")
        }
        if share > 0, seconds >= ProgressMeter.settledAfter {
            parts.append("\(ProgressMeter.clock(seconds / share - seconds)) left")
        }
        writeError("\r\u{1B}[K" + parts.joined(separator: "  "), newline: false)
    }

    /// A step of a few, which cannot tell how far it is.
    func update(step: String, _ number: Int, of count: Int) {
        if shown { writeError("\r\u{1B}[K\(number)/\(count) \(step)", newline: false) }
    }

    /// As 0:07, 12:30 or 3:05:00.
    static func clock(_ duration: Double) -> String {
        let seconds = Int(min(max(duration, 0), 1e9).rounded(.up))
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let minutes = seconds / 60 % 60
        let hours = seconds / 3600
        return (hours > 0 ? "\(hours):" + two(minutes) : "\(minutes)") + ":" + two(seconds % 60)
    }

    /// Seconds since the start; nil when the line stays as it is.
    private func due() -> Double? {
        if !shown { return nil }
        let seconds = monotonicSeconds - started
        let now = Int(seconds * 1000)
        if now - lastShown.load(ordering: .relaxed) < ProgressMeter.interval { return nil }
        lastShown.store(now, ordering: .relaxed)
        return seconds
    }

    func clear() {
        if shown { writeError("\r\u{1B}[K", newline: false) }
    }
}
