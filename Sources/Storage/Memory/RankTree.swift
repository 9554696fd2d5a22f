import Glibc

// Invariant of this file: a node is a block made by `Node.make`, owned by its parent (the root by the tree). `count`
// items are in use: of a leaf, (score, entry); of an inner node, (first item below, child, number of items below).
// Every entry is live: whoever frees one removes it here first.

/// The order of a sorted set: a B+ tree by (score, member), whose inner nodes count what is below, so that ranks are
/// found on the way down. Insert, remove, rank and seek O(log n); about 20 bytes an element.
struct RankTree {
    private var root = Node.make(leaf: true)
    private(set) var count = 0
    private var nodes = 1

    typealias Item = (score: Double, entry: Entry)

    var byteCount: Int { nodes * (Node.headerSize + Node.capacity * Node.leafStride) }

    // MARK: Nodes

    private struct Node: Equatable {
        let raw: UnsafeMutableRawPointer

        static var capacity: Int { StructureSizes.size(64, small: 8) }
        static let headerSize = 24
        static let leafStride = 16
        static let innerStride = 32

        static func make(leaf: Bool) -> Node {
            let raw = malloc(headerSize + capacity * (leaf ? leafStride : innerStride))!
            memset(raw, 0, headerSize)
            raw.storeBytes(of: leaf ? 1 : 0, toByteOffset: 4, as: UInt32.self)
            return Node(raw: raw)
        }
        var isLeaf: Bool { raw.load(fromByteOffset: 4, as: UInt32.self) != 0 }
        var count: Int {
            get { Int(raw.load(as: UInt32.self)) }
            nonmutating set { raw.storeBytes(of: UInt32(newValue), as: UInt32.self) }
        }
        /// The neighbouring leaves.
        var previous: Node? {
            get { raw.load(fromByteOffset: 8, as: UnsafeMutableRawPointer?.self).map(Node.init) }
            nonmutating set { raw.storeBytes(of: newValue?.raw, toByteOffset: 8, as: UnsafeMutableRawPointer?.self) }
        }
        var next: Node? {
            get { raw.load(fromByteOffset: 16, as: UnsafeMutableRawPointer?.self).map(Node.init) }
            nonmutating set { raw.storeBytes(of: newValue?.raw, toByteOffset: 16, as: UnsafeMutableRawPointer?.self) }
        }
        private var stride: Int { isLeaf ? Node.leafStride : Node.innerStride }
        private func at(_ index: Int) -> UnsafeMutableRawPointer { raw + Node.headerSize + index * stride }

        func item(_ index: Int) -> Item {
            let p = at(index)
            return (p.load(as: Double.self), Entry(raw: p.load(fromByteOffset: 8, as: UnsafeMutableRawPointer.self)))
        }
        func setItem(_ index: Int, _ item: Item) {
            let p = at(index)
            p.storeBytes(of: item.score, as: Double.self)
            p.storeBytes(of: item.entry.raw, toByteOffset: 8, as: UnsafeMutableRawPointer.self)
        }
        func child(_ index: Int) -> Node {
            Node(raw: at(index).load(fromByteOffset: 16, as: UnsafeMutableRawPointer.self))
        }
        func size(_ index: Int) -> Int { at(index).load(fromByteOffset: 24, as: Int.self) }
        func setSize(_ index: Int, _ size: Int) { at(index).storeBytes(of: size, toByteOffset: 24, as: Int.self) }
        func setChild(_ index: Int, _ child: Node, size: Int) {
            setItem(index, child.item(0))
            at(index).storeBytes(of: child.raw, toByteOffset: 16, as: UnsafeMutableRawPointer.self)
            setSize(index, size)
        }
        /// Number of items below this node.
        var total: Int {
            if isLeaf { return count }
            var sum = 0
            for i in 0..<count { sum += size(i) }
            return sum
        }
        func openGap(_ index: Int) {
            memmove(at(index + 1), at(index), (count - index) * stride)
            count += 1
        }
        func closeGap(_ index: Int) {
            count -= 1
            memmove(at(index), at(index + 1), (count - index) * stride)
        }
        /// Moves the items from `index` on to the end of `other`.
        func moveTail(from index: Int, to other: Node) {
            let moved = count - index
            memcpy(other.at(other.count), at(index), moved * stride)
            other.count += moved
            count = index
        }
    }

