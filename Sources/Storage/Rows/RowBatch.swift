// Invariant of this file: `buffer` holds whole operations only, each written by one append function below: a header of
// `headerSize` bytes, the optional number that it announces, then the two runs of bytes whose lengths it gives.
// Nothing from outside the process is ever decoded here, so the decoder trusts what it finds.

/// One operation on the snapshot's tables. The bytes are borrowed from the batch: they are valid inside the closure
/// that was handed the row.
public enum Row {
    case string(id: Int64, db: Int32, key: Bytes, value: Bytes, expiresMs: Int64?)
    /// A list, hash, set or zset.
    case owner(type: ValueType, id: Int64, db: Int32, key: Bytes, expiresMs: Int64?)
    /// `first` is the item, field or member; `second` a hash field's value; `score` is a zset's.
    case element(
        type: ValueType, owner: Int64, slot: UInt32, first: Bytes, second: Bytes, score: Double, expiresMs: Int64?)
    /// Of a stream, but for its entries: an entry is an element whose `first` is its id in 16 bytes and whose `second`
    /// are its fields as `StreamFields.pack` writes them.
    case stream(owner: Int64, StreamRow)
    case removeString(id: Int64)
    /// With all its elements.
    case removeOwner(type: ValueType, id: Int64)
    /// `slots` may end at 2^32.
    case removeElements(type: ValueType, owner: Int64, slots: Range<UInt64>)
    case flushAll
    case flushDatabase(Int32)
    case swapDatabases(Int32, Int32)
}

/// Rows in one contiguous buffer, on their way between the keyspace and SQLite. A producer appends, hands the batch
/// over, and touches it again only when it comes back empty.
///
/// `@unchecked Sendable`: a batch has one owner at a time; handing it over hands over all of it.
public final class RowBatch: @unchecked Sendable {
    /// What readers fill a batch to, in bytes, before they hand it over.
    public static var targetSize: Int { StructureSizes.size(256 << 10, small: 700) }

    private let buffer: OutputBuffer
    /// What `SnapshotBuffers` has of this batch.
    private var counted = 0
    /// Rows of all kinds.
    public private(set) var count = 0
    /// Rows that flush or swap databases.
    private(set) var barrierCount = 0
    /// Rows that remove strings or owners.
    private(set) var removalCount = 0
    /// Whether what is appended comes in the order of ids. Elements that a write made a checkpoint hand over do not.
    var isOrdered = true

    /// `capacity` in bytes is what is allocated at once.
    public init(capacity: Int = 4096) {
        buffer = OutputBuffer(capacity: capacity)
        countMemory()
    }
    deinit { SnapshotBuffers.add(-counted) }

    /// Has `SnapshotBuffers` hold what the batch takes by now: when it is made, handed over and emptied.
    func countMemory() {
        let bytes = buffer.memoryUsage
        if bytes == counted { return }
        SnapshotBuffers.add(bytes - counted)
        counted = bytes
    }

    public var byteCount: Int { buffer.count }
    public var isEmpty: Bool { count == 0 }

    /// Empties the batch for its next use; memory above a few times `targetSize` is given back.
    public func removeAll() {
        buffer.removeAll(keepingAtMost: 4 * RowBatch.targetSize)
        countMemory()
        count = 0
        barrierCount = 0
        removalCount = 0
    }
}

// MARK: - Producing

