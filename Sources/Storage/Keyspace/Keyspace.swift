/// The key holds another type than the command is for.
public struct WrongType: Error {
    public init() {}
}

/// What setting a value does to the key's expiry: nothing left of it, the same, or this time in ms since 1970.
public enum ExpiryChange {
    case clear, keep
    case at(Int64)
}

/// All databases and what has changed in them since the last checkpoint. Confined to one thread, which executes
/// commands; nothing here waits or walks a whole collection but where its doc says so.
public final class Keyspace: ValueContext {
    public private(set) var databases: [Database] = []
    /// Changes as Redis counts them, for INFO and the save points: keys and elements that were written or removed, or
    /// what a command said that it counts as; not what expired.
    public internal(set) var dirty = 0
    /// Something was written or removed since this was set to false, other than by expiring: whoever executes commands
    /// asks it whether one is to be propagated.
    public var isDirty = false
    /// `dirty` when the command began that is executed.
    private var dirtyAtCommand = 0
    /// A command begins.
    @inline(__always) public func beginCommand() {
        commandNumber &+= 1
        dirtyAtCommand = dirty
        isDirty = false
    }
    /// The command that is executed counts as so many changes, however many it has made.
    public func countCommand(as count: Int) { dirty = dirtyAtCommand &+ count }
    /// Counts `count` changes; 0: what is changed is part of another change, or expires.
    @inline(__always) func noteChange(_ count: Int) {
        if count == 0 { return }
        dirty &+= count
        isDirty = true
    }
    public internal(set) var libraries = FunctionLibraries()
    var observers = KeyspaceObservers()
    /// Keys expired since the start.
    public internal(set) var expired = 0
    /// Fields of hashes expired since the start.
    public internal(set) var expiredFields = 0
    /// Keys evicted since the start.
    public internal(set) var evicted = 0

    /// What look-ups note of the use of keys. Entries keep what they have when it changes.
    public var accessTracking = AccessTracking.recency { didSet { updateAccessClock() } }
    /// Entries that have this were used just now and need no touch; what new entries get.
    var accessClock: UInt32 = 0
    var newAccess: UInt32 = 0
    var accessRandom = SplitMix64()
    /// Goes up with each command, which counts as one use of a key however often it looks.
    private(set) var commandNumber: UInt64 = 0
    /// The command and the hash of the key whose use was counted last.
    var lastCounted: (command: UInt64, hash: UInt64) = (0, 0)
    /// Whether look-ups note the time of access (CLIENT NO-TOUCH, OBJECT).
    public var touchesOnAccess = true

    // What the next checkpoint must know, see Checkpoint/.
    var currentFlag: Entry.Flags = .changed0
    var pendingFlag: Entry.Flags = .changed1
    var changeSet = ChangeSet()
    var handover: Handover?
    var ids = RowIDs()
    var lastCheckpointFailed = false
    /// What the snapshot must hold for the keys that count as unchanged to be in it; nil: none does.
    var snapshot: SnapshotIdentity?
    /// Rows that it has, and `writes` when it was cut or loaded.
    var snapshotRows: Int64 = 0
    var writesAtSnapshot = 0
    /// Every key counts as changed, or will once `marking` is done, as the snapshot's file is not what it was.
    var isAllMarked = false
    /// Keys that are still to be marked as changed.
    var marking: ChangeMarking?

    public init(databases count: Int = 16) {
        super.init()
        databases = (0..<count).map { Database(index: $0, keyspace: self) }
    }
    deinit {
        for database in databases { database.contents.freeElements() }
    }
    override func timeHasChanged() { updateAccessClock() }

    /// Keys in all databases.
    public var count: Int { databases.reduce(0) { $0 + $1.count } }

    /// Empties every database in O(1); the memory is freed on another thread.
    public func flushAll() {
        for database in databases { database.replaceContents() }
        changeSet.flushAll()
        if observers.wanted.contains(.flushed) { observers.tell(.flushed) { $0.everythingFlushed() } }
    }

    /// Forgets everything, without a trace for the next checkpoint: before a snapshot is loaded anew. No checkpoint may
    /// be running.
    public func reset() {
        precondition(handover == nil)
        for database in databases {
            database.tellWillBeReplaced(by: nil)
            database.contents.isOrphan = true
            Reaper.shared.free(all: database.contents)
            database.contents = Contents()
        }
        libraries.load([])
        changeSet = ChangeSet()
        ids = RowIDs()
        lastCheckpointFailed = false
        snapshot = nil
        snapshotRows = 0
        writesAtSnapshot = 0
        isAllMarked = false
        marking = nil
    }

