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
    /// Commands of it are executed: pushes wait until the reply is whole.
    static let executing = ClientFlags(rawValue: 1 << 20)
    /// Some do.
    static let hasPushes = ClientFlags(rawValue: 1 << 21)
    /// A script executes, which acts for a client: it has no connection. MONITOR shows its commands as such.
    static let script = ClientFlags(rawValue: 1 << 22)

    // MARK: Modes of CLIENT TRACKING, beside `tracking`
    static let trackingBroadcast = ClientFlags(rawValue: 1 << 23)
    static let trackingOptIn = ClientFlags(rawValue: 1 << 24)
    static let trackingOptOut = ClientFlags(rawValue: 1 << 25)
    static let trackingNoLoop = ClientFlags(rawValue: 1 << 26)
    /// Who should get the messages is gone, as the client has been told.
    static let trackingBroken = ClientFlags(rawValue: 1 << 27)
    /// CLIENT CACHING: holds for the next command or transaction.
    static let cachingGiven = ClientFlags(rawValue: 1 << 28)

    /// Ended for the memory that its buffers took: what still comes in is not looked at.
    static let evicted = ClientFlags(rawValue: 1 << 29)
    /// Its user may not do everything: commands are checked.
    static let restricted = ClientFlags(rawValue: 1 << 30)

    /// The letters of CLIENT LIST; a client with none is "N".
    static let letters: [(ClientFlags, Character)] = [
        (.monitor, "O"), (.replica, "S"), (.master, "M"), (.pubsub, "P"), (.multi, "x"), (.blocked, "b"),
        (.tracking, "t"), (.trackingBroken, "R"), (.trackingBroadcast, "B"), (.dirtyWatch, "d"),
        (.closeAfterReply, "c"), (.unixSocket, "U"), (.noEvict, "e"), (.noTouch, "T"),
    ]
}

/// Who executes commands: a connection, the replayed log, a script or the link to a master. It has the state that
/// commands act in, from the selected database to the transaction. Confined to the loop.
final class Session {
    let id: UInt64
    let output = OutputBuffer(capacity: outputCapacity)
    /// What of it, and of chunks shared with others, has not been sent.
    var queue: OutputQueue
    let reply: ReplyWriter
    /// What has come in of a request that is not complete, or not executed yet because the client is blocked.
    let input = OutputBuffer(capacity: inputCapacity)
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
    /// The connection sets this when it opens and takes it back before it is freed.
    unowned(unsafe) var transport: Transport?

    var name = ""
    var libraryName = ""
    var libraryVersion = ""
    /// nil: who executes is no user, and may do everything: another server, the replayed log. `become` sets it.
    private(set) var user: User?
    /// It has logged in, or did not have to when it came.
    var isAuthenticated = true
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
    /// Tracking keeps here, for CLIENT LIST, the id of the client that gets the messages: 0 is this one, -1 means none.
    var trackingRedirection: Int64 = -1

    /// What `maxmemory-clients` has counted of `memoryUsage`.
    var countedMemory = 0
    /// Prefixes of keys that the client tracks.
    var trackingPrefixes = 0

    /// Pushes that came while a command was executed.
    private var pushes: OutputBuffer?

    init(id: UInt64, now: Int64, services: Services) {
        self.id = id
        self.services = services
        database = services.keyspace.databases[0]
        reply = ReplyWriter(output)
        queue = OutputQueue(output)
        created = now
        lastInteraction = now
    }

    /// Whose rights it has from now on.
    func become(_ user: User?) {
        self.user = user
        updateRestriction()
    }

    /// What changes the rights of the user calls this.
    func updateRestriction() {
        if user?.allowsEverything ?? true { flags.remove(.restricted) } else { flags.insert(.restricted) }
    }

