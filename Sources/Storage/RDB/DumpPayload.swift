// Invariant of this file: what `RDBOutput` and `Bytes` hand out here is used before anything else is appended.

/// The payload of DUMP and RESTORE: a value's type and content as in an RDB file, the RDB version in 2 bytes, and the
/// CRC64 of all that, in 8 (https://redis.io/docs/latest/commands/dump/).
public enum DumpPayload {
    public enum Failure: Error {
        /// The end is not that of a payload, or of a newer version, or the checksum does not fit.
        case foreign
        case damaged
    }

    /// Servers that differ in what they take: in hashes whose fields expire.
    public enum Family: Sendable {
        /// Redis, and Swiftlet.
        case redis
        case valkey

        /// The first RDB version whose hashes have fields that expire. A server of an older one refuses it, rather than keep
        /// the fields for ever.
        var versionWithFieldExpiries: Int {
            switch self {
            case .redis: 12
            case .valkey: RDBFormat.valkeyVersion
            }
        }
    }

    private static let footerSize = 10
    /// Those of Valkey from 9.0 on; values of types that are not known are refused one by one.
    private static let valkeyVersions = RDBFormat.valkeyVersion...99

    /// Calls `body` with the payload of what `entry` holds, for servers of one family. O(value).
    public static func of(_ entry: Entry, for family: Family = .redis, compresses: Bool, _ body: (Bytes) -> Void) {
        let output = RDBOutput()
        let version = entry.hasExpiringFields ? family.versionWithFieldExpiries : RDBWriter.usualVersion
        let writer = RDBWriter(output, version: version, compresses: compresses)
        output.append(byte: writer.kind(of: entry).rawValue)
        writer.value(entry)
        appendFooter(to: output, version: version)
        body(output.bytes)
    }

    static func appendFooter(to output: RDBOutput, version: Int) {
        output.append(littleEndian: UInt16(version))
        output.append(littleEndian: output.checksum())
    }

    /// What stands before the footer; nil for one that is not right.
    static func content(of payload: Bytes, checksum: Bool) -> Bytes? {
        let end = payload.count - footerSize
        guard end >= 0, let version = payload.littleEndian(at: end, as: UInt16.self),
            Int(version) <= RDBFormat.newestVersion || valkeyVersions.contains(Int(version)),
            let stored = payload.littleEndian(at: end + 2, as: UInt64.self),
            !checksum || stored == CRC64.of(payload[0..<end + 2])
        else { return nil }
        return payload[0..<end]
    }

    /// Whether `payload`, which has a footer, is of a Valkey that numbers its types itself.
    static func isValkey(_ payload: Bytes) -> Bool {
        payload.littleEndian(at: payload.count - footerSize, as: UInt16.self).map { valkeyVersions.contains(Int($0)) }
            ?? false
    }

    /// Whether `payload` says that it holds a module's value, which cannot be kept.
    public static func isModule(_ payload: Bytes) -> Bool {
        guard !payload.isEmpty, let kind = RDBFormat.Kind(rawValue: payload[0]) else { return false }
        return kind == .module1 || kind == .module2
    }

    /// Tells the value in `payload` to `sink` under the name and expiry of `key`. Nothing in the payload is trusted.
    /// Throws where it is damaged or of a type that cannot be kept, and what the sink throws. O(value).
    public static func visit(
        _ payload: Bytes, as key: VisitedKey, options: RDBOptions, _ sink: any KeySink
    ) throws(StorageError) {
        guard let content = content(of: payload, checksum: true), !content.isEmpty else {
            throw StorageError(
                file: "the payload of \(key.key.quoted)", message: "is damaged, or of a version that is not known")
        }
        let reader = RDBReader(
            payload: content, isValkey: isValkey(payload), options: options, visitor: AnyKeyVisitor(sink))
        try reader.readPayload(key: key.key, database: key.database, expiresMs: key.expiresMs)
    }

