// Invariant of this file: `pack` holds what `init` and `append` wrote, nothing else, so that offsets found by walking it
// are those of entries; and `ids` and elements that a caller gives do not lie in `pack` itself.

/// A run of a stream's entries in one listpack, in the form that Redis keeps and its RDB files hold
/// (https://redis.io/docs/latest/develop/data-types/streams and rdb's stream listpacks):
///
///     count, deleted, number of fields, field …, 0            the master entry, with the first entry's fields
///     flags, ms - master.ms, seq - master.seq,
///         value …                                            an entry with the master's fields (flag 2), or
///         number of fields, field, value …                   any other
///         elements from flags on                              to walk backwards
///
/// A deleted entry keeps its place with flag 1, so that an entry's slot (by which the snapshot knows it) is always the
/// node's base plus its index.
struct StreamNode {
    private(set) var pack: Listpack
    /// The first entry's id, which all others are relative to.
    let master: StreamID
    /// Slot of the first entry.
    var base: Int64
    /// Entries, deleted ones too.
    private(set) var entries = 0

    static let isDeleted: Int64 = 1
    static let hasMasterFields: Int64 = 2

    var slots: Range<Int64> { base..<base + Int64(entries) }
    /// Entries that are not deleted.
    var live: Int { Int(truncatingIfNeeded: integer(Listpack.headerSize)) }

    /// An empty node for an entry with this id and these fields and values, which is to be appended next.
    init(master: StreamID, base: Int64, pairs: UnsafeBufferPointer<Bytes>) {
        self.master = master
        self.base = base
        pack = Listpack.allocate()
        pack.append(integer: 0)
        pack.append(integer: 0)
        pack.append(integer: Int64(pairs.count / 2))
        for i in stride(from: 0, to: pairs.count, by: 2) { pack.append(pairs[i]) }
        pack.append(integer: 0)
    }
    private init(pack: Listpack, master: StreamID, base: Int64, entries: Int) {
        self.pack = pack
        self.master = master
        self.base = base
        self.entries = entries
    }
    func copy() -> StreamNode { StreamNode(pack: pack.copy(), master: master, base: base, entries: entries) }
    func free() { pack.free() }

    // MARK: Walking

    /// An entry and where it lies.
    struct Entry {
        let offset: Int
        /// Among the node's entries.
        let index: Int
        let flags: Int64
        let id: StreamID
        /// Fields.
        let count: Int
        /// The first value, or field and value.
        let elements: Int
        var isDeleted: Bool { flags & StreamNode.isDeleted != 0 }
        var hasMasterFields: Bool { flags & StreamNode.hasMasterFields != 0 }
    }

    @inline(__always) private func integer(_ offset: Int) -> Int64 { pack.integer(at: offset) ?? 0 }
    private var deletedOffset: Int { pack.following(Listpack.headerSize) }
    private var fieldCountOffset: Int { pack.following(deletedOffset) }
    /// Where the master entry's fields begin.
    var masterFields: Int { pack.following(fieldCountOffset) }

    private func skip(_ offset: Int, _ count: Int) -> Int {
        var offset = offset
        for _ in 0..<count { offset = pack.following(offset) }
        return offset
    }

    private func entry(at offset: Int, index: Int) -> Entry {
        let flags = integer(offset)
        let ms = pack.following(offset)
        let seq = pack.following(ms)
        let id = StreamID(
            ms: master.ms &+ UInt64(bitPattern: integer(ms)), seq: master.seq &+ UInt64(bitPattern: integer(seq)))
        let after = pack.following(seq)
        if flags & StreamNode.hasMasterFields != 0 {
            let count = Int(truncatingIfNeeded: integer(fieldCountOffset))
            return Entry(offset: offset, index: index, flags: flags, id: id, count: count, elements: after)
        }
        let count = Int(truncatingIfNeeded: integer(after))
        return Entry(
            offset: offset, index: index, flags: flags, id: id, count: count, elements: pack.following(after))
    }

