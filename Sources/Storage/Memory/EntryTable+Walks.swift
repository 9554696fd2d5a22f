import CShims
import Glibc

// Invariant of this file: as in EntryTable.swift; a walk leaves a bucket's lines as they are.

extension EntryTable {
    /// Calls `body` with the entries of one step of Redis's scan: one bucket of the smaller array and all that it
    /// spreads to in the larger. The cursor counts up with its bits reversed, so that it stays good over rehashes.
    /// Returns the next cursor, 0 at the end. Guarantee: an entry that is there during a whole scan is seen.
    func scan(_ cursor: UInt64, _ body: (Entry) -> Void) -> UInt64 {
        func advance(_ cursor: UInt64, _ mask: UInt64) -> UInt64 {
            ((cursor | ~mask).bitsReversed &+ 1).bitsReversed
        }
        guard let next else {
            let mask = UInt64(main.buckets &- 1)
            main.visit(Int(cursor & mask), body)
            return advance(cursor, mask)
        }
        let (small, large) = main.buckets <= next.buckets ? (main, next) : (next, main)
        let smallMask = UInt64(small.buckets &- 1)
        let largeMask = UInt64(large.buckets &- 1)
        small.visit(Int(cursor & smallMask), body)
        var v = cursor
        repeat {
            large.visit(Int(v & largeMask), body)
            v = advance(v, largeMask)
        } while v & (smallMask ^ largeMask) != 0
        return v
    }

    /// Steps of `scan` until about `count` entries are visited, at least one; bounded where the table is mostly empty.
    /// Returns the next cursor, 0 at the end.
    func scan(_ cursor: UInt64, count: Int, _ body: (Entry) -> Void) -> UInt64 {
        var cursor = cursor
        var left = count
        // Sparse tables are mostly empty chains: those end the call as well, only later.
        var steps = count.multipliedReportingOverflow(by: EntryTable.stepsPerEntry).partialValue
        if steps < count { steps = .max }
        repeat {
            cursor = scan(cursor) { entry in
                left &-= 1
                body(entry)
            }
            steps &-= 1
        } while cursor != 0 && left > 0 && steps > 0
        return cursor
    }
    private static let stepsPerEntry = 10

    /// Every entry, for walks that are meant to be whole (KEYS, freeing, digests). False from `body` stops.
    func forEach(_ body: (Entry) -> Bool) {
        for i in 0..<main.buckets where !main.forEach(in: i, while: body) { return }
        guard let next else { return }
        for i in 0..<next.buckets where !next.forEach(in: i, while: body) { return }
    }

    /// A random entry; nil when empty. Draws buckets until one has any: O(1) on average, as tables shrink.
    func random() -> Entry? {
        if count == 0 { return nil }
        let total = bucketCount
        var random = SplitMix64()
        while true {
            let i = Int.random(in: 0..<total, using: &random)
            let (array, index) = i < main.buckets ? (main, i) : (next ?? main, i - main.buckets)
            var chosen: Entry?
            var seen = 0
            array.visit(index) { entry in
                seen += 1
                if Int.random(in: 0..<seen, using: &random) == 0 { chosen = entry }
            }
            if let chosen { return chosen }
        }
    }

    /// Calls `body` with `count` entries, or fewer where the table has few: those of consecutive buckets from a random one on,
    /// so that they cost a miss of the cache a bucket, and not all the same number of times. O(count).
    func sample(_ count: Int, using random: inout SplitMix64, _ body: (Entry) -> Void) {
        let total = bucketCount
        var index = Int.random(in: 0..<total, using: &random)
        var left = min(count, self.count)
        // Sparse tables are mostly empty buckets.
        var steps = count &* EntryTable.stepsPerEntry
        while left > 0 && steps > 0 {
            let (array, bucket) = index < main.buckets ? (main, index) : (next ?? main, index - main.buckets)
            _ = array.forEach(in: bucket) { entry in
                body(entry)
                left -= 1
                return left > 0
            }
            index = index + 1 == total ? 0 : index + 1
            steps -= 1
        }
    }

    /// The entry whose key has this hash: the first of those that share all its bits.
    func find(hash: UInt64) -> Slot? {
        for array in [main, next].compactMap({ $0 }) {
            var line = array.line(array.index(hash))
            while true {
                let word = line.load(as: UInt64.self)
                let isChained = word & 1 != 0
                var hits = EntryTable.matches(word, EntryTable.tag(hash))
                if isChained { hits &= 0x00ff_ffff_ffff_ffff }
                while hits != 0 {
                    let slot = Slot(address: line + (hits.trailingZeroBitCount >> 3) &* 8)
                    if Hashing.hash(slot.entry.key) == hash { return slot }
                    hits &= hits &- 1
                }
                if !isChained { break }
                line = (line + 56).load(as: UnsafeMutableRawPointer.self)
            }
        }
        return nil
    }