extension RowBatch {
    @inline(__always)
    public func appendString(id: Int64, db: Int32, key: Bytes, value: Bytes, expiresMs: Int64?) {
        write(.string, .string, id: id, number: db, key, value, extra: expiresMs)
    }
    /// `type`: list, hash, set or zset.
    @inline(__always)
    public func appendOwner(type: ValueType, id: Int64, db: Int32, key: Bytes, expiresMs: Int64?) {
        write(.owner, type, id: id, number: db, key, Bytes(), extra: expiresMs)
    }
    @inline(__always)
    public func appendListItem(owner: Int64, slot: UInt32, _ item: Bytes) {
        write(.element, .list, id: owner, number: Int32(bitPattern: slot), item, Bytes(), extra: nil)
    }
    @inline(__always)
    public func appendHashField(owner: Int64, slot: UInt32, _ field: Bytes, _ value: Bytes, expiresMs: Int64? = nil) {
        write(.element, .hash, id: owner, number: Int32(bitPattern: slot), field, value, extra: expiresMs)
    }
    @inline(__always)
    public func appendSetMember(owner: Int64, slot: UInt32, _ member: Bytes) {
        write(.element, .set, id: owner, number: Int32(bitPattern: slot), member, Bytes(), extra: nil)
    }
    /// `score` must not be NaN.
    @inline(__always)
    public func appendZSetMember(owner: Int64, slot: UInt32, _ member: Bytes, score: Double) {
        let bits = Int64(bitPattern: score.bitPattern)
        write(.element, .zset, id: owner, number: Int32(bitPattern: slot), member, Bytes(), extra: bits)
    }
    @inline(__always)
    public func appendStreamEntry(owner: Int64, slot: UInt32, id: StreamID, fields: Bytes) {
        id.withBytes {
            write(.element, .stream, id: owner, number: Int32(bitPattern: slot), $0, fields, extra: nil)
        }
    }
    public func appendStream(owner: Int64, _ row: StreamRow) {
        row.encode { write(.stream, .stream, id: owner, number: 0, $0, $1, extra: nil) }
    }
    public func appendRemoveString(id: Int64) {
        removalCount += 1
        write(.removeString, .string, id: id, number: 0, Bytes(), Bytes(), extra: nil)
    }
    public func appendRemoveOwner(type: ValueType, id: Int64) {
        removalCount += 1
        write(.removeOwner, type, id: id, number: 0, Bytes(), Bytes(), extra: nil)
    }
    public func appendRemoveElements(type: ValueType, owner: Int64, slots: Range<UInt64>) {
        if slots.isEmpty { return }
        let lower = UInt32(clamping: slots.lowerBound)
        write(
            .removeElements, type, id: owner, number: Int32(bitPattern: lower), Bytes(), Bytes(),
            extra: Int64(clamping: slots.upperBound))
    }
    public func appendFlushAll() {
        barrierCount += 1
        write(.flushAll, .string, id: 0, number: 0, Bytes(), Bytes(), extra: nil)
    }
    public func appendFlushDatabase(_ db: Int32) {
        barrierCount += 1
        write(.flushDatabase, .string, id: 0, number: db, Bytes(), Bytes(), extra: nil)
    }
    public func appendSwapDatabases(_ a: Int32, _ b: Int32) {
        barrierCount += 1
        write(.swapDatabases, .string, id: Int64(b), number: a, Bytes(), Bytes(), extra: nil)
    }

    /// Appends a string's row whose value of `count` bytes is written to the place that is returned, before the batch is
    /// read or anything else is appended.
    func appendString(
        id: Int64, db: Int32, key: Bytes, count valueCount: Int, expiresMs: Int64?
    ) -> UnsafeMutableRawPointer {
        write(.string, .string, id: id, number: db, key, Bytes(), extra: expiresMs)
        let header = buffer.count - RowBatch.headerSize - (expiresMs == nil ? 0 : 8) - key.count
        withUnsafeBytes(of: valueCount) { bytes in
            if let base = bytes.baseAddress { buffer.overwrite(at: header + 24, with: Bytes(base, bytes.count)) }
        }
        return buffer.appendUninitialized(valueCount)
    }

    /// Changes the id of the batch's first row.
    func setFirstID(_ id: Int64) {
        withUnsafeBytes(of: id) {
            if let base = $0.baseAddress { buffer.overwrite(at: 8, with: Bytes(base, $0.count)) }
        }
    }

    /// All operations, encoded.
    var encoded: Bytes { buffer.bytes }
    /// Room for operations of `byteCount` bytes that another batch encoded, to be copied there before this one is read.
    convenience init(encodedBytes byteCount: Int, _ fill: (UnsafeMutableRawPointer) -> Bool) {
        self.init(capacity: byteCount)
        if !fill(buffer.appendUninitialized(byteCount)) { buffer.removeAll() }
        count = 1
    }

    /// Copies one encoded operation of another batch.
    func appendEncoded(_ operation: Bytes) {
        buffer.append(operation)
        count += 1
    }
}

// MARK: - Consuming

extension RowBatch {
    /// Calls `body` with each row in the order of appending. O(bytes).
    @inlinable
    public func forEach<E: Error>(_ body: (Row) throws(E) -> Void) throws(E) {
        var offset = 0
        while offset < byteCount { try body(decode(at: &offset)) }
    }

    /// The bytes from one offset that `decode` left to another: whole operations.
    func encoded(_ range: Range<Int>) -> Bytes { buffer.bytes[range] }

