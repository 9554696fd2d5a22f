import Glibc
import Storage

// Invariant of this file: words of an element are loaded within it; a sketch is an array that is indexed with checks.

/// A HyperLogLog as it lies in a string, in the form that Redis documents: 16 bytes of header, "HYLL", a byte that says
/// dense (0) or sparse (1), three bytes of 0, and the cardinality last computed, little-endian, whose highest bit says
/// that it is out of date. Then 16384 registers of 6 bits each, lowest bits first; or, sparse, runs of them:
///
///     00llllll             l+1 registers of 0 (ZERO)
///     01llllll llllllll    l+1 registers of 0 (XZERO)
///     1vvvvvll             l+1 registers of v+1 (VAL)
///
/// Flajolet, Fusy, Gandouet and Meunier, "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm"
/// (2007); Heule, Nunkesser and Hall, "HyperLogLog in Practice" (2013), for 64-bit hashes and the sparse form.
struct HyperLogLog {
    static let registerCount = 16384
    static let headerSize = 16
    static let denseSize = headerSize + registerCount * 6 / 8
    /// The largest value that a sparse sketch can hold.
    static let maximumSparseValue = 32
    private static let maximumRun = 4

    private(set) var bytes: [UInt8]

    /// An empty sketch: one run of zeros.
    init() { bytes = Array("HYLL".utf8) + [1] + [UInt8](repeating: 0, count: 11) + [0x7f, 0xff] }

    /// A copy of a string, which must pass `isValid`.
    init(_ value: Bytes) { bytes = value.array }

    /// Whether a string has the header of a sketch, and the length if it is a dense one.
    static func isValid(_ value: Bytes) -> Bool {
        value.count >= headerSize && value[0..<4] == Bytes("HYLL") && value[4] <= 1
            && (value[4] == 1 || value.count == denseSize)
    }

    static func isDense(_ value: Bytes) -> Bool { value[4] == 0 }
    var isDense: Bool { bytes[4] == 0 }

    // MARK: - Elements

    /// The register that an element falls in, and the value it asks for: how many zeros its hash has before the first
    /// one, plus 1.
    static func place(_ element: Bytes) -> (register: Int, value: Int) {
        let hash = murmur(element)
        let rest = hash >> 14 | 1 << 50
        return (Int(hash & 16383), rest.trailingZeroBitCount + 1)
    }

    /// MurmurHash64A by Austin Appleby (public domain), with the seed that Redis's sketches are made with.
    private static func murmur(_ bytes: Bytes) -> UInt64 {
        let m: UInt64 = 0xc6a4_a793_5bd1_e995
        var h: UInt64 = 0xadc8_3b19 ^ UInt64(bytes.count) &* m
        var i = 0
        while i &+ 8 <= bytes.count {
            var k = UInt64(littleEndian: bytes.base.loadUnaligned(fromByteOffset: i, as: UInt64.self)) &* m
            k ^= k >> 47
            h = (h ^ k &* m) &* m
            i &+= 8
        }
        if i < bytes.count {
            for j in i..<bytes.count { h ^= UInt64(bytes[j]) << UInt64(8 * (j - i)) }
            h = h &* m
        }
        h = (h ^ h >> 47) &* m
        return h ^ h >> 47
    }

    // MARK: - Cardinality

