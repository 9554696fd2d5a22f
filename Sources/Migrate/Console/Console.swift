import Glibc
import Storage
import Synchronization

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
