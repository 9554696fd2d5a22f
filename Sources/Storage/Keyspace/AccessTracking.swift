/// What the 24 bits say that an entry has for its use, for OBJECT and eviction.
public enum AccessTracking: Equatable, Sendable {
    /// The second of the last access, modulo 2^24.
    case recency
    /// The minute of the last access, modulo 2^16, and in the low 8 bits a counter that grows with the logarithm of the
    /// number of accesses (Morris, Counting large numbers of events in small registers, 1978) and shrinks by one for
    /// every `decayMinutes` without any (0: never). A factor of 0 counts each access; of 10, a million of them reach 255.
    /// (https://redis.io/docs/latest/develop/reference/eviction/)
    case frequency(logFactor: Int, decayMinutes: Int)
}

extension Keyspace {
    /// A new key's counter: it must not be the first to be evicted.
    static let newFrequency: UInt32 = 5
    static let highestFrequency: UInt32 = 255
    /// No entry has this: under `.frequency` every access must be counted.
    static let neverAccessed: UInt32 = .max

    private var minute: UInt32 { UInt32(truncatingIfNeeded: now / 60_000) & 0xffff }

    func updateAccessClock() {
        switch accessTracking {
        case .recency:
            accessClock = UInt32(truncatingIfNeeded: now / 1000) & 0xff_ffff
            newAccess = accessClock
        case .frequency:
            accessClock = Keyspace.neverAccessed
            newAccess = minute << 8 | Keyspace.newFrequency
        }
    }

    /// Notes that the entry was used.
    @inline(never) func touch(_ entry: Entry) {
        switch accessTracking {
        case .recency:
            entry.accessed = accessClock
        case .frequency(let logFactor, _):
            let hash = Hashing.hash(entry.key)
            if lastCounted == (commandNumber, hash) { return }
            noteCounted(hash)
            var count = frequency(entry)
            if count < Keyspace.highestFrequency {
                let above = Double(max(count, Keyspace.newFrequency) - Keyspace.newFrequency)
                if Double.random(in: 0..<1, using: &accessRandom) * (above * Double(logFactor) + 1) < 1 { count += 1 }
            }
            entry.accessed = minute << 8 | count
        }
    }

    func noteCounted(_ hash: UInt64) { lastCounted = (commandNumber, hash) }

    /// The counter as it is by now; under `.frequency` only.
    func frequency(_ entry: Entry) -> UInt32 {
        let count = entry.accessed & 0xff
        guard case .frequency(_, let decay) = accessTracking, decay > 0 else { return count }
        let minutes = (minute &- entry.accessed >> 8) & 0xffff
        return count - min(count, minutes / UInt32(clamping: decay))
    }

    func setFrequency(_ count: UInt32, _ entry: Entry) { entry.accessed = minute << 8 | min(count, 0xff) }
}

extension Database {
    /// Seconds since the entry was used; under `.recency` only.
    public func idleSeconds(of entry: Entry) -> Int { Int((keyspace.accessClock &- entry.accessed) & 0xff_ffff) }
    /// As if the entry had last been used so long ago; without effect under `.frequency`.
    public func setIdleSeconds(_ seconds: Int, of entry: Entry) {
        if keyspace.accessTracking == .recency {
            entry.accessed = keyspace.accessClock &- UInt32(truncatingIfNeeded: seconds)
        }
    }

    /// How often the entry is used, 0 to 255 on a logarithmic scale; under `.frequency` only.
    public func frequency(of entry: Entry) -> Int { Int(keyspace.frequency(entry)) }
    /// Without effect under `.recency`.
    public func setFrequency(_ count: Int, of entry: Entry) {
        if keyspace.accessTracking != .recency { keyspace.setFrequency(UInt32(clamping: count), entry) }
    }
}
