// Invariant of this file: `buffer` holds whole calls only, each written by `write`: a header of `headerSize` bytes, then
// the two runs whose lengths it gives. A run of `borrowedSize` or more stands there by its address instead; its owner
// keeps it until the batch has been replayed. Nothing from outside the process is ever decoded here.

/// Calls of a `KeyVisitor` in one contiguous buffer, on their way to another thread. A producer records, hands the batch
/// over, and touches it again only when it comes back.
///
/// `@unchecked Sendable`: a batch has one owner at a time; handing it over hands over all of it.
final class VisitBatch: @unchecked Sendable {
    /// What a producer fills a batch to, in bytes.
    static var targetSize: Int { StructureSizes.size(128 << 10, small: 300) }
    /// Longer runs are not copied.
    private static var borrowedSize: Int { StructureSizes.size(64 << 10, small: 40) }
    private static let headerSize = 48

    private enum Call: UInt8 {
        case string, begin, element, pair, scored, streamEntry, streamRow, end, function
    }

    private let buffer = OutputBuffer(capacity: 2 * VisitBatch.targetSize)
    /// Holds addresses of what the producer may free or overwrite when it goes on.
    private(set) var isBorrowing = false

    var isFull: Bool { isBorrowing || buffer.count >= VisitBatch.targetSize }

    func removeAll() {
        buffer.removeAll(keepingAtMost: 4 * VisitBatch.targetSize)
        isBorrowing = false
    }
}

// MARK: - Recording

extension VisitBatch {
    func string(_ key: VisitedKey, _ value: Bytes) {
        write(.string, number: key.database, extra: key.expiresMs, key.key, value)
    }
    func begin(_ type: ValueType, _ key: VisitedKey) {
        write(.begin, type: type, number: key.database, extra: key.expiresMs, key.key)
    }
    func element(_ value: Bytes) { write(.element, value) }
    func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) {
        write(.pair, extra: expiresMs, field, value)
    }
    func scored(_ member: Bytes, _ score: Double) {
        write(.scored, extra: Int64(bitPattern: score.bitPattern), member)
    }
    func streamEntry(_ id: StreamID, _ fields: Bytes) { id.withBytes { write(.streamEntry, $0, fields) } }
    func streamRow(_ row: StreamRow) { row.encode { write(.streamRow, $0, $1) } }
    func end() { write(.end, Bytes()) }
    func function(_ name: Bytes, _ code: Bytes) { write(.function, name, code) }

    /// `number`: the database; `extra`: the expiry, or a score's bits.
    @inline(__always)
    private func write(
        _ call: Call, type: ValueType = .string, number: Int32 = 0, extra: Int64? = nil, _ first: Bytes,
        _ second: Bytes = Bytes()
    ) {
        let borrows = (first.count >= VisitBatch.borrowedSize, second.count >= VisitBatch.borrowedSize)
        if borrows.0 || borrows.1 { isBorrowing = true }
        let copied = (borrows.0 ? 0 : first.count, borrows.1 ? 0 : second.count)
        let p = buffer.appendUninitialized(VisitBatch.headerSize + copied.0 + copied.1)
        p.storeBytes(of: call.rawValue, as: UInt8.self)
        p.storeBytes(of: type.rawValue, toByteOffset: 1, as: UInt8.self)
        p.storeBytes(of: extra == nil ? 0 : 1, toByteOffset: 2, as: UInt8.self)
        p.storeBytes(of: number, toByteOffset: 4, as: Int32.self)
        p.storeBytes(of: extra ?? 0, toByteOffset: 8, as: Int64.self)
        p.storeBytes(of: first.count, toByteOffset: 16, as: Int.self)
        p.storeBytes(of: second.count, toByteOffset: 24, as: Int.self)
        p.storeBytes(of: borrows.0 ? first.base : nil, toByteOffset: 32, as: UnsafeRawPointer?.self)
        p.storeBytes(of: borrows.1 ? second.base : nil, toByteOffset: 40, as: UnsafeRawPointer?.self)
        let body = p + VisitBatch.headerSize
        if !borrows.0 { body.copyMemory(from: first.base, byteCount: first.count) }
        if !borrows.1 { (body + copied.0).copyMemory(from: second.base, byteCount: second.count) }
    }
}

// MARK: - Replaying

extension VisitBatch {
    /// Makes the recorded calls, in order. Throws what the visitor throws.
    func replay<Visitor: KeyVisitor>(to visitor: inout Visitor) throws(StorageError) {
        var p = UnsafeRawPointer(buffer.base)
        let end = p + buffer.count
        while p < end {
            let call = Call(rawValue: p.load(as: UInt8.self))
            let type = ValueType(rawValue: p.load(fromByteOffset: 1, as: UInt8.self)) ?? .string
            let hasExtra = p.load(fromByteOffset: 2, as: UInt8.self) != 0
            let number = p.loadUnaligned(fromByteOffset: 4, as: Int32.self)
            let extra = p.loadUnaligned(fromByteOffset: 8, as: Int64.self)
            var body = p + VisitBatch.headerSize
            let first = VisitBatch.run(p, 16, 32, &body)
            let second = VisitBatch.run(p, 24, 40, &body)
            p = body
            let expiresMs = hasExtra ? extra : nil
            switch call {
            case .string:
                try visitor.string(VisitedKey(database: number, key: first, expiresMs: expiresMs), second)
            case .begin:
                let key = VisitedKey(database: number, key: first, expiresMs: expiresMs)
                try visitor.begin(type, key, sizeHint: 0)
            case .element: try visitor.element(first)
            case .pair: try visitor.pair(first, second, expiresMs: expiresMs)
            case .scored: try visitor.scored(first, Double(bitPattern: UInt64(bitPattern: extra)))
            case .streamEntry: if let id = StreamID(bytes: first) { try visitor.streamEntry(id, second) }
            case .streamRow: try visitor.streamRow(StreamRow(decoding: first, name: second))
            case .end: try visitor.end()
            case .function, nil: try visitor.function(first, second)
            }
        }
    }

    /// The run whose length and address stand at these offsets of the header `p`. Moves `body` behind it where it was copied.
    @inline(__always)
    private static func run(
        _ p: UnsafeRawPointer, _ length: Int, _ address: Int, _ body: inout UnsafeRawPointer
    ) -> Bytes {
        let count = p.loadUnaligned(fromByteOffset: length, as: Int.self)
        if let base = p.loadUnaligned(fromByteOffset: address, as: UnsafeRawPointer?.self) { return Bytes(base, count) }
        defer { body += count }
        return Bytes(body, count)
    }
}
