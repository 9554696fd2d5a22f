import Testing

@testable import Storage

@Suite struct KeyspaceLoaderTests {
    /// Loads `counts[i]` strings into database i, told that `expected` are to come.
    private func load(_ counts: [Int], expected: Int) throws -> Keyspace {
        let keyspace = Keyspace(databases: counts.count)
        let loader = KeyspaceLoader(keyspace)
        loader.expected = expected
        let batch = RowBatch()
        var id: Int64 = 1
        for i in 0..<(counts.max() ?? 0) {
            for (db, count) in counts.enumerated() where i < count {
                withBytes("key:\(i)") {
                    batch.appendString(id: id, db: Int32(db), key: $0, value: $0, expiresMs: nil)
                }
                id += 1
            }
        }
        try loader.load(batch)
        try loader.finish()
        return keyspace
    }

    private func check(_ keyspace: Keyspace, _ counts: [Int]) {
        for (database, count) in zip(keyspace.databases, counts) {
            #expect(database.count == count)
            for i in 0..<count {
                withBytes("key:\(i)") { #expect((try? database.string($0)).flatMap { $0 }?.count == $0.count) }
            }
        }
    }

    /// Too few, as many, too many: what is expected is room, not truth.
    @Test(arguments: [0, 5000, 60_000, 1_000_000])
    func expectationsNeedNotBeTrue(expected: Int) throws {
        let counts = [40_000, 0, 20_000]
        let keyspace = try load(counts, expected: expected)
        check(keyspace, counts)
        // The rehash to a fitting size goes on with whatever comes next, and ends.
        for i in 0..<400_000 { withBytes("key:\(i % 40_000)") { _ = keyspace.databases[0].find($0) } }
        #expect(keyspace.databases[0].tableSize.buckets <= 16_384)
        check(keyspace, counts)
    }

    /// With the right number no rehash is left to do, and the table is as large as it is without.
    @Test func roomForAllKeysAtOnce() throws {
        let told = try load([60_000], expected: 60_000)
        #expect(!told.databases[0].contents.table.isRehashing)
        let untold = try load([60_000], expected: 0)
        for i in 0..<60_000 { withBytes("key:\(i)") { _ = untold.databases[0].find($0) } }
        #expect(told.databases[0].tableSize.buckets == untold.databases[0].tableSize.buckets)
    }
}
