/// Gives a store the keys of one side that are not equal, with what they hold.
final class PartSink: KeyVisitor {
    private let store: ComparisonStore
    private let side: ComparisonStore.Side
    private let table: DigestTable
    private let nameSeed: UInt64
    // The key in hand.
    private let name = OutputBuffer()
    private var type = ValueType.string
    private var database: Int32 = 0
    private var expiresMs: Int64?
    private var size = 0
    /// 0: it is equal.
    private var id: Int64 = 0
    /// It is on the other side, too.
    private var isCompared = false
    /// Names of groups and consumers, by slot.
    private var groups: [UInt32: [UInt8]] = [:]
    private var consumers: [UInt32: [UInt8]] = [:]
    private let text = OutputBuffer()

    init(
        _ store: ComparisonStore, _ side: ComparisonStore.Side, _ table: DigestTable, nameSeed: UInt64
    ) {
        self.store = store
        self.side = side
        self.table = table
        self.nameSeed = nameSeed
    }

    private func open(_ type: ValueType, _ key: VisitedKey) throws(StorageError) {
        id = 0
        let state = table.state(of: KeyDigester.name(key, seed: nameSeed))
        if state == .equal { return }
        isCompared = state == .changed
        id = try store.id(side, key.database, key.key)
        name.removeAll()
        name.append(key.key)
        self.type = type
        database = key.database
        expiresMs = key.expiresMs
        size = 0
        groups.removeAll(keepingCapacity: true)
        consumers.removeAll(keepingCapacity: true)
    }

    private func add(_ kind: ChangedPart.Kind, _ name: Bytes, _ value: Bytes) throws(StorageError) {
        if id != 0 && isCompared { try store.add(side, id, kind, name, value) }
    }
    private func add(_ kind: ChangedPart.Kind, _ name: [UInt8], _ value: String) throws(StorageError) {
        if id == 0 || !isCompared { return }
        text.removeAll()
        text.append(text: value)
        try name.lend { (name) throws(StorageError) in try add(kind, name, text.bytes) }
    }

    func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) {
        try open(.string, key)
        size = value.count
        try add(.value, Bytes(), value)
        try end()
    }
    func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError) { try open(type, key) }
    func element(_ value: Bytes) throws(StorageError) {
        defer { size += 1 }
        if type != .list { return try add(.member, value, Bytes()) }
        if id != 0 && isCompared { try store.add(side, id, item: size, value) }
    }
    func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        size += 1
        try add(.field, field, value)
        if let expiresMs { try add(.fieldExpiry, field.array, "\(expiresMs)") }
    }
    func scored(_ member: Bytes, _ score: Double) throws(StorageError) {
        size += 1
        if id != 0 && isCompared { try add(.score, member.array, "\(score)") }
    }
    func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) {
        size += 1
        if self.id == 0 || !isCompared { return }
        text.removeAll()
        id.withBytes { text.append($0) }
        try add(.entry, text.bytes, fields)
    }
    func streamRow(_ row: StreamRow) throws(StorageError) {
        if id == 0 || !isCompared { return }
        func named(_ text: String) -> [UInt8] { Array(text.utf8) }
        switch row {
        case .state(let state):
            try add(.state, named("last id"), state.lastID.described)
            try add(.state, named("greatest deleted id"), state.maxDeletedID.described)
            try add(.state, named("entries added"), "\(state.entriesAdded)")
        case .group(let slot, let name, let lastID, let entriesRead):
            groups[slot] = name.array
            try add(.group, name.array, "last id \(lastID.described), read \(entriesRead.map { "\($0)" } ?? "unknown")")
        case .consumer(let slot, let group, let name, let seenMs, _):
            consumers[slot] = name.array
            try add(.consumer, (groups[group] ?? []) + named("/") + name.array, "seen \(seenMs)")
        case .pending(_, let group, let consumer, let id, let deliveredMs, let deliveries):
            let owner = (consumers[consumer] ?? []).lend { $0.quoted }
            try add(
                .pending, (groups[group] ?? []) + named("/" + id.described),
                "consumer \(owner), delivered \(deliveredMs), \(deliveries) times")
        case .remove: break
        }
    }
    func end() throws(StorageError) {
        if id == 0 { return }
        let what = ChangedKey.Side(type: type, size: size, expiresMs: expiresMs)
        try store.add(side, id, database, name.bytes, what)
        id = 0
    }
}

extension StreamID {
    fileprivate var described: String { "\(ms)-\(seq)" }
}
