// Invariant of this file: `tables` points to 8 * 256 words that are written once, before anybody else sees the pointer,
// and never freed.

/// The CRC-64 that ends an RDB file and a DUMP payload: Jones's polynomial 0xad93d23594c935a9, reflected in and out,
/// initial value and final xor 0. The check value, of "123456789", is 0xe9c6d914c4b8d9ca.
public struct CRC64: Sendable {
    public private(set) var value: UInt64 = 0

    public init() {}

    /// Takes in `bytes`, eight at a time. O(count).
    public mutating func update(_ bytes: Bytes) {
        let tables = CRC64.tables
        var crc = value
        var p = bytes.base
        var left = bytes.count
        while left >= 8 {
            let word = crc ^ UInt64(littleEndian: p.loadUnaligned(as: UInt64.self))
            // The byte that comes first has the farthest to travel: it uses the last table.
            crc =
                tables[7 &* 256 &+ Int(truncatingIfNeeded: word & 255)]
                ^ tables[6 &* 256 &+ Int(truncatingIfNeeded: word >> 8 & 255)]
                ^ tables[5 &* 256 &+ Int(truncatingIfNeeded: word >> 16 & 255)]
                ^ tables[4 &* 256 &+ Int(truncatingIfNeeded: word >> 24 & 255)]
                ^ tables[3 &* 256 &+ Int(truncatingIfNeeded: word >> 32 & 255)]
                ^ tables[2 &* 256 &+ Int(truncatingIfNeeded: word >> 40 & 255)]
                ^ tables[1 &* 256 &+ Int(truncatingIfNeeded: word >> 48 & 255)]
                ^ tables[Int(truncatingIfNeeded: word >> 56)]
            p += 8
            left &-= 8
        }
        while left > 0 {
            let byte = UInt64(p.load(as: UInt8.self))
            crc = tables[Int(truncatingIfNeeded: (crc ^ byte) & 255)] ^ crc >> 8
            p += 1
            left &-= 1
        }
        value = crc
    }

    public static func of(_ bytes: Bytes) -> UInt64 {
        var crc = CRC64()
        crc.update(bytes)
        return crc.value
    }

    // MARK: Patches

    /// The value as if 0 bytes that were taken in already, `bytesSince` bytes before the end, had been `patch`. As the
    /// CRC is linear, that adds the CRC of `patch` and the zeros after it. O(log bytesSince).
    public mutating func patch(_ patch: Bytes, bytesSince: UInt64) {
        value ^= CRC64.appendZeros(bytesSince, to: CRC64.of(patch))
    }

    /// The CRC of the same bytes followed by `count` zeros: times x^(8 count), by repeated squaring.
    private static func appendZeros(_ count: UInt64, to crc: UInt64) -> UInt64 {
        var crc = crc
        // x^8: the highest bit is x^0.
        var power: UInt64 = 1 << 55
        var left = count
        while left > 0 {
            if left & 1 == 1 { crc = multiply(crc, power) }
            power = multiply(power, power)
            left >>= 1
        }
        return crc
    }

    /// Of two polynomials in reflected form, modulo the CRC's.
    private static func multiply(_ a: UInt64, _ b: UInt64) -> UInt64 {
        var product: UInt64 = 0
        var shifted = b
        var bit: UInt64 = 1 << 63
        while bit != 0 {
            if a & bit != 0 { product ^= shifted }
            shifted = shifted & 1 == 1 ? shifted >> 1 ^ reflectedPolynomial : shifted >> 1
            bit >>= 1
        }
        return product
    }

    private static let reflectedPolynomial: UInt64 = 0x95ac_9329_ac4b_c9b5

    /// Table k maps a byte to its remainder after k further zero bytes. Unsafe only in that pointers are not Sendable:
    /// nothing writes here after the initialiser.
    private nonisolated(unsafe) static let tables: UnsafePointer<UInt64> = {
        let tables = UnsafeMutablePointer<UInt64>.allocate(capacity: 8 * 256)
        for byte in 0..<256 {
            var crc = UInt64(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ reflectedPolynomial : crc >> 1 }
            tables[byte] = crc
        }
        for i in 256..<(8 * 256) {
            let before = tables[i - 256]
            tables[i] = tables[Int(before & 255)] ^ before >> 8
        }
        return UnsafePointer(tables)
    }()
}
