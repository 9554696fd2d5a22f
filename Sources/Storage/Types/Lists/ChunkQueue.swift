import Glibc

// Invariant of this file: the queue's chunks are initialized at `block[head..<head + count]`, within `capacity`; the block
// comes from malloc and belongs to the one list that has the queue.

/// The chunks of a large list, in order, in one block with room at both ends. By hand, as an array would ask with each push
/// whether it is shared.
struct ChunkQueue {
    private var block: UnsafeMutablePointer<ListChunk>?
    private var capacity = 0
    private var head = 0
    private(set) var count = 0

    var byteCount: Int { capacity * MemoryLayout<ListChunk>.stride }

    @inline(__always) subscript(_ index: Int) -> ListChunk {
        _read {
            precondition(index >= 0 && index < count)
            yield block.unsafelyUnwrapped[head &+ index]
        }
        nonmutating _modify {
            precondition(index >= 0 && index < count)
            yield &block.unsafelyUnwrapped[head &+ index]
        }
    }

    /// Amortised O(1) at the ends, O(n) between.
    mutating func insert(_ chunk: ListChunk, at index: Int) {
        precondition(index >= 0 && index <= count)
        if index == 0 && count > 0 {
            if head == 0 { makeRoom() }
            head -= 1
        } else {
            if head + count == capacity { makeRoom() }
            let place = block.unsafelyUnwrapped + (head + index)
            memmove(place + 1, place, (count - index) * MemoryLayout<ListChunk>.stride)
        }
        block.unsafelyUnwrapped[head + index] = chunk
        count += 1
    }
    mutating func append(_ chunk: ListChunk) { insert(chunk, at: count) }

    /// O(1) at the ends, O(n) between. The listpack is not freed.
    mutating func remove(at index: Int) {
        precondition(index >= 0 && index < count)
        if index == 0 {
            head += 1
        } else {
            let place = block.unsafelyUnwrapped + (head + index)
            memmove(place, place + 1, (count - index - 1) * MemoryLayout<ListChunk>.stride)
        }
        count -= 1
        if capacity > StructureSizes.size(64, small: 8) && count < capacity / 8 { move(to: 2 * count + 4) }
    }

    /// Room at both ends for a quarter as many chunks as there are, so that pushes seldom move anything.
    private mutating func makeRoom() { move(to: capacity >= count + count / 2 + 2 ? capacity : 2 * count + 4) }

    /// The chunks go to the middle of a block of `newCapacity`.
    private mutating func move(to newCapacity: Int) {
        let newHead = (newCapacity - count) / 2
        if newCapacity == capacity, let block {
            memmove(block + newHead, block + head, count * MemoryLayout<ListChunk>.stride)
        } else {
            let moved = RawBlock.allocate(newCapacity * MemoryLayout<ListChunk>.stride)
                .assumingMemoryBound(to: ListChunk.self)
            if let block {
                memcpy(moved + newHead, block + head, count * MemoryLayout<ListChunk>.stride)
                Glibc.free(block)
            }
            block = moved
            capacity = newCapacity
        }
        head = newHead
    }

    /// Frees the queue, not the listpacks; it is empty then.
    mutating func free() {
        Glibc.free(block)
        self = ChunkQueue()
    }
}
