// Invariant of this file: the scratch blocks live as long as the context.

/// Sizes up to which collections stay compact: redis.conf's settings of the same names.
public struct Limits: Sendable {
    public var listMaxListpackSize = -2
    public var hashMaxListpackEntries = 512
    public var hashMaxListpackValue = 64
    public var setMaxIntsetEntries = 512
    public var setMaxListpackEntries = 128
    public var setMaxListpackValue = 64
    public var zsetMaxListpackEntries = 128
    public var zsetMaxListpackValue = 64
    /// 0: no limit, as for the entries.
    public var streamNodeMaxBytes = 4096
    public var streamNodeMaxEntries = 100
    public init() {}
}

/// Whether a collection of `count` elements, the longest of `longest` bytes, is kept in its small form: asked here only.
extension Limits {
    @inline(__always) func keepsSmall(hash count: Int, longest: Int) -> Bool {
        count <= hashMaxListpackEntries && longest <= hashMaxListpackValue
    }
    @inline(__always) func keepsSmall(set count: Int, longest: Int) -> Bool {
        count <= setMaxListpackEntries && longest <= setMaxListpackValue
    }
    @inline(__always) func keepsIntset(_ count: Int) -> Bool { count <= setMaxIntsetEntries }
    @inline(__always) func keepsSmall(zset count: Int, longest: Int) -> Bool {
        count <= zsetMaxListpackEntries && longest <= zsetMaxListpackValue
    }
}

/// What becomes of keys, and of fields of hashes, whose time has come.
public enum DueMode: Sendable {
    /// They are removed when they are looked at, and by active expiry.
    case removed
    /// They are not there for who looks, and stay: somebody else says when they go, or nothing may change now. New keys
    /// must not be inserted meanwhile.
    case hidden
    /// They are there as if their time had not come: what is executed was executed elsewhere, or before.
    case kept
}

/// What the views and editors of all values share: where numbers are rendered, up to which sizes collections stay compact, and
/// the time by which fields expire. `Keyspace` is one.
public class ValueContext {
    public final var limits = Limits()
    /// Wall clock in ms since 1970, by which keys and fields expire: set once a batch of commands, so that one command sees
    /// one time. 0 while a log is replayed: nothing expires then.
    public final var now: Int64 = 0 {
        didSet {
            updateHorizon()
            timeHasChanged()
        }
    }
    public final var dueMode = DueMode.removed {
        didSet { updateHorizon() }
    }
    /// What is to expire at this time, in ms since 1970, or before is due: `now`, but where what is due is kept.
    public private(set) final var horizon: Int64 = 0
    private func updateHorizon() { horizon = dueMode == .kept ? .min : now }

    /// Where integers are rendered: strings, first and second part of elements.
    final let stringScratch = UnsafeMutableRawPointer.allocate(byteCount: 32, alignment: 8)
    final let elementScratch = UnsafeMutableRawPointer.allocate(byteCount: 32, alignment: 8)
    final let valueScratch = UnsafeMutableRawPointer.allocate(byteCount: 32, alignment: 8)

    init() {}
    deinit {
        stringScratch.deallocate()
        elementScratch.deallocate()
        valueScratch.deallocate()
    }

    /// For subclasses that keep something that depends on `now`.
    func timeHasChanged() {}
}

/// Is told of each change of a value before it happens. `Database` is one: it marks the key for the next checkpoint, hands its
/// state at the cut over where that is still to be, and counts the change.
public class ChangeRecorder {
    unowned(unsafe) final let values: ValueContext

    init(_ values: ValueContext) { self.values = values }

    /// The value of `entry` is about to change. `counts`: as how many changes.
    func willChange(_ entry: Entry, counts: Int) { preconditionFailure("abstract") }
    @inline(__always) final func willChange(_ entry: Entry) { willChange(entry, counts: 1) }
    /// A stream got entries, or lost a group: clients that wait for its key are to look.
    func hasMore(_ entry: Entry) { preconditionFailure("abstract") }
    /// Nothing changes, but for who watches the key it was written.
    func touch(_ entry: Entry) { preconditionFailure("abstract") }
    /// As `willChange`, for a change that is counted and logged, but leaves watched keys as they are.
    func willChangeUnwatched(_ entry: Entry) { preconditionFailure("abstract") }
    /// As `willChange`, for a change that only a checkpoint must know of: it is not counted or logged, and leaves watched keys
    /// as they are.
    func willChangeQuietly(_ entry: Entry) { preconditionFailure("abstract") }
    /// After any change to a large hash that may have fields that expire. O(log n) where the soonest is another one.
    func fieldExpiriesChanged(_ entry: Entry) { preconditionFailure("abstract") }
}
