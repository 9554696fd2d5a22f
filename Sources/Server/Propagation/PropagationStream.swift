import Glibc
import Storage

// Invariant of this file: offsets into `pending` are at most its count, and so is what is overwritten there; `feed` outlives
// the stream.

/// A reader of the stream: the log, and what feeds the replicas. Called on the loop.
protocol StreamReader: AnyObject {
    /// A turn has ended: `bytes` are what was said in it, and end at `offset`. They must be copied to be kept.
    func receive(_ bytes: Bytes, upTo offset: Int)
    /// Commands that belong to no history and have no offset, between two calls of `receive`: what clients write into a
    /// writable replica. For the log alone.
    func receiveLocal(_ bytes: Bytes)
    /// What follows belongs to another history: the stream's id has changed.
    func historyChanged(_ stream: PropagationStream)
}

/// Who gets what a command changes: redis.set_repl, with Redis's numbers.
struct PropagationTargets: OptionSet {
    let rawValue: UInt8
    static let log = PropagationTargets(rawValue: 1)
    static let replicas = PropagationTargets(rawValue: 2)
    static let all: PropagationTargets = [.log, .replicas]
}

/// Hands what was said to the connections of replicas. Called on the loop.
protocol BacklogFeed: AnyObject {
    /// At a turn's end: `bytes` have come to the backlog, which made `chunks` of them; none where they are few.
    func said(_ bytes: Bytes, _ chunks: [SharedChunk])
}

extension StreamReader {
    func receiveLocal(_ bytes: Bytes) {}
    func historyChanged(_ stream: PropagationStream) {}
}

/// What commands changed, in RESP, in the order in which it took effect: one stream of bytes with an id and an offset, of
/// which the log and the replicas are readers. What one unit of execution causes takes effect together: where that takes
/// several commands, they stand between MULTI and EXEC, so that a reader has all or none of them. The bytes of a turn are
/// collected, and told to the readers at its end. Nothing is collected while nobody reads.
///
/// A replica's stream is its master's, byte for byte, so that offsets mean the same in all of a chain: what the master's
/// commands change is not said again. Confined to the loop.
final class PropagationStream {
    /// 40 hexadecimal digits: names the history that offsets are in.
    private(set) var id: String
    /// The history that this one branched off, and up to which offset both are the same. Redis's PSYNC2.
    private(set) var secondID: String?
    private(set) var secondOffset = 0
    /// Bytes propagated in this history. A reply may leave when its client's writes, which end at an offset, are safe.
    private(set) var offset = 0

    /// What was said in this turn. A SELECT stands wherever the database changes.
    private let pending = OutputBuffer(capacity: PropagationStream.initialCapacity)
    private static let initialCapacity = 64 << 10
    private var readers: [any StreamReader] = []
    /// The last bytes that were said, for readers that come back; nil: nobody will ask for them.
    private(set) var backlog: Backlog?
    /// Who hands on what the backlog gets. Outlives the stream.
    unowned(unsafe) var feed: (any BacklogFeed)?

    /// Where what commands change goes.
    private enum Destination {
        /// Into the history.
        case history
        /// Nowhere, as nobody reads.
        case gap
        /// Nowhere, as it is said already: the log is replayed, or the bytes of the master's commands are relayed.
        case nowhere
        /// Into the log alone: a client of a replica wrote.
        case local
        /// Into the history, but not for all of those who read it.
        case selective
    }
    private var destination = Destination.gap
    private var isRead: Bool { !readers.isEmpty || backlog != nil }
    /// What is pending has no offset.
    private var isPendingLocal = false
    /// Something changed while nobody read: the history does not have it, and must not be named by what follows.
    private var hasGap = false

    /// The stream is a master's, relayed.
    var isRelayed = false {
        willSet { deliver() }
        didSet {
            selected = nil
            updateDestination()
        }
    }
    /// What is executed comes from the master. Only while the stream is relayed.
    var isExecutingRelayed = false { didSet { updateDestination() } }
    /// What is executed was said before: the log is replayed.
    var isReplayed = false { didSet { updateDestination() } }
    /// The database that the master's stream has selected.
    private(set) var relayedDB = 0
    /// The log does not know that yet: it began a new file, or was told of something else.
    private var mustSelectRelayed = false

