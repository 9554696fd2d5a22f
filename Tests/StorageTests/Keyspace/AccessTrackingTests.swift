import Testing

@testable import Storage

@Suite struct AccessTrackingTests {
    private let keyspace = Keyspace(databases: 1)
    private var database: Database { keyspace.databases[0] }

    private func newEntry() -> Entry? {
        database.setString(Bytes("k"), Bytes("v"), expiry: .clear)
        return database.find(Bytes("k"))
    }

    @Test func countersShrinkByTheMinute() throws {
        keyspace.now = 1_700_000_000_000
        keyspace.accessTracking = .frequency(logFactor: 0, decayMinutes: 2)
        let entry = try #require(newEntry())
        database.setFrequency(100, of: entry)
        keyspace.now += 3 * 60_000
        #expect(database.frequency(of: entry) == 99)
        keyspace.now += 17 * 60_000
        #expect(database.frequency(of: entry) == 90)
        keyspace.beginCommand()
        // A use takes the 10 off for good, and adds one.
        _ = database.find(Bytes("k"))
        #expect(database.frequency(of: entry) == 91)
        keyspace.now += 60_000 * 1000
        #expect(database.frequency(of: entry) == 0)
    }

    @Test func minutesWrapAround() throws {
        keyspace.now = Int64(0xffff) * 60_000
        keyspace.accessTracking = .frequency(logFactor: 0, decayMinutes: 1)
        let entry = try #require(newEntry())
        database.setFrequency(50, of: entry)
        keyspace.now += 5 * 60_000
        #expect(database.frequency(of: entry) == 45)
    }

    @Test func countersGrowWithTheLogarithm() throws {
        keyspace.now = 1_700_000_000_000
        keyspace.accessTracking = .frequency(logFactor: 10, decayMinutes: 0)
        let entry = try #require(newEntry())
        for _ in 0..<100_000 {
            keyspace.beginCommand()
            _ = database.find(Bytes("k"))
            _ = database.find(Bytes("k"))
        }
        // About 5 + sqrt(2 n / 10): 146 for this many.
        #expect((110...180).contains(database.frequency(of: entry)))
    }

    @Test func idleTimeCountsSeconds() throws {
        keyspace.now = 1_700_000_000_000
        let entry = try #require(newEntry())
        keyspace.now += 7_000
        #expect(database.idleSeconds(of: entry) == 7)
        _ = database.find(Bytes("k"))
        #expect(database.idleSeconds(of: entry) == 0)
        database.setIdleSeconds(1000, of: entry)
        #expect(database.idleSeconds(of: entry) == 1000)
    }
}
