import Storage

/// A client that waits for keys: what it executes again once one of them has what it waits for.
final class BlockedClient {
    unowned(unsafe) let client: Client
    let type: ValueType
    /// The command, which is executed again.
    fileprivate var command = Transaction()
    fileprivate let keys: [WatchedKey]
    /// In ms since 1970; 0: waits for ever.
    let deadline: Int64
    /// The key that is ready while the command is executed again: it takes from no other.
    fileprivate(set) var offered: Bytes?
    /// The command was executed again and found nothing.
    fileprivate var isStillWaiting = false
    /// Not waiting any more.
    fileprivate var isDone = false

    fileprivate init(_ client: Client, _ type: ValueType, _ keys: [WatchedKey], deadline: Int64) {
        self.client = client
        self.type = type
        self.keys = keys
        self.deadline = deadline
    }
}

/// What a command answers that must not wait. One that has waited in vain answers a null array in any case, as Redis does.
enum EmptyReply {
    case null, nullArray

    func write(to reply: ReplyWriter) {
        switch self {
        case .null: reply.null()
        case .nullArray: reply.nullArray()
        }
    }
}

/// Who waits for which keys, in the order they came, and which keys came into being since clients were last served.
///
/// The keyspace tells about new keys only while somebody waits, so that nobody else pays.
struct BlockedClients {
    fileprivate var waiting: [WatchedKey: [BlockedClient]] = [:]
    /// Keys that may serve somebody, in the order they became ready.
    fileprivate var ready: [WatchedKey] = []
    /// By deadline; what is done stays until it is met, or until such are most.
    fileprivate var deadlines = BlockingDeadlines()
    fileprivate(set) var count = 0

    /// Whether clients are to be served now that a command is done.
    var hasReady: Bool { !ready.isEmpty }
    /// When the next client's time is over, in ms since 1970.
    var nextDeadline: Int64? { deadlines.first }
}

/// A heap of blocked clients by deadline.
struct BlockingDeadlines {
    private var heap: [BlockedClient] = []

    var first: Int64? { heap.first?.deadline }
    var count: Int { heap.count }

    mutating func insert(_ blocked: BlockedClient) {
        heap.append(blocked)
        var at = heap.count - 1
        while at > 0, heap[at].deadline < heap[(at - 1) / 2].deadline {
            heap.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }
    mutating func removeFirst() -> BlockedClient? {
        guard let last = heap.popLast() else { return nil }
        guard let first = heap.first else { return last }
        heap[0] = last
        var at = 0
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < heap.count {
                if heap[child].deadline < heap[least].deadline { least = child }
            }
            if least == at { return first }
            heap.swapAt(at, least)
            at = least
        }
    }
    /// Drops those that wait no more. O(n log n).
    fileprivate mutating func compact() {
        let left = heap.filter { !$0.isDone }
        heap = []
        for blocked in left { insert(blocked) }
    }
}

extension Server {
    // MARK: - Waiting

    /// Has the client execute the command at hand again when one of `keys` comes to hold a value of `type`. Where it must
    /// not wait, in EXEC and scripts, it gets `reply`. `timeout` in ms, 0: for ever.
    func block(
        _ client: Client, _ args: Arguments, keys: Range<Int>, type: ValueType, timeout: Int64, reply: EmptyReply
    ) throws(CommandError) {
        if let blocked = client.blockedOn {
            blocked.isStillWaiting = true
            return
        }
        guard client.flags.isDisjoint(with: [.denyBlocking, .internal, .master]), let command = client.lastCommand
        else {
            return reply.write(to: client.reply)
        }
        var deadline: Int64 = 0
        if timeout > 0 {
            let (sum, overflow) = keyspace.now.addingReportingOverflow(timeout)
            if overflow { throw CommandError("ERR timeout is out of range") }
            deadline = sum
        }
        var watched: [WatchedKey] = []
        for index in keys {
            let key = WatchedKey(client.db, args[index])
            if !watched.contains(key) { watched.append(key) }
        }
        let blocked = BlockedClient(client, type, watched, deadline: deadline)
        blocked.command.enqueue(command, args, request: nil)
        client.blockedOn = blocked
        client.flags.insert(.blocked)
        if blockedClients.count == 0 { startNotingKeys() }
        blockedClients.count += 1
        for key in watched { blockedClients.waiting[key, default: []].append(blocked) }
        if deadline > 0 { blockedClients.deadlines.insert(blocked) }
    }

    private func startNotingKeys() {
        keyspace.onReady = { [unowned self] db, key in
            let key = WatchedKey(db, key)
            if blockedClients.waiting[key] != nil && !blockedClients.ready.contains(key) {
                blockedClients.ready.append(key)
            }
        }
    }

