/// The best candidates for eviction that samples have shown so far: what one round does not need is there for the next, so that
/// few samples come close to an exact order. (https://redis.io/docs/latest/develop/reference/eviction/)
struct EvictionPool {
    struct Candidate {
        var db: Int
        /// What the keyspace finds the key by.
        var id: UInt64
        /// The higher, the sooner it goes.
        var score: UInt32
    }

    static let capacity = 16
    /// Ascending by score.
    private var candidates: InlineArray<16, Candidate> = .init(repeating: Candidate(db: 0, id: 0, score: 0))
    private(set) var count = 0

    /// Takes the candidate where it is better than the worst, or where there is room. O(capacity).
    mutating func offer(_ candidate: Candidate) {
        var place = count
        while place > 0 && candidates[place - 1].score >= candidate.score { place -= 1 }
        if count < Self.capacity {
            var i = count
            while i > place {
                candidates[i] = candidates[i - 1]
                i -= 1
            }
            candidates[place] = candidate
            count += 1
        } else if place > 0 {
            // The worst one goes.
            for i in 1..<place { candidates[i - 1] = candidates[i] }
            candidates[place - 1] = candidate
        }
    }

    /// Takes the best candidate out.
    mutating func takeBest() -> Candidate? {
        if count == 0 { return nil }
        count -= 1
        return candidates[count]
    }

    mutating func removeAll() { count = 0 }
}
