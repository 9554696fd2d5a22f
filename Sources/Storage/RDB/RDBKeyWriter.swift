// Invariant of this file: `scratch` has the 32 bytes that numbers are rendered into; `pack` is live until `deinit`.

/// Writes the keys that it is told as an RDB file. A collection's elements are gathered while it may be small; beyond that they
/// go to the file as they come, and their number, which stands before them, is filled in at the end. So memory is bounded by the
/// largest element, or stream. Where nothing can be filled in, a large collection's elements are counted before.
final class RDBKeyWriter: KeyVisitor {
    struct Options {
        /// Write hashes without their fields' expiries instead of refusing them, where the version has none.
        var dropFieldExpiries = false
        /// Leave out libraries of functions instead of refusing them, where the version has none.
        var dropFunctions = false
        var limits = Limits()
    }

    /// Keys written so far.
    private(set) var keys = 0
    private(set) var elements = 0
    private(set) var functions = 0
    private(set) var fieldExpiriesDropped = 0
    private(set) var functionsDropped = 0
    /// Streams whose counts of entries ever added and read the version has no place for.
    private(set) var streamCountsDropped = 0

    private let writer: RDBWriter
    private let options: Options
    private let source: String
    typealias Counter = (ValueType, _ owner: Int64) throws(StorageError) -> Int
    /// Counts the elements of a collection by its row's id; for an output without holes.
    private let counter: Counter?
    /// Of the collection in hand, for the counter.
    var owner: Int64 = 0

    // Databases, each with the numbers that RESIZEDB announces.
    private struct DatabaseSize {
        var keys = RDBOutput.Hole()
        var expiring = RDBOutput.Hole()
        var keyCount: UInt32 = 0
        var expiringCount: UInt32 = 0
    }
    private var databases: [Int32: DatabaseSize] = [:]
    private var selected: Int32 = -1
    private var current: DatabaseSize?

    // The collection in hand.
    private var stream: StreamLoader?
    private var type = ValueType.list
    private let key = OutputBuffer()
    private let spilled = OutputBuffer()
    private var database: Int32 = 0
    private var expiresMs: Int64?
    /// Elements of a collection, nodes of a list.
    private var count = 0
    /// The number in front of what is in the file already; nil while all is in `pack`.
    private var hole: RDBOutput.Hole?
    /// The number that stands there already; nil: it is a hole, or all is in `pack`.
    private var announced: Int?
    private var isSpilled: Bool { hole != nil || announced != nil }
    private var pack = Listpack.allocate()
    private var scores: [Double] = []
    private var isAllIntegers = true
    private var longest = 0
    /// Of a hash, where fields may expire: what none is before, and all that are in `pack` (0: never).
    private var earliest: Int64?
    private var expiries: [Int64] = []
    private var hasDroppedExpiries = false
    private let nodeLimits: (bytes: Int, count: Int)
    private let scratch = UnsafeMutableRawPointer.allocate(byteCount: 32, alignment: 8)

    /// Longer items of a list are a node of their own, without a copy.
    private static let longItem = 64 << 10

    /// `source` is for messages.
    init(_ writer: RDBWriter, source: String, options: Options, counter: Counter? = nil) {
        self.counter = counter
        self.writer = writer
        self.source = source
        self.options = options
        nodeLimits = ChunkedList.chunkLimits(options.limits.listMaxListpackSize)
    }
    deinit {
        pack.free()
        scratch.deallocate()
    }

    // MARK: - Keys and elements

