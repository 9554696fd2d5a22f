// Invariant of this file: numbers travel as eight-byte words in the first run of an operation, as many as its kind says,
// written by `encode` in this process and read by `decode` only.

/// The tables of a stream beside that of its entries.
public enum StreamPart: UInt8, CaseIterable, Sendable {
    case groups, consumers, pending
}

/// A row of a stream but for its entries, which are elements. Slots are unique within the stream.
public enum StreamRow {
    case state(StreamState)
    /// `entriesRead`: nil where that is not known.
    case group(slot: UInt32, name: Bytes, lastID: StreamID, entriesRead: Int64?)
    /// `group` is a group's slot; times are ms since 1970; `activeMs` nil: never.
    case consumer(slot: UInt32, group: UInt32, name: Bytes, seenMs: Int64, activeMs: Int64?)
    case pending(
        slot: UInt32, group: UInt32, consumer: UInt32, id: StreamID, deliveredMs: Int64, deliveries: Int64)
    case remove(StreamPart, ClosedRange<UInt32>)
}

extension StreamRow {
    private enum Kind: Int64 {
        case state, group, consumer, pending, remove
    }
    /// More words than any kind has.
    static let wordLimit = 8

    /// Calls `body` with the row's words and its name.
    func encode(_ body: (Bytes, Bytes) -> Void) {
        switch self {
        case .state(let state):
            encode(
                .state, state.lastID.words.0, state.lastID.words.1, state.maxDeletedID.words.0,
                state.maxDeletedID.words.1, state.entriesAdded, 0, Bytes(), body)
        case .group(let slot, let name, let lastID, let read):
            encode(
                .group, Int64(slot), lastID.words.0, lastID.words.1, read == nil ? 0 : 1, read ?? 0, 0, name, body)
        case .consumer(let slot, let group, let name, let seenMs, let activeMs):
            encode(
                .consumer, Int64(slot), Int64(group), seenMs, activeMs == nil ? 0 : 1, activeMs ?? 0, 0, name, body)
        case .pending(let slot, let group, let consumer, let id, let deliveredMs, let deliveries):
            encode(
                .pending, Int64(slot), Int64(group) << 32 | Int64(consumer), id.words.0, id.words.1, deliveredMs,
                deliveries, Bytes(), body)
        case .remove(let part, let slots):
            encode(
                .remove, Int64(part.rawValue), Int64(slots.lowerBound), Int64(slots.upperBound), 0, 0, 0, Bytes(), body)
        }
    }
    private func encode(
        _ kind: Kind, _ a: Int64, _ b: Int64, _ c: Int64, _ d: Int64, _ e: Int64, _ f: Int64, _ name: Bytes,
        _ body: (Bytes, Bytes) -> Void
    ) {
        withUnsafeTemporaryAllocation(of: Int64.self, capacity: StreamRow.wordLimit) { words in
            words.initialize(repeating: 0)
            (words[0], words[1], words[2], words[3], words[4], words[5], words[6]) = (kind.rawValue, a, b, c, d, e, f)
            let base = UnsafeRawPointer(words.baseAddress.unsafelyUnwrapped)
            body(Bytes(base, StreamRow.wordLimit * 8), name)
        }
    }

    init(decoding words: Bytes, name: Bytes) {
        func word(_ index: Int) -> Int64 { words.base.loadUnaligned(fromByteOffset: index * 8, as: Int64.self) }
        func slot(_ index: Int) -> UInt32 { UInt32(truncatingIfNeeded: word(index)) }
        func id(_ index: Int) -> StreamID { StreamID(words: word(index), word(index + 1)) }
        switch Kind(rawValue: word(0)) {
        case .group:
            self = .group(slot: slot(1), name: name, lastID: id(2), entriesRead: word(4) == 0 ? nil : word(5))
        case .consumer:
            self = .consumer(
                slot: slot(1), group: slot(2), name: name, seenMs: word(3), activeMs: word(4) == 0 ? nil : word(5))
        case .pending:
            self = .pending(
                slot: slot(1), group: UInt32(truncatingIfNeeded: word(2) >> 32), consumer: slot(2), id: id(3),
                deliveredMs: word(5), deliveries: word(6))
        case .remove:
            let part = StreamPart(rawValue: UInt8(truncatingIfNeeded: word(1))) ?? .groups
            self = .remove(part, slot(2)...max(slot(2), slot(3)))
        case .state, nil:
            var state = StreamState()
            state.lastID = id(1)
            state.maxDeletedID = id(3)
            state.entriesAdded = word(5)
            self = .state(state)
        }
    }
}

extension StreamID {
    /// The bit patterns of both halves, as the snapshot has them.
    var words: (Int64, Int64) { (Int64(bitPattern: ms), Int64(bitPattern: seq)) }
    init(words ms: Int64, _ seq: Int64) { self.init(ms: UInt64(bitPattern: ms), seq: UInt64(bitPattern: seq)) }

    /// Most significant byte first, as in RDB files and rows on their way.
    static let byteCount = 16
    func withBytes(_ body: (Bytes) -> Void) {
        withUnsafeBytes(of: (ms.bigEndian, seq.bigEndian)) {
            if let base = $0.baseAddress { body(Bytes(base, StreamID.byteCount)) }
        }
    }
    /// nil unless there are 16 bytes.
    public init?(bytes: Bytes) {
        guard bytes.count == StreamID.byteCount, let ms = bytes.littleEndian(at: 0, as: UInt64.self),
            let seq = bytes.littleEndian(at: 8, as: UInt64.self)
        else { return nil }
        self.init(ms: ms.byteSwapped, seq: seq.byteSwapped)
    }
}