    /// As `reset`, in O(databases), and tells observers that the contents are gone: what a master sends takes their place.
    public func emptyForLoading() {
        reset()
        for database in databases { database.tellReplaced() }
    }

    /// An empty keyspace of as many databases with the settings of this one, to load a snapshot into while this one is in use.
    public func makeSibling() -> Keyspace {
        let sibling = Keyspace(databases: databases.count)
        sibling.limits = limits
        sibling.accessTracking = accessTracking
        sibling.now = now
        return sibling
    }

    /// Takes over all that `other`, a sibling, holds, and what it knows of the snapshot that it was loaded from; what was here
    /// is freed on another thread. Observers are told as of SWAPDB. No checkpoint may be running. O(databases), but for what
    /// observers do.
    public func adopt(_ other: Keyspace) {
        precondition(handover == nil && other.handover == nil && other.databases.count == databases.count)
        other.now = now
        for (database, new) in zip(databases, other.databases) { database.tellWillBeReplaced(by: new) }
        for (database, new) in zip(databases, other.databases) {
            database.contents.isOrphan = true
            Reaper.shared.free(all: database.contents)
            database.contents = new.contents
            new.contents = Contents()
        }
        libraries.adopt(other.libraries)
        // Entries are marked by the flags of where they were loaded.
        (currentFlag, pendingFlag) = (other.currentFlag, other.pendingFlag)
        (changeSet, ids) = (other.changeSet, other.ids)
        lastCheckpointFailed = false
        isAllMarked = other.isAllMarked
        marking = other.marking
        (snapshot, snapshotRows) = (other.snapshot, other.snapshotRows)
        writesAtSnapshot = writes
        for database in databases { database.tellReplaced() }
    }

    /// All was loaded from the snapshot `identity`, and counts as unchanged.
    func loaded(_ identity: SnapshotIdentity, rows: Int64) {
        snapshot = identity
        snapshotRows = rows
        writesAtSnapshot = writes
        for database in databases { database.tellReplaced() }
    }

    /// Keys and elements written or removed, and those that expired or were evicted: roughly how many rows changed.
    var writes: Int { dirty &+ expired &+ expiredFields &+ evicted }

    /// Nothing was written, removed or expired since the last checkpoint's cut, or since a snapshot was loaded.
    var isSaved: Bool { snapshot != nil && !isAllMarked && writes == writesAtSnapshot && changeSet.isEmpty }

    /// Exchanges two databases in O(1), but for what observers do.
    public func swap(_ a: Int, _ b: Int) {
        if a == b { return }
        for (x, y) in [(a, b), (b, a)] { databases[x].tellWillBeReplaced(by: databases[y]) }
        Swift.swap(&databases[a].contents, &databases[b].contents)
        changeSet.swap(Int32(a), Int32(b))
        noteChange(1)
        databases[a].tellReplaced()
        databases[b].tellReplaced()
    }

    /// Removes keys and hash fields whose time has come, soonest first, for about `budgetNanoseconds`. True when more is
    /// due.
    public func activeExpire(budgetNanoseconds: UInt64) -> Bool {
        if dueMode != .removed { return false }
        let start = monotonicNanoseconds()
        var removed = 0
        for database in databases {
            while let first = database.contents.expiries.first, first.when <= now {
                database.expire(first.entry)
                removed += 1
                if removed & 15 == 0 && monotonicNanoseconds() - start > budgetNanoseconds { return true }
            }
            while database.expireSoonestField() {
                removed += 1
                if removed & 15 == 0 && monotonicNanoseconds() - start > budgetNanoseconds { return true }
            }
        }
        return false
    }

    /// Moves hash tables on that are being resized, for about `budgetNanoseconds`: for idle times.
    public func rehash(budgetNanoseconds: UInt64) {
        let start = monotonicNanoseconds()
        for database in databases {
            while database.contents.table.isRehashing {
                for _ in 0..<64 { database.stepTable() }
                if monotonicNanoseconds() - start > budgetNanoseconds { return }
            }
        }
    }
}
