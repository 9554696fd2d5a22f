/// DEBUG DIGEST of data that comes a key at a time, from a file, in any order of keys: equal to `DataDigest` of a
/// keyspace that holds it. Memory is O(databases).
struct StreamingDigest: Sendable {
    /// By database, the keys' digests so far, xored.
    private var databases: [Int32: DataDigest] = [:]
    private var expiries = DataDigest()
    private var functions = DataDigest()
    private var streams = StreamStateDigest()
    // The key in hand.
    private var one = DataDigest()
    private var database: Int32 = 0
    private var expiresMs: Int64?

    /// Begins a key. Its elements follow, then `end`.
    mutating func begin(_ type: ValueType, _ key: Bytes, database: Int32, expiresMs: Int64?) {
        self.database = database
        self.expiresMs = expiresMs
        one = DataDigest()
        one.mix(key)
        one.mix(type)
        if type == .stream { streams.begin(one, database) }
    }

    /// A string's value, or the next item of a list.
    mutating func ordered(_ value: Bytes) { one.mix(value) }
    mutating func member(_ member: Bytes) { one.xor(member) }
    mutating func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) {
        var element = DataDigest()
        element.mix(field)
        element.mix(value)
        if let expiresMs {
            noteExpiry(expiresMs, of: element)
            element.xorFieldExpires()
        }
        one.xor(element)
    }
    mutating func scored(_ member: Bytes, _ score: Double) {
        var element = DataDigest()
        element.mix(member)
        element.mix(score: score)
        one.xor(element)
    }

    /// False when the row belongs to a group or consumer that did not come before.
    mutating func streamRow(_ row: StreamRow) -> Bool { streams.add(row) }

    mutating func end() {
        if let expiresMs {
            one.xorKeyExpires()
            noteExpiry(expiresMs, of: one)
        }
        databases[database, default: DataDigest()].xor(one)
    }

    mutating func function(_ code: Bytes) { functions.xor(code) }

    /// DEBUG DIGEST says of an expiry that there is one; this digest says when.
    private mutating func noteExpiry(_ ms: Int64, of what: DataDigest) {
        var noted = what
        noted.mix(ms)
        expiries.xor(noted)
    }

    /// 40 hexadecimal digits, what DEBUG DIGEST answers; zeros when there is no key.
    var hex: String {
        var all = DataDigest()
        for (database, keys) in databases.sorted(by: { $0.key < $1.key }) {
            all.mix(bigEndian: UInt32(truncatingIfNeeded: database))
            all.xor(keys: keys)
        }
        return all.sum.hex
    }
    /// Digest of all times at which something expires.
    var expiryHex: String { expiries.sum.hex }
    /// Digest of what DEBUG DIGEST leaves out of streams: last ids, counts, groups, consumers and what is pending.
    var streamHex: String { streams.hex }
    /// Digest of the libraries of functions.
    var functionHex: String { functions.sum.hex }
}

/// A digest of streams but for their entries, in which neither the order of rows nor the numbers of slots count.
private struct StreamStateDigest: Sendable {
    private var sum = DataDigest()
    /// Of the stream in hand: its name, and those of its groups and consumers by slot.
    private var key = DataDigest()
    private var groups: [UInt32: DataDigest] = [:]
    private var consumers: [UInt32: DataDigest] = [:]

    var hex: String { sum.sum.hex }

    mutating func begin(_ key: DataDigest, _ database: Int32) {
        self.key = key
        self.key.mix(bigEndian: UInt32(truncatingIfNeeded: database))
        groups.removeAll(keepingCapacity: true)
        consumers.removeAll(keepingCapacity: true)
    }

    mutating func add(_ row: StreamRow) -> Bool {
        var one: DataDigest
        switch row {
        case .state(let state):
            one = key
            one.mix(state.lastID)
            one.mix(state.maxDeletedID)
            one.mix(state.entriesAdded)
        case .group(let slot, let name, let lastID, let entriesRead):
            one = key
            one.mix(name)
            groups[slot] = one
            one.mix(lastID)
            one.mix(entriesRead ?? -1)
        case .consumer(let slot, let group, let name, let seenMs, _):
            // When it was active is not in files before version 11.
            guard let owner = groups[group] else { return false }
            one = owner
            one.mix(name)
            consumers[slot] = one
            one.mix(seenMs)
        case .pending(_, let group, let consumer, let id, let deliveredMs, let deliveries):
            guard groups[group] != nil, let owner = consumers[consumer] else { return false }
            one = owner
            one.mix(id)
            one.mix(deliveredMs)
            one.mix(deliveries)
        case .remove: return false
        }
        sum.xor(one)
        return true
    }
}

extension DataDigest {
    fileprivate mutating func mix(_ number: Int64) {
        mix(bigEndian: UInt32(truncatingIfNeeded: number >> 32))
        mix(bigEndian: UInt32(truncatingIfNeeded: number))
    }
    fileprivate mutating func mix(_ id: StreamID) {
        mix(id.words.0)
        mix(id.words.1)
    }
}
