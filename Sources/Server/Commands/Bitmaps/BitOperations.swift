import Glibc
import Storage

// Invariant of this file: sources are strings of the keyspace that nothing changes before the result is complete, or
// copies in a buffer that does not grow any more; a block lies within the result, and what is loaded within its source.

/// BITOP: logic on whole strings.
enum BitOperations {
    static var table: [Command] {
        CommandGroup.bitmap.rows([
            .write(
                "bitop", -4, .denyoom, [.key(.owUpdate, at: 2), .keys(.roAccess, at: 3)], "2.6.0",
                "operation destkey key...", "Combines strings bit by bit and stores the result.", bitop
            ).complexity("O(N) for N bytes")
        ])
    }

    private enum Operation { case and, or, xor, not }

    private static func bitop(_ c: WriteContext) throws(CommandError) {
        let operation: Operation
        if c.args[1].equals(ignoringCase: "and") {
            operation = .and
        } else if c.args[1].equals(ignoringCase: "or") {
            operation = .or
        } else if c.args[1].equals(ignoringCase: "xor") {
            operation = .xor
        } else if c.args[1].equals(ignoringCase: "not") {
            operation = .not
            if c.args.count != 4 { throw CommandError("ERR BITOP NOT must be called with a single source key.") }
        } else {
            throw .syntax
        }
        let digits = OutputBuffer(capacity: (c.args.count - 3) * 20)
        var sources: [Bytes] = []
        sources.reserveCapacity(c.args.count - 3)
        for i in 3..<c.args.count {
            guard let entry = c.reading.find(c.args[i]) else {
                sources.append(Bytes())
                continue
            }
            guard entry.type == .string else { throw .wrongType }
            guard let integer = entry.integer else {
                sources.append(c.db.string(of: entry))
                continue
            }
            // An integer's digits are rendered in a place that the next one overwrites.
            let start = digits.count
            digits.append(decimal: integer)
            sources.append(digits.bytes[start..<digits.count])
        }
        let count = sources.reduce(0) { max($0, $1.count) }
        c.reply.integer(count)
        guard count > 0 else {
            c.storeNothing(c.args[2])
            return
        }
        c.db.setRaw(c.args[2], count: count, expiry: .clear) { result in
            var start = 0
            while start < count {
                let end = min(start + blockSize, count)
                combine(sources, operation, start..<end, into: result)
                start = end
            }
        }
        c.changed(c.args[2], .string, "set")
    }

    /// Bytes of the result that are finished before the next are begun: so that they stay in the first cache while
    /// one source after the other comes in.
    private static var blockSize: Int { StructureSizes.size(8192, small: 64) }

    private static func combine(
        _ sources: [Bytes], _ operation: Operation, _ range: Range<Int>, into result: UnsafeMutableRawPointer
    ) {
        let block = result + range.lowerBound
        for (i, source) in sources.enumerated() {
            let length = max(0, min(source.count, range.upperBound) - range.lowerBound)
            let from = source.base + (length > 0 ? range.lowerBound : 0)
            if i == 0 {
                memcpy(block, from, length)
                // What a source lacks is zeros.
                memset(block + length, 0, range.count - length)
                if operation == .not {
                    apply(block, block, range.count) { a, _ in
                        ~a
                    } byte: { a, _ in
                        ~a
                    }
                }
                continue
            }
            switch operation {
            case .and:
                apply(block, from, length) {
                    $0 & $1
                } byte: {
                    $0 & $1
                }
                memset(block + length, 0, range.count - length)
            case .or:
                apply(block, from, length) {
                    $0 | $1
                } byte: {
                    $0 | $1
                }
            case .xor:
                apply(block, from, length) {
                    $0 ^ $1
                } byte: {
                    $0 ^ $1
                }
            case .not: break
            }
        }
    }

    /// Replaces `count` bytes at `to` by what the closures make of them and those at `from`.
    @inline(__always) private static func apply(
        _ to: UnsafeMutableRawPointer, _ from: UnsafeRawPointer, _ count: Int,
        _ word: (SIMD4<UInt64>, SIMD4<UInt64>) -> SIMD4<UInt64>, byte: (UInt8, UInt8) -> UInt8
    ) {
        var i = 0
        while i &+ 32 <= count {
            let a = to.loadUnaligned(fromByteOffset: i, as: SIMD4<UInt64>.self)
            let b = from.loadUnaligned(fromByteOffset: i, as: SIMD4<UInt64>.self)
            // Not storeBytes(of:as:), which wants vectors aligned.
            let result = word(a, b)
            to.storeBytes(of: result[0], toByteOffset: i, as: UInt64.self)
            to.storeBytes(of: result[1], toByteOffset: i &+ 8, as: UInt64.self)
            to.storeBytes(of: result[2], toByteOffset: i &+ 16, as: UInt64.self)
            to.storeBytes(of: result[3], toByteOffset: i &+ 24, as: UInt64.self)
            i &+= 32
        }
        while i < count {
            let result = byte(
                to.load(fromByteOffset: i, as: UInt8.self), from.load(fromByteOffset: i, as: UInt8.self))
            to.storeBytes(of: result, toByteOffset: i, as: UInt8.self)
            i &+= 1
        }
    }
}
