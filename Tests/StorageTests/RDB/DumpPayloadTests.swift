import Foundation
import TestSupport
import Testing

@testable import Storage

/// DUMP's payloads: what goes out comes in again, and what comes in is not trusted.
@Suite struct DumpPayloadTests {
    private let keyspace = Keyspace(databases: 1)
    private var db: Database { keyspace.databases[0] }

    private func with<R>(_ text: String, _ body: (Bytes) throws -> R) rethrows -> R {
        try Array(text.utf8).withBytes(body)
    }

    /// A value of every type and encoding; few elements are large here.
    private func fill() throws {
        keyspace.limits.hashMaxListpackEntries = 16
        keyspace.limits.setMaxIntsetEntries = 32
        keyspace.limits.setMaxListpackEntries = 16
        keyspace.limits.zsetMaxListpackEntries = 16
        keyspace.limits.listMaxListpackSize = 16
        for (key, value) in [
            ("int", "12345"), ("large int", "9223372036854775807"), ("empty", ""), ("embstr", "a value"),
            ("raw", String(repeating: "compressible ", count: 30)),
            ("long", (0..<200).map { "\($0 * 7919)" }.joined()),
        ] {
            with(key) { key in with(value) { db.setString(key, $0, expiry: .clear) } }
        }
        for (name, count) in [("small", 5), ("middle", 20), ("large", 50)] {
            for i in 0..<count {
                let word = i % 4 == 0 ? "\(i * 1000 - 5)" : "word \(i)"
                try with("list " + name) { key in
                    try with(i % 30 == 3 ? String(repeating: "w", count: 300) : word) {
                        try db.editList(key, create: true)?.push($0, .tail)
                    }
                }
                try with("integers " + name) { key in
                    try with("\(i * i - 70)") { _ = try db.editSet(key, create: true)?.insert($0) }
                }
                try with("set " + name) { key in
                    try with(word) { _ = try db.editSet(key, create: true)?.insert($0) }
                }
                try with("hash " + name) { key in
                    try with("f\(i)") { field in
                        try with(word) { _ = try db.editHash(key, create: true)?.set(field, $0) }
                    }
                }
                try with("zset " + name) { key in
                    try with(word) { _ = try db.editZSet(key, create: true)?.set($0, Double(i % 17) / 3) }
                }
            }
        }
    }

    private func payloads() -> [(key: String, bytes: [UInt8])] {
        var found: [(String, [UInt8])] = []
        db.forEach { entry in
            DumpPayload.of(entry, compresses: found.count % 2 == 0) {
                found.append((entry.key.string, $0.array))
            }
            return true
        }
        return found
    }

    private func read(_ bytes: [UInt8], as key: String, checksum: Bool = true) throws -> Entry {
        try bytes.withBytes { payload in
            try with(key) {
                try DumpPayload.read(
                    payload, key: $0, expiresMs: nil, limits: keyspace.limits, longest: 1 << 20, checksum: checksum)
            }
        }
    }

    @Test func roundTrip() throws {
        try fill()
        for (key, bytes) in payloads() {
            #expect(!bytes.isEmpty)
            let encoding = with(key) { db.find($0)?.encoding }
            let before = with(key) { DataDigest.hex(ofValueAt: $0, in: db) }
            db.restore(try read(bytes, as: key))
            #expect(with(key) { DataDigest.hex(ofValueAt: $0, in: db) } == before, "\(key)")
            #expect(with(key) { db.find($0)?.encoding } == encoding, "\(key)")
        }
    }

    @Test func footer() throws {
        with("k") { key in with("value") { db.setString(key, $0, expiry: .clear) } }
        let payload = try #require(payloads().first)
        let whole = payload.bytes
        for length in 0..<whole.count {
            #expect(throws: DumpPayload.Failure.self) { try read(Array(whole[..<length]), as: "k") }
        }
        var changed = whole
        changed[2] ^= 1
        #expect(throws: DumpPayload.Failure.foreign) { try read(changed, as: "k") }
        db.discard(try read(changed, as: "k", checksum: false))
        changed[changed.count - 10] = 13
        #expect(throws: DumpPayload.Failure.foreign) { try read(changed, as: "k", checksum: false) }
    }

