// Invariant of this file: loads stay within the `count` bytes of the run.

/// wyhash, final version 4 (Wang Yi, public domain: github.com/wangyi-fudan/wyhash), with a secret seed: 64 bits from a
/// key in a few nanoseconds. Keys come from clients, so the seed is drawn anew at each start.
public enum Hashing {
    /// Drawn once a process.
    public static let seed = UInt64.random(in: 1...UInt64.max)

    @inline(__always) private static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.high ^ product.low
    }
    @inline(__always) private static func read8(_ p: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        p.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }
    @inline(__always) private static func read4(_ p: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        UInt64(p.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    public static func hash(_ bytes: Bytes) -> UInt64 { hash(bytes.base, bytes.count, seed) }

    static func hash(_ start: UnsafeRawPointer, _ count: Int, _ seed: UInt64) -> UInt64 {
        let s0: UInt64 = 0x2d35_8dcc_aa6c_78a5
        let s1: UInt64 = 0x8bb8_4b93_962e_acc9
        let s2: UInt64 = 0x4b33_a62e_d433_d4a3
        let s3: UInt64 = 0x4d5a_2da5_1de1_aa47
        var seed = seed ^ mix(seed ^ s0, s1)
        var a: UInt64 = 0
        var b: UInt64 = 0
        if count <= 16 {
            if count >= 4 {
                let k = (count >> 3) << 2
                a = (read4(start, 0) << 32) | read4(start, k)
                b = (read4(start, count &- 4) << 32) | read4(start, count &- 4 &- k)
            } else if count > 0 {
                let u = start.assumingMemoryBound(to: UInt8.self)
                a = (UInt64(u[0]) << 16) | (UInt64(u[count >> 1]) << 8) | UInt64(u[count &- 1])
            }
        } else {
            var left = count
            var p = start
            if left >= 48 {
                var see1 = seed
                var see2 = seed
                repeat {
                    seed = mix(read8(p, 0) ^ s1, read8(p, 8) ^ seed)
                    see1 = mix(read8(p, 16) ^ s2, read8(p, 24) ^ see1)
                    see2 = mix(read8(p, 32) ^ s3, read8(p, 40) ^ see2)
                    p += 48
                    left &-= 48
                } while left >= 48
                seed ^= see1 ^ see2
            }
            while left > 16 {
                seed = mix(read8(p, 0) ^ s1, read8(p, 8) ^ seed)
                p += 16
                left &-= 16
            }
            a = read8(p, left &- 16)
            b = read8(p, left &- 8)
        }
        let m = (a ^ s1).multipliedFullWidth(by: b ^ seed)
        return mix(m.low ^ s0 ^ UInt64(truncatingIfNeeded: count), m.high ^ s1)
    }
}