    func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) {
        try open(.string, key.key, key.database, key.expiresMs)
        writer.string(value)
        try writer.output.flushIfFull()
    }
    func element(_ value: Bytes) throws(StorageError) {
        elements += 1
        if type == .list { try item(value) } else { try element(value, Bytes(), 0, 0) }
        try writer.output.flushIfFull()
    }
    func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        elements += 1
        try element(field, value, 0, expiresMs ?? 0)
        try writer.output.flushIfFull()
    }
    func scored(_ member: Bytes, _ score: Double) throws(StorageError) {
        elements += 1
        try element(member, Bytes(), score, 0)
        try writer.output.flushIfFull()
    }
    func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) {
        try streamEntry(id, fields, slot: nil)
    }
    /// `slot`: of a snapshot's row.
    func streamEntry(_ id: StreamID, _ fields: Bytes, slot: UInt32?) throws(StorageError) {
        elements += 1
        if stream?.addEntry(id, fields, slot: slot) != true { throw contradiction }
    }
    func streamRow(_ row: StreamRow) throws(StorageError) {
        if stream?.add(row) != true { throw contradiction }
    }
    func function(_ name: Bytes, _ code: Bytes) throws(StorageError) {
        guard writer.hasFunctions else {
            if options.dropFunctions {
                functionsDropped += 1
                return
            }
            throw damage(
                "holds the library of functions \(name.quoted), which needs `--rdb-version 10` or later; `--drop-functions` "
                    + "leaves libraries out")
        }
        writer.output.append(byte: RDBFormat.Opcode.function.rawValue)
        writer.string(code)
        functions += 1
    }

    private var contradiction: StorageError {
        damage("the rows of the stream \(key.bytes.quoted) contradict each other")
    }

    /// Call after the last key.
    func finish() throws(StorageError) {
        if let current { databases[selected] = current }
        for database in databases.values where writer.output.hasHoles {
            writer.fill(database.keys, database.keyCount)
            writer.fill(database.expiring, database.expiringCount)
        }
    }

    private func damage(_ message: String) -> StorageError { StorageError(file: source, message: message) }

    // MARK: - Keys

    /// Everything before the value.
    private func open(_ kind: RDBFormat.Kind, _ key: Bytes, _ db: Int32, _ expiresMs: Int64?) throws(StorageError) {
        if db != selected { select(db) }
        current?.keyCount += 1
        if let expiresMs {
            current?.expiringCount += 1
            writer.output.append(byte: RDBFormat.Opcode.expiryMilliseconds.rawValue)
            writer.output.append(littleEndian: expiresMs)
        }
        writer.output.append(byte: kind.rawValue)
        writer.string(key)
        keys += 1
        guard keys < UInt32.max else { throw damage("holds more than 2^32 keys") }
    }

    private func select(_ db: Int32) {
        if let current { databases[selected] = current }
        selected = db
        writer.output.append(byte: RDBFormat.Opcode.selectDatabase.rawValue)
        writer.length(Int(db))
        if let known = databases[db] {
            current = known
            return
        }
        // A hint, which may be left out.
        if !writer.output.hasHoles {
            current = DatabaseSize()
            return
        }
        writer.output.append(byte: RDBFormat.Opcode.resize.rawValue)
        let keys = writer.lengthHole()
        current = DatabaseSize(keys: keys, expiring: writer.lengthHole())
    }

    func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError) {
        self.type = type
        self.key.removeAll(keepingAtMost: 1 << 20)
        self.key.append(key.key)
        database = key.database
        expiresMs = key.expiresMs
        // Gathered whole: its nodes are not its rows.
        stream = type == .stream ? StreamLoader(limits: options.limits) : nil
        count = 0
        hole = nil
        announced = nil
        clearPack()
        isAllIntegers = true
        longest = 0
        earliest = writer.hasFieldExpiries ? key.earliestFieldExpiry : nil
        hasDroppedExpiries = false
    }

    /// A field expires, and the version has no place for that.
    private func dropFieldExpiry() throws(StorageError) {
        if hasDroppedExpiries { return }
        guard options.dropFieldExpiries else {
            throw damage(
                """
                key \(key.bytes.quoted) in database \(database) holds a hash with fields that expire, which only RDB version \
                12 can hold; `--rdb-version 12` writes it, `--drop-field-ttls` leaves the fields' expiries out
                """)
        }
        hasDroppedExpiries = true
        fieldExpiriesDropped += 1
    }

    private func clearPack() {
        pack.removeAll()
        scores.removeAll(keepingCapacity: true)
        expiries.removeAll(keepingCapacity: true)
    }

    /// The header of the collection in hand, with its number of elements or nodes, or room for it.
    private func spill(_ kind: RDBFormat.Kind, exactly known: Int? = nil) throws(StorageError) {
        try open(kind, key.bytes, database, expiresMs)
        if kind == .hashMetadata { writer.output.append(littleEndian: earliest ?? 0) }
        if let known {
            writer.length(known)
            announced = known
            return
        }
        guard let counter else {
            hole = writer.lengthHole()
            return
        }
        let count = try counter(type, owner)
        writer.length(count)
        announced = count
    }

    func end() throws(StorageError) {
        if let stream {
            self.stream = nil
            if !writer.hasStreamCounts { streamCountsDropped += 1 }
            guard let (value, _) = stream.finish() else { throw contradiction }
            try open(writer.streamKind, key.bytes, database, expiresMs)
            writer.stream(value)
            return try writer.output.flushIfFull()
        }
        if type == .list && !pack.isEmpty { try writeLastNode() }
        if count == 0 { throw damage("the \(type.name) \(key.bytes.quoted) is empty: the snapshot is damaged") }
        if let announced {
            if count != announced { throw damage("\(key.bytes.quoted) has \(count) elements, not \(announced)") }
        } else if let hole {
            guard let count = UInt32(exactly: count) else { throw damage("\(key.bytes.quoted) has 2^32 elements") }
            writer.fill(hole, count)
        } else {
            try writeSmall()
        }
        try writer.output.flushIfFull()
        if pack.byteCount > 1 << 20 {
            pack.free()
            pack = Listpack.allocate()
        }
    }
}

