/// The libraries of functions of a keyspace, as code: what snapshots keep. Confined to the keyspace's thread.
public struct FunctionLibraries {
    private var codes: [[UInt8]: [UInt8]] = [:]
    /// How often they were replaced as a whole, by what was loaded: who has compiled them begins anew.
    public private(set) var loads = 0
    /// Changes so far, and how many of them the snapshot has.
    private(set) var changes = 0
    private var savedChanges = 0

    public var count: Int { codes.count }
    public var isEmpty: Bool { codes.isEmpty }
    /// All, by name in ascending order. O(n log n).
    public var all: [FunctionLibrary.Text] {
        codes.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { ($0.key, $0.value) }
    }

    mutating func set(_ name: [UInt8], _ code: [UInt8]?) {
        codes[name] = code
        changes += 1
    }
    mutating func removeAll() {
        codes = [:]
        changes += 1
    }

    /// These are what a snapshot holds.
    mutating func load(_ libraries: [FunctionLibrary.Text]) {
        codes = [:]
        for (name, code) in libraries { codes[name] = code }
        loads += 1
        savedChanges = changes
    }
    /// Those of another keyspace take their place.
    mutating func adopt(_ other: FunctionLibraries) { load(other.all) }

    /// The snapshot holds what was there at the `changes` of its cut.
    mutating func saved(_ changes: Int) { savedChanges = max(savedChanges, changes) }
    /// The snapshot does not hold them as they are.
    var hasUnsaved: Bool { changes != savedChanges }
}

extension Keyspace {
    /// Keeps a library, in the place of one of that name.
    public func setLibrary(_ name: [UInt8], code: [UInt8]) {
        libraries.set(name, code)
        noteChange(1)
    }
    public func removeLibrary(_ name: [UInt8]) {
        libraries.set(name, nil)
        noteChange(1)
    }
    /// Counts as a change also where there are none, as in Redis.
    public func removeAllLibraries() {
        libraries.removeAll()
        noteChange(1)
    }
}
