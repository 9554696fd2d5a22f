import Storage

/// The second half of a blocking command: what it does when a key that it waits for may have something for it. The
/// context is as at first, with the same arguments. True when it has answered, or throws an error that is the answer;
/// false when there is nothing, so that it goes on waiting.
enum Attempt {
    case read((ReadContext, _ key: Bytes) throws(CommandError) -> Bool)
    case write((WriteContext, _ key: Bytes) throws(CommandError) -> Bool)
    /// Waits for time alone.
    case none
}

/// What a blocking command answers when there is nothing.
enum EmptyReply {
    case null, nullArray, zero
    /// What it is depends on the time of the answer.
    case written((ReplyWriter) -> Void)

    func write(to reply: ReplyWriter) {
        switch self {
        case .null: reply.null()
        case .nullArray: reply.nullArray()
        case .zero: reply.integer(0)
        case .written(let write): write(reply)
        }
    }
}

/// What a client waits for.
struct Wait {
    /// Keys of this type count; others under the same names leave the client waiting.
    var type = ValueType.list
    /// Milliseconds; 0: for ever.
    let timeout: Int64
    /// The answer when the time is up. Redis has a null array for all that wait for keys.
    var answerAtTimeout = EmptyReply.nullArray
    /// Whether the attempt is also made when the key is gone: XREADGROUP has an error for it.
    var isServedByRemoval = false
    var attempt = Attempt.none
    /// Whether CLIENT UNBLOCK may end it.
    var canBeEnded = true
}

/// A client that waits, and its command.
final class Waiter {
    let session: Session
    let wait: Wait
    /// Without duplicates.
    let keys: [DatabaseKey]
    /// Grows with each waiter: an earlier one has a lower number.
    let sequence: Int
    /// Monotonic nanoseconds; `.max`: none.
    let deadline: UInt64
    /// The command and its arguments.
    let request: Transaction
    /// Nanoseconds that the command has taken so far.
    var nanoseconds: UInt64 = 0
    /// Its place in the heap of deadlines.
    var heapIndex = 0

    init(
        _ session: Session, _ wait: Wait, keys: [DatabaseKey], sequence: Int, deadline: UInt64, request: Transaction
    ) {
        self.session = session
        self.wait = wait
        self.keys = keys
        self.sequence = sequence
        self.deadline = deadline
        self.request = request
    }
}
