import Storage

/// The last bytes of a stream, in blocks that replicas' connections share: what a reader that lost its connection goes on
/// from, and what one that is still being given a snapshot gets behind it. Each byte is kept once, however many read it.
/// Confined to the loop.
///
/// The oldest blocks go when what is left still has `capacity` bytes, but not while a connection has them queued, or a
/// reader that comes needs them: so the backlog is longer where somebody is slow, and reaches back further.
struct Backlog {
    /// Bytes that are kept at least, once so many were said.
    var capacity: Int { didSet { trim() } }
    /// The offset of the oldest byte that is kept, and the one after the newest.
    private(set) var start: Int
    private(set) var end: Int
    /// What stands from this offset on stays; `.max`: nothing has to.
    var pinned = Int.max { didSet { if pinned > oldValue { trim() } } }

    private struct Block {
        /// nil: it is gone.
        var chunk: SharedChunk?
        let start: Int
    }
    private var blocks: [Block] = []
    /// Blocks at the start of `blocks` that are gone; they are taken out now and then.
    private var gone = 0
    /// What was said last in small pieces.
    private var open: OutputBuffer?
    /// Bytes of the blocks' buffers.
    private var allocated = 0
    private var openStart: Int

    /// Pieces of at most so many bytes are gathered in blocks, as each connection has its own copy of them.
    private static let gatheredLength = SharedChunk.copiedLength
    /// Of a block, in bytes: as large as Redis's.
    private static var blockSize: Int { StructureSizes.size(16 << 10, small: 300) }
    /// Large backlogs may have larger blocks: so many are enough.
    private static let blocksEnough = 16

    /// `capacity` is at least 1; `offset` is that of the first byte to come.
    init(capacity: Int, from offset: Int) {
        self.capacity = capacity
        start = offset
        end = offset
        openStart = offset
    }

    /// Bytes that are kept.
    var count: Int { end - start }
    /// Bytes that keeping them takes. O(1).
    var memoryUsage: Int { allocated + (open?.memoryUsage ?? 0) + (blocks.count - gone) * Self.blockOverhead }
    /// A block's chunk, its buffer and its place here.
    private static let blockOverhead = 128

    /// Appends what was said, and calls `share` with each block that was made of it; it makes none of a small piece.
    /// O(bytes).
    mutating func append(_ bytes: Bytes, share: (SharedChunk) -> Void) {
        if bytes.count <= Self.gatheredLength {
            if open == nil {
                open = OutputBuffer(capacity: Self.blockSize)
                openStart = end
            }
            open?.append(bytes)
            end += bytes.count
            if end - openStart > Self.blockSize - Self.gatheredLength { seal() }
        } else {
            seal()
            let limit = max(capacity / Self.blocksEnough, Self.blockSize)
            var at = 0
            while at < bytes.count {
                let length = min(limit, bytes.count - at)
                let chunk = SharedChunk(OutputBuffer(copying: bytes[at..<at + length]))
                blocks.append(Block(chunk: chunk, start: end))
                allocated += chunk.memoryUsage
                end += length
                at += length
                share(chunk)
            }
        }
        if count > capacity { trim() }
    }

    private mutating func seal() {
        guard let buffer = open else { return }
        open = nil
        blocks.append(Block(chunk: SharedChunk(buffer), start: openStart))
        allocated += buffer.memoryUsage
    }

    /// Lets the oldest blocks go that nothing needs.
    mutating func trim() {
        while gone < blocks.count {
            // The only reference is this one where no connection has it queued.
            guard let length = blocks[gone].chunk?.count, length <= count - capacity, start + length <= pinned,
                isKnownUniquelyReferenced(&blocks[gone].chunk)
            else { break }
            allocated -= blocks[gone].chunk?.memoryUsage ?? 0
            blocks[gone].chunk = nil
            start += length
            gone += 1
        }
        if gone > StructureSizes.size(64, small: 2) && gone > blocks.count / 2 {
            blocks.removeFirst(gone)
            gone = 0
        }
    }

    /// Whether a reader can go on at `offset`.
    func holds(_ offset: Int) -> Bool { offset >= start && offset <= end }

    /// Calls `body` with all bytes from `offset` on, which the backlog must hold, piece by piece; a whole block comes with
    /// its chunk. O(blocks).
    func forEach(from offset: Int, _ body: (Bytes, SharedChunk?) -> Void) {
        precondition(holds(offset))
        for block in blocks[gone...] {
            guard let chunk = block.chunk, block.start + chunk.count > offset else { continue }
            let skipped = max(0, offset - block.start)
            withExtendedLifetime(chunk) {
                let bytes = chunk.bytes
                body(bytes[skipped..<bytes.count], skipped == 0 ? chunk : nil)
            }
        }
        if let open, openStart + open.count > offset {
            let bytes = open.bytes
            body(bytes[max(0, offset - openStart)..<bytes.count], nil)
        }
    }

    /// The bytes from `offset` to the end; nil where some of them are not kept any more, or are still to come.
    func bytes(from offset: Int) -> [UInt8]? {
        guard holds(offset) else { return nil }
        var all: [UInt8] = []
        forEach(from: offset) { bytes, _ in all += bytes.array }
        return all
    }

    /// O(blocks).
    func checkInvariants() throws(BrokenInvariant) {
        var at = start
        for block in blocks[gone...] {
            try invariant(block.start == at, "backlog: a block begins at \(block.start), not at \(at)")
            at += block.chunk?.count ?? 0
        }
        try invariant(at + (open?.count ?? 0) == end, "backlog: the blocks do not add up to \(count) bytes")
    }
}
