import Storage

/// The form of an answer.
enum AnswerFormat: Sendable {
    /// RESP2: an array of arrays, column names first. RESP3: an array of maps.
    case rows
    /// A bulk string with an array of objects.
    case json
    /// A bulk string with lines, names first.
    case csv

    /// `limit`: bytes of the answer.
    func encoder(limit: Int, resp3: Bool) -> any AnswerEncoder {
        let output = AnswerOutput(limit: limit, resp3: resp3)
        return switch self {
        case .rows: RowsAnswer(output)
        case .json: JSONAnswer(output)
        case .csv: CSVAnswer(output)
        }
    }
}

/// Makes a reply of the rows of a query.
protocol AnswerEncoder: QueryConsumer {
    /// The reply, once all rows were taken.
    func finish() -> [SharedChunk]
}

/// See `AnswerFormat.rows`.
final class RowsAnswer: AnswerEncoder {
    private let output: AnswerOutput
    private var names: [[UInt8]] = []
    private var rows = 0

    init(_ output: AnswerOutput) { self.output = output }

    func begin(columns: [String]) throws(QueryFailure) {
        names = columns.map { Array($0.utf8) }
        if output.reply.resp3 { return }
        output.reply.array(names.count)
        for name in names { try name.lend { (name) throws(QueryFailure) in try output.bulk(name) } }
    }

    func take(_ row: QueryRow) throws(QueryFailure) {
        rows += 1
        if output.reply.resp3 { output.reply.map(names.count) } else { output.reply.array(names.count) }
        for column in 0..<row.columnCount {
            if output.reply.resp3 {
                try names[column].lend { (name) throws(QueryFailure) in try output.bulk(name) }
            }
            switch row[column] {
            case .null: output.reply.null()
            case .integer(let value): output.reply.integer(value)
            case .real(let value): output.reply.double(value)
            case .text(let bytes), .blob(let bytes): try output.bulk(bytes)
            }
        }
        try output.flush()
    }

    func finish() -> [SharedChunk] {
        let count = output.reply.resp3 ? rows : rows + 1
        return output.finish { $0.reply.array(count) }
    }
}

/// What JSON and CSV share: text in one bulk string.
extension AnswerOutput {
    /// The text so far, as a bulk string.
    func finishText() -> [SharedChunk] {
        let length = count
        reply.output.appendLineEnd()
        return finish { $0.appendLength(length) }
    }

    /// A BLOB as SQL has it: X'FF01'.
    func appendBlob(_ bytes: Bytes) throws(QueryFailure) {
        reply.output.append("X'")
        for byte in bytes.buffer {
            reply.output.append(byte: Self.digits.utf8Start[Int(byte >> 4)])
            reply.output.append(byte: Self.digits.utf8Start[Int(byte & 15)])
            try flush()
        }
        reply.output.append(byte: UInt8(ascii: "'"))
    }
    private static let digits: StaticString = "0123456789ABCDEF"

    /// The shortest decimal form that reads back the same; what is infinite as SQLite's JSON has it.
    func appendNumber(_ value: Double) {
        reply.output.append(text: value.isFinite ? "\(value)" : value > 0 ? "9.0e+999" : "-9.0e+999")
    }
}

/// See `AnswerFormat.json`. Bytes that are no UTF-8 become U+FFFD, BLOBs text as SQL has it.
final class JSONAnswer: AnswerEncoder {
    private let output: AnswerOutput
    private var buffer: OutputBuffer { output.reply.output }
    private var names: [[UInt8]] = []
    private var hasRows = false

    init(_ output: AnswerOutput) { self.output = output }

    func begin(columns: [String]) throws(QueryFailure) {
        names = columns.map { Array($0.utf8) }
        buffer.append(byte: UInt8(ascii: "["))
    }