// MARK: - Lists

extension RDBKeyWriter {
    private func item(_ item: Bytes) throws(StorageError) {
        let isPlain = writer.version >= 10 && item.count > RDBKeyWriter.longItem
        let isFull =
            pack.byteCount + Listpack.entrySize(of: item) > nodeLimits.bytes || pack.count >= nodeLimits.count
        if counter != nil && (isSpilled || isPlain || isFull && !pack.isEmpty) { return try countedItem(item) }
        if !pack.isEmpty && (isPlain || isFull) { try writeNode() }
        if isPlain {
            if hole == nil { try spill(writer.listKind) }
            writer.plainNode(item)
            count += 1
        } else {
            pack.append(item)
        }
    }

    /// How many nodes there will be is not known: the list is written item by item, as servers before 3.2 did and all read.
    private func countedItem(_ item: Bytes) throws(StorageError) {
        if !isSpilled {
            try spill(.list)
            writer.elements(of: pack)
            count = pack.count
            pack.removeAll()
        }
        writer.string(item)
        count += 1
    }

    private func writeLastNode() throws(StorageError) {
        if counter == nil { return try writeNode() }
        // The only one.
        try open(writer.listKind, key.bytes, database, expiresMs)
        writer.length(1)
        writer.node(pack)
        pack.removeAll()
        count = 1
        announced = 1
    }

    private func writeNode() throws(StorageError) {
        // The only node of a list that ends here would need no hole, but a byte or four is all it costs.
        if hole == nil { try spill(writer.listKind) }
        writer.node(pack)
        pack.removeAll()
        count += 1
    }
}

// MARK: - Hashes, sets, sorted sets

extension RDBKeyWriter {
    private func element(
        _ first: Bytes, _ second: Bytes, _ score: Double, _ expiry: Int64
    ) throws(StorageError) {
        count += 1
        if expiry != 0 && !writer.hasFieldExpiries { try dropFieldExpiry() }
        if !isSpilled {
            if fits(first, second, score) {
                pack.append(first)
                switch type {
                case .hash:
                    pack.append(second)
                    if earliest != nil { expiries.append(expiry) }
                case .zset: scores.append(score)
                case .set, .string, .list, .stream: break
                }
                return
            }
            try spillGathered()
        }
        writeLarge(first, second, score, expiry)
    }

    /// Whether the collection may still be small with this element, which is counted.
    private func fits(_ first: Bytes, _ second: Bytes, _ score: Double) -> Bool {
        let limits = options.limits
        longest = max(longest, first.count, second.count)
        switch type {
        case .hash: return limits.keepsSmall(hash: count, longest: longest)
        case .set:
            if isAllIntegers && first.integer == nil { isAllIntegers = false }
            return (isAllIntegers && limits.keepsIntset(count)) || limits.keepsSmall(set: count, longest: longest)
        // A server that reads -0 from a listpack keeps it, and turns it to 0 when it makes one of binary scores.
        case .zset: return limits.keepsSmall(zset: count, longest: longest)
        case .string, .list, .stream: return false
        }
    }

    private func writeLarge(_ first: Bytes, _ second: Bytes, _ score: Double, _ expiry: Int64) {
        if type == .hash { return field(first, second, expiry) }
        writer.string(first)
        switch type {
        case .hash: break
        case .zset: writer.score(score)
        case .set, .string, .list, .stream: break
        }
    }

