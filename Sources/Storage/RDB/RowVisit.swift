/// Tells a snapshot's rows to a visitor as an RDB file's reader does, and finds collections that are empty or hold an
/// element twice.
struct RowVisit<Visitor: KeyVisitor> {
    var visitor: Visitor
    private(set) var keys = 0
    private(set) var elements = 0
    private(set) var expired = 0

    /// How many rows are to come, for the visitor's `reached`.
    var allRows: Int64 = 0
    private var rows: Int64 = 0

    private let file: String
    private let dropExpiredAt: Int64?
    private var seen = ElementFilter()
    private let key = OutputBuffer()
    private var type = ValueType.list
    private var database: Int32 = 0
    private var expiresMs: Int64?
    private var isOpen = false
    private var isDropped = false
    private var hasRows = false
    private var hasBegun = false
    /// Of the stream in hand, until its entries have come: rows tell it before them.
    private var state: StreamState?
    private let fieldExpiries: FieldExpiries?
    private var earliestFieldExpiry: Int64?

    /// Leaves out keys and fields whose expiry is at or before `dropExpiredAt`, in ms since 1970. `file` is for messages. Without
    /// `fieldExpiries` the visitor is not told which hashes have fields that expire.
    init(file: String, dropExpiredAt: Int64?, fieldExpiries: FieldExpiries? = nil, visitor: Visitor) {
        self.fieldExpiries = fieldExpiries
        self.file = file
        self.dropExpiredAt = dropExpiredAt
        self.visitor = visitor
    }

    private func isDue(_ expiry: Int64?) -> Bool {
        guard let expiry, let dropExpiredAt else { return false }
        return expiry <= dropExpiredAt
    }

    /// Tells the rows of `batch`, as `SnapshotReader` delivers them: every owner directly before its elements.
    mutating func take(_ batch: RowBatch) throws(StorageError) {
        try batch.forEach { (row: Row) throws(StorageError) in
            switch row {
            case .string(_, let db, let key, let value, let expiresMs):
                try finish()
                if isDue(expiresMs) {
                    expired += 1
                } else {
                    keys += 1
                    try visitor.string(VisitedKey(database: db, key: key, expiresMs: expiresMs), value)
                }
            case .owner(let type, let owner, let db, let key, let expiresMs):
                try finish()
                isOpen = true
                hasRows = false
                hasBegun = false
                isDropped = isDue(expiresMs)
                self.type = type
                self.key.removeAll()
                self.key.append(key)
                database = db
                self.expiresMs = expiresMs
                earliestFieldExpiry = type == .hash ? try fieldExpiries?.earliest(of: owner) : nil
                seen.removeAll()
            case .stream(_, let row):
                // A stream may be empty.
                hasRows = true
                if isDropped { return }
                try begin()
                if case .state(let state) = row {
                    self.state = state
                } else {
                    try tellState()
                    try visitor.streamRow(row)
                }
            case .element(.stream, _, _, let first, let second, _, _):
                if isDropped { return }
                guard let id = StreamID(bytes: first) else {
                    throw StorageError(file: file, message: "a stream's entry has no id")
                }
                elements += 1
                try visitor.streamEntry(id, second)
            case .element(_, _, _, let first, let second, let score, let fieldExpiry):
                hasRows = true
                if type != .list && !seen.insert(first) {
                    throw StorageError(
                        file: file, message: "the \(type.name) \(key.bytes.quoted) holds \(first.quoted) twice")
                }
                if isDropped || isDue(fieldExpiry) { return }
                try begin()
                elements += 1
                switch type {
                case .hash: try visitor.pair(first, second, expiresMs: fieldExpiry)
                case .zset: try visitor.scored(first, score)
                case .list, .set, .string, .stream: try visitor.element(first)
                }
            case .removeString, .removeOwner, .removeElements, .flushAll, .flushDatabase, .swapDatabases:
                throw StorageError(file: file, message: "a snapshot holds rows only")
            }
        }
        rows += Int64(batch.count)
        try visitor.reached(rows, of: allRows)
    }

    private mutating func begin() throws(StorageError) {
        if hasBegun { return }
        hasBegun = true
        keys += 1
        let key = VisitedKey(
            database: database, key: key.bytes, expiresMs: expiresMs, earliestFieldExpiry: earliestFieldExpiry)
        try visitor.begin(type, key, sizeHint: 0)
    }

    private mutating func tellState() throws(StorageError) {
        guard let state else { return }
        self.state = nil
        try visitor.streamRow(.state(state))
    }

    /// Ends the last key. Call after the last batch.
    mutating func finish() throws(StorageError) {
        if !isOpen { return }
        isOpen = false
        if !hasRows {
            throw StorageError(file: file, message: "the \(type.name) \(key.bytes.quoted) has no elements")
        }
        if seen.hasRepeated {
            throw StorageError(file: file, message: "the \(type.name) \(key.bytes.quoted) holds an element twice")
        }
        if isDropped { expired += 1 }
        if hasBegun {
            try tellState()
            try visitor.end()
        }
    }
}
