import Storage

/// What a client is or is in the middle of.
struct ClientFlags: OptionSet, Sendable {
    let rawValue: UInt32

    /// Between MULTI and EXEC.
    static let multi = ClientFlags(rawValue: 1 << 0)
    /// A watched key was changed: EXEC will answer null.
    static let dirtyWatch = ClientFlags(rawValue: 1 << 1)
    /// A command was refused while queueing: EXEC will fail.
    static let dirtyQueue = ClientFlags(rawValue: 1 << 2)
    /// The connection ends when the output is sent; nothing more is executed.
    static let closeAfterReply = ClientFlags(rawValue: 1 << 3)
    /// CLIENT REPLY OFF.
    static let replyOff = ClientFlags(rawValue: 1 << 4)
    /// CLIENT REPLY SKIP: the next command's reply is not sent, then: this one's.
    static let replySkipNext = ClientFlags(rawValue: 1 << 5)
    static let replySkip = ClientFlags(rawValue: 1 << 6)
    static let noEvict = ClientFlags(rawValue: 1 << 7)
    static let noTouch = ClientFlags(rawValue: 1 << 8)
    static let unixSocket = ClientFlags(rawValue: 1 << 9)
    /// Waits for a key or the end of CLIENT PAUSE; its input is kept until then.
    static let blocked = ClientFlags(rawValue: 1 << 10)
    static let pubsub = ClientFlags(rawValue: 1 << 11)
    static let monitor = ClientFlags(rawValue: 1 << 12)
    static let replica = ClientFlags(rawValue: 1 << 13)
    static let master = ClientFlags(rawValue: 1 << 14)
    static let tracking = ClientFlags(rawValue: 1 << 15)
    /// Must authenticate first.
    static let unauthenticated = ClientFlags(rawValue: 1 << 16)
    /// No connection: replays the log, runs scripts. Its replies are dropped by whoever made it.
    static let `internal` = ClientFlags(rawValue: 1 << 17)
    /// Within EXEC or a script: nothing may block.
    static let denyBlocking = ClientFlags(rawValue: 1 << 19)
    /// The connection is gone.
    static let closed = ClientFlags(rawValue: 1 << 18)

    /// The letters of CLIENT LIST; a client with none is "N".
    static let letters: [(ClientFlags, Character)] = [
        (.replica, "S"), (.master, "M"), (.pubsub, "P"), (.multi, "x"), (.blocked, "b"), (.tracking, "t"),
        (.dirtyWatch, "d"), (.closeAfterReply, "c"), (.unixSocket, "U"), (.noEvict, "e"), (.noTouch, "T"),
        (.monitor, "O"),
    ]
}

/// The connection behind a client, as seen by the layers above the network. The network's subclass does the work; the
/// methods here do nothing, for clients without a connection.
class Transport {
    /// There is output that should leave at the end of this turn.
    func scheduleFlush() {}
    /// Ends the connection without sending what is left.
    func close() {}
    /// Executes the input that was kept while the client was blocked; called at the end of a turn.
    func scheduleResume() {}
    var descriptor: Int { -1 }
    /// Bytes at the start of the client's output that have left.
    var sent: Int { 0 }
    init() {}
}

/// Who executes commands: a connection, the replayed log, later a script or the link to a master. It has the state that
/// commands act in, from the selected database to the transaction. Confined to the loop.
final class Session {
    let id: UInt64
    let output = OutputBuffer(capacity: 256)
    let reply: ReplyWriter
    /// What has come in of a request that is not complete, or not executed yet because the client is blocked.
    let input = OutputBuffer(capacity: 16)
    /// Bytes that are executed where they came in, and are not in `input`.
    var inputInPlace = 0
    var parser = RequestParser()
    /// The command was not executed because of CLIENT PAUSE: it will be when the pause ends.
    var isDeferred = false
    /// What the client is blocked in, but for a pause.
    var waiter: Waiter?
    var flags: ClientFlags = []
    let services: Services
    /// Number of the selected database.
    var db = 0 { didSet { database = services.keyspace.databases[db] } }
    private(set) var database: Database
    var transaction = Transaction()
    /// Replies leave when the propagation stream is safe up to this offset.
    var ackOffset = 0
    weak var transport: Transport?