    /// Type and body, with the footer that belongs to them.
    private func payload(_ body: [UInt8]) -> [UInt8] {
        let content = body + [10, 0]
        let crc = content.withBytes { CRC64.of($0) }
        return content + (0..<8).map { UInt8(truncatingIfNeeded: crc >> (8 * UInt64($0))) }
    }

    static let damaged: [(String, [UInt8])] = [
        ("no value", [0]), ("no such type", [8, 1, 97]), ("a module", [7, 1, 0]), ("a stream", [15, 0]),
        ("a long string", [0, 0x80, 0x7F, 255, 255, 255, 97]),
        ("an empty node", [18, 1, 1, 0]), ("an empty node behind another", [18, 2, 1, 1, 97, 1, 0]),
        ("a listpack's field twice", [16, 19] + RDBBuilder.listpack(["a", "1", "a", "2"])),
        ("an LZF string that would be too long", [0, 0xC3, 3, 0x80, 0x7F, 255, 255, 255, 0, 97, 97]),
        ("an empty list", [1, 0]), ("an empty quicklist", [18, 0]), ("an empty set", [2, 0]),
        ("an empty hash", [4, 0]), ("an empty sorted set", [5, 0]), ("a member twice", [2, 2, 1, 97, 1, 97]),
        ("a field twice", [4, 2, 1, 97, 1, 98, 1, 97, 1, 99]),
        ("a score of NaN", [5, 1, 1, 97, 0, 0, 0, 0, 0, 0, 0xF8, 0x7F]),
        ("too many elements announced", [2, 0x80, 0x7F, 255, 255, 255, 1, 97]),
        ("fewer elements than announced", [2, 2, 1, 97]),
        ("a hash whose last field has no value", [16] + [9, 9, 0, 0, 0, 1, 0, 0x81, 97, 2, 255]),
    ]

    @Test(arguments: damaged) func damage(name: String, body: [UInt8]) {
        #expect(throws: DumpPayload.Failure.damaged) { try read(payload(body), as: "k") }
    }

    /// Whatever bytes are changed to, reading ends, with a value that works or an error. SWIFTLET_SEED repeats a run.
    @Test(.timeLimit(.minutes(5 + MutationTests.count / 20_000))) func mutations() throws {
        var random = SeededRandom()
        try fill()
        let whole = payloads().map(\.bytes)
        keyspace.flushAll()
        var good = 0
        for _ in 0..<MutationTests.count {
            var bytes = whole[Int.random(in: 0..<whole.count, using: &random)]
            // Near the start mostly: there are the type, counts and headers.
            for _ in 0..<(Int.random(in: 0..<4, using: &random) == 0 ? 3 : 1) {
                let end = Bool.random(using: &random) ? min(24, bytes.count - 10) : bytes.count - 10
                bytes[Int.random(in: 0..<end, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if Int.random(in: 0..<20, using: &random) == 0 {
                bytes.removeSubrange(Int.random(in: 0..<bytes.count - 10, using: &random)..<bytes.count - 10)
            }
            guard let entry = try? read(bytes, as: "k", checksum: false) else { continue }
            good += 1
            db.restore(entry)
            if good % 8 != 0 { continue }
            // What was read can be written, and read again.
            var again: [UInt8]?
            DumpPayload.of(entry, compresses: true) { again = $0.array }
            let before = with("k") { DataDigest.hex(ofValueAt: $0, in: db) }
            db.restore(try read(try #require(again), as: "k"))
            #expect(with("k") { DataDigest.hex(ofValueAt: $0, in: db) } == before)
        }
        #expect(good > 0)
    }
}
