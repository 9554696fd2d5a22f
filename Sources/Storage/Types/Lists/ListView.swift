/// An end of a list.
public enum ListEnd { case head, tail }

/// A list: a listpack while small, a queue of listpacks when large. Reads only. Bytes that it returns are good until
/// the next call on any view, or write.
public struct ListView {
    let entry: Entry
    unowned(unsafe) let values: ValueContext

    public var count: Int { entry.elementCount }

    /// `index` is in 0..<count. O(distance from the nearer end / chunk) when large.
    public subscript(_ index: Int) -> Bytes {
        if entry.isLarge { return entry.withList { $0.element(at: index, scratch: values.elementScratch) } }
        let pack = entry.listpack
        guard let offset = pack.seek(index) else { preconditionFailure("list index out of range") }
        return pack.value(at: offset, scratch: values.elementScratch)
    }

    /// `count` elements from the one at `from` on, towards the tail or (`reverse`) the head, until `body` returns false.
    public func forEach(from: Int, count wanted: Int, reverse: Bool, _ body: (Bytes) -> Bool) {
        if wanted <= 0 || from < 0 || from >= count { return }
        var left = wanted
        let scratch = values.elementScratch
        if entry.isLarge {
            entry.chunkedList.forEach(from: from, reverse: reverse, scratch: scratch) { element in
                left -= 1
                return body(element) && left > 0
            }
            return
        }
        let pack = entry.listpack
        var offset = pack.seek(from)
        while let here = offset, left > 0 {
            left -= 1
            if !body(pack.value(at: here, scratch: scratch)) { return }
            offset = reverse ? pack.previous(here) : pack.next(here)
        }
    }
}

/// Changes to a list. An editor that made the key, or emptied it, must be followed by `Database.removeIfEmpty`. Bytes
/// that are given must not be a view of the same list.
public struct ListEditor {
    public let entry: Entry
    unowned(unsafe) let recorder: ChangeRecorder

    public var view: ListView { ListView(entry: entry, values: recorder.values) }

    /// Amortised O(1) at the tail, O(size of a chunk) at the head.
    public func push(_ value: Bytes, _ end: ListEnd) {
        recorder.willChange(entry)
        if !entry.isLarge && pushSmall(value, end) { return }
        entry.withList { list in
            switch end {
            case .head: list.prepend(value)
            case .tail: list.append(value)
            }
        }
    }
    /// False where the list has become a large one instead.
    private func pushSmall(_ value: Bytes, _ end: ListEnd) -> Bool {
        growIfNeeded(for: value)
        if entry.isLarge { return false }
        var pack = entry.listpack
        switch end {
        case .head: pack.prepend(value)
        case .tail: pack.append(value)
        }
        entry.listpack = pack
        return true
    }

    /// Removes the element at an end of a list that is not empty, after `body` has seen it; its bytes are good until `body`
    /// returns. O(1) at the tail, O(size of a chunk) at the head.
    public func pop(_ end: ListEnd, _ body: (Bytes) -> Void) {
        recorder.willChange(entry)
        if !entry.isLarge { return popSmall(end, body) }
        let isShort = entry.withList { list in
            list.pop(end, scratch: recorder.values.elementScratch, body)
            return list.chunkCount == 1
        }
        if isShort { shrinkIfSmall() }
    }
    private func popSmall(_ end: ListEnd, _ body: (Bytes) -> Void) {
        var pack = entry.listpack
        let offset = end == .head ? pack.first : pack.last
        guard let offset else { preconditionFailure("an empty list") }
        body(pack.value(at: offset, scratch: recorder.values.elementScratch))
        pack.remove(at: offset)
        entry.listpack = pack
    }

    public func set(_ index: Int, _ value: Bytes) {
        recorder.willChange(entry)
        growIfNeeded(for: value)
        if entry.isLarge {
            entry.withList { $0.set(index, value) }
            return shrinkIfSmall()
        }
        var pack = entry.listpack
        if let offset = pack.seek(index) { pack.replace(at: offset, with: value) }
        entry.listpack = pack
    }

    /// Before the element at `index`; at the tail for `count`.
    public func insert(_ value: Bytes, at index: Int) {
        if index == view.count { return push(value, .tail) }
        recorder.willChange(entry)
        growIfNeeded(for: value)
        if entry.isLarge { return entry.withList { $0.insert(value, at: index) } }
        var pack = entry.listpack
        if let offset = pack.seek(index) { pack.insert(value, before: offset) }
        entry.listpack = pack
    }

    public func remove(at range: Range<Int>) {
        let range = range.clamped(to: 0..<view.count)
        if range.isEmpty { return }
        recorder.willChange(entry, counts: range.count)
        if entry.isLarge {
            entry.withList { $0.remove(range.lowerBound, range.count) }
            shrinkIfSmall()
            return
        }
        var pack = entry.listpack
        if let offset = pack.seek(range.lowerBound) { pack.remove(at: offset, count: range.count) }
        entry.listpack = pack
    }

    /// Removes the elements outside of `kept`, which holds some. Where nothing is to go, nothing changes, but for a client
    /// that watches the key it was written, as in Redis.
    public func trim(to kept: Range<Int>) {
        let count = view.count
        if kept.count == count { return recorder.touch(entry) }
        remove(at: kept.upperBound..<count)
        remove(at: 0..<kept.lowerBound)
    }

    /// Removes up to `limit` (0: all) elements equal to `value`, from the head or the tail on. O(n).
    @discardableResult public func removeAll(equal value: Bytes, limit: Int, fromTail: Bool) -> Int {
        let count = view.count
        var found: [Int] = []
        var index = fromTail ? count - 1 : 0
        view.forEach(from: index, count: count, reverse: fromTail) { element in
            if element == value { found.append(index) }
            index += fromTail ? -1 : 1
            return limit == 0 || found.count < limit
        }
        // From the tail on, so that the indices still to come stay right.
        for index in fromTail ? found : found.reversed() { remove(at: index..<index + 1) }
        return found.count
    }

    // MARK: Encodings

    private func growIfNeeded(for value: Bytes) {
        if entry.isLarge { return }
        let size = recorder.values.limits.listMaxListpackSize
        let limits = ChunkedList.chunkLimits(size)
        let pack = entry.listpack
        if pack.byteCount + Listpack.entrySize(of: value) <= limits.bytes && pack.count < limits.count { return }
        let list = ChunkedList(size: size)
        view.forEach(from: 0, count: view.count, reverse: false) { element in
            list.append(element)
            return true
        }
        pack.free()
        entry.setLargeValue(list, encoding: .quicklist)
    }

    /// Back to a listpack when one chunk is left that fills less than half of one: not at the limit, where a list
    /// would go back and forth.
    private func shrinkIfSmall() {
        let list = entry.chunkedList
        let limits = ChunkedList.chunkLimits(recorder.values.limits.listMaxListpackSize)
        guard let pack = list.singleChunk, pack.byteCount <= limits.bytes / 2,
            limits.count == .max || pack.count <= limits.count / 2
        else { return }
        _ = entry.takeLargeValue()
        entry.encoding = .listpack
        entry.listpack = pack.copy()
        list.letGo()
    }
}
