/// Digests each key that it is told, in 64 bits for its name and 64 for what it holds, by keyed hashes: equal for equal data of
/// one process, whatever the order of members, fields and rows. Consumers' times of activity, which old files lack, are left
/// out, as in `StreamingDigest`.
final class KeyDigester: KeyVisitor {
    private let nameSeed: UInt64
    private let valueSeed: UInt64
    private let body: (_ name: UInt64, _ value: UInt64) throws(StorageError) -> Void
    private(set) var functions: [[UInt8]: UInt64] = [:]
    // The key in hand.
    private var name: UInt64 = 0
    private var sum: UInt64 = 0
    private var isOrdered = false
    private var groups: [UInt32: UInt64] = [:]
    private var consumers: [UInt32: UInt64] = [:]

    init(
        seeds: (name: UInt64, value: UInt64),
        _ body: @escaping (_ name: UInt64, _ value: UInt64) throws(StorageError) -> Void
    ) {
        nameSeed = seeds.name
        valueSeed = seeds.value
        self.body = body
    }

    /// By which a key of any file is known.
    static func name(_ key: VisitedKey, seed: UInt64) -> UInt64 {
        Hashing.hash(key.key.base, key.key.count, seed ^ mixed(UInt64(bitPattern: Int64(key.database))))
    }

    /// A bijection that spreads every bit (the finalizer of SplitMix64).
    private static func mixed(_ x: UInt64) -> UInt64 {
        var x = x &+ 0x9E37_79B9_7F4A_7C15
        x = (x ^ (x >> 30)) &* 0xBF58_476D_1CE4_E5B9
        x = (x ^ (x >> 27)) &* 0x94D0_49BB_1331_11EB
        return x ^ (x >> 31)
    }
    private func hash(_ bytes: Bytes, _ salt: UInt64 = 0) -> UInt64 {
        Hashing.hash(bytes.base, bytes.count, valueSeed ^ salt)
    }
    private func hash(_ numbers: UInt64...) -> UInt64 {
        numbers.reduce(valueSeed) { KeyDigester.mixed($0 ^ $1) }
    }
    private func add(_ digest: UInt64) {
        sum = isOrdered ? KeyDigester.mixed(sum ^ digest) : sum &+ KeyDigester.mixed(digest)
    }

    private func open(_ type: ValueType, _ key: VisitedKey) {
        name = KeyDigester.name(key, seed: nameSeed)
        isOrdered = type == .list
        let expiry = key.expiresMs.map { hash(1, UInt64(bitPattern: $0)) } ?? 0
        sum = hash(name, UInt64(type.rawValue), expiry)
        groups.removeAll(keepingCapacity: true)
        consumers.removeAll(keepingCapacity: true)
    }

    func string(_ key: VisitedKey, _ value: Bytes) throws(StorageError) {
        open(.string, key)
        add(hash(value))
        try end()
    }
    func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) { open(type, key) }
    func element(_ value: Bytes) { add(hash(value)) }
    func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) {
        let digest = hash(value, hash(field))
        add(expiresMs.map { hash(digest, UInt64(bitPattern: $0)) } ?? digest)
    }
    func scored(_ member: Bytes, _ score: Double) { add(hash(hash(member), score.bitPattern)) }
    func streamEntry(_ id: StreamID, _ fields: Bytes) { add(hash(hash(fields), id.ms, id.seq)) }
    func streamRow(_ row: StreamRow) {
        func bits(_ number: Int64) -> UInt64 { UInt64(bitPattern: number) }
        switch row {
        case .state(let state):
            add(hash(state.lastID.ms, state.lastID.seq, state.maxDeletedID.ms, state.maxDeletedID.seq))
            add(hash(2, bits(state.entriesAdded)))
        case .group(let slot, let name, let lastID, let entriesRead):
            groups[slot] = hash(name)
            add(hash(hash(name), lastID.ms, lastID.seq, bits(entriesRead ?? -1)))
        case .consumer(let slot, let group, let name, let seenMs, _):
            let digest = hash(name, groups[group] ?? 0)
            consumers[slot] = digest
            add(hash(digest, bits(seenMs)))
        case .pending(_, let group, let consumer, let id, let deliveredMs, let deliveries):
            let owners = hash(groups[group] ?? 0, consumers[consumer] ?? 0)
            add(hash(owners, id.ms, id.seq, bits(deliveredMs), bits(deliveries)))
        case .remove: break
        }
    }
    func end() throws(StorageError) { try body(name, sum) }
    func function(_ name: Bytes, _ code: Bytes) { functions[name.array] = hash(code) }
}