    /// The estimate that the header holds; nil where it is out of date.
    static func cachedCardinality(_ value: Bytes) -> Int64? {
        let number = UInt64(littleEndian: value.base.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        return number >> 63 == 0 ? Int64(number) : nil
    }

    static func cardinalityField(_ number: Int64) -> UInt64 { UInt64(number).littleEndian }

    mutating func invalidateCardinality() { bytes[15] |= 0x80 }

    /// Calls `body` with each run of equal registers; nil where the sketch is corrupt: the runs are not exactly the
    /// registers. A dense sketch has runs of one.
    static func forEachRun(_ value: Bytes, _ body: (_ length: Int, _ value: Int) -> Void) -> Bool {
        if isDense(value) {
            for i in 0..<registerCount { body(1, register(i, of: value)) }
            return true
        }
        var total = 0
        var at = headerSize
        while at < value.count {
            let run = Run(first: value[at], second: at + 1 < value.count ? value[at + 1] : nil)
            guard let run, total + run.length <= registerCount else { return false }
            body(run.length, run.value)
            total += run.length
            at += run.size
        }
        return total == registerCount
    }

    /// A register of a dense sketch.
    static func register(_ index: Int, of value: Bytes) -> Int {
        let at = headerSize + index * 6 / 8
        let shift = index * 6 % 8
        let next = at + 1 < value.count ? value[at + 1] : 0
        return (Int(value[at]) | Int(next) << 8) >> shift & 63
    }

    /// How many registers there are of each value, as the estimate needs them; nil where the sketch is corrupt.
    static func histogram(_ value: Bytes) -> [Int]? {
        var histogram = [Int](repeating: 0, count: 64)
        return forEachRun(value) { histogram[$1] += $0 } ? histogram : nil
    }

    /// The improved raw estimator of Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017),
    /// algorithm 6: neither tables of bias nor a switch to linear counting.
    static func estimate(_ histogram: [Int]) -> Int64 {
        let m = Double(registerCount)
        var z = m * tau((m - Double(histogram[51])) / m)
        for k in stride(from: 50, through: 1, by: -1) { z = 0.5 * (z + Double(histogram[k])) }
        z += m * sigma(Double(histogram[0]) / m)
        // 1 / (2 ln 2)
        let estimate = (0.721347520444481703680 * m * m / z).rounded()
        return Int64(exactly: estimate) ?? .max
    }
    private static func tau(_ start: Double) -> Double {
        if start == 0 || start == 1 { return 0 }
        var (x, y, z) = (start, 1.0, 1 - start)
        while true {
            x = x.squareRoot()
            y *= 0.5
            let next = z - (1 - x) * (1 - x) * y
            if next == z { return z / 3 }
            z = next
        }
    }
    private static func sigma(_ start: Double) -> Double {
        if start == 1 { return .infinity }
        var (x, y, z) = (start, 1.0, start)
        while true {
            x *= x
            let next = z + x * y
            y += y
            if next == z { return z }
            z = next
        }
    }

    // MARK: - Runs of a sparse sketch

    struct Run {
        let length: Int
        let value: Int
        /// Of the opcode, in bytes.
        let size: Int

        /// nil where the second byte is needed and missing.
        init?(first: UInt8, second: UInt8?) {
            if first & 0x80 != 0 {
                (length, value, size) = (Int(first & 3) + 1, Int(first >> 2 & 31) + 1, 1)
            } else if first & 0x40 == 0 {
                (length, value, size) = (Int(first & 63) + 1, 0, 1)
            } else {
                guard let second else { return nil }
                (length, value, size) = (Int(first & 63) << 8 + Int(second) + 1, 0, 2)
            }
        }

        /// Appends the opcode for `length` registers of `value`; of a value other than 0 at most 4.
        static func append(_ length: Int, _ value: Int, to bytes: inout [UInt8]) {
            if length == 0 { return }
            if value > 0 {
                bytes.append(0x80 | UInt8((value - 1) << 2) | UInt8(length - 1))
            } else if length <= 64 {
                bytes.append(UInt8(length - 1))
            } else {
                bytes.append(0x40 | UInt8((length - 1) >> 8))
                bytes.append(UInt8((length - 1) & 0xff))
            }
        }
    }

    private func run(at offset: Int) -> Run? {
        guard offset < bytes.count else { return nil }
        return Run(first: bytes[offset], second: offset + 1 < bytes.count ? bytes[offset + 1] : nil)
    }

    // MARK: - Changes

    /// What `raise` found.
    enum Change { case none, raised, corrupt }

    /// Raises a register to `value` if it is lower. A sparse sketch that would need more than `sparseLimit` bytes, or
    /// cannot hold the value, becomes dense.
    mutating func raise(_ register: Int, to value: Int, sparseLimit: Int) -> Change {
        if isDense { return raiseDense(register, to: value) ? .raised : .none }
        // First, as Redis: so a register that has no need of the value still makes the sketch dense.
        if value > Self.maximumSparseValue { return promoteAndRaise(register, to: value) }
        var previous: Int?
        var at = Self.headerSize
        var first = 0
        var found: Run?
        while let run = run(at: at) {
            if register < first + run.length {
                found = run
                break
            }
            previous = at
            at += run.size
            first += run.length
        }
        guard let run = found else { return .corrupt }
        if run.value >= value { return .none }
        var opcodes: [UInt8] = []
        Run.append(register - first, run.value, to: &opcodes)
        Run.append(1, value, to: &opcodes)
        Run.append(first + run.length - register - 1, run.value, to: &opcodes)
        if opcodes.count > run.size, bytes.count + opcodes.count - run.size > sparseLimit {
            return promoteAndRaise(register, to: value)
        }
        bytes.replaceSubrange(at..<at + run.size, with: opcodes)
        mergeRuns(from: previous ?? Self.headerSize)
        invalidateCardinality()
        return .raised
    }

    /// Joins neighbouring runs of one value, among the few around a change that it can have made alike: five opcodes
    /// are looked at, each merge counting as one. (The bytes that result are the same as Redis's.)
    private mutating func mergeRuns(from start: Int) {
        var at = start
        for _ in 0..<5 {
            guard let run = run(at: at) else { return }
            if run.value > 0, let next = self.run(at: at + 1), next.value == run.value,
                run.length + next.length <= Self.maximumRun
            {
                var joined: [UInt8] = []
                Run.append(run.length + next.length, run.value, to: &joined)
                bytes.replaceSubrange(at..<at + 2, with: joined)
            } else {
                at += run.size
            }
        }
    }

    private mutating func promoteAndRaise(_ register: Int, to value: Int) -> Change {
        guard makeDense() else { return .corrupt }
        return raiseDense(register, to: value) ? .raised : .none
    }

    /// False where the sketch is corrupt; it is left as it is then.
    mutating func makeDense() -> Bool {
        if isDense { return true }
        var dense = Array(bytes[..<Self.headerSize]) + [UInt8](repeating: 0, count: Self.denseSize - Self.headerSize)
        dense[4] = 0
        var index = 0
        let isIntact = withBytes { sparse in
            Self.forEachRun(sparse) { length, value in
                if value > 0 { for i in index..<index + length { Self.store(value, i, in: &dense) } }
                index += length
            }
        }
        if isIntact { bytes = dense }
        return isIntact
    }

    private mutating func raiseDense(_ register: Int, to value: Int) -> Bool {
        if withBytes({ Self.register(register, of: $0) }) >= value { return false }
        Self.store(value, register, in: &bytes)
        invalidateCardinality()
        return true
    }

    /// Writes a register of a dense sketch.
    private static func store(_ value: Int, _ index: Int, in bytes: inout [UInt8]) {
        bytes.withUnsafeMutableBytes { store(value, index, in: $0) }
    }
    /// Writes a register of a string that is a whole dense sketch.
    static func store(_ value: Int, _ index: Int, in bytes: UnsafeMutableRawBufferPointer) {
        let at = headerSize + index * 6 / 8
        let shift = index * 6 % 8
        let mask = 63 << shift
        let bits = value << shift
        bytes[at] = bytes[at] & ~UInt8(mask & 0xff) | UInt8(bits & 0xff)
        if shift > 2 { bytes[at + 1] = bytes[at + 1] & ~UInt8(mask >> 8) | UInt8(bits >> 8) }
    }

    func withBytes<T>(_ body: (Bytes) -> T) -> T {
        bytes.withUnsafeBytes { body($0.baseAddress.map { Bytes($0, bytes.count) } ?? Bytes()) }
    }
}
