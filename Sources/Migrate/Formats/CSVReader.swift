import Storage

/// Reads what `CSVWriter` writes: rows of one key stand together. Memory: a row, and what a stream has besides entries.
struct CSVReader {
    private let input: ByteReader
    private let keys: CheckedKeys
    private let line = OutputBuffer()
    private let more = OutputBuffer()
    private let cells = (0..<CSVTable.columns).map { _ in OutputBuffer() }
    /// Of the collection in hand: its rows' first four cells.
    private let open = OutputBuffer()
    private let start = OutputBuffer()
    private var position: Int64 = 0
    private var outline: StreamOutline?

    init(_ input: ByteReader, into sink: any KeySink) {
        self.input = input
        keys = CheckedKeys(sink, file: input.name)
    }

    mutating func read() throws(StorageError) {
        keys.line = 1
        guard try input.line(into: line) else { throw keys.damage("the header is missing") }
        var header = line.bytes
        if header.count > 0, header[header.count - 1] == 13 { header = header[0..<header.count - 1] }
        guard header == Bytes(CSVTable.header) else {
            throw keys.damage("the header is not \(Bytes(CSVTable.header).string)")
        }
        var lines = 1
        while try readRow(&lines) { try take() }
        try close()
    }

    // MARK: - Rows

    /// Reads a row into `cells`; false at the end. `lines` counts what was read.
    private mutating func readRow(_ lines: inout Int) throws(StorageError) -> Bool {
        repeat {
            keys.line = lines + 1
            guard try input.line(into: line) else { return false }
            lines += 1
        } while line.count == 0 || line.bytes == Bytes("\r")
        var at = 0
        for column in 0..<CSVTable.columns {
            let cell = cells[column]
            cell.removeAll(keepingAtMost: 1 << 20)
            if at < line.count, line.bytes[at] == UInt8(ascii: "\"") {
                at = try quoted(at + 1, into: cell, &lines)
            } else {
                let from = at
                while at < line.count, line.bytes[at] != UInt8(ascii: ",") { at += 1 }
                let isLast = column == CSVTable.columns - 1 && at == line.count && at > from
                cell.append(line.bytes[from..<(isLast && line.bytes[at - 1] == 13 ? at - 1 : at)])
            }
            let isEnd = at == line.count || at + 1 == line.count && line.bytes[at] == 13
            if column == CSVTable.columns - 1 ? !isEnd : at >= line.count || line.bytes[at] != UInt8(ascii: ",") {
                throw keys.damage("the row does not have \(CSVTable.columns) columns")
            }
            at += 1
            if !PlainText.unmark(cell) { throw keys.damage("what follows `b64:` is no base64") }
        }
        return true
    }

    /// A cell from behind its quote on; returns what follows the closing one. May go on over several lines.
    private mutating func quoted(_ begin: Int, into cell: OutputBuffer, _ lines: inout Int) throws(StorageError) -> Int
    {
        var at = begin
        while true {
            let from = at
            while at < line.count, line.bytes[at] != UInt8(ascii: "\"") { at += 1 }
            cell.append(line.bytes[from..<at])
            if at == line.count {
                guard try input.line(into: line) else { throw keys.damage("a quoted cell has no end") }
                lines += 1
                cell.append(byte: 10)
                at = 0
            } else if at + 1 < line.count, line.bytes[at + 1] == UInt8(ascii: "\"") {
                cell.append(byte: UInt8(ascii: "\""))
                at += 2
            } else {
                return at + 1
            }
        }
    }

    // MARK: - Keys

    private mutating func take() throws(StorageError) {
        let type = cells[2].bytes
        if type == Bytes(CSVTable.function) {
            try close()
            return try keys.function(cells[1].bytes, cells[5].bytes)
        }
        guard let number = cells[0].bytes.integer, let database = Int32(exactly: number), database >= 0 else {
            throw keys.damage("db is no number of a database")
        }
        let expiresMs = try optional(cells[3].bytes, "expires_ms")
        let isState = type == Bytes(CSVTable.streamState)
        guard let valueType = isState ? .stream : ValueType.allCases.first(where: { Bytes($0.name) == type }) else {
            throw keys.damage("the type \(type.quoted) is not known")
        }
        start.removeAll(keepingAtMost: 1 << 20)
        for cell in cells[0..<2] {
            start.append(raw: UInt64(cell.count))
            start.append(cell.bytes)
        }
        start.append(byte: valueType.rawValue)
        if valueType == .string || keys.type == nil || start.bytes != open.bytes {
            try close()
            // What a CSV file does not say before: some field may expire.
            let key = VisitedKey(
                database: database, key: cells[1].bytes, expiresMs: expiresMs,
                earliestFieldExpiry: valueType == .hash ? 1 : nil)
            if valueType == .string { return try keys.string(key, cells[5].bytes) }
            try keys.begin(valueType, key)
            position = 0
            outline = nil
            open.removeAll(keepingAtMost: 1 << 20)
            open.append(start.bytes)
        }
        try takeElement(valueType, isState)
    }

    private mutating func takeElement(_ type: ValueType, _ isState: Bool) throws(StorageError) {
        let element = cells[4].bytes
        let value = cells[5].bytes
        switch type {
        case .string: break
        case .list:
            if element.integer != position { throw keys.damage("the list's position \(position) is expected here") }
            position += 1
            try keys.element(value)
        case .set: try keys.element(element)
        case .hash:
            try keys.pair(element, value, expiresMs: try optional(cells[6].bytes, "element_expires_ms"))
        case .zset:
            guard let score = value.double else { throw keys.damage("a score is not a number") }
            try keys.scored(element, score)
        case .stream:
            if outline != nil { throw keys.damage("a stream's row follows its stream-state") }
            var scanner = JSONScanner(value, file: input.name, at: input.offset)
            if isState {
                var outline = StreamOutline()
                try scanner.object { (name, scanner) throws(StorageError) in
                    if !(try outline.read(member: name, &scanner)) { try scanner.skip() }
                }
                self.outline = outline
                return
            }
            guard let id = StreamID(text: element) else { throw keys.damage("a stream's id is not MS-SEQ") }
            more.removeAll(keepingAtMost: 1 << 20)
            var count = 0
            try scanner.array { (scanner) throws(StorageError) in
                StreamFields.pack(try scanner.text(), into: more)
                count += 1
            }
            if count % 2 != 0 { throw keys.damage("an entry has a field without a value") }
            try keys.streamEntry(id, more.bytes)
        }
    }

    private func optional(_ cell: Bytes, _ column: String) throws(StorageError) -> Int64? {
        if cell.isEmpty { return nil }
        guard let value = cell.integer else { throw keys.damage("\(column) is no whole number") }
        return value
    }

    private mutating func close() throws(StorageError) {
        if keys.type == nil { return }
        if keys.type == .stream && outline == nil { throw keys.damage("a stream has no stream-state row") }
        try keys.end(outline)
        try keys.reached(input.offset, of: 0)
    }
}