    /// Every entry is in its bucket under its tag, and found there; buckets that have moved are empty. `checkEntry` is told where
    /// an entry's change must be noted: whether its bucket's bits say changed and pending. O(n).
    func checkInvariants(
        _ checkEntry: (Entry, _ changed: Bool, _ pending: Bool) throws(BrokenInvariant) -> Void = {
            (_, _, _) throws(BrokenInvariant) in
        }
    ) throws(BrokenInvariant) {
        var found = 0
        try invariant((moving >= 0) == (next != nil), "table: bucket \(moving) moves")
        for (array, isMain) in [(main, true), (next ?? main, false)] where isMain || next != nil {
            try array.changed?.checkInvariants(bits: array.buckets)
            try array.pending?.checkInvariants(bits: array.buckets)
            for index in 0..<array.buckets {
                var wrong: BrokenInvariant?
                _ = array.forEach(in: index) { entry in
                    found += 1
                    do throws(BrokenInvariant) {
                        let hash = Hashing.hash(entry.key)
                        try invariant(
                            array.index(hash) == index && !(isMain && index < moving),
                            "table: \(entry.key.quoted) is in bucket \(index)")
                        try invariant(
                            find(entry.key, hash: hash)?.entry.raw == entry.raw,
                            "table: \(entry.key.quoted) is not found")
                        try checkEntry(entry, array.changed?[index] ?? false, array.pending?[index] ?? false)
                    } catch { wrong = error }
                    return wrong == nil
                }
                if let wrong { throw wrong }
            }
        }
        try invariant(found == count, "table: \(found) entries where \(count) are counted")
    }
}

extension BucketArray {
    @inline(__always) func forEach(in index: Int, while body: (Entry) -> Bool) -> Bool {
        var line = line(index)
        while true {
            let word = line.load(as: UInt64.self)
            let chained = word & 1 != 0
            for i in 1...(chained ? 6 : 7) where (word >> UInt64(i &* 8)) & 0xff != 0 {
                if !body(Entry(raw: (line + i &* 8).load(as: UnsafeMutableRawPointer.self))) { return false }
            }
            if !chained { return true }
            line = (line + 56).load(as: UnsafeMutableRawPointer.self)
        }
    }
    @inline(__always) func visit(_ index: Int, _ body: (Entry) -> Void) {
        _ = forEach(in: index) { entry in
            body(entry)
            return true
        }
    }

    private func prefetchEntries(of index: Int) {
        _ = forEach(in: index) { entry in
            cshims_prefetch(entry.raw)
            return true
        }
    }

    func freeChildren(of index: Int) {
        let root = line(index)
        var child = root.load(as: UInt64.self) & 1 != 0 ? (root + 56).load(as: UnsafeMutableRawPointer?.self) : nil
        while let line = child {
            child = line.load(as: UInt64.self) & 1 != 0 ? (line + 56).load(as: UnsafeMutableRawPointer?.self) : nil
            Glibc.free(line)
        }
    }

    mutating func cut() {
        pending?.free()
        pending = changed
        changed = Bitset(count: buckets)
        pendingCursor = 0
    }

    mutating func drain(_ body: (Entry) -> Void, while goOn: () -> Bool) -> Bool {
        guard let pending else { return true }
        while pendingCursor < pending.wordCount {
            var word = pending.word(pendingCursor)
            while word != 0 {
                if !goOn() { return false }
                let bit = word.trailingZeroBitCount
                let index = pendingCursor &* 64 &+ bit
                // The walk's misses overlap when the lines' entries are asked for first.
                prefetchEntries(of: index)
                visit(index, body)
                word &= word &- 1
                pending.setWord(pendingCursor, word)
            }
            pendingCursor &+= 1
        }
        pending.free()
        self.pending = nil
        return true
    }
}

extension UInt64 {
    /// The value with its 64 bits in reverse order.
    fileprivate var bitsReversed: UInt64 {
        var v = byteSwapped
        v = ((v >> 4) & 0x0f0f_0f0f_0f0f_0f0f) | ((v & 0x0f0f_0f0f_0f0f_0f0f) << 4)
        v = ((v >> 2) & 0x3333_3333_3333_3333) | ((v & 0x3333_3333_3333_3333) << 2)
        return ((v >> 1) & 0x5555_5555_5555_5555) | ((v & 0x5555_5555_5555_5555) << 1)
    }
}
