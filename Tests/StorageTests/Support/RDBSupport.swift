import Foundation

@testable import Storage

/// RDB files that other servers wrote: Tests/Fixtures/rdb.
enum RDBFiles {
    private static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fixtures/rdb").path

    static func path(_ name: String) -> String { directory + "/" + name }
    static func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(name))))
    }
}

/// Writes an RDB file a record at a time.
struct RDBBuilder {
    var bytes: [UInt8]

    init(version: String = "0012") { bytes = Array("REDIS\(version)".utf8) }

    mutating func raw(_ more: [UInt8]) { bytes += more }
    mutating func length(_ n: Int) {
        if n < 64 {
            bytes.append(UInt8(n))
        } else {
            bytes.append(0x80)
            bytes += (0..<4).map { UInt8(truncatingIfNeeded: n >> (24 - 8 * $0)) }
        }
    }
    mutating func string(_ text: [UInt8]) {
        length(text.count)
        bytes += text
    }
    mutating func string(_ text: String) { string(Array(text.utf8)) }
    mutating func key(_ type: UInt8, _ name: String) {
        bytes.append(type)
        string(name)
    }
    mutating func fixed64(_ n: UInt64) { bytes += (0..<8).map { UInt8(truncatingIfNeeded: n >> (8 * UInt64($0))) } }

    /// With its end and checksum.
    func finished() -> [UInt8] {
        let content = bytes + [255]
        var whole = RDBBuilder()
        whole.bytes = content
        whole.fixed64(content.withBytes { CRC64.of($0) })
        return whole.bytes
    }

    /// Short elements: a number from 0 to 127, or a string of up to 63 bytes.
    static func listpack(_ elements: [String]) -> [UInt8] {
        var entries: [UInt8] = []
        for element in elements {
            var entry: [UInt8]
            if let small = UInt8(element), small < 128 {
                entry = [small]
            } else if let number = Int64(element) {
                entry = [0xF4] + (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
            } else {
                entry = [0x80 | UInt8(element.utf8.count)] + Array(element.utf8)
            }
            entries += entry + [UInt8(entry.count)]
        }
        let total = 6 + entries.count + 1
        return [UInt8(total & 255), UInt8(total >> 8), 0, 0, UInt8(elements.count), 0] + entries + [255]
    }
}

extension [UInt8] {
    func withBytes<R>(_ body: (Bytes) throws -> R) rethrows -> R {
        try withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return try body(Bytes()) }
            return try body(Bytes(base, buffer.count))
        }
    }
}

/// Keeps what it is told, as text.
struct RecordingVisitor: KeyVisitor {
    struct Value: Equatable {
        var type: ValueType
        var expiresMs: Int64?
        /// In the file's order: the value of a string; elements; "field=value", with "@expiry"; "member=score".
        var content: [String] = []
    }
    var values: [String: Value] = [:]
    var notes: [String: String] = [:]
    private var current = ""

    private mutating func open(_ type: ValueType, _ key: VisitedKey) {
        current = "\(key.database):\(key.key.string)"
        values[current] = Value(type: type, expiresMs: key.expiresMs)
    }
    mutating func auxiliary(_ name: Bytes, _ value: Bytes) { notes[name.string] = value.string }
    mutating func string(_ key: VisitedKey, _ value: Bytes) {
        open(.string, key)
        values[current]?.content = [value.string]
    }
    mutating func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) { open(type, key) }
    mutating func element(_ value: Bytes) { values[current]?.content.append(value.string) }
    mutating func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) {
        let expiry = expiresMs.map { "@\($0)" } ?? ""
        values[current]?.content.append("\(field.string)=\(value.string)\(expiry)")
    }
    mutating func scored(_ member: Bytes, _ score: Double) {
        values[current]?.content.append("\(member.string)=\(score)")
    }
    mutating func streamEntry(_ id: StreamID, _ fields: Bytes) {
        var pairs: [Bytes] = []
        _ = StreamFields.unpack(fields, into: &pairs)
        values[current]?.content.append("\(id.ms)-\(id.seq) " + pairs.map(\.string).joined(separator: " "))
    }
    mutating func streamRow(_ row: StreamRow) { values[current]?.content.append("\(text(row))") }
    mutating func end() {}
}

/// Counts keys and elements of each type over all databases.
struct CountingVisitor: KeyVisitor {
    struct Count: Equatable {
        var keys = 0
        var elements = 0
    }
    var counts: [ValueType: Count] = [:]
    var databases: Set<Int32> = []
    var expiries = 0
    var fieldExpiries = 0
    private var type = ValueType.string

    private mutating func open(_ type: ValueType, _ key: VisitedKey) {
        self.type = type
        counts[type, default: Count()].keys += 1
        databases.insert(key.database)
        if key.expiresMs != nil { expiries += 1 }
    }
    private mutating func count() { counts[type, default: Count()].elements += 1 }

    mutating func string(_ key: VisitedKey, _ value: Bytes) {
        open(.string, key)
        counts[.string, default: Count()].elements += value.count
    }
    mutating func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) { open(type, key) }
    mutating func element(_ value: Bytes) { count() }
    mutating func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) {
        if expiresMs != nil { fieldExpiries += 1 }
        count()
    }
    mutating func scored(_ member: Bytes, _ score: Double) { count() }
    mutating func streamEntry(_ id: StreamID, _ fields: Bytes) { count() }
    mutating func streamRow(_ row: StreamRow) {}
    mutating func end() {}
}

/// A row of a stream, for comparing.
func text(_ row: StreamRow) -> String {
    func text(_ id: StreamID) -> String { "\(id.ms)-\(id.seq)" }
    return switch row {
    case .state(let state): "state \(text(state.lastID)) \(text(state.maxDeletedID)) \(state.entriesAdded)"
    case .group(let slot, let name, let lastID, let read):
        "group \(slot) \(name.string) \(text(lastID)) \(read ?? -1)"
    case .consumer(let slot, let group, let name, let seenMs, let activeMs):
        "consumer \(slot) \(group) \(name.string) \(seenMs) \(activeMs ?? -1)"
    case .pending(let slot, let group, let consumer, let id, let deliveredMs, let deliveries):
        "pending \(slot) \(group) \(consumer) \(text(id)) \(deliveredMs) \(deliveries)"
    case .remove(let part, let slots): "remove \(part) \(slots)"
    }
}
