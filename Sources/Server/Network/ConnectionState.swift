/// Where a connection is between its first byte and its last. Each transition returns what has to be done for it.
enum ConnectionState: Equatable {
    /// An outbound socket that is not connected yet.
    case connecting
    /// Nothing waits to be sent.
    case open
    /// Output leaves at the end of the turn, or once the log has what it answers.
    case flushing
    /// The socket is full: output goes on when it can be written.
    case writingBlocked
    /// As `flushing` and `writingBlocked`; the connection ends when all has left.
    case closingAfterReply
    case closingBlocked
    /// Ends at the end of this turn: nothing is read or sent any more.
    case closing

    enum Action: Equatable {
        case none
        /// Flush at the end of the turn.
        case scheduleFlush
        /// The output has grown, and nothing leaves: look at its limit.
        case checkLimit
        case watchWritable
        /// No longer watch for that, and flush at the end of the turn.
        case unwatchWritable
        /// Find out how connecting ended.
        case finishConnecting
        case close
    }

    /// Input is received, though not executed after a last reply: the other side's end is to be seen.
    var receives: Bool { self != .connecting && self != .closing }
    /// Waits for the socket to be writable.
    var isBlocked: Bool { self == .writingBlocked || self == .closingBlocked }

    /// There is output, or, where it is the last, maybe none.
    mutating func outputAdded(isLast: Bool) -> Action {
        switch self {
        case .open:
            self = isLast ? .closingAfterReply : .flushing
            return .scheduleFlush
        case .flushing:
            if isLast { self = .closingAfterReply }
            return .none
        case .writingBlocked, .closingBlocked:
            if isLast { self = .closingBlocked }
            return .checkLimit
        case .connecting, .closingAfterReply, .closing: return .none
        }
    }

    /// All output has left.
    mutating func flushed() -> Action {
        switch self {
        case .flushing: self = .open
        case .closingAfterReply:
            self = .closing
            return .close
        case .connecting, .open, .writingBlocked, .closingBlocked, .closing: break
        }
        return .none
    }

    /// The stream takes no more until the socket can be written.
    mutating func blocked() -> Action {
        switch self {
        case .open, .flushing: self = .writingBlocked
        case .closingAfterReply: self = .closingBlocked
        case .connecting, .writingBlocked, .closingBlocked, .closing: return .none
        }
        return .watchWritable
    }

    /// The socket can be written.
    mutating func writable() -> Action {
        switch self {
        case .writingBlocked: self = .flushing
        case .closingBlocked: self = .closingAfterReply
        case .connecting: return .finishConnecting
        case .open, .flushing, .closingAfterReply, .closing: return .none
        }
        return .unwatchWritable
    }

    /// An outbound socket is connected. What was written before leaves at the end of the turn.
    mutating func connected() -> Action {
        guard self == .connecting else { return .none }
        self = .flushing
        return .unwatchWritable
    }

    /// The other side says nothing more. It has the replies that are to leave at the end of this turn.
    mutating func ended() -> Action {
        guard self == .flushing || self == .closingAfterReply else { return close() }
        self = .closingAfterReply
        return .none
    }

    /// The connection ends without sending what is left.
    mutating func close() -> Action {
        if self == .closing { return .none }
        self = .closing
        return .close
    }
}
