import Storage

/// Picks the keys that go when memory is short, by `maxmemory-policy`. Confined to the loop.
final class Evictor {
    private let keyspace: Keyspace
    private var pool = EvictionPool()
    /// The database whose turn it is where keys go at random.
    private var nextDB = 0

    var policy = EvictionPolicy.noeviction { didSet { if policy != oldValue { pool.removeAll() } } }
    /// Keys that are looked at for each that goes, in each database.
    var samples = 5

    init(_ keyspace: Keyspace) { self.keyspace = keyspace }

    /// The contents that candidates were found in are gone.
    func forget() { pool.removeAll() }

    /// Removes the key that the policy has go next. `body` is told it before. Returns the bytes that it took; nil: no key may
    /// go.
    func evictNext(_ body: (_ db: Int, _ key: Bytes) -> Void) -> Int? {
        switch policy {
        case .noeviction: nil
        case .allkeysLRU, .allkeysLFU: evictBest(volatileOnly: false, body)
        case .volatileLRU, .volatileLFU: evictBest(volatileOnly: true, body)
        case .allkeysRandom: evictRandom(volatileOnly: false, body)
        case .volatileRandom: evictRandom(volatileOnly: true, body)
        case .volatileTTL: evictSoonest(body)
        }
    }

    private func evictBest(volatileOnly: Bool, _ body: (Int, Bytes) -> Void) -> Int? {
        while true {
            var keys = 0
            for database in keyspace.databases {
                let count = volatileOnly ? database.expiringCount : database.count
                if count == 0 { continue }
                keys += count
                database.sampleEntries(samples, volatileOnly: volatileOnly) { entry in
                    pool.offer(
                        EvictionPool.Candidate(
                            db: database.index, id: Database.evictionID(of: entry),
                            score: database.evictionScore(of: entry)))
                }
            }
            if keys == 0 { return nil }
            // Those that are gone since, or were picked twice, are passed over.
            while let best = pool.takeBest() {
                let database = keyspace.databases[best.db]
                if let bytes = database.evict(best.id, volatileOnly: volatileOnly, { body(best.db, $0) }) {
                    return bytes
                }
            }
        }
    }

    /// A key of each database in turn.
    private func evictRandom(volatileOnly: Bool, _ body: (Int, Bytes) -> Void) -> Int? {
        for _ in keyspace.databases {
            let database = keyspace.databases[nextDB]
            nextDB = (nextDB + 1) % keyspace.databases.count
            guard let entry = database.randomEntry(volatileOnly: volatileOnly) else { continue }
            let id = Database.evictionID(of: entry)
            if let bytes = database.evict(id, volatileOnly: volatileOnly, { body(database.index, $0) }) { return bytes }
        }
        return nil
    }

    /// The key whose time comes soonest stands first in a heap: no samples are needed.
    private func evictSoonest(_ body: (Int, Bytes) -> Void) -> Int? {
        var soonest: (when: Int64, entry: Entry, database: Database)?
        for database in keyspace.databases {
            guard let first = database.soonestToExpire, first.when < soonest?.when ?? .max else { continue }
            soonest = (first.when, first.entry, database)
        }
        guard let soonest else { return nil }
        let database = soonest.database
        return database.evict(Database.evictionID(of: soonest.entry), volatileOnly: true) { body(database.index, $0) }
    }
}