    @inline(__always) private static func isLess(_ a: Item, _ b: Item) -> Bool {
        a.score < b.score || (a.score == b.score && a.entry.key.compare(b.entry.key) < 0)
    }

    /// The number of leading items of a node that `isBefore`, which holds for a prefix.
    @inline(__always) private static func prefix(_ node: Node, _ isBefore: (Item) -> Bool) -> Int {
        var low = 0
        var high = node.count
        while low < high {
            let middle = (low + high) / 2
            if isBefore(node.item(middle)) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    // MARK: Insert

    /// Adds an item that is not there.
    mutating func insert(_ score: Double, _ entry: Entry) {
        count += 1
        let item: Item = (score, entry)
        guard let right = insert(item, into: root) else { return }
        let top = Node.make(leaf: false)
        nodes += 1
        top.count = 2
        top.setChild(0, root, size: root.total)
        top.setChild(1, right, size: right.total)
        root = top
    }

    /// Returns the new right neighbour where the node had to be split.
    private mutating func insert(_ item: Item, into node: Node) -> Node? {
        let index = RankTree.prefix(node) { RankTree.isLess($0, item) }
        if node.isLeaf {
            if node.count < Node.capacity {
                node.openGap(index)
                node.setItem(index, item)
                return nil
            }
            let right = split(node, appending: index == node.count && node.next == nil)
            let target = index > node.count || (index == node.count && right.count == 0) ? right : node
            let place = target == right ? index - node.count : index
            target.openGap(place)
            target.setItem(place, item)
            return right
        }
        let childIndex = max(0, index - 1)
        let child = node.child(childIndex)
        guard let right = insert(item, into: child) else {
            node.setItem(childIndex, child.item(0))
            node.setSize(childIndex, node.size(childIndex) + 1)
            return nil
        }
        node.setChild(childIndex, child, size: child.total)
        var target = node
        var place = childIndex + 1
        var newNode: Node?
        if node.count == Node.capacity {
            let sibling = split(node, appending: place == node.count)
            newNode = sibling
            if place > node.count || sibling.count == 0 {
                target = sibling
                place -= node.count
            }
        }
        target.openGap(place)
        target.setChild(place, right, size: right.total)
        return newNode
    }

    /// A new right neighbour with half of the items; with none where the new item goes behind all (ascending input
    /// then leaves full nodes).
    private mutating func split(_ node: Node, appending: Bool) -> Node {
        let right = Node.make(leaf: node.isLeaf)
        nodes += 1
        if !appending { node.moveTail(from: Node.capacity / 2, to: right) }
        if node.isLeaf {
            right.next = node.next
            right.previous = node
            node.next?.previous = right
            node.next = right
        }
        return right
    }

    // MARK: Remove

    /// Takes out an item that is there.
    mutating func remove(_ score: Double, _ entry: Entry) {
        count -= 1
        remove((score, entry), from: root)
        while !root.isLeaf && root.count == 1 {
            let child = root.child(0)
            release(root)
            root = child
        }
    }

    private mutating func remove(_ item: Item, from node: Node) {
        let index = RankTree.prefix(node) { !RankTree.isLess(item, $0) } - 1
        precondition(index >= 0, "a sorted set's order has lost a member")
        if node.isLeaf {
            precondition(node.item(index).entry.raw == item.entry.raw, "a sorted set's order has lost a member")
            node.closeGap(index)
            return
        }
        let child = node.child(index)
        remove(item, from: child)
        if child.count == 0 {
            unlink(child)
            node.closeGap(index)
            return
        }
        node.setItem(index, child.item(0))
        node.setSize(index, node.size(index) - 1)
        if child.count < Node.capacity / 4 { merge(node, index) }
    }

    /// Joins a sparse child with a neighbour where both fit in one node with room to spare.
    private mutating func merge(_ node: Node, _ index: Int) {
        for left in [index, index - 1] where left >= 0 && left + 1 < node.count {
            let (a, b) = (node.child(left), node.child(left + 1))
            if a.count + b.count > Node.capacity * 3 / 4 { continue }
            let size = node.size(left) + node.size(left + 1)
            b.moveTail(from: 0, to: a)
            unlink(b)
            node.closeGap(left + 1)
            node.setChild(left, a, size: size)
            return
        }
    }

    private mutating func unlink(_ node: Node) {
        if node.isLeaf {
            node.previous?.next = node.next
            node.next?.previous = node.previous
        }
        release(node)
    }
    private mutating func release(_ node: Node) {
        Glibc.free(node.raw)
        nodes -= 1
    }

    // MARK: Look-up

    /// The number of items that `isBefore`, which holds for a prefix of the order.
    func rank(_ isBefore: (Item) -> Bool) -> Int {
        var node = root
        var rank = 0
        while !node.isLeaf {
            let index = RankTree.prefix(node, isBefore) - 1
            if index < 0 { return rank }
            for i in 0..<index { rank += node.size(i) }
            node = node.child(index)
        }
        return rank + RankTree.prefix(node, isBefore)
    }

    func rank(of entry: Entry, score: Double) -> Int { rank { RankTree.isLess($0, (score, entry)) } }

    private func leaf(at rank: Int) -> (Node, Int)? {
        if rank < 0 || rank >= count { return nil }
        var node = root
        var left = rank
        while !node.isLeaf {
            var i = 0
            while left >= node.size(i) {
                left -= node.size(i)
                i += 1
            }
            node = node.child(i)
        }
        return (node, left)
    }

    func entry(at rank: Int) -> Entry? { leaf(at: rank).map { $0.0.item($0.1).entry } }

    /// Visits items from `rank` on, upwards or downwards, until `body` returns false.
    func forEach(from rank: Int, reverse: Bool, _ body: (Entry, Double) -> Bool) {
        guard var (node, index) = leaf(at: rank) else { return }
        while true {
            let item = node.item(index)
            if !body(item.entry, item.score) { return }
            if reverse {
                if index == 0 {
                    guard let previous = node.previous else { return }
                    node = previous
                    index = node.count
                }
                index -= 1
            } else {
                index += 1
                if index == node.count {
                    guard let next = node.next else { return }
                    node = next
                    index = 0
                }
            }
        }
    }

    // MARK: Free

    /// O(n).
    func free() { RankTree.free(root) }
    private static func free(_ node: Node) {
        if !node.isLeaf {
            for i in 0..<node.count { free(node.child(i)) }
            giveWay()
        }
        Glibc.free(node.raw)
    }
}

extension RankTree {
    /// O(n).
    func checkInvariants() throws(BrokenInvariant) {
        var leaves: [Node] = []
        var found = (nodes: 0, depth: -1)
        let total = try check(root, 0, &leaves, &found)
        try invariant(total == count, "rank tree: \(total) items where \(count) are counted")
        try invariant(found.nodes == nodes, "rank tree: \(found.nodes) nodes where \(nodes) are counted")
        var before: Item?
        for (i, leaf) in leaves.enumerated() {
            try invariant(
                leaf.previous == (i == 0 ? nil : leaves[i - 1])
                    && leaf.next == (i + 1 < leaves.count ? leaves[i + 1] : nil),
                "rank tree: leaf \(i) has other neighbours")
            for index in 0..<leaf.count {
                let item = leaf.item(index)
                try invariant(item.entry.score == item.score, "rank tree: an item has another score than its entry")
                if let before { try invariant(RankTree.isLess(before, item), "rank tree: items are not in order") }
                before = item
            }
        }
    }

    /// Returns the number of items below `node`, and appends its leaves.
    private func check(
        _ node: Node, _ depth: Int, _ leaves: inout [Node], _ found: inout (nodes: Int, depth: Int)
    ) throws(BrokenInvariant) -> Int {
        found.nodes += 1
        try invariant(
            node.count <= Node.capacity && (node.count > 0 || node == root),
            "rank tree: a node with \(node.count) items")
        if node.isLeaf {
            if found.depth < 0 { found.depth = depth }
            try invariant(depth == found.depth, "rank tree: leaves at depths \(depth) and \(found.depth)")
            leaves.append(node)
            return node.count
        }
        var total = 0
        for i in 0..<node.count {
            let child = node.child(i)
            let size = try check(child, depth + 1, &leaves, &found)
            try invariant(size == node.size(i), "rank tree: \(size) items below a child that counts \(node.size(i))")
            try invariant(
                child.count > 0 && node.item(i).entry.raw == child.item(0).entry.raw
                    && node.item(i).score == child.item(0).score,
                "rank tree: a node has another first item than its child")
            total += size
        }
        return total
    }
}
