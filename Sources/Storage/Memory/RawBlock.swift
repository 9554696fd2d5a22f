import CShims
import Glibc

// Invariant of this file: a block comes from malloc, belongs to the one value that points to it, and is never smaller
// than the bytes its header counts.

/// Memory for the flat formats: blocks that know their own size by their header, so that an owner is one pointer.
enum RawBlock {
    @inline(__always) static func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
        guard let block = malloc(byteCount) else { fatalError("out of memory: cannot allocate \(byteCount) bytes") }
        return block
    }

    /// What is handed out may be larger than what was asked for: growth into the rest of the allocator's size class
    /// costs no call of realloc, and as classes lie at least an eighth apart, appending stays amortised O(1).
    @inline(__always) static func grow(_ block: inout UnsafeMutableRawPointer, to byteCount: Int) {
        if byteCount > malloc_usable_size(block) { resize(&block, to: byteCount) }
    }

    /// Gives memory back once more than half of a block is unused.
    @inline(__always) static func shrink(_ block: inout UnsafeMutableRawPointer, to byteCount: Int) {
        let usable = malloc_usable_size(block)
        if usable > 64 && usable > 2 &* byteCount { resize(&block, to: byteCount) }
    }

    @inline(never) private static func resize(_ block: inout UnsafeMutableRawPointer, to byteCount: Int) {
        guard let moved = realloc(block, byteCount) else {
            fatalError("out of memory: cannot allocate \(byteCount) bytes")
        }
        block = moved
    }
}

/// What a validator says of bytes from outside.
public enum FormatCheck: Equatable, Sendable {
    /// Every byte is accounted for; walking the block stays inside it.
    case sound(count: Int)
    /// The offset of the first byte that cannot be right.
    case damaged(at: Int)

    /// The elements of a sound block; nil of a damaged one.
    public var count: Int? { if case .sound(let count) = self { count } else { nil } }
    /// nil of a sound block.
    public var damage: Int? { if case .damaged(let offset) = self { offset } else { nil } }
}

extension Bytes {
    /// The little-endian integer at `offset`; nil where it does not lie within the run.
    @inline(__always) func littleEndian<T: FixedWidthInteger>(at offset: Int, as type: T.Type) -> T? {
        guard offset >= 0, offset <= count &- MemoryLayout<T>.size else { return nil }
        return T(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: type))
    }
}
