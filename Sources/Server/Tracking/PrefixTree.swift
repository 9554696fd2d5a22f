import Storage

/// Values by byte strings, found as the prefixes of a key: a radix tree. Whatever it holds, looking for the prefixes of a key
/// costs O(bytes of the key). Nodes are in one array and name each other by index, so that a deep tree is freed without
/// recursion.
struct PrefixTree<Value> {
    private struct Node {
        /// What leads from the parent to here; empty for the root alone.
        var label: [UInt8]
        var parent: Int32
        /// Ascending by the first byte of their labels, which are in `firsts`; no two share it.
        var children: [Int32] = []
        var firsts: [UInt8] = []
        var value: Value?
    }
    /// The root comes first. A node without a value, but for the root, has at least two children.
    private var nodes = ContiguousArray([Node(label: [], parent: -1)])
    private var free: [Int32] = []
    private(set) var count = 0
    var isEmpty: Bool { count == 0 }
    private static var root: Int { 0 }

    // MARK: Looking

    /// Whether a prefix of `key` is here. O(bytes of the key).
    @inline(__always) func hasPrefix(of key: Bytes) -> Bool { !isEmpty && !walk(key) { _ in false } }
    /// Calls `body` with the value of each prefix of `key`, shortest first. O(bytes of the key).
    func forEachPrefix(of key: Bytes, _ body: (Value) -> Void) {
        _ = walk(key) { value in
            body(value)
            return true
        }
    }
    /// False where `body` has ended the walk.
    private func walk(_ key: Bytes, _ body: (Value) -> Bool) -> Bool {
        var at = Self.root
        var depth = 0
        while true {
            if let value = nodes[at].value, !body(value) { return false }
            if depth == key.count { return true }
            guard let child = child(of: at, key[depth]), matches(child, key, depth) else { return true }
            at = child
            depth += nodes[at].label.count
        }
    }
    private func matches(_ node: Int, _ key: Bytes, _ depth: Int) -> Bool {
        let length = nodes[node].label.count
        return length <= key.count - depth && common(node, key, depth) == length
    }
    /// Bytes that a node's label shares with what stands in `key` from `depth` on.
    private func common(_ node: Int, _ key: Bytes, _ depth: Int) -> Int {
        nodes[node].label.withUnsafeBufferPointer { label in
            let most = min(label.count, key.count - depth)
            var same = 0
            while same < most && label[same] == key[depth + same] { same += 1 }
            return same
        }
    }
    /// The place among a node's children at which one with this first byte is, or would be.
    private func place(of first: UInt8, in node: Int) -> (index: Int, isThere: Bool) {
        nodes[node].firsts.withUnsafeBufferPointer { firsts in
            var (low, high) = (0, firsts.count)
            while low < high {
                let middle = (low + high) / 2
                if firsts[middle] < first { low = middle + 1 } else { high = middle }
            }
            return (low, low < firsts.count && firsts[low] == first)
        }
    }
    private func child(of node: Int, _ first: UInt8) -> Int? {
        let (index, isThere) = place(of: first, in: node)
        return isThere ? Int(nodes[node].children[index]) : nil
    }

    /// The value under exactly these bytes. O(bytes).
    func find(_ bytes: Bytes) -> Value? { node(bytes).flatMap { nodes[$0].value } }
    private func node(_ bytes: Bytes) -> Int? {
        var at = Self.root
        var depth = 0
        while depth < bytes.count {
            guard let child = child(of: at, bytes[depth]), matches(child, bytes, depth) else { return nil }
            at = child
            depth += nodes[at].label.count
        }
        return at
    }

    /// Of those here that are prefixes of `bytes`, or of which `bytes` is one, the first in byte order. O(bytes, and of what is
    /// found).
    func firstOverlap(with bytes: Bytes) -> [UInt8]? {
        var at = Self.root
        var depth = 0
        while nodes[at].value == nil {
            if depth >= bytes.count {
                // All that follow begin with `bytes`; the first child leads to the first of them.
                guard let first = nodes[at].children.first else { return nil }
                at = Int(first)
            } else {
                guard let child = child(of: at, bytes[depth]) else { return nil }
                let shared = common(child, bytes, depth)
                if shared < nodes[child].label.count && shared < bytes.count - depth { return nil }
                at = child
            }
            depth += nodes[at].label.count
        }
        return name(at)
    }
    private func name(_ node: Int) -> [UInt8] {
        var labels: [Int] = []
        var at = node
        while at != Self.root {
            labels.append(at)
            at = Int(nodes[at].parent)
        }
        return labels.reversed().flatMap { nodes[$0].label }
    }

