/// Turns values into rows.
struct RowVisitor: KeyVisitor {
    let writer: any RowReceiver
    let source: String
    let progress: (@Sendable (RDBImporter.Progress) -> Bool)?
    private(set) var batch: RowBatch
    private var nextString: Int64 = 1
    private var nextOwner: [Int64] = [1, 1, 1, 1, 1]
    /// The collection in hand.
    private var type = ValueType.list
    private var owner: Int64 = 0
    private var slot: UInt32 = 0
    private var full = false
    private var keys = 0
    private(set) var digests = KeyDigests()
    private var gate = ProgressGate()

    init(
        writer: any RowReceiver, batch: RowBatch, source: String,
        progress: (@Sendable (RDBImporter.Progress) -> Bool)?
    ) {
        self.writer = writer
        self.batch = batch
        self.source = source
        self.progress = progress
    }

    mutating func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) {
        keys += 1
        digests.insert(key)
        batch.appendString(id: nextString, db: key.database, key: key.key, value: value, expiresMs: key.expiresMs)
        nextString += 1
        try flushIfLarge()
    }

    mutating func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError) {
        keys += 1
        digests.insert(key)
        self.type = type
        let index =
            switch type {
            case .list: 0
            case .set: 1
            case .zset: 2
            case .hash, .string: 3
            case .stream: 4
            }
        owner = nextOwner[index]
        guard owner < 1 << 31 else {
            throw StorageError(file: source, offset: nil, message: "holds more than 2^31 keys of one type")
        }
        nextOwner[index] += 1
        // Lists grow at both ends: their items start in the middle of the slots.
        slot = type == .list ? 1 << 31 : 0
        full = false
        batch.appendOwner(type: type, id: owner, db: key.database, key: key.key, expiresMs: key.expiresMs)
    }

    mutating func element(_ value: Bytes) throws(StorageError) {
        let slot = try takeSlot()
        if type == .list {
            batch.appendListItem(owner: owner, slot: slot, value)
        } else {
            batch.appendSetMember(owner: owner, slot: slot, value)
        }
        try flushIfLarge()
    }

    mutating func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        batch.appendHashField(owner: owner, slot: try takeSlot(), field, value, expiresMs: expiresMs)
        try flushIfLarge()
    }

    mutating func scored(_ member: Bytes, _ score: Double) throws(StorageError) {
        batch.appendZSetMember(owner: owner, slot: try takeSlot(), member, score: score)
        try flushIfLarge()
    }

    mutating func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) {
        batch.appendStreamEntry(owner: owner, slot: try takeSlot(), id: id, fields: fields)
        try flushIfLarge()
    }

    mutating func streamRow(_ row: StreamRow) throws(StorageError) {
        batch.appendStream(owner: owner, row)
        try flushIfLarge()
    }

    mutating func end() throws(StorageError) {}

    mutating func function(_ name: Bytes, _ code: Bytes) throws(StorageError) {
        writer.put(function: name, code)
    }

    mutating func reached(_ offset: Int64, of size: Int64) throws(StorageError) {
        guard let progress, gate.opens(at: offset, of: size) else { return }
        if !progress(RDBImporter.Progress(bytesRead: offset, fileSize: size, keys: keys)) {
            throw StorageError(file: source, offset: offset, message: "the import was interrupted; nothing was written")
        }
    }

    private mutating func takeSlot() throws(StorageError) -> UInt32 {
        guard !full else {
            throw StorageError(
                file: source, offset: nil, message: "a collection has more elements than a snapshot holds")
        }
        defer {
            full = slot == .max
            slot &+= 1
        }
        return slot
    }

    private mutating func flushIfLarge() throws(StorageError) {
        if batch.byteCount < RowBatch.targetSize { return }
        writer.write(batch)
        batch = try writer.next()
    }
}
