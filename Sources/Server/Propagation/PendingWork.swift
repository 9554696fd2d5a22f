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
    }
    var kinds: Kinds = []
}
