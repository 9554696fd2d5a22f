import Storage

/// What the options of a filter say, made ready to be asked for each key.
struct KeyRules {
    private let taken: Names
    private let left: Names
    let takenSizes: [SizeCondition]
    let leftSizes: [SizeCondition]
    let keepsFunctions: Bool
    private let lifetime: NewLifetime?
    private let prefixes: [PrefixChange]
    private let database: Int32?
    private let now: Int64

    /// What is known of a key before its value.
    private struct Names {
        let globs: [[UInt8]]
        let prefixes: [[UInt8]]
        let types: [ValueType]
        let databases: [Int32]
        let lifetimes: [LifetimeCondition]

        func matchesAny(glob key: Bytes) -> Bool { globs.contains { $0.lend { stringmatch($0, key) } } }
        func matchesAny(prefix key: Bytes) -> Bool {
            prefixes.contains { prefix in key.begins(with: prefix) }
        }
    }

    init(_ options: FilterOptions, now: Int64) {
        func bytes(_ texts: [String]) -> [[UInt8]] { texts.map { Array($0.utf8) } }
        taken = Names(
            globs: bytes(options.match), prefixes: bytes(options.prefix), types: options.type.map(\.value),
            databases: options.db, lifetimes: options.ttl)
        left = Names(
            globs: bytes(options.notMatch), prefixes: bytes(options.notPrefix), types: options.notType.map(\.value),
            databases: options.notDb, lifetimes: options.notTtl)
        takenSizes = options.size
        leftSizes = options.notSize
        keepsFunctions = !options.noFunctions
        lifetime = options.setTtl
        prefixes = options.renamePrefix
        database = options.toDb
        self.now = now
    }

    /// Whether the key is taken, as far as can be said before its value is known.
    func takes(_ type: ValueType, _ key: VisitedKey) -> Bool {
        (taken.databases.isEmpty || taken.databases.contains(key.database))
            && !left.databases.contains(key.database)
            && (taken.types.isEmpty || taken.types.contains(type)) && !left.types.contains(type)
            && (taken.prefixes.isEmpty || taken.matchesAny(prefix: key.key)) && !left.matchesAny(prefix: key.key)
            && (taken.globs.isEmpty || taken.matchesAny(glob: key.key)) && !left.matchesAny(glob: key.key)
            && (taken.lifetimes.isEmpty || taken.lifetimes.contains { $0.holds(key.expiresMs, now: now) })
            && !left.lifetimes.contains { $0.holds(key.expiresMs, now: now) }
    }

    var asksSize: Bool { !takenSizes.isEmpty || !leftSizes.isEmpty }

    func takes(elements: Int64, bytes: Int64) -> Bool {
        (takenSizes.isEmpty || takenSizes.contains { $0.holds(elements: elements, bytes: bytes) })
            && !leftSizes.contains { $0.holds(elements: elements, bytes: bytes) }
    }
    /// Whether more elements cannot change what `takes` says.
    func isDecided(elements: Int64, bytes: Int64) -> Bool {
        (takenSizes + leftSizes).allSatisfy { $0.isDecided(elements: elements, bytes: bytes) }
    }

    /// The key as it is passed on; a new name is put together in `scratch`.
    func changed(_ key: VisitedKey, _ scratch: OutputBuffer) -> VisitedKey {
        var key = key
        if let lifetime { key.expiresMs = lifetime.milliseconds.map { now.addingReportingOverflow($0).partialValue } }
        if let database { key.database = database }
        if let change = prefixes.first(where: { key.key.begins(with: $0.old) }) {
            scratch.removeAll(keepingAtMost: 1 << 20)
            change.new.lend { scratch.append($0) }
            scratch.append(key.key[change.old.count..<key.key.count])
            key.key = scratch.bytes
        }
        return key
    }
}

extension Bytes {
    func begins(with prefix: [UInt8]) -> Bool {
        count >= prefix.count && prefix.lend { self[0..<$0.count] == $0 }
    }
}
