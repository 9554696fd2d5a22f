import Storage

/// Reads what `JSONLinesWriter` writes, its members in any order. Memory: a line.
struct JSONLinesReader {
    private let input: ByteReader
    private let keys: CheckedKeys
    private let line = OutputBuffer()
    /// Of the line's first byte.
    private var start: Int64 = 0

    init(_ input: ByteReader, into sink: any KeySink) {
        self.input = input
        keys = CheckedKeys(sink, file: input.name)
    }

    /// Where the values of a line's members stand.
    private struct Members {
        var key: [UInt8]?
        var database: Int64 = 0
        var type = ""
        var expiresMs: Int64?
        var value: Int?
        var name: Int?
        var code: Int?
        var fieldExpiries: Int?
        var outline = StreamOutline()
    }

    mutating func read() throws(StorageError) {
        start = input.offset
        while try input.line(into: line) {
            keys.line += 1
            if !line.bytes.buffer.allSatisfy({ $0 == 32 || $0 == 13 || $0 == 9 }) { try readLine() }
            start = input.offset
            try keys.reached(start, of: 0)
        }
    }

    private func scanner(at position: Int) -> JSONScanner {
        JSONScanner(line.bytes, file: input.name, at: start, from: position)
    }

    private func readLine() throws(StorageError) {
        var scanner = scanner(at: 0)
        var members = Members()
        try scanner.object { (name, scanner) throws(StorageError) in
            switch name {
            case "key": members.key = try scanner.text().array
            case "db": members.database = try scanner.integer()
            case "type": members.type = try scanner.text().string
            case "expires_ms": members.expiresMs = try scanner.optionalInteger()
            case "value": members.value = try Self.pass(&scanner)
            case "name": members.name = try Self.pass(&scanner)
            case "code": members.code = try Self.pass(&scanner)
            case "field_expires_ms": members.fieldExpiries = try Self.pass(&scanner)
            default: if !(try members.outline.read(member: name, &scanner)) { try scanner.skip() }
            }
        }
        try scanner.expectEnd()
        if members.type == "function" { return try function(members) }
        guard let key = members.key else { throw keys.damage("there is no \"key\"") }
        guard let type = ValueType.allCases.first(where: { "\($0.name)" == members.type }) else {
            throw keys.damage("\"type\" is none of string, list, set, zset, hash, stream and function")
        }
        guard let database = Int32(exactly: members.database), database >= 0 else {
            throw keys.damage("\"db\" is out of range")
        }
        guard let value = members.value else { throw keys.damage("there is no \"value\"") }
        try key.lend { (name) throws(StorageError) in
            try read(type, VisitedKey(database: database, key: name, expiresMs: members.expiresMs), value, members)
        }
    }

    private static func pass(_ scanner: inout JSONScanner) throws(StorageError) -> Int {
        let position = scanner.position
        try scanner.skip()
        return position
    }

    private func function(_ members: Members) throws(StorageError) {
        guard let name = members.name, let code = members.code else {
            throw keys.damage("a function has no \"name\" or no \"code\"")
        }
        var first = scanner(at: name)
        var second = scanner(at: code)
        try keys.function(try first.text(), try second.text())
    }

    private func read(
        _ type: ValueType, _ key: VisitedKey, _ position: Int, _ members: Members
    ) throws(StorageError) {
        var scanner = scanner(at: position)
        if type == .string { return try keys.string(key, try scanner.text()) }
        let expiries = try fieldExpiries(members.fieldExpiries)
        var key = key
        if type == .hash { key.earliestFieldExpiry = expiries.values.min() }
        try keys.begin(type, key)
        switch type {
        case .string: break
        case .list, .set:
            try scanner.array { (scanner) throws(StorageError) in try keys.element(try scanner.text()) }
        case .hash:
            try scanner.object(bytes: { (field, scanner) throws(StorageError) in
                let expiresMs = expiries.isEmpty ? nil : expiries[field]
                try field.lend { (name) throws(StorageError) in
                    try keys.pair(name, try scanner.text(), expiresMs: expiresMs)
                }
            })
        case .zset:
            try scanner.object(bytes: { (member, scanner) throws(StorageError) in
                let score = try scanner.score()
                try member.lend { (name) throws(StorageError) in try keys.scored(name, score) }
            })
        case .stream: try entries(&scanner)
        }
        try keys.end(type == .stream ? members.outline : nil)
    }

    private func fieldExpiries(_ position: Int?) throws(StorageError) -> [[UInt8]: Int64] {
        guard let position else { return [:] }
        var scanner = scanner(at: position)
        var found: [[UInt8]: Int64] = [:]
        try scanner.object(bytes: { (field, scanner) throws(StorageError) in found[field] = try scanner.integer() })
        return found
    }

    private func entries(_ scanner: inout JSONScanner) throws(StorageError) {
        let fields = OutputBuffer()
        try scanner.array { (scanner) throws(StorageError) in
            var id: StreamID?
            var isWhole = false
            fields.removeAll(keepingAtMost: 1 << 20)
            try scanner.array { (scanner) throws(StorageError) in
                if id == nil {
                    id = try scanner.streamID()
                    return
                }
                var count = 0
                try scanner.array { (scanner) throws(StorageError) in
                    StreamFields.pack(try scanner.text(), into: fields)
                    count += 1
                }
                isWhole = !isWhole && count % 2 == 0
            }
            guard let id, isWhole else { throw scanner.damage("an entry is not [id, [field, value, ...]]") }
            try keys.streamEntry(id, fields.bytes)
        }
    }
}
