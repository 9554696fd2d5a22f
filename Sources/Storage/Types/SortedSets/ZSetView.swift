/// A sorted set: a listpack of members and scores in order while small; a table and a tree by rank when large. Reads
/// only. Bytes that it returns are good until the next call on any view, or write.
public struct ZSetView {
    let entry: Entry
    unowned(unsafe) let values: ValueContext

    public var count: Int { entry.elementCount }

    public func score(_ member: Bytes) -> Double? {
        if entry.isLarge { return entry.withTable { $0.find(member)?.score } }
        let pack = entry.listpack
        guard let at = pack.find(member, every: 2), let score = pack.next(at) else { return nil }
        return pack.score(at: score)
    }

    /// Ascending, from 0. O(log n) when large.
    public func rank(of member: Bytes) -> Int? {
        if entry.isLarge {
            let table = entry.tableValue
            guard let found = table.find(member) else { return nil }
            return table.order?.rank(of: found, score: found.score)
        }
        let pack = entry.listpack
        guard let at = pack.find(member, every: 2) else { return nil }
        var rank = 0
        var offset = pack.first
        while let here = offset, here != at, let score = pack.next(here) {
            rank += 1
            offset = pack.next(score)
        }
        return rank
    }

    /// The number of elements that `isBefore`, which holds for a prefix of the order.
    @inline(__always) private func rank(small isBefore: (Listpack, Int, Int) -> Bool, large: (RankTree.Item) -> Bool)
        -> Int
    {
        if entry.isLarge { return entry.tableValue.order?.rank(large) ?? 0 }
        let pack = entry.listpack
        var rank = 0
        var offset = pack.first
        while let member = offset, let score = pack.next(member), isBefore(pack, member, score) {
            rank += 1
            offset = pack.next(score)
        }
        return rank
    }

    /// The first rank whose score is >= `score` (`after`: > `score`); `count` when there is none.
    public func firstRank(score limit: Double, after: Bool) -> Int {
        rank(
            small: { pack, _, at in
                let score = pack.score(at: at)
                return score < limit || (after && score == limit)
            }, large: { $0.score < limit || (after && $0.score == limit) })
    }
    /// The first rank from a member on, in byte order, where all scores are equal.
    public func firstRank(member limit: Bytes, after: Bool) -> Int {
        rank(
            small: { pack, at, _ in
                let order = pack.value(at: at, scratch: values.elementScratch).compare(limit)
                return order < 0 || (after && order == 0)
            },
            large: {
                let order = $0.entry.key.compare(limit)
                return order < 0 || (after && order == 0)
            })
    }

    /// `count` elements from `rank` (in ascending numbering) on, upwards or downwards, until `body` returns false.
    public func forEach(rank: Int, count wanted: Int, reverse: Bool, _ body: (Bytes, Double) -> Bool) {
        if wanted <= 0 || rank < 0 || rank >= count { return }
        var left = wanted
        if entry.isLarge {
            entry.tableValue.order?.forEach(from: rank, reverse: reverse) { element, score in
                left -= 1
                return body(element.key, score) && left > 0
            }
            return
        }
        let pack = entry.listpack
        var offset = pack.seek(rank * 2)
        while let member = offset, left > 0, let score = pack.next(member) {
            left -= 1
            if !body(pack.value(at: member, scratch: values.elementScratch), pack.score(at: score)) { return }
            offset = reverse ? pack.previous(member).flatMap { pack.previous($0) } : pack.next(score)
        }
    }

    /// The element at an index in 0..<count, in no particular order: for random picks.
    public func at(_ index: Int) -> (Bytes, Double) {
        if entry.isLarge {
            let element = entry.tableValue.slots[index]
            return (element.key, element.score)
        }
        let pack = entry.listpack
        guard let member = pack.seek(index * 2), let score = pack.next(member) else { return (Bytes(), 0) }
        return (pack.value(at: member, scratch: values.elementScratch), pack.score(at: score))
    }

