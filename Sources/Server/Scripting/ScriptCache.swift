import Storage

/// A script that can be called by its digest.
final class Script {
    let digest: ScriptDigest
    let flags: ScriptFlags
    /// What the host knows it by.
    let reference: Int32
    /// Bytes of its text.
    let size: Int
    /// SCRIPT LOAD has brought it: it stays.
    fileprivate(set) var isLoaded: Bool
    fileprivate var lastUse: UInt64 = 0

    init(_ digest: ScriptDigest, _ flags: ScriptFlags, _ reference: Int32, size: Int, isLoaded: Bool) {
        self.digest = digest
        self.flags = flags
        self.reference = reference
        self.size = size
        self.isLoaded = isLoaded
    }
}

/// The scripts that were given to EVAL or SCRIPT LOAD. Those of EVAL alone are bounded: programs make a new one for each call.
struct ScriptCache {
    private var scripts: [ScriptDigest: Script] = [:]
    /// Those that may be forgotten.
    private var passing: [Script] = []
    private var uses: UInt64 = 0
    /// Bytes of their texts.
    private(set) var size = 0

    /// As in Redis 7.4.
    static let maximumPassing = 500
    /// Bytes that a script takes besides its text, roughly.
    private static let overhead = 120

    var count: Int { scripts.count }
    var memory: Int { size + count * Self.overhead }

    func contains(_ digest: ScriptDigest) -> Bool { scripts[digest] != nil }
    func peek(_ digest: ScriptDigest) -> Script? { scripts[digest] }

    @inline(__always) mutating func find(_ digest: ScriptDigest) -> Script? {
        guard let script = scripts[digest] else { return nil }
        uses &+= 1
        script.lastUse = uses
        return script
    }

    /// Adds a script that is not there. Returns the one that had to go for it, which was not used for the longest time.
    mutating func add(_ script: Script) -> Script? {
        uses &+= 1
        script.lastUse = uses
        scripts[script.digest] = script
        size += script.size
        if script.isLoaded { return nil }
        var evicted: Script?
        if passing.count >= Self.maximumPassing,
            let oldest = passing.indices.min(by: { passing[$0].lastUse < passing[$1].lastUse })
        {
            evicted = passing[oldest]
            passing.swapAt(oldest, passing.count - 1)
            passing.removeLast()
        }
        if let evicted {
            scripts[evicted.digest] = nil
            size -= evicted.size
        }
        passing.append(script)
        return evicted
    }

    /// It stays from here on.
    mutating func keep(_ script: Script) {
        if script.isLoaded { return }
        script.isLoaded = true
        passing.removeAll { $0 === script }
    }
}
