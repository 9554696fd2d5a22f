import Glibc

// Invariant of this file: slots below `count` hold live entries; pages are owned by the array until `free`.

/// A dense array of entries in pages, which grows and shrinks without copying what is there. O(1) each.
struct SlotArray {
    private var pages: [UnsafeMutablePointer<UnsafeMutableRawPointer>] = []
    private(set) var count = 0
    private static var shift: Int { StructureSizes.size(9, small: 2) }
    private static var size: Int { 1 << shift }

    @inline(__always) subscript(_ index: Int) -> Entry {
        get {
            precondition(index >= 0 && index < count)
            return Entry(raw: pages[index &>> SlotArray.shift][index & (SlotArray.size &- 1)])
        }
        nonmutating set {
            precondition(index >= 0 && index < count)
            pages[index &>> SlotArray.shift][index & (SlotArray.size &- 1)] = newValue.raw
        }
    }
    mutating func append(_ entry: Entry) {
        if count == pages.count * SlotArray.size { pages.append(.allocate(capacity: SlotArray.size)) }
        count += 1
        self[count - 1] = entry
    }
    mutating func removeLast() {
        count -= 1
        if (pages.count - 1) * SlotArray.size > count + SlotArray.size / 2 { pages.removeLast().deallocate() }
    }
    func free() { for page in pages { page.deallocate() } }
    var byteCount: Int { pages.count * SlotArray.size * 8 }
}

extension SlotArray {
    /// O(1).
    func checkInvariants() throws(BrokenInvariant) {
        try invariant(count <= pages.count * SlotArray.size, "slots: \(count) in \(pages.count) pages")
    }
}
