// Signatures only, until the real ones land.
public struct Limits: Sendable {
    public var listMaxListpackSize = -2
    public var hashMaxListpackEntries = 128
    public var hashMaxListpackValue = 64
    public var setMaxIntsetEntries = 512
    public var setMaxListpackEntries = 128
    public var setMaxListpackValue = 64
    public var zsetMaxListpackEntries = 128
    public var zsetMaxListpackValue = 64
    public init() {}
}
public struct WrongType: Error {}
public enum ExpiryChange { case clear, keep, at(Int64) }
public enum ListEnd { case head, tail }
public enum ZSetChange { case added, updated, unchanged }

public final class Keyspace {
    public init(databases: Int = 16) { fatalError() }
    public var databases: [Database] { fatalError() }
    public var limits: Limits { get { fatalError() } set { fatalError() } }
    public var now: Int64 { get { fatalError() } set { fatalError() } }
    public var changes: Int { fatalError() }
    public func flushAll() { fatalError() }
    public func swap(_ a: Int, _ b: Int) { fatalError() }
    public func activeExpire(budgetNanoseconds: UInt64) -> Bool { fatalError() }
    public var onExpired: ((_ db: Int, _ key: Bytes) -> Void)?
    public var onTouched: ((_ db: Int, _ key: Bytes) -> Void)?
}
public struct Entry {
    public var key: Bytes { fatalError() }
    public var type: ValueType { fatalError() }
    public var encoding: Encoding { fatalError() }
    public var integer: Int64? { fatalError() }
    public var idleSeconds: Int { fatalError() }
    public var memoryUsage: Int { fatalError() }
}
public final class Database {
    public var index: Int { fatalError() }
    public var count: Int { fatalError() }
    public var expiringCount: Int { fatalError() }
    public func find(_ key: Bytes) -> Entry? { fatalError() }
    @discardableResult public func remove(_ key: Bytes) -> Bool { fatalError() }
    public func removeIfEmpty(_ entry: Entry) { fatalError() }
    public func rename(_ from: Bytes, to: Bytes) { fatalError() }
    public func move(_ key: Bytes, to: Database) -> Bool { fatalError() }
    public func copy(_ key: Bytes, to: Database, as: Bytes) { fatalError() }
    public func randomKey() -> Entry? { fatalError() }
    public func scan(_ cursor: UInt64, _ body: (Entry) -> Void) -> UInt64 { fatalError() }
    public func forEach(_ body: (Entry) -> Bool) { fatalError() }
    public func expiry(of entry: Entry) -> Int64? { fatalError() }
    public func setExpiry(_ ms: Int64?, of key: Bytes) { fatalError() }
    public func flush() { fatalError() }
    public func setString(_ key: Bytes, _ value: Bytes, expiry: ExpiryChange) { fatalError() }
    public func setInteger(_ key: Bytes, _ value: Int64, expiry: ExpiryChange) { fatalError() }
    @discardableResult public func append(_ key: Bytes, _ tail: Bytes) -> Int { fatalError() }
    @discardableResult public func setRange(_ key: Bytes, _ offset: Int, _ bytes: Bytes) -> Int { fatalError() }
    public func string(_ key: Bytes) throws(WrongType) -> Bytes? { fatalError() }
    public func list(_ key: Bytes) throws(WrongType) -> ListView? { fatalError() }
    public func hash(_ key: Bytes) throws(WrongType) -> HashView? { fatalError() }
    public func set(_ key: Bytes) throws(WrongType) -> SetView? { fatalError() }
    public func zset(_ key: Bytes) throws(WrongType) -> ZSetView? { fatalError() }
    public func editList(_ key: Bytes, create: Bool) throws(WrongType) -> ListEditor? { fatalError() }
    public func editHash(_ key: Bytes, create: Bool) throws(WrongType) -> HashEditor? { fatalError() }
    public func editSet(_ key: Bytes, create: Bool) throws(WrongType) -> SetEditor? { fatalError() }
    public func editZSet(_ key: Bytes, create: Bool) throws(WrongType) -> ZSetEditor? { fatalError() }
    public func replaceWithNewList(_ key: Bytes) -> ListEditor { fatalError() }
    public func replaceWithNewHash(_ key: Bytes) -> HashEditor { fatalError() }
    public func replaceWithNewSet(_ key: Bytes) -> SetEditor { fatalError() }
    public func replaceWithNewZSet(_ key: Bytes) -> ZSetEditor { fatalError() }
}
public struct ListView {
    public var count: Int { fatalError() }
    public subscript(_ index: Int) -> Bytes { fatalError() }
    public func forEach(from: Int, count: Int, reverse: Bool, _ body: (Bytes) -> Bool) { fatalError() }
}
public struct ListEditor {
    public var entry: Entry { fatalError() }
    public var view: ListView { fatalError() }
    public func push(_ value: Bytes, _ end: ListEnd) { fatalError() }
    public func removeFirst() { fatalError() }
    public func removeLast() { fatalError() }
    public func set(_ index: Int, _ value: Bytes) { fatalError() }
    public func insert(_ value: Bytes, at index: Int) { fatalError() }
    public func remove(at range: Range<Int>) { fatalError() }
    /// Removes up to `limit` (0: all) elements equal to `value`.
    @discardableResult public func removeAll(equal value: Bytes, limit: Int, fromTail: Bool) -> Int { fatalError() }
}
public struct HashView {
    public var count: Int { fatalError() }
    public func get(_ field: Bytes) -> Bytes? { fatalError() }
    public func contains(_ field: Bytes) -> Bool { fatalError() }
    public func forEach(_ body: (Bytes, Bytes) -> Bool) { fatalError() }
    public func at(_ index: Int) -> (Bytes, Bytes) { fatalError() }
    public func scan(cursor: UInt64, count: Int, _ body: (Bytes, Bytes) -> Void) -> UInt64 { fatalError() }
}
public struct HashEditor {
    public var entry: Entry { fatalError() }
    public var view: HashView { fatalError() }
    /// True when the field is new.
    @discardableResult public func set(_ field: Bytes, _ value: Bytes) -> Bool { fatalError() }
    @discardableResult public func remove(_ field: Bytes) -> Bool { fatalError() }
}
public struct SetView {
    public var count: Int { fatalError() }
    public func contains(_ member: Bytes) -> Bool { fatalError() }
    public func forEach(_ body: (Bytes) -> Bool) { fatalError() }
    public func at(_ index: Int) -> Bytes { fatalError() }
    public func scan(cursor: UInt64, count: Int, _ body: (Bytes) -> Void) -> UInt64 { fatalError() }
}
public struct SetEditor {
    public var entry: Entry { fatalError() }
    public var view: SetView { fatalError() }
    @discardableResult public func insert(_ member: Bytes) -> Bool { fatalError() }
    @discardableResult public func remove(_ member: Bytes) -> Bool { fatalError() }
    /// Removes the member at a dense index, for SPOP.
    public func removeAt(_ index: Int) { fatalError() }
}
public struct ZSetView {
    public var count: Int { fatalError() }
    public func score(_ member: Bytes) -> Double? { fatalError() }
    /// Ascending, from 0.
    public func rank(of member: Bytes) -> Int? { fatalError() }
    /// The first rank whose score is >= `score` (`after`: > `score`); `count` when there is none.
    public func firstRank(score: Double, after: Bool) -> Int { fatalError() }
    /// The same for members in byte order, where all scores are equal.
    public func firstRank(member: Bytes, after: Bool) -> Int { fatalError() }
    /// From `rank` (ascending numbering) on, upwards or downwards.
    public func forEach(rank: Int, count: Int, reverse: Bool, _ body: (Bytes, Double) -> Bool) { fatalError() }
    public func at(_ index: Int) -> (Bytes, Double) { fatalError() }
    public func scan(cursor: UInt64, count: Int, _ body: (Bytes, Double) -> Void) -> UInt64 { fatalError() }
}
public struct ZSetEditor {
    public var entry: Entry { fatalError() }
    public var view: ZSetView { fatalError() }
    @discardableResult public func set(_ member: Bytes, _ score: Double) -> ZSetChange { fatalError() }
    @discardableResult public func remove(_ member: Bytes) -> Bool { fatalError() }
    public func removeRanks(_ range: Range<Int>) { fatalError() }
}
