import TestSupport
import Testing

@testable import Storage

@Suite struct CRC64Tests {
    @Test func checkValue() { #expect(CRC64.of(Bytes("123456789")) == 0xe9c6_d914_c4b8_d9ca) }

    @Test func piecesGiveTheSame() {
        var random = SeededRandom()
        let bytes = (0..<1000).map { _ in UInt8.random(in: 0...255, using: &random) }
        bytes.withBytes { whole in
            for cut in [0, 1, 7, 8, 9, 500, 999, 1000] {
                var crc = CRC64()
                crc.update(whole[0..<cut])
                crc.update(whole[cut..<1000])
                #expect(crc.value == CRC64.of(whole))
            }
        }
    }
}

@Suite struct LZFTests {
    @Test func thereAndBack() {
        let text = [UInt8](String(repeating: "swiftlet ", count: 500).utf8)
        text.withBytes { text in
            let packed = OutputBuffer()
            #expect(LZF.compress(text, into: packed))
            #expect(packed.count < 200)
            let back = OutputBuffer()
            #expect(LZF.decompress(packed.bytes, length: text.count, into: back))
            #expect(back.bytes == text)
            #expect(!LZF.decompress(packed.bytes, length: text.count - 1, into: back))
            #expect(!LZF.decompress(packed.bytes, length: text.count + 1, into: back))
            #expect(!LZF.decompress(packed.bytes, length: .max, into: back))
            #expect(back.bytes == text)
        }
    }

    @Test func whatDoesNotShrinkIsLeft() {
        let out = OutputBuffer()
        #expect(!LZF.compress(Bytes("abcdefghijklmnop"), into: out))
        #expect(!LZF.compress(Bytes("ab"), into: out))
        #expect(out.count == 0)
    }

    /// The bound on a lie must not refuse the truth.
    @Test func theBestRatio() {
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        zeros.withBytes { zeros in
            let packed = OutputBuffer()
            #expect(LZF.compress(zeros, into: packed))
            #expect(zeros.count <= LZF.maximumLength(ofCompressed: packed.count))
        }
    }
}

@Suite struct DuplicateFilterTests {
    @Test func manyElements() {
        var filter = DuplicateFilter()
        let text = OutputBuffer()
        func insert(_ i: Int) -> Bool {
            text.removeAll()
            text.append(decimal: Int64(i))
            return filter.insert(text.bytes)
        }
        for i in 0..<10_000 { #expect(insert(i)) }
        for i in 0..<10_000 { #expect(!insert(i)) }
        filter.removeAll()
        #expect(insert(5))
        #expect(!insert(5))
    }
}