    var name = ""
    var libraryName = ""
    var libraryVersion = ""
    var user = "default"
    /// `host:port`, or `path:0` for a Unix socket.
    var address = ""
    var localAddress = ""
    /// Seconds since 1970.
    let created: Int64
    /// Seconds since 1970 of the last command.
    var lastInteraction: Int64
    /// Name of the last command, for CLIENT LIST.
    unowned(unsafe) var lastCommand: CommandEntry?

    // Pub/sub keeps its counts here, for CLIENT LIST and the guard.
    var channelSubscriptions = 0
    var patternSubscriptions = 0
    var shardSubscriptions = 0

    init(id: UInt64, now: Int64, services: Services) {
        self.id = id
        self.services = services
        database = services.keyspace.databases[0]
        reply = ReplyWriter(output)
        created = now
        lastInteraction = now
    }

    /// Bytes that may wait to be sent, by `client-output-buffer-limit` and the client's class; `.max`: any number. What
    /// changes the class of a client calls this.
    func updateOutputLimit() {
        let limit = outputBufferLimit.hard
        // To strangers not more is given than the fixed buffer.
        if flags.contains(.unauthenticated) {
            outputLimit = Session.fixedOutput
        } else {
            outputLimit = limit > 0 && limit < .max - Session.fixedOutput ? limit + Session.fixedOutput : .max
        }
        let sent = transport?.sent ?? 0
        output.limit = outputLimit < .max - sent ? outputLimit + sent : .max
    }
    private(set) var outputLimit = Int.max
    /// What `client-output-buffer-limit` says for the client's class. It is for what is beyond `fixedOutput`.
    var outputBufferLimit: OutputBufferLimits.Limit {
        let limits = services.outputLimits
        switch ClientType(self) {
        case .normal, .master: return limits.normal
        case .replica: return limits.replica
        case .pubsub: return limits.pubsub
        }
    }
    /// Size of the output buffer that each client of Redis has, besides a list for what does not fit: the limits are for
    /// the list, and CLIENT LIST tells them apart.
    static let fixedOutput = 16 << 10
    /// Bytes that this connection takes, roughly: its buffers, and what it has queued or waits with.
    var memoryUsage: Int {
        Self.fixedMemory + input.capacity + output.capacity + transaction.memoryUsage
            + (waiter?.request.memoryUsage ?? 0)
    }
    private static let fixedMemory = 1024

    /// Replies that have not left.
    var pendingOutput: Int { output.count - (transport?.sent ?? 0) }

    var protocolVersion: Int { reply.resp3 ? 3 : 2 }
    /// On this machine: over a Unix socket, or from a loopback address.
    var isLocal = false
    var hasSubscriptions: Bool { channelSubscriptions + patternSubscriptions + shardSubscriptions > 0 }

    /// Appends to the output outside of a command (messages, replies to blocked commands) and has it sent.
    func send(_ body: (ReplyWriter) -> Void) {
        if !flags.isDisjoint(with: [.closed, .closeAfterReply]) { return }
        body(reply)
        transport?.scheduleFlush()
    }
}

/// Classes of clients, as CLIENT LIST and KILL know them.
enum ClientType {
    case normal, master, replica, pubsub

    /// nil for a name that is none, whatever its case.
    init?(_ name: Bytes) {
        if name.equals(ignoringCase: "normal") {
            self = .normal
        } else if name.equals(ignoringCase: "master") {
            self = .master
        } else if name.equals(ignoringCase: "replica") || name.equals(ignoringCase: "slave") {
            self = .replica
        } else if name.equals(ignoringCase: "pubsub") {
            self = .pubsub
        } else {
            return nil
        }
    }

    init(_ session: Session) {
        if session.flags.contains(.master) {
            self = .master
        } else if session.flags.contains(.replica) && !session.flags.contains(.monitor) {
            self = .replica
        } else if session.hasSubscriptions {
            self = .pubsub
        } else {
            self = .normal
        }
    }
}