    /// SWAPDB: keys that are waited for may be there all at once.
    func noteKeys(inDatabase db: Int) {
        for key in blockedClients.waiting.keys where key.db == db && !blockedClients.ready.contains(key) {
            if key.withBytes({ keyspace.databases[db].find($0) != nil }) { blockedClients.ready.append(key) }
        }
    }

    /// The client waits no more; its kept input is executed at the end of the turn.
    func unblock(_ client: Client) {
        guard let blocked = client.blockedOn else { return }
        client.blockedOn = nil
        client.flags.remove(.blocked)
        blocked.isDone = true
        for key in blocked.keys {
            blockedClients.waiting[key]?.removeAll { $0 === blocked }
            if blockedClients.waiting[key]?.isEmpty ?? false { blockedClients.waiting[key] = nil }
        }
        blockedClients.count -= 1
        if blockedClients.count == 0 {
            keyspace.onReady = nil
            blockedClients = BlockedClients()
        } else if blockedClients.deadlines.count > 2 * blockedClients.count + 64 {
            blockedClients.deadlines.compact()
        }
        client.transport?.scheduleFlush()
        client.transport?.scheduleResume()
    }

    /// CLIENT UNBLOCK, and what ends waiting from outside.
    func unblock(_ client: Client, with error: CommandError?) {
        if client.blockedOn == nil { return }
        let start = client.output.count
        if let error {
            client.reply.error(error)
            statistics.count(error: error.text)
        } else {
            client.reply.nullArray()
        }
        finish(client, start)
        unblock(client)
    }

    /// Answers the clients whose time is over.
    func endWaiting() {
        guard let first = blockedClients.nextDeadline else { return }
        let now = wallClockMilliseconds()
        if now < first { return }
        beginBatch()
        while let next = blockedClients.nextDeadline, next <= now, let blocked = blockedClients.deadlines.removeFirst()
        {
            if !blocked.isDone { unblock(blocked.client, with: nil) }
        }
    }

    // MARK: - Serving

    /// Serves the clients that wait for keys that have come into being: keys in the order they became ready, clients in
    /// the order they came. What is served may make other keys ready.
    func serveBlocked() {
        while !blockedClients.ready.isEmpty {
            let ready = blockedClients.ready
            blockedClients.ready = []
            for key in ready {
                key.withBytes { bytes in
                    for blocked in blockedClients.waiting[key] ?? [] where !blocked.isDone {
                        guard let entry = keyspace.databases[key.db].find(bytes) else { return }
                        if entry.type == blocked.type { serve(blocked, bytes) }
                    }
                }
            }
        }
    }

    private func serve(_ blocked: BlockedClient, _ key: Bytes) {
        let client = blocked.client
        let start = client.output.count
        let logged = propagator.position
        blocked.offered = key
        blocked.isStillWaiting = false
        blocked.command.forEach { command, args, _ in execute(again: command, client, args) }
        blocked.offered = nil
        if blocked.isStillWaiting { return }
        if propagator.position != logged || holdsReads { client.ackPosition = propagator.position }
        finish(client, start)
        unblock(client)
    }

    /// As `call`, for a command that has been counted when it began to wait.
    private func execute(again command: CommandEntry, _ client: Client, _ args: Arguments) {
        let start = client.output.count
        let changes = keyspace.changes
        let database = keyspace.databases[client.db]
        expiredInCommand = 0
        propagator.beginUnit()
        propagator.beginCommand()
        do throws(CommandError) {
            switch command.row.handler {
            case .read(let handler), .control(let handler):
                try handler(
                    ReadContext(
                        args: args, reply: client.reply, client: client, server: self, db: ReadDatabase(database)))
            case .write(let handler):
                try handler(WriteContext(args: args, reply: client.reply, client: client, server: self, db: database))
            case .container: break
            }
        } catch {
            client.output.truncate(to: start)
            client.reply.error(error)
            statistics.count(error: error.text)
        }
        if command.flags.contains(.write) && keyspace.changes &- changes > expiredInCommand {
            propagator.endCommand(database.index, args, request: nil)
        }
        propagator.endUnit()
    }
}

extension Client {
    /// Whether the command at hand may take from this key: one that is executed again takes from the key that is ready.
    func isOffered(_ key: Bytes) -> Bool {
        guard let offered = blockedOn?.offered else { return true }
        return offered == key
    }
}

extension WriteContext {
    /// See `Server.block`.
    func block(keys: Range<Int>, _ type: ValueType, timeout: Int64, _ reply: EmptyReply) throws(CommandError) {
        try server.block(client, args, keys: keys, type: type, timeout: timeout, reply: reply)
    }
}
