import Glibc
import Synchronization

/// SIGTERM and SIGINT, noted by a handler that does nothing else and looked at by the timer, as Redis does. A second
/// SIGINT ends the process at once.
enum Signals {
    private static let pending = Atomic<CInt>(0)

    static func install() {
        // Touched here, so that the handler finds it made.
        pending.store(0, ordering: .relaxed)
        let note: @convention(c) (CInt) -> Void = { number in
            if number == SIGINT && Signals.pending.load(ordering: .relaxed) == SIGINT { _exit(1) }
            Signals.pending.store(number, ordering: .relaxed)
        }
        signal(SIGTERM, note)
        signal(SIGINT, note)
        signal(SIGPIPE, SIG_IGN)
        signal(SIGHUP, SIG_IGN)
    }

    /// The signal that has come and was not taken; nil: none.
    static func take() -> CInt? {
        let number = pending.exchange(0, ordering: .relaxed)
        return number == 0 ? nil : number
    }
}
