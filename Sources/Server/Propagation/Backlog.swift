import Storage

/// The last bytes of a stream, in a ring: what a reader that lost its connection goes on from. Confined to the loop.
struct Backlog {
    /// Bytes that are kept at most.
    let capacity: Int
    /// The offset of the oldest byte that is kept, and the one after the newest.
    private(set) var start: Int
    private(set) var end: Int
    private var ring: [UInt8]

    /// `capacity` is at least 1; `offset` is that of the first byte to come.
    init(capacity: Int, from offset: Int) {
        self.capacity = capacity
        start = offset
        end = offset
        ring = Array(repeating: 0, count: capacity)
    }

    /// O(bytes), at most `capacity`.
    mutating func append(_ bytes: Bytes) {
        end += bytes.count
        start = max(start, end - capacity)
        let kept = bytes[max(0, bytes.count - capacity)..<bytes.count]
        var at = (end - kept.count) % capacity
        for byte in kept.buffer {
            ring[at] = byte
            at += 1
            if at == capacity { at = 0 }
        }
    }

    /// The bytes from `offset` to the end; nil where some of them are not kept any more, or are still to come.
    func bytes(from offset: Int) -> [UInt8]? {
        guard offset >= start, offset <= end else { return nil }
        return (offset..<end).map { ring[$0 % capacity] }
    }
}
