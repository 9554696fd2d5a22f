/// DEBUG DIGEST of data that comes a key at a time, from a file, in any order of keys: equal to `DataDigest` of a
/// keyspace that holds it. Memory is O(databases).
struct StreamingDigest {
    /// By database, the keys' digests so far, xored.
    private var databases: [Int32: DataDigest] = [:]
    private var expiries = DataDigest()
    private var functions = DataDigest()
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
        one.mix(bigEndian: UInt32(type.rawValue))
    }

    /// A string's value, or the next item of a list.
    mutating func ordered(_ value: Bytes) { one.mix(value) }
    mutating func member(_ member: Bytes) { one.xor(member) }
    mutating func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) {
        var element = DataDigest()
        element.mix(field)
        element.mix(value)
        one.xor(element)
        guard let expiresMs else { return }
        one.xor("!!hexpire!!")
        noteExpiry(expiresMs, of: element)
    }
    mutating func scored(_ member: Bytes, _ score: Double) {
        var element = DataDigest()
        element.mix(member)
        element.mix(score: score)
        one.xor(element)
    }

    mutating func end() {
        if let expiresMs {
            one.xor("!!expire!!")
            noteExpiry(expiresMs, of: one)
        }
        databases[database, default: DataDigest()].xor(one)
    }

    mutating func function(_ code: Bytes) { functions.xor(code) }

    /// DEBUG DIGEST says of an expiry that there is one; this digest says when.
    private mutating func noteExpiry(_ ms: Int64, of what: DataDigest) {
        var noted = what
        noted.mix(bigEndian: UInt32(truncatingIfNeeded: ms >> 32))
        noted.mix(bigEndian: UInt32(truncatingIfNeeded: ms))
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
    /// The same of all times at which something expires.
    var expiryHex: String { expiries.sum.hex }
    /// And of the libraries of functions.
    var functionHex: String { functions.sum.hex }
}
