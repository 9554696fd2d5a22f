import TestSupport
import Testing

@testable import Storage

/// Calls that were recorded in batches are digested as if they had been made.
@Suite struct DigestWorkerTests {
    @Test(arguments: ["encodings.rdb", "redis_50_with_streams.rdb", "small_v12.rdb", "dictionary.rdb"])
    func digestsAreThoseOfTheKeyspace(name: String) throws {
        let directory = TemporaryDirectory()
        let snapshot = directory.path + "/x.sqlite"
        _ = try RDBImporter.run(from: RDBFiles.path(name), to: snapshot)
        let keyspace = Keyspace(databases: 16)
        _ = try SnapshotLoading.load(snapshot, into: keyspace)
        let file = try Verification.run(RDBFiles.path(name))
        #expect(file.digest == DataDigest.hex(of: keyspace))
        #expect(file.holdsTheSame(as: try Verification.run(snapshot)))
    }

    /// Short values are copied, long ones borrowed: of every size around the limit, in turn.
    @Test func longValuesAreBorrowed() throws {
        func digest(_ sizes: [Int]) throws -> String {
            let worker = DigestWorker(file: "test")
            let scratch = OutputBuffer()
            for (i, size) in sizes.enumerated() {
                scratch.removeAll()
                for at in 0..<size { scratch.append(byte: UInt8(truncatingIfNeeded: at &* 7 &+ size)) }
                Array("key \(i)".utf8).withBytes { key in
                    worker.batch.string(VisitedKey(database: 0, key: key, expiresMs: nil), scratch.bytes)
                }
                worker.recorded()
                // What was borrowed has been read by now.
                for at in 0..<size { scratch.base.storeBytes(of: 0, toByteOffset: at, as: UInt8.self) }
            }
            return try worker.finish().hex
        }
        let sizes = (0..<40).flatMap { [$0, 65_530 + $0, 200_000 + $0] }
        let keyspace = Keyspace(databases: 1)
        for (i, size) in sizes.enumerated() {
            let value = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ size) }
            Array("key \(i)".utf8).withBytes { key in
                value.withBytes { keyspace.databases[0].setString(key, $0, expiry: .clear) }
            }
        }
        #expect(try digest(sizes) == DataDigest.hex(of: keyspace))
    }

    @Test func aKeyThatComesTwiceInASnapshotIsFound() throws {
        let directory = TemporaryDirectory()
        var file = RDBBuilder()
        for name in (0..<3000).map({ "key:\($0)" }) + ["twice"] {
            file.key(0, name)
            file.string("value")
        }
        let snapshot = directory.path + "/x.sqlite"
        _ = try RDBImporter.run(from: directory.write(file.finished()), to: snapshot)
        _ = try Verification.run(snapshot)
        let connection = try SQLiteConnection(path: snapshot, mode: .write, Host.real.files)
        try connection.execute("UPDATE raw_strings SET key = 'twice' WHERE key = 'key:7'")
        let error = #expect(throws: StorageError.self) { try Verification.run(snapshot) }
        #expect(error?.message.contains("\"twice\" comes twice in database 0") == true)
    }
}
