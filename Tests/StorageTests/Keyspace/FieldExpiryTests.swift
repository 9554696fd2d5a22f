import TestSupport
import Testing

@testable import Storage

/// Fields of hashes that expire.
@Suite struct FieldExpiryTests {
    let keyspace = Keyspace(databases: 2)
    var db: Database { keyspace.databases[0] }

    private func put(_ key: String, _ field: String, _ when: Int64?) throws {
        let (key, field) = (Text(key), Text(field))
        let hash = try #require(try db.editHash(key.bytes, create: true))
        hash.set(field.bytes, field.bytes)
        if let when { hash.setExpiry(of: field.bytes, when) }
    }

    @Test func withoutExpiryAHashStaysAsItIs() throws {
        try put("h", "f", nil)
        #expect(withBytes("h") { db.find($0)?.encodingName.description } == "listpack")
        try put("h", "g", 100)
        #expect(withBytes("h") { db.find($0)?.encodingName.description } == "listpackex")
        for i in 0..<600 { try put("h", "f\(i)", nil) }
        #expect(withBytes("h") { db.find($0)?.encodingName.description } == "hashtable")
    }

    /// Many hashes and times, against a model: what is due goes, at once and completely, soonest first.
    @Test(arguments: [1, 2, 3]) func whatIsDueGoes(number: UInt64) throws {
        var random = SeededRandom(testSeed(number))
        var model: [String: [String: Int64?]] = [:]
        var lastDue: Int64 = 0
        let observer = ExpiryObserver(keyspace) { key, field in
            guard let field else { return }
            let when = (model[key.string]?[field.string] ?? nil) ?? -1
            #expect(when >= lastDue)
            lastDue = when
            model[key.string]?.removeValue(forKey: field.string)
        }
        defer { withExtendedLifetime(observer) {} }
        keyspace.now = 1
        for round in 0..<60 {
            for _ in 0..<400 {
                let key = "h\(Int.random(in: 0..<30, using: &random))"
                let field = "f\(Int.random(in: 0..<(key == "h7" ? 3000 : 60), using: &random))"
                switch Int.random(in: 0..<8, using: &random) {
                case 0:
                    _ = try withBytes(key) { key in
                        try withBytes(field) { try db.editHash(key, create: true)?.remove($0) }
                    }
                    model[key]?.removeValue(forKey: field)
                    withBytes(key) { if let entry = db.find($0) { db.removeIfEmpty(entry) } }
                case 1:
                    try put(key, field, nil)
                    model[key, default: [:]][field] = .some(nil)
                case 2 where Int.random(in: 0..<20, using: &random) == 0:
                    withBytes(key) { _ = db.remove($0) }
                    model[key] = nil
                default:
                    let when = keyspace.now + Int64.random(in: 1..<40, using: &random)
                    try put(key, field, when)
                    model[key, default: [:]][field] = when
                }
            }
            keyspace.now += Int64.random(in: 0..<12, using: &random)
            lastDue = 0
            #expect(!keyspace.activeExpire(budgetNanoseconds: .max))
            for (key, fields) in model {
                #expect(fields.values.allSatisfy { ($0 ?? .max) > keyspace.now })
                let count = withBytes(key) { (try? db.hash($0))??.count } ?? 0
                #expect(count == fields.count, "\(key) in round \(round)")
            }
            let expiring = model.values.filter { $0.values.contains { $0 != nil } }.count
            #expect(db.hashesWithExpiringFields == expiring)
        }
        keyspace.now += 1000
        _ = keyspace.activeExpire(budgetNanoseconds: .max)
        #expect(db.hashesWithExpiringFields == 0)
    }
}
