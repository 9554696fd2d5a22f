import Storage
import TestSupport
import Testing

@testable import Server

@Suite struct RESPReplyTests {
    private func reply(resp3: Bool = false, _ body: (ReplyWriter) -> Void) -> String {
        let reply = ReplyWriter()
        reply.resp3 = resp3
        body(reply)
        return reply.output.bytes.string
    }

    @Test func scalars() {
        #expect(reply { $0.ok() } == "+OK\r\n")
        #expect(reply { $0.simple("PONG") } == "+PONG\r\n")
        #expect(reply { $0.error(.syntax) } == "-ERR syntax error\r\n")
        #expect(reply { $0.error(CommandError("ERR a\r\nb")) } == "-ERR a  b\r\n")
        #expect(reply { $0.integer(Int64.min) } == ":-9223372036854775808\r\n")
        #expect(reply { $0.bulk(Bytes("abc")) } == "$3\r\nabc\r\n")
        #expect(reply { $0.bulk("\u{e9}") } == "$2\r\n\u{e9}\r\n")
        #expect(reply { $0.bulk(Bytes()) } == "$0\r\n\r\n")
        #expect(reply { $0.bulkDecimal(-12) } == "$3\r\n-12\r\n")
    }

    @Test func bothProtocols() {
        func both(_ body: (ReplyWriter) -> Void) -> [String] { [reply(body), reply(resp3: true, body)] }
        #expect(both { $0.null() } == ["$-1\r\n", "_\r\n"])
        #expect(both { $0.nullArray() } == ["*-1\r\n", "_\r\n"])
        #expect(both { $0.boolean(true) } == [":1\r\n", "#t\r\n"])
        #expect(both { $0.double(1.5) } == ["$3\r\n1.5\r\n", ",1.5\r\n"])
        #expect(both { $0.double(.infinity) } == ["$3\r\ninf\r\n", ",inf\r\n"])
        #expect(both { $0.double(3) } == ["$1\r\n3\r\n", ",3\r\n"])
        #expect(both { $0.array(2) } == ["*2\r\n", "*2\r\n"])
        #expect(both { $0.map(2) } == ["*4\r\n", "%2\r\n"])
        #expect(both { $0.set(2) } == ["*2\r\n", "~2\r\n"])
        #expect(both { $0.push(2) } == ["*2\r\n", ">2\r\n"])
        #expect(both { $0.verbatim(Bytes("ab"), "txt") } == ["$2\r\nab\r\n", "=6\r\ntxt:ab\r\n"])
    }

    @Test func deferredHeaders() {
        func nested(_ reply: ReplyWriter) {
            reply.integer(7)
            let outer = reply.deferredArray()
            reply.integer(1)
            let inner = reply.deferredArray()
            for i in 0..<12 { reply.integer(i) }
            reply.fillMap(inner, 6)
            reply.fill(outer, 2)
        }
        let numbers = (0..<12).map { ":\($0)\r\n" }.joined()
        #expect(reply(nested) == ":7\r\n*2\r\n:1\r\n*12\r\n" + numbers)
        #expect(reply(resp3: true, nested) == ":7\r\n*2\r\n:1\r\n%6\r\n" + numbers)
        #expect(reply { $0.fill($0.deferredArray(), 0) } == "*0\r\n")
    }

    /// Whatever is written when the limit is passed, and however much follows: the buffer stays small, and what fits is
    /// as it would be without a limit.
    @Test(arguments: [1 as UInt64, 2, 3, 4]) func limit(_ number: UInt64) {
        let seed = testSeed(number)
        for round in 0..<200 as Range<UInt64> {
            let limited = ReplyWriter()
            let free = ReplyWriter()
            var longest = 0
            for reply in [limited, free] {
                var random = SeededRandom(seed << 32 + round)
                let limit = 64 + random.below(20_000)
                if reply === limited { reply.output.limit = limit }
                for _ in 0..<random.below(100) { longest = max(longest, write(to: reply, &random, depth: 0)) }
                if reply === limited { continue }
                #expect(limited.output.isOverflowed || limited.output.bytes == free.output.bytes)
                if free.output.count > limit + 64 { #expect(limited.output.isOverflowed) }
            }
            #expect(limited.output.capacity <= max(20_064, longest + 64))
        }
    }

    /// Returns the length of the longest bulk string.
    private func write(to reply: ReplyWriter, _ random: inout SeededRandom, depth: Int) -> Int {
        var longest = 0
        switch random.below(depth < 3 ? 8 : 5) {
        case 0: reply.integer(random.below(.max))
        case 1: reply.error(CommandError(String(repeating: "e\r", count: random.below(200))))
        case 2: reply.double(Double(random.below(1000)) / 8)
        case 3, 4:
            longest = random.below(3000)
            reply.bulk(String(repeating: "x", count: longest))
        default:
            let mark = reply.deferredArray()
            let count = random.below(8)
            for _ in 0..<count { longest = max(longest, write(to: reply, &random, depth: depth + 1)) }
            reply.fill(mark, count)
        }
        return longest
    }
}
