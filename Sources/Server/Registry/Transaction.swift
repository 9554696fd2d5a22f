import Storage

/// What MULTI has queued and WATCH watches.
struct Transaction {
    /// A queued command: where its request and arguments stand in `bytes`.
    struct Queued {
        let command: CommandEntry
        let request: Range<Int>
        /// Indices into `arguments`.
        let arguments: Range<Int>
    }
    private(set) var queue: [Queued] = []
    private(set) var bytes = OutputBuffer(capacity: 16)
    private(set) var arguments: [Range<Int>] = []
    /// What the queued commands may be refused for when they are executed.
    private(set) var refusedBy: Guards = []
    var watched: [DatabaseKey] = []
    /// Those of them whose time had come when they were first watched, and which stay until another server says so.
    var watchedDue: Set<DatabaseKey> = []

    /// Growing takes at most so many steps to double the buffer.
    private static let growthSteps = 8

    /// Copies the request; `request` holds the arguments, or is nil when it must be put together from them.
    /// `refusedBy`: what this request may be refused for.
    mutating func enqueue(_ command: CommandEntry, _ args: Arguments, request: Bytes?, refusedBy guards: Guards) {
        let start = bytes.count
        let first = arguments.count
        if let request {
            // Large ones are not many: each has only the room that it needs.
            if request.count > bytes.capacity / Self.growthSteps {
                bytes.append(request, expecting: start + request.count)
            } else {
                bytes.append(request)
            }
            for i in 0..<args.count {
                let offset = args[i].base - request.base
                arguments.append(start + offset..<start + offset + args[i].count)
            }
        } else {
            RESPEncoder.command(args, to: bytes) { arguments.append($0) }
        }
        queue.append(
            Queued(command: command, request: start..<bytes.count, arguments: first..<arguments.count))
        refusedBy.formUnion(guards)
    }

    /// Forgets the queue; what is watched stays.
    mutating func removeQueue() {
        queue.removeAll()
        arguments.removeAll()
        bytes.removeAll(keepingAtMost: 16)
        refusedBy = []
    }

    /// Takes the queue out, so that it can be executed while the client is in no transaction any more.
    mutating func takeQueue() -> Transaction {
        var taken = Transaction()
        swap(&taken.queue, &queue)
        swap(&taken.bytes, &bytes)
        swap(&taken.arguments, &arguments)
        refusedBy = []
        return taken
    }

    /// Calls `body` with each command queued.
    func forEach(_ body: (CommandEntry, Arguments, Bytes) -> Void) {
        var args: [Bytes] = []
        for queued in queue {
            args.removeAll(keepingCapacity: true)
            for range in arguments[queued.arguments] { args.append(bytes.bytes[range]) }
            args.withUnsafeBufferPointer {
                guard let base = $0.baseAddress else { return }
                body(queued.command, Arguments(base, $0.count), bytes.bytes[queued.request])
            }
        }
    }

    /// Bytes that the queue and the watched keys take.
    var memoryUsage: Int {
        let watches = watched.count * Self.watchedMemory
        if queue.isEmpty { return watches }
        return watches + bytes.capacity + arguments.capacity * MemoryLayout<Range<Int>>.stride
            + queue.capacity * MemoryLayout<Queued>.stride
    }
    /// What a watched key takes here and in the table of those who watch it, roughly.
    private static let watchedMemory = 128
    /// Bytes of the arguments alone.
    var argumentBytes: Int { arguments.reduce(0) { $0 + $1.count } }
}
