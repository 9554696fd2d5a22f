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

    @Test(arguments: ["", "-", "-0", "01", "+1", " 1", "1 ", "9223372036854775808", "-9223372036854775809", "1e3"])
    func notIntegers(text: String) {
        let out = OutputBuffer()
        out.append(text: text)
        #expect(out.bytes.integer == nil)
    }
}
