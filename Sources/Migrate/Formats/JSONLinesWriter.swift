import Storage

/// Writes a key a line as JSON. docs/migrating.md describes the form.
final class JSONLinesWriter: KeyVisitor {
    private let out: Output
    private let line = OutputBuffer()
    private var type = ValueType.string
    private var isFirst = true
    /// Members `field_expires_ms` of the hash in hand.
    private let expiries = OutputBuffer()
    private var outline = StreamOutline()
    private var pairs: [Bytes] = []

    init(_ out: Output) { self.out = out }

    func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) {
        open(.string, key)
        line.append(json: value)
        try close()
    }

    func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) throws(StorageError) {
        self.type = type
        isFirst = true
        expiries.removeAll(keepingAtMost: 1 << 20)
        if type == .stream { outline = StreamOutline() }
        open(type, key)
        switch type {
        case .list, .set, .stream: line.append("[")
        case .hash, .zset: line.append("{")
        case .string: break
        }
    }

    func element(_ value: Bytes) throws(StorageError) {
        separate()
        line.append(json: value)
        try flushIfLong()
    }
    func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        separate()
        line.append(json: field)
        line.append(":")
        line.append(json: value)
        if let expiresMs {
            expiries.append(expiries.count == 0 ? ",\"field_expires_ms\":{" : ",")
            expiries.append(json: field)
            expiries.append(":")
            expiries.append(decimal: expiresMs)
        }
        try flushIfLong()
    }
    func scored(_ member: Bytes, _ score: Double) throws(StorageError) {
        separate()
        line.append(json: member)
        line.append(":")
        line.append(jsonScore: score)
        try flushIfLong()
    }
    func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) {
        guard StreamFields.unpack(fields, into: &pairs) else { return }
        separate()
        line.append("[")
        line.append(jsonID: id)
        line.append(",")
        line.append(jsonArray: pairs)
        line.append("]")
        try flushIfLong()
    }
    func streamRow(_ row: StreamRow) throws(StorageError) {
        if !outline.add(row) {
            throw StorageError(file: "the stream", message: "a row belongs to a group or consumer that is not there")
        }
    }

    func end() throws(StorageError) {
        switch type {
        case .list, .set: line.append("]")
        case .zset: line.append("}")
        case .hash:
            line.append("}")
            if expiries.count > 0 {
                line.append(expiries.bytes)
                line.append("}")
            }
        case .stream:
            line.append("],")
            outline.append(jsonMembersTo: line)
        case .string: break
        }
        try close()
    }

    func function(_ name: Bytes, _ code: Bytes) throws(StorageError) {
        line.append("{\"type\":\"function\",\"name\":")
        line.append(json: name)
        line.append(",\"code\":")
        line.append(json: code)
        try close()
    }

    /// Up to the value.
    private func open(_ type: ValueType, _ key: VisitedKey) {
        line.append("{\"db\":")
        line.append(decimal: Int64(key.database))
        line.append(",\"key\":")
        line.append(json: key.key)
        line.append(",\"type\":\"")
        line.append(type.name)
        if let expiresMs = key.expiresMs {
            line.append("\",\"expires_ms\":")
            line.append(decimal: expiresMs)
            line.append(",\"value\":")
        } else {
            line.append("\",\"value\":")
        }
    }
    private func separate() {
        if !isFirst { line.append(",") }
        isFirst = false
    }
    private func close() throws(StorageError) {
        line.append("}\n")
        try flush()
    }
    private func flushIfLong() throws(StorageError) { if line.count > 64 << 10 { try flush() } }
    private func flush() throws(StorageError) {
        try out.write(line.bytes)
        line.removeAll(keepingAtMost: 1 << 20)
    }
}

extension OutputBuffer {
    func append(jsonArray texts: [Bytes]) {
        append("[")
        for (index, text) in texts.enumerated() {
            if index > 0 { append(",") }
            append(json: text)
        }
        append("]")
    }
}
