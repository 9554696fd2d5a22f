import Testing

@testable import Storage

@Suite struct BytesTests {
    @Test(arguments: [
        ("0", 0), ("-1", -1), ("9223372036854775807", Int64.max), ("-9223372036854775808", Int64.min),
    ])
    func integers(text: String, value: Int64) {
        let out = OutputBuffer()
        out.append(text: text)
        #expect(out.bytes.integer == value)
        let back = OutputBuffer()
        back.append(decimal: value)
        #expect(back.bytes == out.bytes)
    }

    @Test func bufferWithLimit() {
        let out = OutputBuffer(capacity: 16)
        out.limit = 100
        for _ in 0..<10 { out.append("0123456789") }
        #expect(out.count == 100 && out.capacity == 100 && !out.isOverflowed)
        out.append(byte: 1)
        #expect(out.isOverflowed)
        // Room is there for whatever comes, and none of it is kept.
        let large = OutputBuffer()
        for _ in 0..<100_000 { large.append("0123456789") }
        for _ in 0..<10 { out.append(large.bytes) }
        out.append(byte: 1)
        #expect(out.capacity <= 1 << 20)
        for _ in 0..<10_000 { out.append("0123456789") }
        #expect(out.capacity <= 4096)
    }

    @Test(arguments: ["", "-", "-0", "01", "+1", " 1", "1 ", "9223372036854775808", "-9223372036854775809", "1e3"])
    func notIntegers(text: String) {
        let out = OutputBuffer()
        out.append(text: text)
        #expect(out.bytes.integer == nil)
    }
}
