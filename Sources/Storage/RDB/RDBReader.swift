/// Reads an RDB file of Redis or Valkey and tells a visitor what is in it, a key after the other. Memory is bounded by
/// the largest string or compact collection in the file (large collections are reported as they are read). Nothing in
/// the file is trusted: every damage is a `StorageError` that says where.
///
/// This file reads records, `RDBReader+Values.swift` what a key holds, `RDBReader+Skipping.swift` what is not kept.
public final class RDBReader<Visitor: KeyVisitor> {
    public var visitor: Visitor
    public internal(set) var summary = RDBSummary()
    let options: RDBOptions
    let input: RDBInput

    // What the record in hand says so far.
    var database: Int32 = 0
    var expiresMs: Int64?
    /// Of the hash in hand; nil where no field can expire.
    var earliestFieldExpiry: Int64?
    var keyOffset: Int64 = 0
    let key = OutputBuffer()
    /// The value in hand is read and not reported: it has expired.
    var dropped = false
    /// `begin` was called for the collection in hand.
    var began = false
    var seen = ElementFilter()
    /// Valkey 9 and newer: some types are others.
    var isValkey = false
    private var writtenBy: String?

    // Scratch, kept from key to key.
    let first = OutputBuffer()
    let second = OutputBuffer()
    let blob = OutputBuffer()
    let compressed = OutputBuffer()
    /// For integers of the flat forms, rendered.
    let digits = OutputBuffer(capacity: 24)
    /// What scratch may keep after a huge value.
    static var scratchLimit: Int { 1 << 20 }

    /// Throws when `path` cannot be opened or is no regular file.
    public init(
        path: String, options: RDBOptions = RDBOptions(), files: any FileSystem = Host.real.files, visitor: Visitor
    ) throws(StorageError) {
        self.visitor = visitor
        self.options = options
        input = try RDBInput(path: path, files)
        summary.fileSize = input.size
    }

    /// Reads what comes through `pipe`: memory is taken for what has arrived, and for what that stands for. Whoever ends before
    /// the pipe does closes it.
    public init(pipe: any ByteSource, options: RDBOptions = RDBOptions(), visitor: Visitor) throws(StorageError) {
        self.visitor = visitor
        self.options = options
        input = try RDBInput(pipe)
    }

    /// For `readPayload`. `payload` must outlive this object. `isValkey`: of a Valkey that numbers its types itself.
    init(payload: Bytes, isValkey: Bool, options: RDBOptions, visitor: Visitor) {
        self.isValkey = isValkey
        self.visitor = visitor
        self.options = options
        input = RDBInput(payload)
        summary.fileSize = input.size
    }

    /// Reads one value without its key, type first; what follows it is not looked at, as in redis-server. Throws for an
    /// empty collection, too.
    func readPayload(key name: Bytes, database number: Int32, expiresMs expiry: Int64?) throws(StorageError) {
        key.append(name)
        database = number
        expiresMs = expiry
        let code = try input.byte()
        guard let kind = RDBFormat.Kind(rawValue: code), unsupported(kind) == nil,
            !isValkey || code <= RDBFormat.newestValkeyKind
        else {
            throw input.damage("\(code) is no type of value that can be kept", at: 0)
        }
        guard try readValue(kind) else { throw damage("is empty") }
    }

    /// Reads libraries of functions up to the end; calls `body` with the code of each. False where something else comes.
    func readLibraries(_ body: (Bytes) -> Void) throws(StorageError) -> Bool {
        while input.remaining > 0 {
            guard RDBFormat.Opcode(rawValue: try input.byte()) == .function else { return false }
            try string(into: first)
            body(first.bytes)
        }
        return true
    }

    /// Reads the whole file. Throws `StorageError` for damage, for what is not supported, and what the visitor throws.
    /// O(file size).
    @discardableResult
    public func read() throws(StorageError) -> RDBSummary {
        try readHeader()
        while true {
            keyOffset = input.offset
            let code = try input.byte()
            switch RDBFormat.Opcode(rawValue: code) {
            case .end:
                try readEnd()
                return summary
            case .selectDatabase: try readDatabase()
            case .resize:
                _ = try length()
                _ = try length()
            case .slotInfo:
                for _ in 0..<3 { _ = try length() }
            case .expirySeconds: expiresMs = Int64(try input.fixed(Int32.self)) * 1000
            case .expiryMilliseconds:
                // -1 has always meant none.
                let expiry = try input.fixed(Int64.self)
                expiresMs = expiry == -1 ? nil : expiry
            case .idle: _ = try length()
            case .frequency: _ = try input.byte()
            case .auxiliary:
                try string(into: first)
                try string(into: second)
                if first.bytes == Bytes("redis-ver") { writtenBy = "Redis \(second.bytes.string)" }
                if first.bytes == Bytes("valkey-ver") { writtenBy = "Valkey \(second.bytes.string)" }
                noteReplication(first.bytes, second.bytes)
                try visitor.auxiliary(first.bytes, second.bytes)
            case .moduleAuxiliary: try skipModuleAuxiliary()
            case .function:
                try string(into: first)
                try readFunction()
            case .functionPreGA: try skipFunctions()
            case .slotImport: if isValkey { try skipSlotImport() } else { try readKey(code) }
            case nil: try readKey(code)
            }
        }
    }

