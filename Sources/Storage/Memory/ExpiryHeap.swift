import Glibc

// Invariant of this file: every node's entry is live and its `heapIndex` is the node's index.

/// The keys that have an expiry, soonest first: a 4-ary heap in pages, so that growing never copies more than one of
/// them. Adding a later expiry than most is O(1), removing O(log n); the soonest stands first, so expiry never looks for
/// what is due. A hash has one for its fields that expire.
struct ExpiryHeap {
    private struct Node {
        var when: Int64
        var entry: Entry
    }
    static var nodeSize: Int { MemoryLayout<Node>.stride }
    private var pages: [UnsafeMutablePointer<Node>] = []
    private(set) var count = 0
    /// Nodes that there is room for: the first page alone begins small.
    private var capacity = 0
    private static var pageShift: Int { StructureSizes.size(10, small: 2) }
    private static var pageSize: Int { 1 << pageShift }

    private subscript(_ index: Int) -> Node {
        @inline(__always) get { pages[index >> ExpiryHeap.pageShift][index & (ExpiryHeap.pageSize - 1)] }
        @inline(__always) nonmutating set {
            pages[index >> ExpiryHeap.pageShift][index & (ExpiryHeap.pageSize - 1)] = newValue
            newValue.entry.heapIndex = index
        }
    }

    /// The soonest expiry and its entry.
    var first: (when: Int64, entry: Entry)? {
        if count == 0 { return nil }
        let node = self[0]
        return (node.when, node.entry)
    }

    /// A random one of the entries, of which there is at least one.
    func random(using random: inout SplitMix64) -> Entry { self[Int.random(in: 0..<count, using: &random)].entry }

    mutating func insert(_ entry: Entry, when: Int64) {
        if count == capacity { grow() }
        count += 1
        siftUp(count - 1, Node(when: when, entry: entry))
    }
    private mutating func grow() {
        if capacity >= ExpiryHeap.pageSize {
            pages.append(UnsafeMutablePointer<Node>.allocate(capacity: ExpiryHeap.pageSize))
            capacity += ExpiryHeap.pageSize
            return
        }
        capacity = max(4, capacity * 2)
        let page = UnsafeMutablePointer<Node>.allocate(capacity: capacity)
        guard let old = pages.first else { return pages.append(page) }
        page.moveInitialize(from: old, count: count)
        old.deallocate()
        pages[0] = page
    }

    mutating func remove(_ entry: Entry) {
        let index = entry.heapIndex
        precondition(index < count)
        count -= 1
        if index != count { place(self[count], at: index) }
        // One spare page stays, so that a key that comes and goes does not allocate each time.
        if capacity - count > 2 * ExpiryHeap.pageSize {
            pages.removeLast().deallocate()
            capacity -= ExpiryHeap.pageSize
        }
    }

    /// The entry's expiry has changed.
    func update(_ entry: Entry, when: Int64) { place(Node(when: when, entry: entry), at: entry.heapIndex) }

    /// The entry that stood at `index` lies in another block now.
    func replace(at index: Int, by entry: Entry) { self[index] = Node(when: self[index].when, entry: entry) }

    func free() { for page in pages { page.deallocate() } }

    private func place(_ node: Node, at index: Int) {
        if index > 0 && self[(index - 1) / 4].when > node.when { siftUp(index, node) } else { siftDown(index, node) }
    }
    private func siftUp(_ start: Int, _ node: Node) {
        var index = start
        while index > 0 {
            let parent = (index - 1) / 4
            let above = self[parent]
            if above.when <= node.when { break }
            self[index] = above
            index = parent
        }
        self[index] = node
    }
    private func siftDown(_ start: Int, _ node: Node) {
        var index = start
        while true {
            let firstChild = index * 4 + 1
            if firstChild >= count { break }
            var least = firstChild
            for child in firstChild..<min(firstChild + 4, count) where self[child].when < self[least].when {
                least = child
            }
            let below = self[least]
            if below.when >= node.when { break }
            self[index] = below
            index = least
        }
        self[index] = node
    }
}

extension ExpiryHeap {
    /// O(n).
    func checkInvariants() throws(BrokenInvariant) {
        try invariant(count <= capacity, "expiry heap: \(count) nodes where there is room for \(capacity)")
        for i in 0..<count {
            let node = self[i]
            try invariant(node.entry.heapIndex == i, "expiry heap: the entry of node \(i) says \(node.entry.heapIndex)")
            try invariant(
                node.entry.expiry == node.when,
                "expiry heap: node \(i) has another time than the entry \(node.entry.key.quoted)")
            try invariant(
                i == 0 || self[(i - 1) / 4].when <= node.when, "expiry heap: node \(i) is sooner than its parent")
        }
    }
    /// Whether `entry` is in this heap. O(1).
    func holds(_ entry: Entry) -> Bool { entry.heapIndex < count && self[entry.heapIndex].entry.raw == entry.raw }
}
