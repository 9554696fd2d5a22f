import Glibc
import Storage

// Invariant of this file: offsets into `pending` are at most its count.

/// A reader of the stream: the log, later each replica. Called on the loop.
protocol StreamReader: AnyObject {
    /// A turn has ended: `bytes` are what was said in it, and end at `offset`. They must be copied to be kept.
    func receive(_ bytes: Bytes, upTo offset: Int)
}

/// What commands changed, in RESP, in the order in which it took effect: one stream of bytes with an id and an offset, of
/// which the log and the replicas are readers. What one unit of execution causes takes effect together: where that takes
/// several commands, they stand between MULTI and EXEC, so that a reader has all or none of them. The bytes of a turn are
/// collected, and told to the readers at its end. Nothing is collected while nobody reads. Confined to the loop.
final class PropagationStream {
    /// 40 hexadecimal digits: names the history that offsets are in.
    private(set) var id: String
    /// Bytes propagated in this history. A reply may leave when its client's writes, which end at an offset, are safe.
    private(set) var offset = 0

    /// What was said in this turn. A SELECT stands wherever the database changes.
    private let pending = OutputBuffer(capacity: 64 << 10)
    private var readers: [any StreamReader] = []
    /// The last bytes that were said, for readers that come back; nil: nobody will ask for them.
    private(set) var backlog: Backlog?
    private var isRead = false

    /// The database that readers have selected; nil: not known, so that SELECT comes first.
    private var selected: Int?
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

    /// Goes on in a history that was read from disk or from a master. Nothing may be pending.
    func resume(id: String, offset: Int) {
        precondition(pending.count == 0)
        self.id = id
        self.offset = offset
        selected = nil
        backlog = backlog.map { Backlog(capacity: $0.capacity, from: offset) }
    }
    /// Another history begins here.
    func beginHistory(id: String = PropagationStream.makeID()) { self.id = id }

    // MARK: Readers

    /// From the next command on, which begins with a SELECT.
    func add(_ reader: any StreamReader) {
        deliver()
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
        isRead = !readers.isEmpty || backlog != nil
        selected = nil
    }

    /// Keeps the last `capacity` bytes; 0: none.
    func keepBacklog(capacity: Int) {
        deliver()
        if capacity == backlog?.capacity ?? 0 { return }
        backlog = capacity > 0 ? Backlog(capacity: capacity, from: offset) : nil
        readersChanged()
    }

    /// A reader cannot know which database is selected: it begins a new file.
    func forgetSelected() { selected = nil }

    /// Nothing was said that the readers have not been told.
    var isDelivered: Bool { pending.count == 0 }

    /// At the end of a turn: tells the readers what was said in it.
    @inline(__always) func deliver() { if pending.count > 0 { tell() } }

    @inline(never) private func tell() {
        for reader in readers { reader.receive(pending.bytes, upTo: offset) }
        backlog?.append(pending.bytes)
        pending.removeAll(keepingAtMost: PropagationStream.keptCapacity)
    }

    // MARK: For handlers

    /// These arguments take the place of the command that is executed.
    func append(_ db: Int, rewritten args: [Bytes]) {
        isRewritten = true
        append(db) { RESPEncoder.command(args, to: $0) }
    }
    /// The command that is executed is not propagated, though something changed.
    func suppress() { isRewritten = true }

    /// A key expired, was evicted, or was moved away.
    func appendRemoval(_ db: Int, _ key: Bytes) { append(db) { RESPEncoder.command("DEL", key, to: $0) } }

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

    @inline(__always) private func append(_ db: Int, _ write: (OutputBuffer) -> Void) {
        if !isRead { return }
        let start = pending.count
        if selected != db {
            RESPEncoder.select(db, to: pending)
            selected = db
        }
        // SELECT stays before the MULTI of its unit.
        if unitCommands == 0 { unitStart = pending.count }
        unitCommands &+= 1
        if unitCommands == 2 { work.kinds.insert(.transaction) }
        write(pending)
        offset &+= pending.count &- start
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
        offset += open.utf8CodeUnitCount + close.utf8CodeUnitCount
    }
}