    func take(_ row: QueryRow) throws(QueryFailure) {
        buffer.append(hasRows ? ",\n{" : "{")
        hasRows = true
        for column in 0..<row.columnCount {
            if column > 0 { buffer.append(byte: UInt8(ascii: ",")) }
            try names[column].lend { (name) throws(QueryFailure) in try string(name) }
            buffer.append(byte: UInt8(ascii: ":"))
            switch row[column] {
            case .null: buffer.append("null")
            case .integer(let value): buffer.append(decimal: value)
            case .real(let value): output.appendNumber(value)
            case .text(let bytes): try string(bytes)
            case .blob(let bytes):
                buffer.append(byte: UInt8(ascii: "\""))
                try output.appendBlob(bytes)
                buffer.append(byte: UInt8(ascii: "\""))
            }
        }
        buffer.append(byte: UInt8(ascii: "}"))
        try output.flush()
    }

    func finish() -> [SharedChunk] {
        buffer.append(byte: UInt8(ascii: "]"))
        return output.finishText()
    }

    /// RFC 8259, 7.
    private func string(_ bytes: Bytes) throws(QueryFailure) {
        buffer.append(byte: UInt8(ascii: "\""))
        if bytes.isText {
            try escape(bytes)
        } else {
            // May hold a NUL, and what is no UTF-8 in spite of its type.
            try Array(bytes.string.utf8).lend { (text) throws(QueryFailure) in try escape(text) }
        }
        buffer.append(byte: UInt8(ascii: "\""))
    }

    private func escape(_ bytes: Bytes) throws(QueryFailure) {
        var start = 0
        for at in 0..<bytes.count {
            let byte = bytes[at]
            if byte >= 32 && byte != 34 && byte != 92 { continue }
            try output.append(bytes[start..<at])
            start = at + 1
            switch byte {
            case 34: buffer.append("\\\"")
            case 92: buffer.append("\\\\")
            case 10: buffer.append("\\n")
            case 13: buffer.append("\\r")
            case 9: buffer.append("\\t")
            default:
                buffer.append(byte < 16 ? "\\u000" : "\\u001")
                buffer.append(byte: byte & 15 < 10 ? 48 + byte & 15 : 87 + byte & 15)
            }
            try output.flush()
        }
        try output.append(bytes[start..<bytes.count])
    }
}

/// See `AnswerFormat.csv`, as RFC 4180 has it: NULL is an empty field, empty text a quoted one; BLOBs are text as SQL has it.
final class CSVAnswer: AnswerEncoder {
    private let output: AnswerOutput
    private var buffer: OutputBuffer { output.reply.output }

    init(_ output: AnswerOutput) { self.output = output }

    func begin(columns: [String]) throws(QueryFailure) {
        for (index, name) in columns.enumerated() {
            if index > 0 { buffer.append(byte: UInt8(ascii: ",")) }
            try Array(name.utf8).lend { (name) throws(QueryFailure) in try field(name) }
        }
        buffer.appendLineEnd()
    }

    func take(_ row: QueryRow) throws(QueryFailure) {
        for column in 0..<row.columnCount {
            if column > 0 { buffer.append(byte: UInt8(ascii: ",")) }
            switch row[column] {
            case .null: break
            case .integer(let value): buffer.append(decimal: value)
            case .real(let value): output.appendNumber(value)
            case .text(let bytes): try field(bytes)
            case .blob(let bytes): try output.appendBlob(bytes)
            }
        }
        buffer.appendLineEnd()
        try output.flush()
    }

    func finish() -> [SharedChunk] { output.finishText() }

    private func field(_ bytes: Bytes) throws(QueryFailure) {
        let isPlain =
            !bytes.isEmpty && bytes.buffer.allSatisfy { $0 != 34 && $0 != 44 && $0 != 13 && $0 != 10 }
        if isPlain { return try output.append(bytes) }
        buffer.append(byte: UInt8(ascii: "\""))
        var start = 0
        for at in 0..<bytes.count where bytes[at] == 34 {
            try output.append(bytes[start..<at + 1])
            buffer.append(byte: UInt8(ascii: "\""))
            start = at + 1
        }
        try output.append(bytes[start..<bytes.count])
        buffer.append(byte: UInt8(ascii: "\""))
    }
}
