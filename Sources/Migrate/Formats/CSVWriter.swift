import Storage

/// The table that CSV files hold. docs/migrating.md describes it.
enum CSVTable {
    static let header: StaticString = "db,key,type,expires_ms,element,value,element_expires_ms"
    static let columns = 7
    /// The type of the row that says what a stream has besides its entries.
    static let streamState: StaticString = "stream-state"
    static let function: StaticString = "function"
}

/// Writes an element a row as CSV: https://www.rfc-editor.org/rfc/rfc4180, lines end with LF.
final class CSVWriter: KeyVisitor {
    private let out: Output
    private let row = OutputBuffer()
    /// The columns that each row of the key in hand begins with.
    private let start = OutputBuffer()
    private let key = OutputBuffer()
    private var expiresMs: Int64?
    private var database: Int32 = 0
    private var type = ValueType.string
    private var position: Int64 = 0
    private var outline = StreamOutline()
    private var pairs: [Bytes] = []
    private let text = OutputBuffer()

    init(_ out: Output) throws(StorageError) {
        self.out = out
        try out.write(Bytes(CSVTable.header))
        try out.write(Bytes("\n"))
    }

    func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) {
        begin(.string, key, sizeHint: 0)
        try write(Bytes(), value)
    }
    func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) {
        self.type = type
        self.key.removeAll(keepingAtMost: 1 << 20)
        self.key.append(key.key)
        database = key.database
        expiresMs = key.expiresMs
        position = 0
        if type == .stream { outline = StreamOutline() }
        makeStart(Bytes(type.name))
    }
    private func makeStart(_ type: Bytes) {
        start.removeAll(keepingAtMost: 1 << 20)
        start.append(decimal: Int64(database))
        start.append(",")
        start.append(csv: key.bytes)
        start.append(",")
        start.append(type)
        start.append(",")
        if let expiresMs { start.append(decimal: expiresMs) }
        start.append(",")
    }

    func element(_ value: Bytes) throws(StorageError) {
        if type == .set { return try write(value, Bytes()) }
        text.removeAll()
        text.append(decimal: position)
        position += 1
        try write(text.bytes, value)
    }
    func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        try write(field, value, expiresMs)
    }
    func scored(_ member: Bytes, _ score: Double) throws(StorageError) {
        text.removeAll()
        text.append(score: score)
        try write(member, text.bytes)
    }
    func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) {
        guard StreamFields.unpack(fields, into: &pairs) else { return }
        row.append(start.bytes)
        row.append(id: id)
        row.append(",")
        text.removeAll(keepingAtMost: 1 << 20)
        text.append(jsonArray: pairs)
        row.append(quoted: text.bytes)
        row.append(",\n")
        try flush()
    }
    func streamRow(_ row: StreamRow) throws(StorageError) {
        if !outline.add(row) {
            throw StorageError(file: "the stream", message: "a row belongs to a group or consumer that is not there")
        }
    }
    func end() throws(StorageError) {
        if type != .stream { return }
        makeStart(Bytes(CSVTable.streamState))
        row.append(start.bytes)
        row.append(",")
        text.removeAll(keepingAtMost: 1 << 20)
        text.append("{")
        outline.append(jsonMembersTo: text)
        text.append("}")
        row.append(quoted: text.bytes)
        row.append(",\n")
        try flush()
    }
    func function(_ name: Bytes, _ code: Bytes) throws(StorageError) {
        row.append("0,")
        row.append(csv: name)
        row.append(",")
        row.append(CSVTable.function)
        row.append(",,,")
        row.append(csv: code)
        row.append(",\n")
        try flush()
    }

    private func write(_ element: Bytes, _ value: Bytes, _ expiresMs: Int64? = nil) throws(StorageError) {
        row.append(start.bytes)
        row.append(csv: element)
        row.append(",")
        row.append(csv: value)
        row.append(",")
        if let expiresMs { row.append(decimal: expiresMs) }
        row.append("\n")
        try flush()
    }
    private func flush() throws(StorageError) {
        try out.write(row.bytes)
        row.removeAll(keepingAtMost: 1 << 20)
    }
}

extension OutputBuffer {
    /// Appends a cell: the text, or `b64:` and base64 of what is none.
    fileprivate func append(csv bytes: Bytes) {
        if !PlainText.isPlain(bytes) { return PlainText.appendMarked(bytes, to: self) }
        let special = Bytes(",\"\r\n")
        if bytes.buffer.contains(where: { special.buffer.contains($0) }) { return append(quoted: bytes) }
        append(bytes)
    }
    /// Appends a cell of plain text in quotes.
    fileprivate func append(quoted bytes: Bytes) {
        append("\"")
        var from = 0
        for i in 0..<bytes.count where bytes[i] == UInt8(ascii: "\"") {
            append(bytes[from..<i + 1])
            append("\"")
            from = i + 1
        }
        append(bytes[from..<bytes.count])
        append("\"")
    }
}