    /// The value as an entry that is in no keyspace yet: `Database.restore` or `Database.discard` ends it. Nothing in
    /// the payload is trusted, with a right checksum neither. `longest`: of a string, in bytes. O(value).
    public static func read(
        _ payload: Bytes, key: Bytes, expiresMs: Int64?, limits: Limits, longest: Int, checksum: Bool
    ) throws(Failure) -> Entry {
        guard let content = content(of: payload, checksum: checksum), !content.isEmpty else { throw .foreign }
        var options = RDBOptions()
        options.longestString = longest
        options.mends = false
        let reader = RDBReader(
            payload: content, isValkey: isValkey(payload), options: options, visitor: EntryVisitor(limits: limits))
        do throws(StorageError) {
            try reader.readPayload(key: key, database: 0, expiresMs: expiresMs)
        } catch {
            reader.visitor.abandon()
            throw .damaged
        }
        guard let entry = reader.visitor.entry else { throw .damaged }
        return entry
    }
}

/// Makes an entry of the one value that it is told.
struct EntryVisitor: KeyVisitor {
    let limits: Limits
    private(set) var entry: Entry?
    private var isOpen = false
    private var type = ValueType.list
    private var slot = ChunkedList.firstSlot
    private lazy var builder = CollectionBuilder(limits: limits)
    private var stream: StreamLoader?

    init(limits: Limits) { self.limits = limits }

    mutating func string(_ key: VisitedKey, _ value: Bytes) {
        if value.count <= 20, let integer = value.integer {
            entry = .makeInteger(key.key, integer, expiry: key.expiresMs)
        } else {
            entry = .makeString(key.key, value, expiry: key.expiresMs)
        }
    }

    mutating func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) {
        self.type = type
        entry = .make(key.key, type: type, encoding: .listpack, expiry: key.expiresMs, room: 8)
        isOpen = true
        if type == .stream { stream = StreamLoader(limits: limits) } else { builder.begin(type) }
    }
    mutating func element(_ value: Bytes) throws(StorageError) {
        if type == .list {
            builder.addItem(value, slot: slot)
            slot += 1
        } else {
            try add(value, Bytes(), 0)
        }
    }
    mutating func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) throws(StorageError) {
        try add(field, value, 0, expiresMs)
    }
    mutating func scored(_ member: Bytes, _ score: Double) throws(StorageError) { try add(member, Bytes(), score) }

    private mutating func add(
        _ first: Bytes, _ second: Bytes, _ score: Double, _ expiresMs: Int64? = nil
    ) throws(StorageError) {
        if !builder.add(first, second, score: score, expiresMs: expiresMs) {
            throw StorageError(file: "the payload", message: "an element comes twice")
        }
    }

    mutating func streamEntry(_ id: StreamID, _ fields: Bytes) throws(StorageError) {
        if stream?.addEntry(id, fields) != true { throw contradiction }
    }
    mutating func streamNode() { stream?.beginNode() }
    mutating func streamDeletedEntry(_ id: StreamID, _ fields: Bytes) { stream?.addDeletedEntry(id, fields) }
    mutating func streamRow(_ row: StreamRow) throws(StorageError) {
        if stream?.add(row) != true { throw contradiction }
    }
    private var contradiction: StorageError {
        StorageError(file: "the payload", message: "a stream contradicts itself")
    }

    mutating func end() throws(StorageError) {
        guard let entry else { return }
        if let stream {
            if stream.finish(into: entry) == nil { throw contradiction }
            self.stream = nil
        } else {
            builder.finish(into: entry)
        }
        isOpen = false
    }

    /// The value will not be complete.
    mutating func abandon() {
        guard let entry else { return }
        self.entry = nil
        if isOpen {
            if type == .stream { stream = nil } else { builder.abandon() }
            entry.freeBlock()
        } else {
            Database.free(entry)
        }
    }
}
