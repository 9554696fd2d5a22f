import Storage

/// What a handler that only reads works with. Lives as long as the command. The client is its only reference, and all
/// else is reached by constants from there: making and passing a context counts no references, which were a tenth of a
/// GET's time.
struct ReadContext {
    let args: Arguments
    let client: Client
    /// Whether look-ups count as hits and misses: those of commands that read.
    let countsLookups: Bool

    var reply: ReplyWriter { client.reply }
    var server: Server { client.server }
    var db: ReadDatabase { ReadDatabase(client, countsLookups: countsLookups) }

    /// The time of this command in ms since 1970.
    var now: Int64 { server.keyspace.now }
    /// The same for the protocol-dependent parts of a reply.
    var resp3: Bool { reply.resp3 }
}

/// What a handler that may write works with.
struct WriteContext {
    let args: Arguments
    let client: Client

    var reply: ReplyWriter { client.reply }
    var server: Server { client.server }
    var db: Database { client.database }

    var now: Int64 { server.keyspace.now }
    var resp3: Bool { reply.resp3 }

    /// Logs and replicates these arguments in the place of the command itself, which is what happens when no handler
    /// says otherwise and something changed. May be called several times; the commands take effect together.
    func propagate(_ args: Bytes...) { propagate(args) }
    func propagate(_ args: [Bytes]) { server.propagator.append(db.index, rewritten: args) }
    /// Said after its last change, this command counts as so many changes in INFO and for the save points, where Redis counts otherwise than by keys
    /// and elements written.
    func count(as changes: Int) { server.keyspace.countCommand(as: changes) }
    /// Logs nothing, though something changed.
    func propagateNothing() { server.propagator.suppress() }
}

/// A database whose contents only read handlers see. Looking a key up may remove it when it has expired.
struct ReadDatabase {
    private let client: Client
    private let countsLookups: Bool

    init(_ client: Client, countsLookups: Bool = false) {
        self.client = client
        self.countsLookups = countsLookups
    }

    private var database: Database { client.database }

    var index: Int { database.index }
    var count: Int { database.count }
    var expiringCount: Int { database.expiringCount }

    @inline(__always) func find(_ key: Bytes) -> Entry? { counted(database.find(key)) }
    /// As `find`, without counting as a use of the key.
    func peek(_ key: Bytes) -> Entry? { counted(database.peek(key)) }
    @inline(__always) func string(_ key: Bytes) throws(WrongType) -> Bytes? { counted(try database.string(key)) }
    func list(_ key: Bytes) throws(WrongType) -> ListView? { counted(try database.list(key)) }
    func hash(_ key: Bytes) throws(WrongType) -> HashView? { counted(try database.hash(key)) }
    func set(_ key: Bytes) throws(WrongType) -> SetView? { counted(try database.set(key)) }
    func zset(_ key: Bytes) throws(WrongType) -> ZSetView? { counted(try database.zset(key)) }
    func stream(_ key: Bytes) throws(WrongType) -> StreamView? { counted(try database.stream(key)) }
    @inline(__always) private func counted<T>(_ found: T?) -> T? {
        if countsLookups {
            let statistics = client.server.statistics
            if found == nil { statistics.keyspaceMisses &+= 1 } else { statistics.keyspaceHits &+= 1 }
        }
        return found
    }
    func expiry(of entry: Entry) -> Int64? { database.expiry(of: entry) }
    /// Fields whose time has come are removed when they are asked for, as keys are.
    func expireIfDue(_ field: Bytes, of key: Bytes) { database.expireIfDue(field, of: key) }
    func expireDueFields(of key: Bytes) { database.expireDueFields(of: key) }
    /// The hash as it is after that; not counted as a look-up.
    func hashAgain(_ key: Bytes) -> HashView? { try? database.hash(key) }
    func randomKey() -> Entry? { database.randomKey() }
    func scan(_ cursor: UInt64, count: Int, _ body: (Entry) -> Void) -> UInt64 {
        database.scan(cursor, count: count, body)
    }
    func forEach(_ body: (Entry) -> Bool) { database.forEach(body) }
}
