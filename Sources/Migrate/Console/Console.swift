import Glibc
import Storage
import Synchronization

/// A line on the terminal that is rewritten as work goes on; nothing when stderr is no terminal.
final class ProgressMeter: Sendable {
    private let shown: Bool
    private let started = monotonicSeconds
    /// Of the last line, in ms since the start.
    private let lastShown = Atomic<Int>(-1000)

    init() { shown = isatty(STDERR_FILENO) == 1 }

    /// `bytes` of the input or output, for the rate.
    func update(done: Int64, of all: Int64, keys: Int, bytes: Int64) {
        guard let seconds = due() else { return }
        let percent = 100 * Double(done) / Double(max(all, 1))
        let rate = Double(bytes) / 1e6 / max(seconds, 1e-3)
        writeError("\r\u{1B}[K\(fixedPoint(percent, 1)) %  \(keys) keys  \(fixedPoint(rate, 1)) MB/s", newline: false)
    }
    func update(keys: Int) {
        if due() != nil { writeError("\r\u{1B}[K\(keys) keys", newline: false) }
    }

    /// A step of a few, which cannot tell how far it is.
    func update(step: String, _ number: Int, of count: Int) {
        if shown { writeError("\r\u{1B}[K\(number)/\(count) \(step)", newline: false) }
    }

    /// Seconds since the start; nil when the line stays as it is.
    private func due() -> Double? {
        if !shown { return nil }
        let seconds = monotonicSeconds - started
        let now = Int(seconds * 1000)
        if now - lastShown.load(ordering: .relaxed) < 100 { return nil }
        lastShown.store(now, ordering: .relaxed)
        return seconds
    }

    func clear() {
        if shown { writeError("\r\u{1B}[K", newline: false) }
    }
}

/// Whether the user pressed Ctrl-C, or the process was asked to end: the work in hand then stops and cleans up.
enum Interruption {
    private static let flag = Atomic<Bool>(false)

    static var happened: Bool { flag.load(ordering: .relaxed) }

    /// From now on; a pipe whose reader has gone is an error like others.
    static func watch() {
        signal(SIGPIPE, SIG_IGN)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number) { _ in Interruption.flag.store(true, ordering: .relaxed) }
        }
    }
}

/// For durations.
var monotonicSeconds: Double { Double(monotonicNanoseconds()) / 1e9 }

func writeError(_ text: String, newline: Bool = true) {
    var line = newline ? text + "\n" : text
    line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

/// `value` with so many digits after the point, without Foundation.
func fixedPoint(_ value: Double, _ digits: Int) -> String {
    let scale = digits == 1 ? 10.0 : 100.0
    guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
    let scaled = Int((value * scale).rounded())
    let fraction = String(scaled % Int(scale))
    return "\(scaled / Int(scale))." + String(repeating: "0", count: digits - fraction.count) + fraction
}
