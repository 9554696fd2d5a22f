// Invariant of this file: none of its own; keys are hashed while the visitor's call lasts.

/// Finds a key that comes twice in a file, in 8 bytes a key: 64 bits of a keyed hash of each, in buckets. Only where
/// two are equal, the file is read again to tell a repetition from chance.
public struct KeyDigests {
    private static let bucketBits: UInt64 = 8
    /// Another one each time: what was taken for a repetition by chance is not again.
    private let salt = UInt64.random(in: 0 ... .max)
    private var buckets = [[UInt64]](repeating: [], count: 1 << Int(bucketBits))

    public init() {}

    public mutating func insert(_ key: VisitedKey) {
        let digest = KeyDigests.digest(key, salt)
        buckets[Int(digest >> (64 - KeyDigests.bucketBits))].append(digest)
    }

    private static func digest(_ key: VisitedKey, _ salt: UInt64) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(salt)
        hasher.combine(key.database)
        hasher.combine(bytes: key.key.buffer)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    /// The error for the first key of `path` that comes twice in a database, nil where none does. `self` has the keys of
    /// a reading of `path` with `options`. O(keys), and where digests are equal O(file size) more.
    func findRepeated(in path: String, _ options: RDBOptions, _ files: any FileSystem) throws(StorageError)
        -> StorageError?
    {
        guard let finder else { return nil }
        let reader = try RDBReader(path: path, options: options, files: files, visitor: finder)
        try reader.read()
        guard let key = finder.found else { return nil }
        return KeyDigests.repeated(key.name, key.database, in: path, before: finder.offset)
    }

    static func repeated(_ name: String, _ database: Int32, in file: String, before offset: Int64?) -> StorageError {
        let place = offset == nil ? "" : ", before this offset the second time"
        return StorageError(
            file: file, offset: offset,
            message:
                "the key \(name) comes twice in database \(database)\(place): no server writes that; find the file "
                + "it was made from")
    }

    /// To be told all again where two digests are equal; nil where none are. O(keys).
    public var finder: Finder? {
        let repeated = repeated()
        return repeated.isEmpty ? nil : Finder(wanted: repeated, salt: salt)
    }

    /// Whether a key came twice; where nothing can be read again, by its digest alone: of 100 million keys two have the same
    /// with a chance of 1 in 2000. O(keys).
    public var hasRepeated: Bool { !repeated().isEmpty }

    /// The error where a key of `file`, which is being written, comes twice.
    public static func repeated(in file: String) -> StorageError {
        StorageError(
            file: file,
            message: "a key comes twice in a database: the input holds one twice (`redis-migrate verify` names it), or "
                + "--rename-prefix or --to-db gives two keys the same name; nothing was written")
    }

    private func repeated() -> Set<UInt64> {
        var repeated: Set<UInt64> = []
        var slots: [UInt64] = []
        for bucket in buckets {
            KeyDigests.collectRepeated(bucket, &slots, into: &repeated)
        }
        return repeated
    }

    /// By an open hash table that is used again for each bucket, which fits a core's cache.
    private static func collectRepeated(_ bucket: [UInt64], _ slots: inout [UInt64], into repeated: inout Set<UInt64>) {
        var size = 1024
        while size < bucket.count * 2 { size *= 2 }
        if slots.count == size {
            for i in slots.indices { slots[i] = 0 }
        } else {
            slots = [UInt64](repeating: 0, count: size)
        }
        let mask = UInt64(size - 1)
        for digest in bucket {
            // 0 marks an empty slot; digests differ in their low bits enough.
            let digest = digest | 1
            var i = (digest >> 1) & mask
            while slots[Int(i)] != 0 && slots[Int(i)] != digest { i = (i + 1) & mask }
            if slots[Int(i)] == digest { repeated.insert(digest) }
            slots[Int(i)] = digest
        }
    }

    /// Looks for the first key that is there already among those whose digests are `wanted`.
    public final class Finder: KeyVisitor {
        private let wanted: Set<UInt64>
        private let salt: UInt64
        public private(set) var found: (name: String, database: Int32)?
        /// Behind the key that was found, where the source says so.
        public private(set) var offset: Int64?
        private var seen: Set<[UInt8]> = []
        private var isInside = false

        fileprivate init(wanted: Set<UInt64>, salt: UInt64) {
            self.wanted = wanted
            self.salt = salt
        }

        private func look(_ key: VisitedKey) {
            guard found == nil, wanted.contains(KeyDigests.digest(key, salt) | 1) else { return }
            let name = withUnsafeBytes(of: key.database) { Array($0) } + key.key.array
            if !seen.insert(name).inserted { found = (key.key.quoted, key.database) }
        }

        public func string(_ key: VisitedKey, _ value: Bytes) { look(key) }
        public func begin(_ type: ValueType, _ key: VisitedKey, sizeHint: Int) {
            isInside = true
            look(key)
        }
        public func element(_ value: Bytes) {}
        public func pair(_ field: Bytes, _ value: Bytes, expiresMs: Int64?) {}
        public func scored(_ member: Bytes, _ score: Double) {}
        public func streamEntry(_ id: StreamID, _ fields: Bytes) {}
        public func streamRow(_ row: StreamRow) {}
        public func end() { isInside = false }
        public func reached(_ offset: Int64, of size: Int64) {
            if found != nil, self.offset == nil, !isInside { self.offset = offset }
        }
    }
}
