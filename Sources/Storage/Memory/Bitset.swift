import Glibc

// Invariant of this file: `words` points to `wordCount` words owned by whoever holds the set, until `free`. Indices
// are checked.

/// A fixed run of bits, by hand: no reference count, cheap to swap, zeroed by calloc so that a large one costs pages
/// only where bits are set.
struct Bitset {
    private let words: UnsafeMutablePointer<UInt64>
    let wordCount: Int

    init(count: Int) {
        wordCount = (count + 63) / 64
        words = calloc(max(wordCount, 1), 8)!.assumingMemoryBound(to: UInt64.self)
    }
    func free() { Glibc.free(words) }

    @inline(__always) subscript(_ index: Int) -> Bool {
        precondition(index >= 0 && index &>> 6 < wordCount)
        return words[index &>> 6] & (1 << UInt64(index & 63)) != 0
    }
    @inline(__always) func insert(_ index: Int) {
        precondition(index >= 0 && index &>> 6 < wordCount)
        words[index &>> 6] |= 1 << UInt64(index & 63)
    }
    @inline(__always) func remove(_ index: Int) {
        precondition(index >= 0 && index &>> 6 < wordCount)
        words[index &>> 6] &= ~(1 << UInt64(index & 63))
    }
    @inline(__always) func word(_ index: Int) -> UInt64 {
        precondition(index >= 0 && index < wordCount)
        return words[index]
    }
    @inline(__always) func setWord(_ index: Int, _ value: UInt64) {
        precondition(index >= 0 && index < wordCount)
        words[index] = value
    }
    /// A longer copy; this one is freed.
    func grown(to count: Int) -> Bitset {
        let longer = Bitset(count: count)
        memcpy(longer.words, words, min(wordCount, longer.wordCount) * 8)
        free()
        return longer
    }
    func insertAll(below count: Int) {
        let full = min(count / 64, wordCount)
        memset(words, 0xff, full * 8)
        if count % 64 != 0 && full < wordCount { words[full] |= (1 << UInt64(count % 64)) - 1 }
    }
    /// How many bits are set. O(words).
    var population: Int {
        var sum = 0
        for i in 0..<wordCount { sum &+= words[i].nonzeroBitCount }
        return sum
    }
    func removeAll() { memset(words, 0, wordCount * 8) }
}

extension Bitset {
    /// `bits`: how many there must be room for. O(1).
    func checkInvariants(bits: Int) throws(BrokenInvariant) {
        try invariant(wordCount * 64 >= bits, "bits: room for \(wordCount * 64) and not for \(bits)")
    }
}