    /// About `count` members; a small sorted set whole. Returns the next cursor, 0 at the end.
    public func scan(cursor: UInt64, count wanted: Int, _ body: (Bytes, Double) -> Void) -> UInt64 {
        if entry.isLarge { return entry.tableValue.scan(cursor, count: wanted) { body($0.key, $0.score) } }
        forEach(rank: 0, count: count, reverse: false) { member, score in
            body(member, score)
            return true
        }
        return 0
    }
}

/// What setting a score did.
public enum ZSetChange { case added, updated, unchanged }

/// Changes to a sorted set. An editor that made the key, or emptied it, must be followed by `Database.removeIfEmpty`.
public struct ZSetEditor {
    public let entry: Entry
    unowned(unsafe) let recorder: ChangeRecorder

    public var view: ZSetView { ZSetView(entry: entry, values: recorder.values) }

    /// `score` is not NaN.
    @discardableResult public func set(_ member: Bytes, _ score: Double) -> ZSetChange {
        precondition(!score.isNaN)
        if entry.isLarge {
            if let old = entry.withTable({ $0.find(member) }) { return update(old, score) }
        } else if let old = view.score(member) {
            // As in Redis, 0 and -0 are one score.
            if old == score { return .unchanged }
            recorder.willChange(entry)
            var pack = entry.listpack
            if let at = pack.find(member, every: 2) { pack.remove(at: at, count: 2) }
            insertSorted(&pack, member, score)
            entry.listpack = pack
            return .updated
        }
        recorder.willChange(entry)
        if !entry.isLarge {
            if recorder.values.limits.keepsSmall(zset: entry.listpack.count / 2 + 1, longest: member.count) {
                var pack = entry.listpack
                insertSorted(&pack, member, score)
                entry.listpack = pack
                return .added
            }
            convert()
        }
        entry.withTable { $0.add(ZSetEditor.element(member, score)) }
        return .added
    }

    private func update(_ old: Entry, _ score: Double) -> ZSetChange {
        if old.score == score { return .unchanged }
        recorder.willChange(entry)
        entry.withTable { $0.setScore(old, score) }
        return .updated
    }

    private func insertSorted(_ pack: inout Listpack, _ member: Bytes, _ score: Double) {
        let values = recorder.values
        var offset = pack.first
        while let at = offset, let scoreAt = pack.next(at) {
            let other = pack.score(at: scoreAt)
            if other > score
                || (other == score && pack.value(at: at, scratch: values.elementScratch).compare(member) > 0)
            {
                break
            }
            offset = pack.next(scoreAt)
        }
        // As in Redis, a listpack knows no -0.
        let text = formatDouble(score == 0 ? 0 : score, into: values.valueScratch)
        guard let at = offset else {
            pack.append(member)
            pack.append(text)
            return
        }
        pack.insert(text, before: at)
        pack.insert(member, before: at)
    }

    @discardableResult public func remove(_ member: Bytes) -> Bool {
        if entry.isLarge {
            guard let old = entry.withTable({ $0.find(member) }) else { return false }
            recorder.willChange(entry)
            entry.withTable { $0.remove(old) }
            return true
        }
        var pack = entry.listpack
        guard let at = pack.find(member, every: 2) else { return false }
        recorder.willChange(entry)
        pack.remove(at: at, count: 2)
        entry.listpack = pack
        return true
    }

    /// Removes the elements of these ranks.
    public func removeRanks(_ range: Range<Int>) {
        let range = range.clamped(to: 0..<view.count)
        if range.isEmpty { return }
        recorder.willChange(entry, counts: range.count)
        if entry.isLarge { return entry.tableValue.removeRanks(range) }
        var pack = entry.listpack
        if let at = pack.seek(range.lowerBound * 2) { pack.remove(at: at, count: range.count * 2) }
        entry.listpack = pack
    }

    static func element(_ member: Bytes, _ score: Double) -> Entry {
        let element = Entry.make(member, type: .zset, encoding: .raw, expiry: nil, room: 8)
        element.score = score
        return element
    }

    private func convert() {
        let table = TableValue(type: .zset, expecting: view.count)
        view.forEach(rank: 0, count: view.count, reverse: false) { member, score in
            table.add(ZSetEditor.element(member, score))
            return true
        }
        entry.listpack.free()
        entry.setLargeValue(table, encoding: .skiplist)
    }
}