    /// Of a large hash, with its expiry (0: none) where the hash has any, which Redis puts before the field and Valkey behind the
    /// value.
    private func field(_ field: Bytes, _ value: Bytes, _ expiry: Int64) {
        if let earliest, !writer.isValkey { writer.ttl(expiry == 0 ? nil : expiry, earliest) }
        writer.string(field)
        writer.string(value)
        if earliest != nil && writer.isValkey { writer.output.append(littleEndian: expiry == 0 ? -1 : expiry) }
    }

    private var largeKind: RDBFormat.Kind {
        switch type {
        case .hash: earliest == nil ? .hash : writer.expiringHashKind
        case .zset: .zset2
        case .set: .set
        case .list: writer.listKind
        case .string: .string
        case .stream: writer.streamKind
        }
    }

    /// The collection is not small: what was gathered goes to the file.
    private func spillGathered(exactly count: Int? = nil) throws(StorageError) {
        try spill(largeKind, exactly: count)
        var index = 0
        var offset = pack.first
        while let here = offset {
            let first = pack.value(at: here, scratch: scratch)
            var next = pack.next(here)
            if type == .hash, let at = next {
                // A number is rendered in the one scratch: the field is kept beside it.
                spilled.removeAll(keepingAtMost: 1 << 20)
                spilled.append(first)
                field(spilled.bytes, pack.value(at: at, scratch: scratch), earliest == nil ? 0 : expiries[index])
                next = pack.next(at)
            } else {
                writeLarge(first, Bytes(), type == .zset ? scores[index] : 0, 0)
            }
            index += 1
            offset = next
        }
        clearPack()
    }

    private func writeSmall() throws(StorageError) {
        let key = key.bytes
        switch type {
        case .hash where expiries.contains { $0 != 0 } && writer.isValkey: try spillGathered(exactly: count)
        case .hash where expiries.contains { $0 != 0 }:
            try open(.hashListpackEx, key, database, expiresMs)
            writer.output.append(littleEndian: expiries.reduce(.max) { $1 == 0 ? $0 : min($0, $1) })
            withSorted(every: 2, by: { expiryOrder($0) < expiryOrder($1) }) { writer.flat($0) }
        case .hash:
            try open(writer.smallHashKind, key, database, expiresMs)
            writer.flat(pack)
        case .zset:
            try open(writer.smallZSetKind, key, database, expiresMs)
            withSorted(every: 1, by: { scores[$0] < scores[$1] }) { writer.flat($0) }
        case .set where isAllIntegers && count <= options.limits.setMaxIntsetEntries:
            try open(.setIntset, key, database, expiresMs)
            writeIntset()
        case .set, .string, .list, .stream:
            if let kind = writer.smallSetKind {
                try open(kind, key, database, expiresMs)
                writer.flat(pack)
            } else {
                try open(.set, key, database, expiresMs)
                writer.length(pack.count)
                writer.elements(of: pack)
            }
        }
    }

    private func writeIntset() {
        var set = Intset.allocate()
        var offset = pack.first
        while let here = offset {
            if let integer = pack.integer(at: here) { set.insert(integer) }
            offset = pack.next(here)
        }
        writer.string(set.bytes)
        set.free()
    }

    /// Fields that never expire come last.
    private func expiryOrder(_ index: Int) -> Int64 { expiries[index] == 0 ? .max : expiries[index] }

    /// Calls `body` with the elements in order, each followed by its expiry or score. Equal ones of a sorted set are
    /// ordered by member.
    private func withSorted(every step: Int, by isLess: (Int, Int) -> Bool, _ body: (Listpack) -> Void) {
        var offsets: [Int] = []
        var offset = pack.first
        while let here = offset {
            offsets.append(here)
            offset = step == 2 ? pack.next(here).flatMap { pack.next($0) } : pack.next(here)
        }
        let order = offsets.indices.sorted { a, b in
            if isLess(a, b) { return true }
            if isLess(b, a) || step == 2 { return false }
            return withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { other in
                pack.value(at: offsets[a], scratch: scratch)
                    .compare(pack.value(at: offsets[b], scratch: other.baseAddress.unsafelyUnwrapped)) < 0
            }
        }
        var sorted = Listpack.allocate()
        for index in order {
            sorted.append(pack.value(at: offsets[index], scratch: scratch))
            if step == 1 {
                sorted.append(formatDouble(scores[index], into: scratch))
            } else if let second = pack.next(offsets[index]) {
                sorted.append(pack.value(at: second, scratch: scratch))
                sorted.append(integer: expiries[index])
            }
        }
        body(sorted)
        sorted.free()
    }
}