    // MARK: - Records

    private func noteReplication(_ name: Bytes, _ value: Bytes) {
        if name == Bytes("repl-id"), value.isStreamID { summary.replicationID = value.string }
        if name == Bytes("repl-offset") { summary.replicationOffset = value.integer.flatMap { $0 < 0 ? nil : $0 } }
        if name == Bytes("repl-stream-db") {
            summary.streamDatabase = value.integer.flatMap { Int32(exactly: $0) }.flatMap { $0 < 0 ? nil : $0 }
        }
    }

    /// A cluster's slots on their way: the job's name, then ranges.
    private func skipSlotImport() throws(StorageError) {
        try skipString()
        var ranges = try elementCount(bytesEach: 2)
        while ranges > 0 {
            ranges -= 1
            _ = try length()
            _ = try length()
        }
    }

    private func readHeader() throws(StorageError) {
        guard input.remaining > 0 else { throw input.damage("is empty: no RDB file is") }
        let headerLength = RDBFormat.headerSize
        guard input.remaining >= headerLength else { throw input.cut("the header of an RDB file") }
        try input.bytes(UInt64(headerLength), into: first)
        let header = first.bytes
        let redis = Bytes(RDBFormat.magic)
        let valkey = Bytes(RDBFormat.valkeyMagic)
        isValkey = header[0..<valkey.count] == valkey
        if header[0] == UInt8(ascii: "*") {
            throw input.damage(
                "is an append-only file, not an RDB file: a server that starts beside it imports it", at: 0)
        }
        guard isValkey || header[0..<redis.count] == redis else {
            throw input.damage("is not an RDB file: it begins with neither \(redis.string) nor \(valkey.string)", at: 0)
        }
        let digits = isValkey ? valkey.count : redis.count
        var version = 0
        for i in digits..<headerLength {
            guard header[i] >= 48, header[i] <= 57 else {
                throw input.damage("is not an RDB file: its version is not a number", at: Int64(i))
            }
            version = version * 10 + Int(header[i] - 48)
        }
        // Newer ones have more types of records, and the same meaning of all others so far.
        guard version >= 1 else { throw input.damage("is of RDB version \(version)", at: Int64(digits)) }
        summary.version = version
    }

    /// A record that this reader does not know: a newer server's, or damage.
    private func unknown(_ code: UInt8) -> StorageError {
        let known = summary.version <= RDBFormat.newestVersion
        // Of a new type of value the key follows.
        let hasKey = !known && (try? string(into: key)) != nil
        let server = writtenBy.map { " by \($0)" } ?? ""
        return input.damage(
            known
                ? "\(code) is neither a type of value nor any other record"
                : "\(code)\(hasKey ? ", before \(keyName)," : "") is no record that this program knows: the file is of RDB version "
                    + "\(isValkey ? "Valkey " : "")\(summary.version)\(server), and versions up to "
                    + "\(RDBFormat.newestVersion) are known whole; a server of that kind can send the data with MIGRATE, "
                    + "or without what is new in it", at: keyOffset)
    }

    private func readEnd() throws(StorageError) {
        if summary.version >= RDBFormat.firstVersionWithChecksum {
            let computed = input.checksum()
            let stored = try input.fixed(UInt64.self)
            // 0: the server that wrote it was told not to compute one.
            if stored != 0 && stored != computed {
                throw input.damage(
                    """
                    the checksum at the end is \(String(stored, radix: 16)), that of the content \
                    \(String(computed, radix: 16)): the file is damaged somewhere
                    """, at: input.offset - 8)
            }
        }
        summary.endOffset = input.offset
        if input.knownSize == nil {
            if try input.isAtEnd() { return }
            throw input.damage("goes on behind the end of the RDB data")
        }
        // What a dump received from a master ends with, say, does no harm; commands would be lost.
        if input.remaining > 0, !options.allowTail, [42, 35].contains(try input.byte()) {
            throw input.damage(
                """
                \(input.remaining + 1) bytes of commands follow the end of the RDB data: this is an append-only file \
                that begins with an RDB; a server that starts beside it imports it
                """, at: summary.endOffset)
        }
    }

    private func readDatabase() throws(StorageError) {
        let offset = input.offset
        let number = try length()
        guard let database = Int32(exactly: number), database < options.databases else {
            throw input.damage("names database \(number), and there are \(options.databases)", at: offset)
        }
        self.database = database
    }

