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
                "operation(AND|OR|XOR|NOT|DIFF@8.2.0|DIFF1@8.2.0|ANDOR@8.2.0|ONE@8.2.0) destkey key...",
                "Combines strings bit by bit and stores the result.", bitop
            ).complexity("O(N) for N bytes").history(
                ("8.2.0", "Accepts `DIFF`, `DIFF1`, `ANDOR` and `ONE`."))
        ])
    }

    private enum Operation: CaseIterable {
        case and, or, xor, not
        /// In the first string and none of the others; in one of the others and not in the first; in the first and one of
        /// the others; in exactly one of all.
        case diff, diff1, andor, one

        init?(_ word: Bytes) {
            guard let found = Self.allCases.first(where: { word.equals(ignoringCase: $0.name) }) else { return nil }
            self = found
        }
        var name: StaticString {
            switch self {
            case .and: "and"
            case .or: "or"
            case .xor: "xor"
            case .not: "not"
            case .diff: "diff"
            case .diff1: "diff1"
            case .andor: "andor"
            case .one: "one"
            }
        }

        func checkCount(_ sources: Int) throws(CommandError) {
            switch self {
            case .not where sources != 1: throw CommandError("ERR BITOP NOT must be called with a single source key.")
            case .diff where sources < 2, .diff1 where sources < 2, .andor where sources < 2:
                throw CommandError(
                    "ERR BITOP \("\(name)".uppercased()) must be called with at least two source keys.")
            case .and, .or, .xor, .not, .diff, .diff1, .andor, .one: break
            }
        }
        /// Whether redis-server 7 knows it.
        var isOld: Bool {
            switch self {
            case .and, .or, .xor, .not: true
            case .diff, .diff1, .andor, .one: false
            }
        }
    }

    private static func bitop(_ c: WriteContext) throws(CommandError) {
        guard let operation = Operation(c.args[1]) else { throw .syntax }
        try operation.checkCount(c.args.count - 3)
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
            if !operation.isOld { c.propagate(Bytes("DEL"), c.args[2]) }
            return
        }
        c.db.setRaw(c.args[2], count: count, expiry: .clear) { result in
            var start = 0
            while start < count {
                let end = min(start + blockSize, count)
                combine(sources[...], operation, start..<end, into: result)
                start = end
            }
        }
        c.changed(c.args[2], .string, "set")
        // Servers that do not know the operation get its result.
        if !operation.isOld, let result = c.db.find(c.args[2]) {
            c.propagate(Bytes("SET"), c.args[2], c.db.string(of: result))
        }
    }

    /// Bytes of the result that are finished before the next are begun: so that they stay in the first cache while
    /// one source after the other comes in.
    private static var blockSize: Int { StructureSizes.size(8192, small: 64) }

    private static func combine(
        _ sources: ArraySlice<Bytes>, _ operation: Operation, _ range: Range<Int>, into result: UnsafeMutableRawPointer
    ) {
        let block = result + range.lowerBound
        switch operation {
        case .and, .or, .xor, .not: break
        case .diff, .diff1, .andor:
            // The others first.
            combine(sources.dropFirst(), .or, range, into: result)
            return combineFirst(sources[sources.startIndex], operation, range, into: result)
        case .one: return combineOne(sources, range, into: result)
        }
        for (i, source) in sources.enumerated() {
            let (from, length) = part(of: source, range)
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
            case .not, .diff, .diff1, .andor, .one: break
            }
        }
    }

    /// Where the bytes of `range` are in a source, and how many of them it has.
    private static func part(of source: Bytes, _ range: Range<Int>) -> (from: UnsafeRawPointer, length: Int) {
        let length = max(0, min(source.count, range.upperBound) - range.lowerBound)
        return (source.base + (length > 0 ? range.lowerBound : 0), length)
    }

    /// `result` has what is set in any of the other sources.
    private static func combineFirst(
        _ first: Bytes, _ operation: Operation, _ range: Range<Int>, into result: UnsafeMutableRawPointer
    ) {
        let block = result + range.lowerBound
        let (from, length) = part(of: first, range)
        switch operation {
        case .diff:
            apply(block, from, length) {
                ~$0 & $1
            } byte: {
                ~$0 & $1
            }
            memset(block + length, 0, range.count - length)
        case .andor:
            apply(block, from, length) {
                $0 & $1
            } byte: {
                $0 & $1
            }
            memset(block + length, 0, range.count - length)
        case .diff1:
            // Where the first one has ended, the others stay.
            apply(block, from, length) {
                $0 & ~$1
            } byte: {
                $0 & ~$1
            }
        case .and, .or, .xor, .not, .one: break
        }
    }

    private static func combineOne(
        _ sources: ArraySlice<Bytes>, _ range: Range<Int>, into result: UnsafeMutableRawPointer
    ) {
        let block = result + range.lowerBound
        withUnsafeTemporaryAllocation(byteCount: 2 * range.count, alignment: 16) { buffer in
            guard let several = buffer.baseAddress else { return }
            let both = several + range.count
            memset(block, 0, range.count)
            memset(several, 0, range.count)
            for source in sources {
                let (from, length) = part(of: source, range)
                // What was set before, and is again.
                memcpy(both, from, length)
                apply(both, block, length) {
                    $0 & $1
                } byte: {
                    $0 & $1
                }
                apply(several, both, length) {
                    $0 | $1
                } byte: {
                    $0 | $1
                }
                apply(block, from, length) {
                    $0 | $1
                } byte: {
                    $0 | $1
                }
            }
            apply(block, several, range.count) {
                $0 & ~$1
            } byte: {
                $0 & ~$1
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