    /// Takes the limit that `client-output-buffer-limit` has for the client's class. What changes the class of a client
    /// calls this.
    func updateOutputLimit() {
        let limit = outputBufferLimit.hard
        // To strangers not more is given than the fixed buffer.
        if flags.contains(.unauthenticated) {
            queue.limit = Session.fixedOutput
        } else {
            let counted = limit / Self.outputChunk * Self.outputChunk
            queue.limit = limit > 0 && counted < .max - Self.fixedOutput ? counted + Self.fixedOutput : .max
        }
    }
    /// What `client-output-buffer-limit` says for the client's class. It is for what is beyond `fixedOutput`.
    var outputBufferLimit: OutputBufferLimits.Limit {
        if let ownOutputLimit { return ownOutputLimit }
        let limits = services.outputLimits
        switch ClientType(self) {
        case .normal, .master: return limits.normal
        case .replica: return limits.replica
        case .pubsub: return limits.pubsub
        }
    }
    /// In the place of what the settings say for the class: a replica's. `updateOutputLimit` makes it effective.
    var ownOutputLimit: OutputBufferLimits.Limit?
    /// Size of the output buffer that each client of Redis has, besides a list for what does not fit: the limits are for
    /// the list, and CLIENT LIST tells them apart.
    static let fixedOutput = 16 << 10
    /// The list's chunks are counted whole, with what the allocator adds to 16 KB.
    private static let outputChunk = 20 << 10
    /// Bytes that this connection takes, roughly: its buffers, and what it has queued or waits with.
    var memoryUsage: Int {
        Self.fixedMemory + input.capacity + output.capacity + queue.sharedCount + transaction.memoryUsage
            + (waiter?.request.memoryUsage ?? 0)
            + (channelSubscriptions + patternSubscriptions + shardSubscriptions + trackingPrefixes)
            * Self.subscriptionMemory
    }
    /// As `memoryUsage`; an argument that is being received counts whole, as it would take so much once all of it is there.
    var promisedMemory: Int { memoryUsage + max(0, parser.expectedLength - input.capacity) }
    private static let fixedMemory = 1024
    /// What the table of a channel, pattern or prefix has for each of its clients, roughly.
    private static let subscriptionMemory = 96

    /// The connection is about to end, and sends no more: frees what came in and was to leave.
    func discardBuffers() {
        flags.insert(.evicted)
        input.removeAll(keepingAtMost: 16)
        queue.removeChunks()
        _ = queue.reset(keepingAtMost: 16)
        transaction.removeQueue()
    }

    /// Gives back what buffers have beyond their contents, as far as it is worth it: the client has been idle.
    func shrinkBuffers() {
        input.shrink(to: Self.inputCapacity)
        if queue.isEmpty { output.shrink(to: Self.outputCapacity) }
    }
    /// Capacities that buffers begin with.
    private static let inputCapacity = 16
    private static let outputCapacity = 256

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

    /// Has a chunk sent that other sessions may send too. Outside of a command.
    func send(shared chunk: SharedChunk) {
        if !flags.isDisjoint(with: [.closed, .closeAfterReply]) { return }
        queue.append(chunk)
        transport?.scheduleFlush()
    }

    // MARK: Pushes

    /// Sends a message that no command of this client asked for. In the middle of one it waits until the reply is whole,
    /// as a transaction's reply must not have it among its parts. It leaves when the stream is safe up to `offset`, as it may
    /// show what was written.
    @inline(__always) func push(_ message: Bytes, after offset: Int) {
        if !flags.isDisjoint(with: Self.notPushedTo) { return pushLater(message, after: offset) }
        if ackOffset < offset { ackOffset = offset }
        output.append(message)
        transport?.schedulePushes()
    }
    func push(_ message: SharedChunk, after offset: Int) {
        if !flags.isDisjoint(with: Self.notPushedTo) { return pushLater(message.bytes, after: offset) }
        if ackOffset < offset { ackOffset = offset }
        queue.append(message)
        transport?.schedulePushes()
    }
    private static let notPushedTo: ClientFlags = [.executing, .closed, .closeAfterReply]

    @inline(never) private func pushLater(_ message: Bytes, after offset: Int) {
        if !flags.isDisjoint(with: [.closed, .closeAfterReply]) { return }
        ackOffset = max(ackOffset, offset)
        heldPushes.append(message)
    }
    private var heldPushes: OutputBuffer {
        flags.insert(.hasPushes)
        if let pushes { return pushes }
        let made = OutputBuffer(capacity: 256)
        made.limit = queue.limit
        pushes = made
        return made
    }

    /// Where a command writes a reply that is a push: it is sent also where replies are not.
    var pushReply: ReplyWriter {
        if flags.isDisjoint(with: [.replyOff, .replySkip]) { return reply }
        let writer = ReplyWriter(heldPushes)
        writer.resp3 = reply.resp3
        return writer
    }

    /// The reply is whole, and what is not to be sent was taken back: the pushes follow.
    func releasePushes() {
        flags.remove(.hasPushes)
        guard let held = pushes else { return }
        if held.isOverflowed { output.overflow() } else { output.append(held.bytes) }
        pushes = nil
    }
}

/// Classes of clients, as CLIENT LIST and KILL know them.
enum ClientType {
    case normal, master, replica, pubsub

    /// nil for any other name; case does not matter.
    init?(_ name: Bytes) {
        if name.equals(ignoringCase: "normal") {
            self = .normal
        } else if name.equals(ignoringCase: "master") || name.equals(ignoringCase: "primary") {
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
