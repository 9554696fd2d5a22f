import Glibc
import Storage

// Invariant of this file: vectors point into `buffer` and into chunks that the queue holds, and are used before either
// changes.

/// Bytes that several connections send: encoded once, not changed any more, freed when the last has sent them.
final class SharedChunk {
    private let buffer: OutputBuffer
    var bytes: Bytes { buffer.bytes }
    var count: Int { buffer.count }
    /// Bytes that it takes, once for all who send it.
    var memoryUsage: Int { buffer.memoryUsage }

    /// A chunk up to this length is copied: a reference takes a count, a place in the queue and a vector of its own.
    static let copiedLength = 256

    /// Takes over `buffer`, which nobody else may write to from here on.
    init(_ buffer: OutputBuffer) { self.buffer = buffer }

    /// What `encode` writes.
    convenience init(encode: (OutputBuffer) -> Void) {
        let buffer = OutputBuffer(capacity: 128)
        encode(buffer)
        self.init(buffer)
    }
}

/// What waits to be sent on one connection: the bytes of its own buffer and, among them, chunks that are shared with
/// others. Without chunks it is the buffer and a count.
struct OutputQueue {
    /// Where replies are written.
    let buffer: OutputBuffer
    /// Bytes at the start of `buffer` that have left.
    private(set) var sent = 0

    private struct Piece {
        /// The chunk stands before this byte of `buffer`.
        var position: Int
        let chunk: SharedChunk
    }
    private var pieces: [Piece] = []
    /// Pieces at the start of `pieces` that have left whole, and bytes of the next one that have.
    private var sentPieces = 0
    private var sentOfPiece = 0

    /// Bytes of chunks that have not left.
    private(set) var sharedCount = 0
    /// Chunks that have not left whole.
    var chunkCount: Int { pieces.count - sentPieces }
    /// All bytes that have not left.
    var pending: Int { max(0, buffer.count &- sent) &+ sharedCount }

    /// Nothing waits, or has left of what is still in the buffer.
    var isEmpty: Bool { buffer.count == 0 && pieces.isEmpty }

    /// Bytes that may wait; `.max`: any number. Beyond it the buffer overflows, chunks included.
    var limit = Int.max { didSet { limitBuffer() } }

    /// Vectors of one system call.
    static let vectors = 64

    init(_ buffer: OutputBuffer) { self.buffer = buffer }

    /// Appends a chunk behind what is there: between commands only, as one may still insert into or take back its reply.
    mutating func append(_ chunk: SharedChunk) {
        if chunk.count <= SharedChunk.copiedLength { return buffer.append(chunk.bytes) }
        if buffer.isOverflowed { return }
        if pending > limit - chunk.count {
            buffer.overflow()
            return removeChunks()
        }
        pieces.append(Piece(position: buffer.count, chunk: chunk))
        sharedCount += chunk.count
        limitBuffer()
    }

    /// Has the buffer's bytes wait as a chunk, from `least` of them on, where they stand together: what is appended next grows a
    /// buffer of its own, and not by as much again as all that waits. Between commands only. O(1).
    mutating func setAside(least: Int) {
        guard buffer.count - sent >= least, chunkCount == 0 || sent == 0 && pieces[pieces.count - 1].position == 0
        else {
            return
        }
        if chunkCount == 0 {
            removeChunks()
            sentOfPiece = sent
        }
        sharedCount += buffer.count - sent
        pieces.append(Piece(position: 0, chunk: SharedChunk(buffer.detach(capacity: least / 4))))
        sent = 0
        limitBuffer()
    }

    /// The bytes that leave next, as many as go into one system call: what is beyond `bytes` of chunks waits for the
    /// next one.
    func withVectors<R>(upTo bytes: Int, _ body: (UnsafePointer<iovec>, _ count: Int) -> R) -> R {
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.vectors) { vectors in
            var count = 0
            var total = 0
            var position = sent
            func add(_ base: UnsafeMutableRawPointer, _ length: Int) {
                if length <= 0 { return }
                vectors.initializeElement(at: count, to: iovec(iov_base: base, iov_len: length))
                count += 1
                total += length
            }
            var skipped = sentOfPiece
            var hasAll = true
            for piece in pieces[sentPieces...] {
                if count + 2 >= Self.vectors || total >= bytes {
                    hasAll = false
                    break
                }
                add(buffer.base + position, piece.position - position)
                position = piece.position
                let length = piece.chunk.count - skipped
                let room = max(0, bytes - total)
                add(UnsafeMutableRawPointer(mutating: piece.chunk.bytes.base + skipped), min(length, room))
                if length > room {
                    hasAll = false
                    break
                }
                skipped = 0
            }
            // Where not all chunks fitted in, the bytes behind them have to wait for the next call.
            if hasAll { add(buffer.base + position, buffer.count - position) }
            guard let base = vectors.baseAddress else { preconditionFailure("no vectors") }
            return body(base, count)
        }
    }

    /// `length` bytes have left.
    @inline(__always) mutating func remove(_ length: Int) {
        if sharedCount == 0 { sent &+= length } else { removeAmongChunks(length) }
    }
    private mutating func removeAmongChunks(_ length: Int) {
        var left = length
        while left > 0, sentPieces < pieces.count {
            let piece = pieces[sentPieces]
            let own = min(left, piece.position - sent)
            sent += own
            left -= own
            let shared = min(left, piece.chunk.count - sentOfPiece)
            sentOfPiece += shared
            sharedCount -= shared
            left -= shared
            if sentOfPiece < piece.chunk.count { break }
            sentPieces += 1
            sentOfPiece = 0
        }
        sent += left
        limitBuffer()
    }

    /// Whether `compact` is worth what it costs.
    var isMostlySent: Bool {
        sent > 1 << 16 && sent > buffer.count / 2 || sentPieces > 1024 && sentPieces > pieces.count / 2
    }

    /// Frees what has left, as a connection that never quite catches up must not have all its output kept. O(bytes and
    /// chunks that stay).
    mutating func compact() {
        pieces.removeFirst(sentPieces)
        sentPieces = 0
        for i in pieces.indices { pieces[i].position -= sent }
        buffer.removeFirst(sent)
        sent = 0
        limitBuffer()
    }

    /// All has left: begins anew, with at most `capacity` bytes of capacity. True where there were chunks.
    @inline(__always) mutating func reset(keepingAtMost capacity: Int) -> Bool {
        sent = 0
        buffer.removeAll(keepingAtMost: capacity)
        buffer.limit = limit
        if pieces.isEmpty { return false }
        removeChunks()
        return true
    }
    /// Nothing more is sent: lets go of what others share.
    mutating func removeChunks() {
        pieces.removeAll()
        sentPieces = 0
        sentOfPiece = 0
        sharedCount = 0
    }

    /// The buffer has room for what the limit leaves beside the chunks; what has left does not count.
    private func limitBuffer() {
        buffer.limit = limit < .max - sent ? max(0, limit + sent - sharedCount) : .max
    }
}
