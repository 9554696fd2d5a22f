import Storage
import TestSupport
import Testing

@testable import Server

@Suite struct FullSyncFramingTests {
    /// What the framing says of `text`, which comes in pieces of `size` bytes: the RDB, and what is left behind it.
    private func take(_ text: [UInt8], _ size: Int) throws -> (
        payload: [UInt8], rest: [UInt8], framing: FullSyncFraming
    ) {
        var framing = FullSyncFraming()
        var payload: [UInt8] = []
        var rest: [UInt8] = []
        for start in stride(from: 0, to: text.count, by: size) {
            var piece = Array(text[start..<min(text.count, start + size)])
            while !piece.isEmpty {
                if framing.isFinished {
                    rest += piece
                    break
                }
                let used = try piece.withUnsafeBytes { buffer in
                    let (found, used) = try framing.next(Bytes(buffer.baseAddress!, buffer.count))
                    if case .payload(let bytes) = found { payload += bytes.array }
                    return used
                }
                #expect(used > 0)
                piece.removeFirst(used)
            }
        }
        return (payload, rest, framing)
    }

    @Test(arguments: [1, 2, 3, 39, 40, 41, 1000])
    func aLengthSaysWhereTheRDBEnds(size: Int) throws {
        let (payload, rest, framing) = try take(Array("\n\n\r\n$5\r\nREDISrest".utf8), size)
        #expect(payload == Array("REDIS".utf8))
        #expect(rest == Array("rest".utf8))
        #expect(framing.isFinished && framing.received == 5 && framing.extent == .length(5))
    }

    @Test(arguments: [1, 2, 3, 39, 40, 41, 1000])
    func aMarkSaysWhereTheRDBEndsWhereverItsPartsCome(size: Int) throws {
        var random = SeededRandom(testSeed(UInt64(size)))
        for _ in 0..<200 {
            let mark = (0..<40).map { _ in UInt8.random(in: 97...98, using: &random) }
            // Beginnings of the mark, and what looks like it.
            var body: [UInt8] = []
            for _ in 0..<Int.random(in: 0..<5, using: &random) {
                body += mark.prefix(Int.random(in: 0..<40, using: &random))
                body.append(UInt8.random(in: 97...99, using: &random))
            }
            let sent = body + mark + Array("rest".utf8)
            let (payload, rest, framing) = try take(Array("$EOF:".utf8) + mark + [13, 10] + sent, size)
            // Of so few letters, the body may hold the mark itself.
            let end = (0...body.count).first { sent[$0...].starts(with: mark) } ?? 0
            #expect(payload == Array(sent[..<end]))
            #expect(rest == Array(sent[(end + mark.count)...]))
            #expect(framing.received == end)
        }
    }

    @Test func anRDBMayBeEmpty() throws {
        #expect(try take(Array("$0\r\nx".utf8), 100).rest == [120])
        let mark = String(repeating: "m", count: 40)
        #expect(try take(Array("$EOF:\(mark)\r\n\(mark)x".utf8), 7).rest == [120])
    }

    @Test(arguments: [
        "+OK\r\n", "$\r\n", "$-1\r\n", "$5x\r\n", "$99999999999999999999\r\n", "$EOF:short\r\n", "$EOF:\r\n", "REDIS\n",
        "$" + String(repeating: "1", count: 2000), String(repeating: "x", count: 2000) + "\r\n",
    ])
    func anotherFirstLineIsRefused(line: String) {
        for size in [1, 10, 5000] {
            #expect(throws: FullSyncFraming.Failure.self) { try take(Array(line.utf8), size) }
        }
    }

    @Test func theMastersErrorIsTold() {
        #expect(throws: FullSyncFraming.Failure.refused(Array("ERR no".utf8))) {
            try take(Array("-ERR no\r\n".utf8), 3)
        }
    }
}

@Suite struct PSYNCAnswerTests {
    private let id = String(repeating: "a", count: 40)

    @Test func answersAreUnderstood() {
        #expect(PSYNCAnswer([]) == .wait)
        #expect(PSYNCAnswer(Array("+FULLRESYNC \(id) 17".utf8)) == .full(id: id, offset: 17))
        #expect(PSYNCAnswer(Array("+CONTINUE".utf8)) == .partial(id: nil))
        #expect(PSYNCAnswer(Array("+CONTINUE \(id)".utf8)) == .partial(id: id))
        #expect(PSYNCAnswer(Array("-LOADING x".utf8)) == .later)
        #expect(PSYNCAnswer(Array("-NOMASTERLINK x".utf8)) == .later)
        #expect(PSYNCAnswer(Array("-ERR x".utf8)) == .refused)
    }

    @Test func whatIsNoneIsNotTakenForOne() {
        for text in [
            "+FULLRESYNC", "+FULLRESYNC \(id)", "+FULLRESYNC \(id) -1", "+FULLRESYNC \(id) x", "+FULLRESYNC a 1",
            "+FULLRESYNC \(id) 9223372036854775807", "+FULLRESYNC \(id) 1 2",
        ] { #expect(PSYNCAnswer(Array(text.utf8)) == .malformedFull) }
        for text in [" ", "+CONTINUE a", "+CONTINUED", "CONTINUE", "-NOPERM x", "+OK", "\u{1}"] {
            #expect(PSYNCAnswer(Array(text.utf8)) == .unknown)
        }
    }
}
