import CShims
import Glibc

// Invariant of this file: an entry's encoding says what its pointer leads to.

/// What holds for an entry of any type.
extension Entry {
    /// A string's bytes; an integer is rendered in `scratch`.
    func text(in scratch: UnsafeMutableRawPointer) -> Bytes {
        guard let integer else { return stringBytes }
        return Bytes(scratch, decimalDigits(of: integer, into: scratch))
    }

    /// Elements of a collection; pairs count once. A string has one.
    @inline(__always) public var elementCount: Int {
        switch encoding {
        case .int, .embstr, .raw: 1
        case .listpack: type == .list || type == .set ? listpack.count : listpack.count / 2
        case .intset: intset.count
        case .quicklist: withList { $0.count }
        case .hashtable, .skiplist: withTable { $0.count }
        case .stream: withStream { $0.count }
        }
    }

    /// Bytes that key and value take, estimated for large collections. O(1).
    public var memoryUsage: Int {
        let value =
            switch encoding {
            case .int, .embstr, .raw: flags.contains(.outOfLine) ? malloc_usable_size(pointer) : 0
            case .listpack, .intset: malloc_usable_size(pointer)
            case .quicklist, .hashtable, .skiplist, .stream: largeValue?.memoryUsage ?? 0
            }
        // The slot in the hash table, at its usual load.
        return blockSize + value + 14
    }

    /// Whether this is a hash with fields that expire.
    public var hasExpiringFields: Bool {
        type == .hash && encoding == .hashtable && tableValue.expiring?.heap.first != nil
    }

    /// An empty collection in its smallest form.
    static func makeCollection(_ key: Bytes, _ type: ValueType) -> Entry {
        if type == .stream {
            let entry = make(key, type: type, encoding: .stream, expiry: nil, room: 8)
            entry.setLargeValue(StreamValue(), encoding: .stream)
            return entry
        }
        let encoding: Encoding = type == .set ? .intset : .listpack
        let entry = make(key, type: type, encoding: encoding, expiry: nil, room: 8)
        if encoding == .intset { entry.intset = Intset.allocate() } else { entry.listpack = Listpack.allocate() }
        return entry
    }

    /// A copy of key's value under another key. O(elements).
    func deepCopy(key newKey: Bytes, limits: Limits) -> Entry {
        if type == .string {
            if let integer { return .makeInteger(newKey, integer, expiry: expiry) }
            return .makeString(newKey, stringBytes, expiry: expiry, encoding: encoding)
        }
        let copy = Entry.make(newKey, type: type, encoding: encoding, expiry: expiry, room: 8)
        switch encoding {
        case .listpack: copy.listpack = listpack.copy()
        case .intset: copy.intset = intset.copy()
        case .quicklist: copy.setLargeValue(chunkedList.copy(), encoding: encoding)
        case .stream: copy.setLargeValue(streamValue.copy(), encoding: encoding)
        case .hashtable, .skiplist: copy.setLargeValue(tableValue.copy(), encoding: encoding)
        case .int, .embstr, .raw: preconditionFailure("a string")
        }
        return copy
    }

    /// The rows of a small collection: slots count up, a list's from the middle of their range.
    func appendSmallElements(
        to batch: RowBatch, scratch: (UnsafeMutableRawPointer, UnsafeMutableRawPointer)
    ) {
        if encoding == .intset {
            let set = intset
            for i in 0..<set.count {
                let digits = decimalDigits(of: set.value(at: i), into: scratch.0)
                batch.appendSetMember(owner: id, slot: UInt32(i), Bytes(scratch.0, digits))
            }
            return
        }
        let pack = listpack
        var slot: UInt32 = type == .list ? UInt32(ChunkedList.firstSlot) : 0
        var offset = pack.first
        while let here = offset {
            let first = pack.value(at: here, scratch: scratch.0)
            var last = here
            switch type {
            case .list: batch.appendListItem(owner: id, slot: slot, first)
            case .set: batch.appendSetMember(owner: id, slot: slot, first)
            case .hash:
                guard let second = pack.next(here) else { return }
                batch.appendHashField(owner: id, slot: slot, first, pack.value(at: second, scratch: scratch.1))
                last = second
            case .zset:
                guard let second = pack.next(here) else { return }
                batch.appendZSetMember(owner: id, slot: slot, first, score: pack.score(at: second))
                last = second
            case .string, .stream: return
            }
            offset = pack.next(last)
            slot += 1
        }
    }
}

extension Listpack {
    /// The element at `offset` as a score.
    @inline(__always) func score(at offset: Int) -> Double {
        if let integer = integer(at: offset) { return Double(integer) }
        return withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) {
            value(at: offset, scratch: $0.baseAddress.unsafelyUnwrapped).double ?? 0
        }
    }
}
