import Foundation
import TestSupport
import Testing

@testable import Server
@testable import Storage

/// Whatever the request parser accepts, the log's reader must read: each request, as it is logged, goes through both.
@Suite struct LoggedRequestsTests {
    /// What a server logs of requests that arrive in pieces, and the arguments that it was given.
    private struct Logged {
        let stream: PropagationStream
        let collector: StreamCollector
        var parser = RequestParser()
        let batch = RequestBatch()
        let kept = OutputBuffer()
        var requests: [[[UInt8]]] = []
        var verbatim = 0

        init() {
            stream = PropagationStream()
            collector = StreamCollector(stream)
        }

        /// False at a protocol error.
        mutating func receive(_ bytes: ArraySlice<UInt8>, queued: Bool) -> Bool {
            bytes.withUnsafeBytes { if let base = $0.baseAddress { kept.append(Bytes(base, $0.count)) } }
            var position = 0
            while true {
                batch.removeAll()
                do throws(ProtocolError) {
                    while case .request = try parser.next(kept.bytes, &position, batch, maximumBulk: 1 << 20) {}
                } catch {
                    return false
                }
                for i in 0..<batch.count {
                    let request = batch.requests[i]
                    let args = batch.arguments(of: request)
                    let bytes = kept.bytes[request.offset..<request.offset + request.length]
                    requests.append((0..<args.count).map { args[$0].array })
                    if request.isCanonical { verbatim += 1 }
                    log(args, request.isCanonical ? bytes : nil, queued: queued)
                }
                if batch.count == 0 { break }
            }
            kept.removeFirst(position)
            return true
        }
        private func log(_ args: Arguments, _ request: Bytes?, queued: Bool) {
            stream.beginCommand()
            if !queued { return stream.endCommand(0, args, request: request) }
            var transaction = Transaction()
            transaction.enqueue(LoggedRequestsTests.command, args, request: request, refusedBy: [])
            transaction.forEach { _, args, request in stream.endCommand(0, args, request: request) }
        }

        /// What the log's reader makes of it; nil when it refuses.
        var read: [[[UInt8]]]? {
            let said = OutputBuffer()
            collector.forEachByte { said.append(byte: $0) }
            var parser = LogParser(bytes: said.bytes)
            var found: [[[UInt8]]] = []
            while true {
                switch parser.next() {
                case .command: found.append(parser.arguments.map(\.array))
                case .end: return Array(found.dropFirst(found.isEmpty ? 0 : 1))
                case .damaged: return nil
                }
            }
        }
    }
    private nonisolated(unsafe) static let command = CommandEntry(
        .container("set", "1.0.0", "", [], []), Statistics(), CommandCatalog([Command]()))

    /// A request in one of the forms that are accepted, or nearly.
    private func request(_ random: inout SeededRandom) -> [UInt8] {
        func pick(_ choices: [String]) -> String { choices[Int(random.next() % UInt64(choices.count))] }
        var words: [[UInt8]] = []
        for _ in 0...Int(random.next() % 5) {
            let length = Int(random.next() % (random.next() % 8 == 0 ? 300 : 6))
            let alphabet = Array(pick(["abc", "\r\n", "*$1\r\n", "\0\u{ff} '\"\\"]).utf8)
            words.append((0..<length).map { _ in alphabet[Int(random.next() % UInt64(alphabet.count))] })
        }
        if random.next() % 5 == 0 {
            return Array(
                (["set", "'a b'", "\"\\x00\\r\\n\""].prefix(1 + Int(random.next() % 3))).joined(separator: " ").utf8)
                + Array(pick(["\n", "\r\n"]).utf8)
        }
        let isOdd = random.next() % 2 == 0
        func number(_ value: Int) -> [UInt8] {
            isOdd ? Array((pick(["", "", "0", "+", "00"]) + String(value)).utf8) : Array(String(value).utf8)
        }
        func end() -> [UInt8] { isOdd ? Array(pick(["\r\n", "\r\n", "\rx", "\r\r", "\r\0"]).utf8) : [13, 10] }
        var bytes = [UInt8(ascii: "*")] + number(words.count) + end()
        for word in words {
            bytes += [UInt8(ascii: "$")] + number(word.count) + end() + word
            bytes += isOdd ? Array(pick(["\r\n", "\n\r", "xx", "\r\n"]).utf8) : [13, 10]
        }
        return bytes
    }

    @Test func whateverIsAcceptedCanBeReadBack() {
        var random = SeededRandom()
        var accepted = 0
        var verbatim = 0
        for round in 0..<20_000 {
            var logged = Logged()
            let input = (0...random.next() % 3).flatMap { _ in request(&random) }
            let split = Int(random.next() % UInt64(input.count + 1))
            let isQueued = random.next() % 2 == 0
            _ = logged.receive(input[..<split], queued: isQueued) && logged.receive(input[split...], queued: isQueued)
            accepted += logged.requests.count
            verbatim += logged.verbatim
            if logged.read != logged.requests {
                Issue.record(
                    "round \(round), split at \(split): \(String(decoding: input, as: UTF8.self).debugDescription)")
                return
            }
        }
        // Neither form is all there is.
        #expect(accepted > 10_000 && verbatim > accepted / 5 && verbatim < accepted)
    }

    /// The bounds of both: more arguments, and longer lengths, than anybody sends.
    @Test func boundsAreTheSame() {
        let count = 1 << 20 + 5
        let text = "*\(count)\r\n" + String(repeating: "$1\r\na\r\n", count: count)
        var logged = Logged()
        let isAccepted = logged.receive(Array(text.utf8)[...], queued: false)
        #expect(isAccepted)
        #expect(logged.requests.count == 1 && logged.verbatim == 1)
        #expect(logged.read?.first?.count == count)
        var parser = RequestParser()
        var position = 0
        let batch = RequestBatch()
        for (line, isAccepted) in [("*2147483647\r\n", true), ("*2147483648\r\n", false)] {
            let input = OutputBuffer()
            input.append(text: line)
            parser = RequestParser()
            position = 0
            let outcome = try? parser.next(input.bytes, &position, batch, maximumBulk: .max)
            #expect((outcome != nil) == isAccepted)
            var reader = LogParser(bytes: input.bytes)
            let step = reader.next()
            #expect(step == .damaged && reader.isCutShort == isAccepted)
        }
    }
}
