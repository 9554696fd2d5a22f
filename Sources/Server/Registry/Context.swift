import Storage

// Contexts live as long as the command. The session is their only reference, and all else is reached by constants from
// there: making and passing one counts no references, which were a tenth of a GET's time. What a context does not offer, its
// handlers cannot reach.

/// What every handler may know.
protocol CommandContext {
    var args: Arguments { get }
    var session: Session { get }
}

extension CommandContext {
    var reply: ReplyWriter { session.reply }
    var settings: Settings { session.services.config.settings }
    /// The time of this command in ms since 1970.
    var now: Int64 { session.services.keyspace.now }
    /// What is to expire at `time` expires at once. Never where another server or an earlier life of this one has decided
    /// that: in what a master sends, and in the log.
    func isDue(_ time: Int64) -> Bool { time <= session.services.keyspace.horizon }
    /// The client speaks RESP3.
    var resp3: Bool { reply.resp3 }
    /// Bytes of a string, at most.
    var maximumBulkLength: Int { session.services.maximumBulkLength }
}

/// What a handler that only reads works with.
struct ReadContext: CommandContext {
    let args: Arguments
    let session: Session
    /// Whether look-ups count as hits and misses.
    var countsLookups = true

    var db: ReadDatabase { ReadDatabase(session, countsLookups: countsLookups) }
}

/// What a handler works with that reads, and may keep in the value what it found out.
struct ReadCachingContext: CommandContext {
    let args: Arguments
    let session: Session

    var db: ReadDatabase { ReadDatabase(session, countsLookups: true) }
    /// To write what is kept: it is propagated by the command as it came.
    var cache: Database { session.database }
}

/// What a handler that may write works with.
struct WriteContext: CommandContext {
    let args: Arguments
    let session: Session

    var db: Database { session.database }
    private var services: Services { session.services }

    /// Another database of the keyspace; nil where the number is out of range.
    func database(_ index: Int64) -> Database? {
        let databases = services.keyspace.databases
        return index >= 0 && index < Int64(databases.count) ? databases[Int(index)] : nil
    }
    /// Empties every database.
    func flushAll() { services.keyspace.flushAll() }
    /// Exchanges two databases. False where a number is out of range.
    func swapDatabases(_ a: Int64, _ b: Int64) -> Bool {
        guard let first = database(a), let second = database(b) else { return false }
        services.keyspace.swap(first.index, second.index)
        return true
    }
    var limits: Limits { services.keyspace.limits }
    /// RESTORE looks at the checksums of payloads.
    var checksPayloads: Bool { !services.skipsPayloadChecksum }

    /// Propagates these arguments in the place of the command itself, which is what happens when no handler says otherwise
    /// and something changed. May be called several times; the commands take effect together.
    func propagate(_ args: Bytes...) { propagate(args) }
    func propagate(_ args: [Bytes]) { services.stream.append(db.index, rewritten: args) }
    func propagate(_ args: Arguments) { services.stream.append(db.index, rewritten: args) }
    /// Said after its last change, this command counts as so many changes in INFO and for the save points, where Redis
    /// counts otherwise than by keys and elements written.
    func count(as changes: Int) { services.keyspace.countCommand(as: changes) }
    /// Says what happened to a key, in Redis's order and words. Costs a test where nobody listens.
    @inline(__always) func changed(_ key: Bytes, _ kind: EventClass, _ event: StaticString) {
        changed(key, in: db, kind, event)
    }
    @inline(__always) func changed(_ key: Bytes, in database: Database, _ kind: EventClass, _ event: StaticString) {
        services.events.record(database.index, key, kind, event)
    }
    /// Propagates nothing, though something changed.
    func propagateNothing() { services.stream.suppress() }
}

/// What a handler works with that concerns the connection or the server, not the data: PING, CLIENT, EXEC.
struct ConnectionContext: CommandContext {
    let args: Arguments
    let session: Session

    var db: ReadDatabase { ReadDatabase(session) }
    var services: Services { session.services }
}

/// What an administrator's tool works with: CONFIG, DEBUG, SAVE. It may get at the data, which is no write for guards,
/// ACLs and replicas.
struct AdminContext: CommandContext {
    let args: Arguments
    let session: Session

    var db: Database { session.database }
    var services: Services { session.services }

    /// Propagates these arguments: what the command changes is not propagated otherwise.
    func propagate(_ args: Bytes...) { services.stream.append(db.index, rewritten: args) }
}

/// A database whose contents only read handlers see. Looking a key up may remove it when it has expired.
struct ReadDatabase {
    private let session: Session
    private let countsLookups: Bool

    init(_ session: Session, countsLookups: Bool = false) {
        self.session = session
        self.countsLookups = countsLookups
    }

    private var database: Database { session.database }

    var index: Int { database.index }
    var count: Int { database.count }
    var expiringCount: Int { database.expiringCount }
    var accessTracking: AccessTracking { session.services.keyspace.accessTracking }
    func frequency(of entry: Entry) -> Int { database.frequency(of: entry) }
    func idleSeconds(of entry: Entry) -> Int { database.idleSeconds(of: entry) }

    @inline(__always) func find(_ key: Bytes) -> Entry? { counted(database.find(key), key) }
    /// As `find`, without counting as a use of the key.
    func peek(_ key: Bytes) -> Entry? { counted(database.peek(key), key) }
    /// As `peek`, for what looks at how the server keeps a key: a miss is no event.
    func inspect(_ key: Bytes) -> Entry? { counted(database.peek(key), nil) }
    @inline(__always) func string(_ key: Bytes) throws(WrongType) -> Bytes? {
        counted(try database.string(key), key)
    }
    func list(_ key: Bytes) throws(WrongType) -> ListView? { counted(try database.list(key), key) }
    func hash(_ key: Bytes) throws(WrongType) -> HashView? { counted(try database.hash(key), key) }
    func set(_ key: Bytes) throws(WrongType) -> SetView? { counted(try database.set(key), key) }
    func zset(_ key: Bytes) throws(WrongType) -> ZSetView? { counted(try database.zset(key), key) }
    func stream(_ key: Bytes) throws(WrongType) -> StreamView? { counted(try database.stream(key), key) }
    /// As `inspect`, for a key whose time has come, too.
    func inspectEvenIfDue(_ key: Bytes) -> Entry? { counted(database.findEvenIfDue(key), nil) }
    /// Counts `found`, which a look-up of `key` gave, as a hit or a miss. `key` is nil where a miss is no event.
    @inline(__always) func counted<T>(_ found: T?, _ key: Bytes?) -> T? {
        if countsLookups {
            if found == nil { missed(key) } else { session.services.statistics.keyspaceHits &+= 1 }
        }
        return found
    }
    @inline(never) private func missed(_ key: Bytes?) {
        session.services.statistics.keyspaceMisses &+= 1
        if let key { session.services.events.record(index, key, .keyMiss, "keymiss") }
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
