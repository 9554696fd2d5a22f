// Invariant of this file: `read`'s target has room for the count that it is called with.

import Synchronization

/// Bytes that come one after the other, and whose end is not known before.
public protocol ByteSource: AnyObject {
    /// What the bytes are, for messages.
    var name: String { get }
    /// Copies up to `count` bytes, at least one, to `target`; waits for them. 0 at the end.
    func read(into target: UnsafeMutableRawPointer, _ count: Int) throws(StorageError) -> Int
}

/// Bytes from a thread that never waits, the loop, to one that waits for them. `send` takes all that it gets; its caller
/// stops reading a socket once `isFull`, and is told when there is room again.
public final class BytePipe: ByteSource, Sendable {
    private enum Message: Sendable {
        case bytes(Parcel)
        /// No more will come.
        case end
        /// To have the receiver look at `failure`.
        case failed
    }

    /// What the bytes are, for messages.
    public let name: String
    public let capacity: Int
    private let mailbox = Mailbox<Message>()
    private let used = Mailbox<Parcel>()
    private let pending = Atomic<Int>(0)
    private let failure = Mutex<StorageError?>(nil)
    private let isClosed = Atomic<Bool>(false)
    private let onRoom: @Sendable () -> Void
    /// Of the reading thread: the piece in hand, how much of it was read, and whether it was the last.
    private let reading = Mutex<(piece: Parcel?, offset: Int, isEnd: Bool)>((nil, 0, false))

    /// Buffers that are kept to be filled again, and how large they may be for that.
    private static let keptBuffers = 8
    private static let keptSize = 256 << 10

    /// `onRoom` is called on the reading thread when it has taken so much of a pipe that was full that half of `capacity` is
    /// free again.
    public init(name: String, capacity: Int = 4 << 20, onRoom: @escaping @Sendable () -> Void = {}) {
        self.name = name
        self.capacity = max(2, capacity)
        self.onRoom = onRoom
    }

    // MARK: The sending thread

    /// Copies `bytes` into the pipe; never waits. Returns the number of bytes that were not read yet. What is sent after
    /// `finish`, `fail` or `close` is discarded.
    @discardableResult public func send(_ bytes: Bytes) -> Int {
        if bytes.isEmpty || isClosed.load(ordering: .acquiring) { return pendingBytes }
        let buffer = used.poll()?.buffer ?? OutputBuffer(capacity: bytes.count)
        buffer.append(bytes)
        let before = pending.add(bytes.count, ordering: .sequentiallyConsistent).oldValue
        mailbox.send(.bytes(Parcel(buffer)))
        return before + bytes.count
    }
    public var pendingBytes: Int { pending.load(ordering: .sequentiallyConsistent) }
    public var isFull: Bool { pendingBytes >= capacity }

    /// All was sent.
    public func finish() {
        if isClosed.exchange(true, ordering: .acquiringAndReleasing) { return }
        mailbox.send(.end)
    }
    /// The bytes end here, and are not whole: the receiver throws `error`, whatever it has not read. From any thread.
    public func fail(_ error: StorageError) {
        isClosed.store(true, ordering: .releasing)
        failure.withLock { $0 = $0 ?? error }
        mailbox.send(.failed)
    }

    // MARK: The reading thread

    /// Copies up to `count` bytes, at least one, to `target`; waits for them. 0 at the end. Throws what `fail` was told.
    public func read(into target: UnsafeMutableRawPointer, _ count: Int) throws(StorageError) -> Int {
        while true {
            if let error = failure.withLock({ $0 }) { throw error }
            if let copied = copyHeld(to: target, count) { return copied }
            switch mailbox.receive() {
            case .bytes(let piece): reading.withLock { $0 = (piece, 0, false) }
            case .end, nil: reading.withLock { $0.isEnd = true }
            case .failed: break
            }
        }
    }

    /// The reader has ended: what is in the pipe or comes still is discarded.
    public func close() {
        isClosed.store(true, ordering: .releasing)
        while mailbox.poll() != nil {}
        reading.withLock { $0 = (nil, 0, true) }
        pending.store(0, ordering: .sequentiallyConsistent)
        onRoom()
    }

    /// From the piece in hand; 0 at the end, nil where another piece must come.
    private func copyHeld(to target: UnsafeMutableRawPointer, _ count: Int) -> Int? {
        let copied: Int? = reading.withLock { state in
            guard let piece = state.piece else { return state.isEnd ? 0 : nil }
            let rest = piece.buffer.bytes
            let size = min(count, rest.count - state.offset)
            target.copyMemory(from: rest.base + state.offset, byteCount: size)
            state.offset += size
            if state.offset == rest.count {
                state.piece = nil
                recycle(piece)
            }
            return size
        }
        if let copied, copied > 0 { took(copied) }
        return copied
    }

    private func recycle(_ piece: Parcel) {
        if used.count >= BytePipe.keptBuffers || piece.buffer.capacity > BytePipe.keptSize { return }
        piece.buffer.removeAll()
        used.send(piece)
    }

    private func took(_ count: Int) {
        let before = pending.subtract(count, ordering: .sequentiallyConsistent).oldValue
        let half = capacity / 2
        if before > half && before - count <= half { onRoom() }
    }
}
