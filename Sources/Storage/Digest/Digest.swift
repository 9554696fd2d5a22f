import Glibc

// Invariant of this file: the only memory touched besides the keyspace's own views is stack scratch of a stated size.

/// DEBUG DIGEST and DEBUG DIGEST-VALUE: a digest of the data that does not depend on how it lies in memory, equal to
/// redis-server's for the same data. Ordered things (a key with its value, the elements of a list) are mixed, where the
/// order matters; unordered ones (members, fields, keys of a database) are xored.
public struct DataDigest: Sendable {
    private(set) var sum = SHA1.zero

    /// Order matters: what comes in later depends on what came before.
    mutating func mix(_ data: Bytes) {
        mix(SHA1(of: data))
    }
    private mutating func mix(_ digest: SHA1) {
        sum ^= digest
        sum = sum.withBytes { SHA1(of: $0) }
    }
    mutating func mix(_ type: ValueType) { mix(DataDigest.types[Int(type.rawValue)]) }
    mutating func mix(bigEndian value: UInt32) {
        withUnsafeBytes(of: value.bigEndian) { if let p = $0.baseAddress { mix(Bytes(p, 4)) } }
    }
    /// Order does not matter.
    mutating func xor(_ data: Bytes) { sum ^= SHA1(of: data) }
    mutating func xor(_ other: DataDigest) { other.sum.withBytes { xor($0) } }

    /// What others have xored already.
    mutating func xor(keys: DataDigest) { sum ^= keys.sum }

    /// Digests of what comes with each key, by the types' numbers.
    private static let types = (0...(ValueType.allCases.map(\.rawValue).max() ?? 0)).map { number in
        withUnsafeBytes(of: UInt32(number).bigEndian) { word in
            word.baseAddress.map { SHA1(of: Bytes($0, 4)) } ?? SHA1.zero
        }
    }
    private static let expires = SHA1(of: Bytes("!!expire!!"))
    private static let fieldExpires = SHA1(of: Bytes("!!hexpire!!"))

    mutating func xorKeyExpires() { sum ^= DataDigest.expires }
    mutating func xorFieldExpires() { sum ^= DataDigest.fieldExpires }

    // MARK: - The whole keyspace

    /// 40 hexadecimal digits for all databases; zeros when there is no key. O(data), reads every byte.
    public static func hex(of keyspace: Keyspace) -> String {
        var all = DataDigest()
        for database in keyspace.databases where database.count > 0 {
            all.mix(bigEndian: UInt32(truncatingIfNeeded: database.index))
            database.forEach { entry in
                var one = DataDigest()
                one.mix(entry.key)
                one.mix(value: entry, in: database)
                all.xor(one)
                return true
            }
        }
        return all.sum.hex
    }

    /// 40 hexadecimal digits for the value at `key`, without the key's name; zeros when there is no such key.
    public static func hex(ofValueAt key: Bytes, in database: Database) -> String {
        var one = DataDigest()
        if let entry = database.peek(key) { one.mix(value: entry, in: database) }
        return one.sum.hex
    }

    // MARK: - A value

    private mutating func mix(value entry: Entry, in database: Database) {
        mix(entry.type)
        switch entry.type {
        case .string:
            mix(database.string(of: entry))
        case .list:
            let list = database.list(of: entry)
            list.forEach(from: 0, count: list.count, reverse: false) { element in
                mix(element)
                return true
            }
        case .set:
            database.set(of: entry).forEach { member in
                xor(member)
                return true
            }
        case .zset:
            let zset = database.zset(of: entry)
            zset.forEach(rank: 0, count: zset.count, reverse: false) { member, score in
                var one = DataDigest()
                one.mix(member)
                one.mix(score: score)
                xor(one)
                return true
            }
        case .hash:
            let hash = database.hash(of: entry)
            hash.forEach { field, value in
                var one = DataDigest()
                one.mix(field)
                one.mix(value)
                if hash.expiry(of: field) != nil { one.xorFieldExpires() }
                xor(one)
                return true
            }
        case .stream:
            withUnsafeTemporaryAllocation(byteCount: StreamID.textLimit, alignment: 1) { text in
                guard let text = text.baseAddress else { return }
                database.stream(of: entry).forEach { id, fields in
                    mix(id.text(into: text, separator: UInt8(ascii: ".")))
                    fields.forEach { field, value in
                        mix(field)
                        mix(value)
                    }
                    return true
                }
            }
        }
        if database.expiry(of: entry) != nil { xorKeyExpires() }
    }

    /// Mixes the score as `%.17g` prints it.
    mutating func mix(score: Double) {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { text in
            guard let p = text.baseAddress else { return }
            let length = withVaList([score]) { vsnprintf(p, 128, "%.17g", $0) }
            mix(Bytes(p, max(0, min(Int(length), 127))))
        }
    }
}
