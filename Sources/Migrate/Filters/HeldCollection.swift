import Storage

// Invariant of this file: `buffer` holds what `add` has appended, one piece after the other, and `tell` reads it the same way.

/// A collection that is kept in memory until it is known whether it is passed on.
final class HeldCollection {
    enum Kind: UInt8 { case element, pair, scored, streamEntry }

    private let type: ValueType
    private let database: Int32
    private let expiresMs: Int64?
    private let earliestFieldExpiry: Int64?
    private let key: OutputBuffer
    private let buffer = OutputBuffer()
    private(set) var count: Int64 = 0
    /// Of the elements, without what keeps them.
    private(set) var contentBytes: Int64 = 0

    private static let noExpiry = Int64.min
    /// A kind and five words.
    private static let headerSize = 41

    init(_ type: ValueType, _ key: VisitedKey) {
        self.type = type
        database = key.database
        expiresMs = key.expiresMs
        earliestFieldExpiry = key.earliestFieldExpiry
        self.key = OutputBuffer(copying: key.key)
    }

    /// `kind` says which of the others count.
    func add(
        _ kind: Kind, _ first: Bytes, _ second: Bytes = Bytes(), expiresMs: Int64? = nil, score: Double = 0,
        id: StreamID = .zero
    ) {
        count += 1
        contentBytes += Int64(first.count + second.count)
        buffer.append(byte: kind.rawValue)
        buffer.append(raw: first.count)
        buffer.append(raw: second.count)
        buffer.append(raw: kind == .scored ? Int64(bitPattern: score.bitPattern) : expiresMs ?? Self.noExpiry)
        buffer.append(raw: id.ms)
        buffer.append(raw: id.seq)
        buffer.append(first)
        buffer.append(second)
    }

    /// Tells what was kept so far: the beginning of the collection.
    func tell(_ sink: any KeySink) throws(StorageError) {
        var sink = sink
        try sink.begin(
            type,
            VisitedKey(
                database: database, key: key.bytes, expiresMs: expiresMs, earliestFieldExpiry: earliestFieldExpiry),
            sizeHint: Int(clamping: count))
        var at = 0
        while at < buffer.count {
            let p = buffer.bytes.base + at
            let firstCount = p.loadUnaligned(fromByteOffset: 1, as: Int.self)
            let secondCount = p.loadUnaligned(fromByteOffset: 9, as: Int.self)
            let word = p.loadUnaligned(fromByteOffset: 17, as: Int64.self)
            let id = StreamID(
                ms: p.loadUnaligned(fromByteOffset: 25, as: UInt64.self),
                seq: p.loadUnaligned(fromByteOffset: 33, as: UInt64.self))
            let first = Bytes(p + Self.headerSize, firstCount)
            let second = Bytes(p + Self.headerSize + firstCount, secondCount)
            switch Kind(rawValue: p.load(as: UInt8.self)) {
            case .pair: try sink.pair(first, second, expiresMs: word == Self.noExpiry ? nil : word)
            case .scored: try sink.scored(first, Double(bitPattern: UInt64(bitPattern: word)))
            case .streamEntry: try sink.streamEntry(id, first)
            case .element, nil: try sink.element(first)
            }
            at += Self.headerSize + firstCount + secondCount
        }
    }
}
