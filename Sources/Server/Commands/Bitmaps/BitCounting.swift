import Storage

// Invariant of this file: what is loaded lies within the run that is counted.

/// Population count of long strings. x86-64's baseline has no POPCNT, and a count by shifts and masks costs a dozen
/// operations a word; so eight vectors are first added bit by bit by carry-save adders, after which only one in eight
/// has to be counted (Harley and Seal; Muła, Kurz and Lemire, "Faster Population Counts Using AVX2 Instructions", 2016).
enum BitCounting {
    private typealias Vector = SIMD4<UInt64>
    private static let vectorSize = 32
    private static let blockSize = 8 * vectorSize

    /// O(n): at about the speed of memory.
    static func count(_ bytes: Bytes) -> Int {
        var count = 0
        var i = 0
        if bytes.count >= blockSize {
            var ones = Vector.zero
            var twos = Vector.zero
            var fours = Vector.zero
            var eights = Vector.zero
            while i &+ blockSize <= bytes.count {
                let p = bytes.base + i
                let (twosA, onesA) = add(ones, load(p, 0), load(p, 1))
                let (twosB, onesB) = add(onesA, load(p, 2), load(p, 3))
                let (foursA, twosC) = add(twos, twosA, twosB)
                let (twosD, onesC) = add(onesB, load(p, 4), load(p, 5))
                let (twosE, onesD) = add(onesC, load(p, 6), load(p, 7))
                let (foursB, twosF) = add(twosC, twosD, twosE)
                let (carry, foursC) = add(fours, foursA, foursB)
                (ones, twos, fours) = (onesD, twosF, foursC)
                eights &+= bits(carry)
                i &+= blockSize
            }
            eights = eights &<< 3 &+ bits(fours) &<< 2 &+ bits(twos) &<< 1 &+ bits(ones)
            count = Int(eights.wrappedSum())
        }
        while i &+ 8 <= bytes.count {
            count &+= bytes.base.loadUnaligned(fromByteOffset: i, as: UInt64.self).nonzeroBitCount
            i &+= 8
        }
        while i < bytes.count {
            count &+= bytes[i].nonzeroBitCount
            i &+= 1
        }
        return count
    }

    @inline(__always) private static func load(_ p: UnsafeRawPointer, _ index: Int) -> Vector {
        p.loadUnaligned(fromByteOffset: index &* vectorSize, as: Vector.self)
    }
    /// The sum of three bits in each place: the carry, and the bit itself.
    @inline(__always) private static func add(_ a: Vector, _ b: Vector, _ c: Vector) -> (Vector, Vector) {
        let half = a ^ b
        return ((a & b) | (half & c), half ^ c)
    }
    /// The bits set in each word.
    @inline(__always) private static func bits(_ v: Vector) -> Vector {
        var v = v &- ((v &>> 1) & 0x5555_5555_5555_5555)
        v = (v & 0x3333_3333_3333_3333) &+ ((v &>> 2) & 0x3333_3333_3333_3333)
        v = (v &+ (v &>> 4)) & 0x0f0f_0f0f_0f0f_0f0f
        v = v &+ (v &>> 8)
        v = v &+ (v &>> 16)
        return (v &+ (v &>> 32)) & 0x7f
    }
}
