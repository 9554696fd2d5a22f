/// What the end of an execution unit has to do, besides going on: one word, as it is tested after every command.
/// Whatever causes the work sets its bit.
final class PendingWork {
    struct Kinds: OptionSet {
        let rawValue: UInt8
        /// The unit propagated several commands, which belong between MULTI and EXEC.
        static let transaction = Kinds(rawValue: 1 << 0)
        /// Keys that clients wait for are ready.
        static let ready = Kinds(rawValue: 1 << 1)
        /// Something happened to keys that somebody listens to.
        static let events = Kinds(rawValue: 1 << 2)
        /// Keys that clients have cached were changed.
        static let invalidations = Kinds(rawValue: 1 << 3)
    }
    var kinds: Kinds = []

    /// What is to be done after each command, those of a transaction or script too: another such word.
    struct AfterCall: OptionSet {
        let rawValue: UInt8
        /// Replies to reads wait too where they may show a write that is not safe yet: appendfsync always.
        static let holdReads = AfterCall(rawValue: 1 << 0)
        /// Clients track the keys that they read.
        static let tracking = AfterCall(rawValue: 1 << 1)
        /// Clients see what is executed.
        static let monitors = AfterCall(rawValue: 1 << 2)
    }
    private(set) var afterCall: AfterCall = []
    func set(_ work: AfterCall, _ isWanted: Bool) {
        if isWanted { afterCall.insert(work) } else { afterCall.remove(work) }
    }
}
