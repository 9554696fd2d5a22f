import Storage

/// Checks what a text format says before a sink hears of it: elements that come twice, entries out of order, collections without
/// elements. Errors name the key, and the line that the reader gives.
final class CheckedKeys {
    private var sink: any KeySink
    private let file: String
    var line = 0
    private(set) var type: ValueType?
    private var seen = ElementFilter()
    private let key = OutputBuffer()
    private var count = 0
    private var lastID: StreamID?

    init(_ sink: any KeySink, file: String) {
        self.sink = sink
        self.file = file
    }

    func damage(_ message: String) -> StorageError { StorageError(file: file, message: "line \(line): \(message)") }
    private func keyDamage(_ message: String) -> StorageError { damage("key \(key.bytes.quoted): \(message)") }

    /// For lines that hold no key, and for numbers of lines.
    func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) { try sink.string(key, value) }
    func function(_ name: Bytes, _ code: Bytes) throws(StorageError) {
        guard FunctionLibrary.name(in: code) == name else {
            throw damage("the code of the library \(name.quoted) does not begin with #!engine name=\(name.string)")
        }
        try sink.function(name, code)
    }
    func reached(_ offset: Int64, of size: Int64) throws(StorageError) { try sink.reached(offset, of: size) }

    func begin(_ type: ValueType, _ key: VisitedKey) throws(StorageError) {
        self.type = type
        self.key.removeAll(keepingAtMost: 1 << 20)
        self.key.append(key.key)
        seen.removeAll()
        count = 0
        lastID = nil
        try sink.begin(type, key, sizeHint: 0)
    }
    func element(_ value: Bytes) throws(StorageError) {
        count += 1
        if type == .set { try unique(value) }
        try sink.element(value)
    }
    func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        count += 1
        try unique(field)
        if let expiresMs, expiresMs <= 0 { throw keyDamage("a field's expiry is no time") }
        try sink.pair(field, value, expiresMs: expiresMs)
    }
    func scored(_ member: Bytes, _ score: Double) throws(StorageError) {
        count += 1
        try unique(member)
        try sink.scored(member, score)
    }
    func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) {
        count += 1
        if let lastID, id <= lastID { throw keyDamage("an entry's id is not above the one before") }
        if id == .zero { throw keyDamage("an entry has the id 0-0") }
        lastID = id
        try sink.streamEntry(id, fields)
    }

    /// Ends the collection; of a stream with what it has besides its entries.
    func end(_ outline: StreamOutline?) throws(StorageError) {
        if type == .stream {
            let outline = outline ?? StreamOutline()
            try check(outline)
            try outline.tell(sink)
        } else if count == 0 {
            throw keyDamage("is empty, and no server has an empty collection")
        }
        type = nil
        if seen.hasRepeated { throw keyDamage("an element comes twice") }
        try sink.end()
    }

    private func check(_ outline: StreamOutline) throws(StorageError) {
        if let lastID, outline.state.lastID < lastID { throw keyDamage("the stream's last id is below an entry's") }
        if outline.state.entriesAdded < 0 { throw keyDamage("entries_added is negative") }
        var names = DuplicateFilter()
        for group in outline.groups {
            if !group.name.lend({ names.insert($0) }) { throw keyDamage("a group comes twice") }
            if let read = group.entriesRead, read < 0 { throw keyDamage("entries_read is negative") }
            var consumers = DuplicateFilter()
            var pending: Set<StreamID> = []
            for consumer in group.consumers {
                if !consumer.name.lend({ consumers.insert($0) }) { throw keyDamage("a consumer comes twice") }
                for entry in consumer.pending {
                    if !pending.insert(entry.id).inserted || entry.deliveries < 0 {
                        throw keyDamage("an entry is pending twice, or was delivered a negative number of times")
                    }
                }
            }
        }
    }

    private func unique(_ element: Bytes) throws(StorageError) {
        if !seen.insert(element) { throw keyDamage("\(element.quoted) comes twice") }
    }
}