    private func readKey(_ code: UInt8) throws(StorageError) {
        guard let kind = RDBFormat.Kind(rawValue: code) else {
            throw unknown(code)
        }
        defer { expiresMs = nil }
        try string(into: key)
        if key.count > RowLimits.maximumName { throw tooLong("name") }
        if let reason = unsupported(kind) {
            try skip(kind, reason)
        } else {
            dropped = isDue(expiresMs)
            let reported = try readValue(kind)
            if !reported {
                summary.empty += 1
            } else if dropped {
                summary.expired += 1
            } else {
                summary.keys += 1
            }
        }
        for scratch in [key, first, second, blob, compressed] where scratch.capacity > Self.scratchLimit {
            scratch.removeAll(keepingAtMost: Self.scratchLimit)
        }
        try visitor.reached(input.offset, of: input.size)
    }

    /// The library whose code is in `first`.
    private func readFunction() throws(StorageError) {
        guard let name = FunctionLibrary.name(in: first.bytes) else {
            throw input.damage("a library of functions does not begin with #!engine name=...", at: keyOffset)
        }
        summary.functions += 1
        try visitor.function(name, first.bytes)
    }

    func isDue(_ expiry: Int64?) -> Bool {
        guard let expiry, let now = options.dropExpiredAt else { return false }
        return expiry <= now
    }

    /// For messages.
    var keyName: String { key.bytes.quoted }

    /// Damage within the key in hand.
    func damage(_ message: String, at offset: Int64? = nil) -> StorageError {
        input.damage("key \(keyName): \(message)", at: offset)
    }
}

// MARK: - Lengths and strings

extension RDBReader {
    enum Length {
        case plain(UInt64)
        /// A string in a form of its own: the six low bits.
        case encoded(UInt8)
    }

    func lengthOrEncoding() throws(StorageError) -> Length {
        let byte = try input.byte()
        switch byte >> 6 {
        case 0: return .plain(UInt64(byte & 63))
        case 1: return .plain(UInt64(byte & 63) << 8 | UInt64(try input.byte()))
        case 2:
            if byte == 0x80 { return .plain(UInt64(try input.fixed(UInt32.self).byteSwapped)) }
            if byte == 0x81 { return .plain(try input.fixed(UInt64.self).byteSwapped) }
            throw input.damage("\(byte) begins no length", at: input.offset - 1)
        default: return .encoded(byte & 63)
        }
    }

    func length() throws(StorageError) -> UInt64 {
        let offset = input.offset
        guard case .plain(let length) = try lengthOrEncoding() else {
            throw input.damage("an encoded string stands where a length should", at: offset)
        }
        return length
    }

    /// A number of elements, each of which takes at least `bytesEach` bytes in the file.
    func elementCount(bytesEach: UInt64) throws(StorageError) -> UInt64 {
        let offset = input.offset
        let count = try length()
        let (least, overflow) = count.multipliedReportingOverflow(by: bytesEach)
        guard !overflow, least <= UInt64(clamping: input.remaining) else {
            throw input.cut(
                "key \(keyName), which announces \(count) elements where \(input.remaining) bytes are left", at: offset)
        }
        return count
    }

    /// Replaces what `out` holds with the next string: raw, an integer, or compressed.
    func string(into out: OutputBuffer) throws(StorageError) {
        let offset = input.offset
        out.removeAll()
        switch try lengthOrEncoding() {
        case .plain(let count):
            guard count <= UInt64(clamping: options.longestString) else { throw tooLong(count, offset) }
            try input.bytes(count, into: out)
        case .encoded(0): out.append(decimal: Int64(try input.fixed(Int8.self)))
        case .encoded(1): out.append(decimal: Int64(try input.fixed(Int16.self)))
        case .encoded(2): out.append(decimal: Int64(try input.fixed(Int32.self)))
        case .encoded(3):
            let packed = try length()
            let unpacked = try length()
            // Against the file before LZF's bound is computed, so that neither length is believed.
            guard packed <= UInt64(clamping: min(input.remaining, Int64(options.longestString))),
                let count = Int(exactly: unpacked),
                count <= LZF.maximumLength(ofCompressed: Int(packed))
            else {
                throw input.damage("\(packed) compressed bytes cannot stand for \(unpacked)", at: offset)
            }
            guard count <= options.longestString else { throw tooLong(unpacked, offset) }
            compressed.removeAll()
            try input.bytes(packed, into: compressed)
            guard LZF.decompress(compressed.bytes, length: count, into: out) else {
                throw input.damage(
                    "a compressed string does not decompress to the \(count) bytes it should", at: offset)
            }
        case .encoded(let encoding): throw input.damage("\(encoding) is no encoding of a string", at: offset)
        }
    }

    private func tooLong(_ count: UInt64, _ offset: Int64) -> StorageError {
        damage("a string of \(count) bytes is longer than the \(options.longestString) that are allowed", at: offset)
    }

    /// Goes past a string without unpacking it.
    func skipString() throws(StorageError) {
        let offset = input.offset
        switch try lengthOrEncoding() {
        case .plain(let count): try input.skip(count)
        case .encoded(0): try input.skip(1)
        case .encoded(1): try input.skip(2)
        case .encoded(2): try input.skip(4)
        case .encoded(3):
            let packed = try length()
            _ = try length()
            try input.skip(packed)
        case .encoded(let encoding): throw input.damage("\(encoding) is no encoding of a string", at: offset)
        }
    }
}