    /// The first entry, deleted or not.
    var first: Entry? {
        if entries == 0 { return nil }
        let fields = Int(truncatingIfNeeded: integer(fieldCountOffset))
        return entry(at: skip(masterFields, fields + 1), index: 0)
    }
    func forEachLive(_ body: (StreamID) -> Void) {
        var next = first
        while let entry = next {
            if !entry.isDeleted { body(entry.id) }
            next = self.next(entry)
        }
    }
    var last: Entry? { entries == 0 ? nil : entry(before: pack.endOffset, index: entries - 1) }
    func next(_ entry: Entry) -> Entry? {
        if entry.index + 1 >= entries { return nil }
        let elements = entry.hasMasterFields ? entry.count : 2 * entry.count
        return self.entry(at: skip(entry.elements, elements + 1), index: entry.index + 1)
    }
    func previous(_ entry: Entry) -> Entry? {
        entry.index == 0 ? nil : self.entry(before: entry.offset, index: entry.index - 1)
    }
    private func entry(before end: Int, index: Int) -> Entry? {
        guard var offset = pack.previous(end) else { return nil }
        for _ in 0..<integer(offset) {
            guard let before = pack.previous(offset) else { return nil }
            offset = before
        }
        return entry(at: offset, index: index)
    }

    /// The entry at an index. O(entries).
    func entry(index: Int) -> Entry? {
        if index > entries / 2 {
            var found = last
            while let entry = found, entry.index > index { found = previous(entry) }
            return found
        }
        var found = first
        while let entry = found, entry.index < index { found = next(entry) }
        return found
    }

    func fields(_ entry: Entry, scratch: (UnsafeMutableRawPointer, UnsafeMutableRawPointer)) -> StreamFields {
        StreamFields(
            pack: pack, count: entry.count, names: entry.hasMasterFields ? masterFields : nil,
            elements: entry.elements, scratch: scratch)
    }

    // MARK: Change

    /// Adds an entry behind all others. Amortised O(fields).
    mutating func append(_ id: StreamID, _ pairs: UnsafeBufferPointer<Bytes>) {
        let isLikeMaster = hasFields(of: pairs)
        pack.append(integer: isLikeMaster ? StreamNode.hasMasterFields : 0)
        pack.append(integer: Int64(bitPattern: id.ms &- master.ms))
        pack.append(integer: Int64(bitPattern: id.seq &- master.seq))
        if isLikeMaster {
            for i in stride(from: 1, to: pairs.count, by: 2) { pack.append(pairs[i]) }
            pack.append(integer: Int64(pairs.count / 2 + 3))
        } else {
            pack.append(integer: Int64(pairs.count / 2))
            for element in pairs { pack.append(element) }
            pack.append(integer: Int64(pairs.count + 4))
        }
        entries += 1
        pack.replace(at: Listpack.headerSize, withInteger: Int64(live + 1))
    }

    /// Takes the place of entries that are gone, after at least one that is there.
    mutating func appendDeleted(_ id: StreamID) {
        append(id, UnsafeBufferPointer(start: nil, count: 0))
        if let entry = last { delete(entry) }
    }

    /// Whether the master entry has the fields of `pairs`, in their order.
    private func hasFields(of pairs: UnsafeBufferPointer<Bytes>) -> Bool {
        if integer(fieldCountOffset) != Int64(pairs.count / 2) { return false }
        var offset = masterFields
        for i in stride(from: 0, to: pairs.count, by: 2) {
            if !pack.matches(offset, pairs[i]) { return false }
            offset = pack.following(offset)
        }
        return true
    }

    /// Marks an entry that is not deleted, and returns where it lies then: the counts in front may have grown or shrunk.
    @discardableResult mutating func delete(_ entry: Entry) -> Entry {
        let before = pack.byteCount
        // Flags take a byte, whatever they are: nothing moves.
        pack.replace(at: entry.offset, withInteger: entry.flags | StreamNode.isDeleted)
        let deleted = integer(deletedOffset) + 1
        pack.replace(at: deletedOffset, withInteger: deleted)
        pack.replace(at: Listpack.headerSize, withInteger: Int64(live - 1))
        let shift = pack.byteCount - before
        return Entry(
            offset: entry.offset + shift, index: entry.index, flags: entry.flags | StreamNode.isDeleted, id: entry.id,
            count: entry.count, elements: entry.elements + shift)
    }
}

/// The fields and values of an entry. Valid until the next call on the view it came from.
public struct StreamFields {
    let pack: Listpack
    public let count: Int
    /// Where the names are, if not among the values.
    let names: Int?
    let elements: Int
    let scratch: (UnsafeMutableRawPointer, UnsafeMutableRawPointer)

    public func forEach(_ body: (_ field: Bytes, _ value: Bytes) -> Void) {
        var name = names ?? elements
        var value = elements
        for _ in 0..<count {
            if names == nil { value = pack.following(name) }
            body(pack.value(at: name, scratch: scratch.0), pack.value(at: value, scratch: scratch.1))
            value = pack.following(value)
            name = names == nil ? value : pack.following(name)
        }
    }
}