    /// The database that readers have selected; nil: not known, so that SELECT comes first.
    private var selected: Int?
    /// The database that is selected where the stream goes on, for who begins to read there.
    var db: Int { isRelayed ? relayedDB : selected ?? 0 }
    private var unitStart = 0
    private var unitCommands = 0
    /// The handler said what is to be propagated for its command, which is therefore not propagated as it came.
    private var isRewritten = false

    /// Bytes of `pending` that are kept allocated between turns.
    private static let keptCapacity = 1 << 20

    private let work: PendingWork

    init(_ work: PendingWork = PendingWork(), id: String = PropagationStream.makeID()) {
        self.work = work
        self.id = id
    }

    static func makeID() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<40).map { _ in String(UInt8.random(in: 0...15, using: &generator), radix: 16) }.joined()
    }

    // MARK: Histories

    /// Goes on in a history that was read from disk or from a master, in the database `db`. Nothing may be pending.
    func resume(id: String, offset: Int, secondID: String? = nil, secondOffset: Int = 0, db: Int = 0) {
        precondition(pending.count == 0)
        self.id = id
        self.offset = offset
        self.secondID = secondID
        self.secondOffset = secondOffset
        relayedDB = db
        selected = nil
        mustSelectRelayed = true
        hasGap = false
        backlog = backlog.map { Backlog(capacity: $0.capacity, from: offset) }
    }
    /// Another history begins here, which has nothing in common with the one before.
    func beginHistory(id: String = PropagationStream.makeID()) {
        deliver()
        self.id = id
        secondID = nil
        secondOffset = 0
        hasGap = false
        for reader in readers { reader.historyChanged(self) }
    }
    /// Another history begins here, of which all that was said so far is the beginning: readers of the old one can go on.
    func branchHistory(to id: String = PropagationStream.makeID()) {
        deliver()
        if hasGap { return beginHistory(id: id) }
        secondID = self.id
        secondOffset = offset
        self.id = id
        for reader in readers { reader.historyChanged(self) }
    }
    /// Before somebody learns the id and the offset: where data changed unread, they must name another history.
    func closeGap() { if hasGap { beginHistory() } }

    /// Whether a reader that has got `offset` bytes of the history `id` has read what stands here before that offset.
    func continues(_ id: String, from offset: Int) -> Bool {
        id == self.id ? offset <= self.offset : id == secondID && offset <= secondOffset
    }

    // MARK: Readers

    /// From the next command on, which begins with a SELECT.
    func add(_ reader: any StreamReader) {
        deliver()
        closeGap()
        readers.append(reader)
        readersChanged()
    }
    /// It has got all that was said before.
    func remove(_ reader: any StreamReader) {
        deliver()
        readers.removeAll { $0 === reader }
        readersChanged()
    }
    private func readersChanged() {
        updateDestination()
        forgetSelected()
    }
    /// Who gets what is said: a script may say so.
    var targets = PropagationTargets.all { didSet { updateDestination() } }
    /// What stands in `pending` for the log alone, or for replicas alone: those have something of the same length instead.
    private var partial: [(range: Range<Int>, targets: PropagationTargets)] = []

    private func updateDestination() {
        if isReplayed || isRelayed && (isExecutingRelayed || !isRead) {
            destination = .nowhere
        } else {
            destination = isRelayed ? .local : !isRead ? .gap : targets == .all ? .history : .selective
        }
    }

    /// Keeps the last `capacity` bytes, at least; 0: none.
    func keepBacklog(capacity: Int) {
        if capacity > 0 && backlog != nil {
            backlog?.capacity = capacity
            return
        }
        if capacity == 0 && backlog == nil { return }
        deliver()
        if capacity > 0 { closeGap() }
        backlog = capacity > 0 ? Backlog(capacity: capacity, from: offset) : nil
        readersChanged()
    }
    /// What stands from `offset` on stays in the backlog; nil: nothing has to.
    func pinBacklog(from offset: Int?) { backlog?.pinned = offset ?? .max }
    /// Something that kept more than its capacity is gone.
    func trimBacklog() { backlog?.trim() }
    /// Others than the log read, or may come back to read.
    var reachesReplicas: Bool { backlog != nil }

    /// A reader cannot know which database is selected: it begins a new file.
    func forgetSelected() {
        selected = nil
        mustSelectRelayed = true
    }

    /// A unit goes on over several turns: readers are told nothing before its end.
    var isHeld = false

    /// Nothing was said that the readers have not been told.
    var isDelivered: Bool { pending.count == 0 }

    /// At the end of a turn: tells the readers what was said in it.
    @inline(__always) func deliver() { if pending.count > 0 { tell() } }

    @inline(never) private func tell() {
        if isHeld { return }
        if !partial.isEmpty { return tellPartly() }
        if isPendingLocal {
            if selected != relayedDB { RESPEncoder.select(relayedDB, to: pending) }
            selected = relayedDB
            mustSelectRelayed = false
            isPendingLocal = false
            for reader in readers { reader.receiveLocal(pending.bytes) }
        } else {
            if isRelayed && mustSelectRelayed { selectRelayed() }
            for reader in readers { reader.receive(pending.bytes, upTo: offset) }
            if backlog != nil { keepForReplicas() }
        }
        // Where this is not between two units: what remains to be wrapped begins here.
        unitStart = 0
        pending.removeAll(keepingAtMost: PropagationStream.keptCapacity)
    }

    @inline(never) private func keepForReplicas() {
        var chunks: [SharedChunk] = []
        backlog?.append(pending.bytes) { chunks.append($0) }
        feed?.said(pending.bytes, chunks)
    }

    /// Tells the log which database the master's commands are for: they say so only where it changes.
    private func selectRelayed() {
        mustSelectRelayed = false
        let select = OutputBuffer(capacity: 32)
        RESPEncoder.select(relayedBefore, to: select)
        for reader in readers { reader.receiveLocal(select.bytes) }
    }
    /// The database that was selected before what is pending.
    private var relayedBefore = 0

    // MARK: For the link to a master

    /// Says what the master says, as it came: whole commands, whole transactions. `db` is selected behind it. Before it
    /// is executed, so that what this causes here, and the master does not say, comes behind it.
    func relay(_ bytes: Bytes, db: Int) {
        if isPendingLocal { deliver() }
        if pending.count == 0 { relayedBefore = relayedDB }
        relayedDB = db
        if isRead { pending.append(bytes) }
        offset &+= bytes.count
    }
    /// What was relayed last has selected another database. Before anything else is said.
    func relayedSelects(_ db: Int) { relayedDB = db }

    /// The byte with which the names of commands are overwritten that were relayed and have failed: who reads them passes
    /// them over.
    static let struckOut = UInt8(ascii: "#")
    /// A command that was relayed last, or in the transaction that was, has failed: its name begins `distance` bytes before
    /// the stream's end and has `length` bytes. Before anything else is said.
    func strikeOut(_ length: Int, at distance: Int) {
        guard isRead, !isPendingLocal, distance >= length, distance <= pending.count else { return }
        memset(pending.base + pending.count - distance, Int32(Self.struckOut), length)
    }

    // MARK: For handlers

    /// These arguments take the place of the command that is executed.
    func append(_ db: Int, rewritten args: [Bytes]) {
        isRewritten = true
        append(db) { RESPEncoder.command(args, to: $0) }
    }
    func append(_ db: Int, rewritten args: Arguments) {
        isRewritten = true
        append(db) { RESPEncoder.command(args, to: $0) }
    }
    /// The command that is executed is not propagated, though something changed.
    func suppress() { isRewritten = true }

    /// A key expired or was moved away.
    func appendRemoval(_ db: Int, _ key: Bytes) { appendRemoval(db, key, by: "DEL") }
    /// A key went, and readers remove it with this command.
    func appendRemoval(_ db: Int, _ key: Bytes, by command: StaticString) {
        append(db) { RESPEncoder.command(command, key, to: $0) }
    }
    /// Bytes allocated for what is said in a turn, beyond those that are there from the start.
    var pendingCapacity: Int { max(0, pending.capacity - PropagationStream.initialCapacity) }

    /// A field of a hash expired.
    func appendRemoval(_ db: Int, _ key: Bytes, field: Bytes) {
        append(db) { RESPEncoder.command([Bytes("HDEL"), key, field], to: $0) }
    }

    // MARK: For the execution unit

    /// What follows until the next call, or `wrapUnit`, is one unit's.
    @inline(__always) func beginUnit() { unitCommands = 0 }

    @inline(__always) func beginCommand() { isRewritten = false }

    /// The command that was executed changed something: propagates it as it came, unless its handler said something else.
    /// `request` is its RESP form, if it came in exactly the one that the log's reader takes.
    @inline(__always) func endCommand(_ db: Int, _ args: Arguments, request: Bytes?) {
        if isRewritten { return }
        if let request {
            append(db) { $0.append(request) }
        } else {
            append(db) { RESPEncoder.command(args, to: $0) }
        }
    }

    /// Says a command that concerns the readers, not the data: PING, REPLCONF GETACK. Between units.
    func appendControl(_ args: [Bytes]) {
        if destination != .history || isHeld { return }
        let start = pending.count
        RESPEncoder.command(args, to: pending)
        offset &+= pending.count &- start
    }

    @inline(__always) private func append(_ db: Int, _ write: (OutputBuffer) -> Void) {
        if destination != .history { return appendElsewhere(db, write) }
        let start = pending.count
        // MULTI comes before the SELECT of its unit.
        if unitCommands == 0 { unitStart = start }
        if selected != db {
            RESPEncoder.select(db, to: pending)
            selected = db
        }
        unitCommands &+= 1
        if unitCommands == 2 { work.kinds.insert(.transaction) }
        write(pending)
        offset &+= pending.count &- start
    }

    /// `append`, for what is not said in the history.
    @inline(never) private func appendElsewhere(_ db: Int, _ write: (OutputBuffer) -> Void) {
        switch destination {
        case .history, .nowhere: return
        case .gap: hasGap = true
        case .selective: appendPartly(db, write)
        case .local:
            if !targets.contains(.log) { return }
            if !isPendingLocal {
                deliver()
                selected = mustSelectRelayed ? nil : relayedDB
                isPendingLocal = true
            }
            if selected != db {
                RESPEncoder.select(db, to: pending)
                selected = db
            }
            if unitCommands == 0 { unitStart = pending.count }
            unitCommands &+= 1
            if unitCommands == 2 { work.kinds.insert(.transaction) }
            write(pending)
        }
    }

    /// `append`, for what only the log or only replicas get.
    private func appendPartly(_ db: Int, _ write: (OutputBuffer) -> Void) {
        if targets.isDisjoint(with: .all) { return }
        let only = targets
        destination = .history
        append(db) { pending in
            let start = pending.count
            write(pending)
            partial.append((start..<pending.count, only))
        }
        destination = .selective
    }

    /// As `tell`, where not all is for everybody: who is not to get a command gets a PING of its length in its place, or a look
    /// at a key, so that offsets are the same for all.
    private func tellPartly() {
        let whole = OutputBuffer(copying: pending.bytes)
        let parts = partial
        partial = []
        func hide(_ reader: PropagationTargets) {
            pending.overwrite(at: 0, with: whole.bytes)
            for part in parts where !part.targets.contains(reader) {
                let filler = RESPEncoder.filler(part.range.count)
                pending.overwrite(at: part.range.lowerBound, with: filler.bytes)
            }
        }
        hide(.log)
        for reader in readers { reader.receive(pending.bytes, upTo: offset) }
        hide(.replicas)
        if backlog != nil { keepForReplicas() }
        unitStart = 0
        pending.removeAll(keepingAtMost: PropagationStream.keptCapacity)
    }

    /// Puts the unit's commands between MULTI and EXEC.
    @inline(never) func wrapUnit() {
        let open: StaticString = "*1\r\n$5\r\nMULTI\r\n"
        let close: StaticString = "*1\r\n$4\r\nEXEC\r\n"
        let length = pending.count - unitStart
        _ = pending.appendUninitialized(open.utf8CodeUnitCount)
        let start = pending.base + unitStart
        memmove(start + open.utf8CodeUnitCount, start, length)
        memcpy(start, open.utf8Start, open.utf8CodeUnitCount)
        pending.append(close)
        for i in partial.indices where partial[i].range.lowerBound >= unitStart {
            partial[i].range =
                partial[i].range.lowerBound + open.utf8CodeUnitCount..<partial[i].range.upperBound
                + open.utf8CodeUnitCount
        }
        if !isPendingLocal { offset += open.utf8CodeUnitCount + close.utf8CodeUnitCount }
    }
}

extension Bytes {
    /// The name of a command that has failed where it was first executed; see `PropagationStream.strikeOut`.
    var isStruckOut: Bool { count > 0 && buffer.allSatisfy { $0 == PropagationStream.struckOut } }
}