    /// Whether the operation at `offset` was appended in the order of ids.
    func isOrdered(at offset: Int) -> Bool {
        precondition(offset >= 0 && offset + RowBatch.headerSize <= buffer.count)
        return (UnsafeRawPointer(buffer.base) + offset).load(fromByteOffset: 3, as: UInt8.self) != 0
    }

    /// Decodes the operation at `offset`, which must be where one begins, and moves `offset` to the next.
    @usableFromInline
    func decode(at offset: inout Int) -> Row {
        let p = UnsafeRawPointer(buffer.base) + offset
        let kind = Kind(rawValue: p.load(as: UInt8.self))
        let type = ValueType(rawValue: p.load(fromByteOffset: 1, as: UInt8.self)) ?? .string
        let hasExtra = p.load(fromByteOffset: 2, as: UInt8.self) != 0
        let number = p.loadUnaligned(fromByteOffset: 4, as: Int32.self)
        let id = p.loadUnaligned(fromByteOffset: 8, as: Int64.self)
        let firstCount = p.loadUnaligned(fromByteOffset: 16, as: Int.self)
        let secondCount = p.loadUnaligned(fromByteOffset: 24, as: Int.self)
        var body = p + RowBatch.headerSize
        var extra: Int64?
        if hasExtra {
            extra = body.loadUnaligned(as: Int64.self)
            body += 8
        }
        let first = Bytes(body, firstCount)
        let second = Bytes(body + firstCount, secondCount)
        offset += (body - p) + firstCount + secondCount
        switch kind {
        case .string:
            return .string(id: id, db: number, key: first, value: second, expiresMs: extra)
        case .owner:
            return .owner(type: type, id: id, db: number, key: first, expiresMs: extra)
        case .element:
            let slot = UInt32(bitPattern: number)
            if type == .zset {
                let score = Double(bitPattern: UInt64(bitPattern: extra ?? 0))
                return .element(
                    type: .zset, owner: id, slot: slot, first: first, second: second, score: score, expiresMs: nil)
            }
            return .element(
                type: type, owner: id, slot: slot, first: first, second: second, score: 0, expiresMs: extra)
        case .stream: return .stream(owner: id, StreamRow(decoding: first, name: second))
        case .removeString: return .removeString(id: id)
        case .removeOwner: return .removeOwner(type: type, id: id)
        case .removeElements:
            let lower = UInt64(UInt32(bitPattern: number))
            return .removeElements(type: type, owner: id, slots: lower..<max(lower, UInt64(clamping: extra ?? 0)))
        case .flushDatabase: return .flushDatabase(number)
        case .swapDatabases: return .swapDatabases(number, Int32(truncatingIfNeeded: id))
        case .flushAll, nil: return .flushAll
        }
    }
}

// MARK: - The encoding

extension RowBatch {
    /// kind, type, whether an extra number follows, whether the row is ordered; db or slot (4 bytes); id; both lengths.
    @usableFromInline static let headerSize = 32

    private enum Kind: UInt8 {
        case string, owner, element, removeString, removeOwner, removeElements, flushAll, flushDatabase, swapDatabases
        case stream
    }

    /// `extra`: the expiry, a zset's score as bits, or where removed slots end.
    @inline(__always)
    private func write(
        _ kind: Kind, _ type: ValueType, id: Int64, number: Int32, _ first: Bytes, _ second: Bytes, extra: Int64?
    ) {
        let fixed = RowBatch.headerSize + (extra == nil ? 0 : 8)
        let p = buffer.appendUninitialized(fixed + first.count + second.count)
        p.storeBytes(of: kind.rawValue, as: UInt8.self)
        p.storeBytes(of: type.rawValue, toByteOffset: 1, as: UInt8.self)
        p.storeBytes(of: extra == nil ? 0 : 1, toByteOffset: 2, as: UInt8.self)
        p.storeBytes(of: isOrdered ? 1 : 0, toByteOffset: 3, as: UInt8.self)
        p.storeBytes(of: number, toByteOffset: 4, as: Int32.self)
        p.storeBytes(of: id, toByteOffset: 8, as: Int64.self)
        p.storeBytes(of: first.count, toByteOffset: 16, as: Int.self)
        p.storeBytes(of: second.count, toByteOffset: 24, as: Int.self)
        if let extra { p.storeBytes(of: extra, toByteOffset: 32, as: Int64.self) }
        (p + fixed).copyMemory(from: first.base, byteCount: first.count)
        (p + fixed + first.count).copyMemory(from: second.base, byteCount: second.count)
        count &+= 1
    }
}