    /// Calls `body` with all, in byte order. O(bytes of all).
    func forEach(_ body: (Bytes, Value) -> Void) {
        // The node, and how long the name of its parent is.
        var left: [(node: Int, depth: Int)] = [(Self.root, 0)]
        let name = OutputBuffer(capacity: 64)
        while let (node, depth) = left.popLast() {
            name.truncate(to: depth)
            nodes[node].label.withUnsafeBytes { label in
                if let base = label.baseAddress { name.append(Bytes(base, label.count)) }
            }
            if let value = nodes[node].value { body(name.bytes, value) }
            for child in nodes[node].children.reversed() { left.append((Int(child), name.count)) }
        }
    }

    // MARK: Changing

    /// Puts `value` in the place of what is under these bytes. O(bytes).
    mutating func insert(_ bytes: Bytes, _ value: Value) {
        var at = Self.root
        var depth = 0
        while depth < bytes.count {
            guard let child = child(of: at, bytes[depth]) else {
                at = addChild(of: at, bytes[depth..<bytes.count].array)
                break
            }
            let shared = common(child, bytes, depth)
            at = shared < nodes[child].label.count ? split(child, at: shared) : child
            depth += shared
        }
        if nodes[at].value == nil { count += 1 }
        nodes[at].value = value
    }

    private mutating func makeNode(_ label: [UInt8], parent: Int) -> Int {
        let node = Node(label: label, parent: Int32(parent))
        if let reused = free.popLast() {
            nodes[Int(reused)] = node
            return Int(reused)
        }
        nodes.append(node)
        return nodes.count - 1
    }
    private mutating func addChild(of parent: Int, _ label: [UInt8]) -> Int {
        let node = makeNode(label, parent: parent)
        let (index, _) = place(of: label[0], in: parent)
        nodes[parent].children.insert(Int32(node), at: index)
        nodes[parent].firsts.insert(label[0], at: index)
        return node
    }
    /// Puts a node in between that has the first `length` bytes of this one's label; returns it.
    private mutating func split(_ node: Int, at length: Int) -> Int {
        let label = nodes[node].label
        let parent = Int(nodes[node].parent)
        let middle = makeNode(Array(label[..<length]), parent: parent)
        nodes[parent].children[place(of: label[0], in: parent).index] = Int32(middle)
        nodes[node].label = Array(label[length...])
        nodes[node].parent = Int32(middle)
        nodes[middle].children = [Int32(node)]
        nodes[middle].firsts = [label[length]]
        return middle
    }

    /// The value that was there. O(bytes).
    @discardableResult mutating func remove(_ bytes: Bytes) -> Value? {
        guard let node = node(bytes), let value = nodes[node].value else { return nil }
        nodes[node].value = nil
        count -= 1
        if node != Self.root { prune(node) }
        return value
    }
    /// A node has no value any more.
    private mutating func prune(_ node: Int) {
        if nodes[node].children.count > 1 { return }
        if nodes[node].children.count == 1 { return join(node) }
        let parent = Int(nodes[node].parent)
        let (index, _) = place(of: nodes[node].label[0], in: parent)
        nodes[parent].children.remove(at: index)
        nodes[parent].firsts.remove(at: index)
        release(node)
        if parent != Self.root && nodes[parent].value == nil && nodes[parent].children.count == 1 { join(parent) }
    }
    /// The only child takes the node's place.
    private mutating func join(_ node: Int) {
        let child = Int(nodes[node].children[0])
        let parent = Int(nodes[node].parent)
        nodes[parent].children[place(of: nodes[node].label[0], in: parent).index] = Int32(child)
        nodes[child].label = nodes[node].label + nodes[child].label
        nodes[child].parent = Int32(parent)
        release(node)
    }
    private mutating func release(_ node: Int) {
        nodes[node] = Node(label: [], parent: -1)
        free.append(Int32(node))
        // What is left when all have gone is the root.
        if free.count == nodes.count - 1 {
            nodes.removeLast(free.count)
            free = []
        }
    }
}

extension PrefixTree {
    /// O(nodes).
    func checkInvariants() throws(BrokenInvariant) {
        var left = [Self.root]
        var (seen, values) = (0, 0)
        while let at = left.popLast() {
            seen += 1
            let node = nodes[at]
            if node.value != nil { values += 1 }
            try invariant((at == Self.root) == node.label.isEmpty, "prefix tree: an empty label")
            try invariant(
                at == Self.root || node.value != nil || node.children.count > 1, "prefix tree: a node for nothing")
            try invariant(
                node.firsts == node.children.map { nodes[Int($0)].label.first }, "prefix tree: children and their bytes"
            )
            try invariant(zip(node.firsts, node.firsts.dropFirst()).allSatisfy(<), "prefix tree: children out of order")
            for child in node.children {
                try invariant(Int(nodes[Int(child)].parent) == at, "prefix tree: a child of another")
                left.append(Int(child))
            }
        }
        try invariant(values == count, "prefix tree: \(values) values, counted \(count)")
        try invariant(seen + free.count == nodes.count, "prefix tree: \(nodes.count) nodes, \(seen) in use")
    }
}
