import Synchronization
import TestSupport
import Testing

@testable import Storage

/// Payloads of other servers' making, and for them.
@Suite struct ForeignPayloadTests {
    private let keyspace = Keyspace(databases: 1)
    private var db: Database { keyspace.databases[0] }
    private static let far: Int64 = 4_000_000_000_000

    private func read(_ bytes: [UInt8], as key: String) throws -> Entry {
        try bytes.lend { payload in
            try Array(key.utf8).lend {
                try DumpPayload.read(
                    payload, key: $0, expiresMs: nil, limits: Limits(), longest: 1 << 20, checksum: true)
            }
        }
    }

    private func expiries(of entry: Entry) -> [String: Int64] {
        var found: [String: Int64] = [:]
        let table = entry.tableValue
        for i in 0..<table.count { found[table.slots[i].key.string] = table.slots[i].expiry ?? -1 }
        return found
    }

    /// `HSET h a 1 b 2` and `HPEXPIREAT h 4000000000000 FIELDS 1 a`, as DUMP answers.
    static let hashes: [(String, [UInt8])] = [
        (
            "Valkey 9.1.2",
            [22, 2, 1, 97, 0xC0, 1, 0, 0x40, 0x94, 0x52, 0xA3, 3, 0, 0, 1, 98, 0xC0, 2]
                + [UInt8](repeating: 255, count: 8) + [0x50, 0, 0xD7, 0xC8, 0xEF, 0xAD, 0x4B, 0x63, 0x2B, 0xCE]
        ),
        (
            "Redis 8.2.3",
            [
                25, 0, 0x40, 0x94, 0x52, 0xA3, 3, 0, 0, 29, 29, 0, 0, 0, 6, 0, 0x81, 97, 2, 1, 1, 0xF4, 0, 0x40, 0x94,
                0x52,
            ]
                + [
                    0xA3, 3, 0, 0, 9, 0x81, 98, 2, 2, 1, 0, 1, 255, 12, 0, 0x7E, 0x68, 0x57, 0x40, 0x60, 0x82, 0x8B,
                    0x47,
                ]
        ),
    ]

    @Test(arguments: hashes) func fieldsThatExpire(name: String, payload: [UInt8]) throws {
        let entry = try read(payload, as: "h")
        #expect(expiries(of: entry) == ["a": Self.far, "b": -1])
        // As it was made, and in the other family's form.
        for family in [DumpPayload.Family.redis, .valkey] {
            var again: [UInt8] = []
            DumpPayload.of(entry, for: family, compresses: true) { again = $0.array }
            #expect(again[0] == (family == .valkey ? 22 : 24))
            let other = try read(again, as: "h")
            #expect(expiries(of: other) == ["a": Self.far, "b": -1])
            db.discard(other)
        }
        db.discard(entry)
    }

    @Test func stringOfValkey() throws {
        let entry = try read([0, 1, 118, 0x50, 0, 0x5E, 0x22, 7, 0x23, 0x87, 0x6A, 0xED, 0x3A], as: "s")
        #expect(entry.stringBytes.string == "v")
        db.discard(entry)
    }

    /// Types that Redis numbers so mean something else in Valkey, or nothing.
    @Test func typesOfTheOtherFamily() throws {
        for (type, version) in [(24, 80), (25, 80), (23, 80), (30, 80), (30, 12)] as [(UInt8, UInt8)] {
            let content = [type, 1, 0, 1, 97, 1, 98, 0, 0, 0, 0, 0, 0, 0, 0, version, 0]
            let crc = content.lend { CRC64.of($0) }
            let payload = content + (0..<8).map { UInt8(truncatingIfNeeded: crc >> (8 * UInt64($0))) }
            #expect(throws: DumpPayload.Failure.damaged) { try read(payload, as: "k") }
        }
        #expect(throws: DumpPayload.Failure.foreign) {
            let content: [UInt8] = [0, 1, 118, 79, 0]
            let crc = content.lend { CRC64.of($0) }
            _ = try read(content + (0..<8).map { UInt8(truncatingIfNeeded: crc >> (8 * UInt64($0))) }, as: "k")
        }
    }

    // MARK: PayloadWriter

    /// In each version, what is read is what was written.
    @Test(arguments: [9, 10, 11, 12, 80]) func written(version: Int) throws {
        let writer = PayloadWriter(version: version, compresses: version != 10)
        let words = (0..<300).map {
            $0 % 3 == 0 ? "\($0 - 50)" : "word \($0) \(String(repeating: "x", count: $0 % 40))"
        }
        var expected: [String] = []
        for type in [ValueType.list, .set, .hash, .zset] {
            let rows = RowBatch()
            for (i, word) in words.enumerated() {
                Array(word.utf8).lend { word in
                    switch type {
                    case .list: rows.appendListItem(owner: 0, slot: 0, word)
                    case .set: rows.appendSetMember(owner: 0, slot: 0, word)
                    case .hash: rows.appendHashField(owner: 0, slot: 0, word, word)
                    case .zset: rows.appendZSetMember(owner: 0, slot: 0, word, score: Double(i) / 7 - 3)
                    case .string, .stream: break
                    }
                }
            }
            let payload = try writer.collection(type, rows).array
            #expect(payload[payload.count - 10] == UInt8(version) && payload[payload.count - 9] == 0)
            let entry = try read(payload, as: "k")
            #expect(entry.type == type)
            db.restore(entry)
            Array("k".utf8).lend { expected.append(DataDigest.hex(ofValueAt: $0, in: db)) }
        }
        let string = try read(writer.string(Bytes("12345")).array, as: "s")
        #expect(string.integer == 12345)
        db.discard(string)
        // Another version holds the same.
        #expect(Set(expected).count == 4)
        if let first = Self.digests.withLock({ $0 }) { #expect(first == expected) }
        Self.digests.withLock { $0 = expected }
    }
    private static let digests = Mutex<[String]?>(nil)

    @Test(arguments: [(12, UInt8(24)), (80, UInt8(22))]) func fieldsThatExpireWritten(version: Int, type: UInt8) throws
    {
        let rows = RowBatch()
        rows.appendHashField(owner: 0, slot: 0, Bytes("never"), Bytes("1"))
        rows.appendHashField(owner: 0, slot: 0, Bytes("late"), Bytes("2"), expiresMs: Self.far + 5)
        rows.appendHashField(owner: 0, slot: 0, Bytes("soon"), Bytes("3"), expiresMs: Self.far)
        let payload = try PayloadWriter(version: version, compresses: true).collection(.hash, rows).array
        #expect(payload[0] == type)
        let entry = try read(payload, as: "h")
        #expect(expiries(of: entry) == ["never": -1, "late": Self.far + 5, "soon": Self.far])
        db.discard(entry)
    }

    @Test func streamsThatContradictThemselves() {
        let rows = RowBatch()
        for ms in [5, 4] as [UInt64] {
            rows.appendStreamEntry(owner: 0, slot: 0, id: StreamID(ms: ms, seq: 0), fields: Bytes())
        }
        #expect(throws: StorageError.self) {
            try PayloadWriter(version: 10, compresses: true).collection(.stream, rows)
        }
    }
}
