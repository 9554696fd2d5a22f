/// Finds an element that comes twice in one collection, in 32 to 64 bytes an element up to a million, and 8 for each one beyond:
/// among those, 64 bits of a hash tell at the end whether any came twice (of ten million different ones two have the same with a
/// chance of 1 in 400,000, in one run).
public struct ElementFilter {
    private var first = DuplicateFilter()
    private var count = 0
    private var others: KeyDigests?

    public init() {}

    /// Just below a size at which `DuplicateFilter` doubles.
    private static var exactCount: Int { StructureSizes.size((1 << 20) - 1, small: 100) }

    public mutating func removeAll() {
        first.removeAll()
        count = 0
        others = nil
    }

    /// False when `bytes` is one of the first million elements and was there already.
    public mutating func insert(_ bytes: Bytes) -> Bool {
        if count < Self.exactCount {
            if !first.insert(bytes) { return false }
            count += 1
            return true
        }
        if first.contains(bytes) { return false }
        if others == nil { others = KeyDigests() }
        others?.insert(VisitedKey(database: 0, key: bytes))
        return true
    }

    /// Whether an element beyond the first million came twice. O(elements).
    public var hasRepeated: Bool { others?.hasRepeated ?? false }
}
