import TestSupport
import Testing

@testable import Storage

/// FUNCTION DUMP's payloads: what goes out comes in again, and what comes in is not trusted.
@Suite struct FunctionPayloadTests {
    private let codes = ["#!lua name=a\nx", "12345", "#!lua name=b\n" + String(repeating: "long text ", count: 100)]
    private var payload: [UInt8] {
        var bytes: [UInt8] = []
        let libraries = codes.enumerated().map { (name: [UInt8(97 + $0.offset)], code: Array($0.element.utf8)) }
        FunctionPayload.of(libraries, compresses: true) { bytes = $0.array }
        return bytes
    }

    @Test func whatGoesOutComesIn() throws {
        let found = try payload.lend { try FunctionPayload.read($0, checksum: true) }
        #expect(found == codes.map { Array($0.utf8) })
    }

    @Test func nothingThatIsDamagedTraps() {
        var random = SeededRandom(testSeed(11))
        let whole = payload
        for length in 0..<whole.count {
            #expect(throws: FunctionPayload.Failure.self) {
                try Array(whole[..<length]).lend { try FunctionPayload.read($0, checksum: true) }
            }
        }
        for _ in 0..<20_000 {
            var bytes = whole
            for _ in 0...Int.random(in: 0...2, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            // Without a checksum some of them are payloads still.
            _ = try? bytes.lend { try FunctionPayload.read($0, checksum: false) }
        }
    }
}
