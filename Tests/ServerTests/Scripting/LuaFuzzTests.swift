import CLua
import Foundation
import TestSupport
import Testing

/// Random programs, and damaged input for cmsgpack, struct and cjson: no crash, no end without an answer. `make fuzz-scripts`
/// tries many more.
@Suite struct LuaFuzzTests {
    private static let rounds = ProcessInfo.processInfo.environment["SWIFTLET_PROGRAMS"].flatMap(Int.init) ?? 3000
    /// After so many, a new host, so that what one leaves behind does not hide the next.
    private static let roundsOfAHost = 2000

    private func makeHost() -> HostUnderTest {
        let host = HostUnderTest(memoryLimit: 4 << 20)
        host.execute = { arguments, _ in
            switch arguments.count % 5 {
            case 0: "*2\r\n$1\r\na\r\n:1\r\n"
            case 1: "-ERR x\r\n"
            case 2: "$3\r\nabc\r\n"
            case 3: "%1\r\n+a\r\n,1.5\r\n"
            default: ":\(arguments.count)\r\n"
            }
        }
        return host
    }

    /// Runs `round` so often, with hosts whose scripts are interrupted after a few milliseconds.
    private func repeated(_ random: inout SeededRandom, _ round: (HostUnderTest, inout SeededRandom) -> Void) {
        for first in stride(from: 0, to: Self.rounds, by: Self.roundsOfAHost) {
            let host = makeHost()
            for _ in first..<min(first + Self.roundsOfAHost, Self.rounds) {
                var asked = 0
                host.interruption = {
                    asked += 1
                    return asked > 1 ? "interrupted" : nil
                }
                round(host, &random)
            }
            #expect(host.eval("return 1") == ":1\r\n")
        }
    }

    @Test func randomPrograms() {
        var random = SeededRandom()
        repeated(&random) { host, random in
            var program = RandomProgram(random)
            let text = program.text()
            random = program.random
            let answer = host.eval(text, keys: ["k"], arguments: ["1", "x"], resp: random.below(2) == 0 ? 2 : 3)
            #expect(!answer.isEmpty, "\(text)")
        }
    }

    @Test func damagedMessagePack() throws {
        var random = SeededRandom()
        let script = """
            local made = {pcall(cmsgpack.unpack, ARGV[1])}
            pcall(cmsgpack.unpack_limit, ARGV[1], #ARGV[1] % 7, #ARGV[1] % 5)
            local again = cmsgpack.pack(made)
            return cmsgpack.pack(cmsgpack.unpack(again)) == again or #made == 0
            """
        let seeds: [[UInt8]] = [
            [0x93, 1, 0xa1, 65, 0xc0], [0x82, 0xa1, 97, 0x92, 1, 2, 0xa1, 98, 0xcb, 63, 248, 0, 0, 0, 0, 0, 0],
            [0xdc, 0, 2, 1, 2], [0xde, 0, 1, 1, 0xd9, 3, 65, 66, 67], [0xdb, 0, 0, 0, 1, 65], [0xdd, 0, 0, 0, 1, 0xc3],
            [0xdf, 0, 0, 0, 1, 5, 0xd3, 255, 255, 255, 255, 255, 255, 255, 0], Array(repeating: 0x91, count: 40),
        ]
        try damaged(script, seeds, &random)
    }

    @Test func damagedJSON() throws {
        var random = SeededRandom()
        let script = """
            local ok, value = pcall(cjson.decode, ARGV[1])
            if not ok then return 0 end
            return cjson.encode(value)
            """
        let seeds = [
            #"{"a":[1,2.5,-3e2,true,false,null],"b":{"c":"d\n\u0041\uD834\uDD1E"}}"#, #"[[[[[[[[1]]]]]]]]"#,
            #""x\\\"y""#, "[]", "{}", "-0.0",
            "[1,[2,[3,{\"a\":{\"b\":[]}}]]]",
        ].map { Array($0.utf8) }
        try damaged(script, seeds, &random)
    }

    @Test func damagedStruct() throws {
        var random = SeededRandom()
        // A format before the separator, data behind it.
        let script = """
            local format, data = ARGV[1]:match('^(.-)|(.*)$')
            if not format then return 0 end
            local values = {pcall(struct.unpack, format, data, #data % 3 + 1)}
            pcall(struct.size, format)
            pcall(struct.pack, format, unpack(values, 2))
            return {pcall(struct.pack, format, 1, 'abc', -1, 1e300, 5, 'x', 7)}
            """
        let seeds = [
            "bBhHlLTfd|abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqr", ">i3<I5!8xs|abc\0defghij\0kl",
            "bc0sc2|\u{3}abcdef\0gh", "!16i16I32 |" + String(repeating: "\u{7f}", count: 60),
        ]
        .map { Array($0.utf8) }
        try damaged(script, seeds, &random)
    }

    private func damaged(_ script: String, _ seeds: [[UInt8]], _ random: inout SeededRandom) throws {
        var host: HostUnderTest?
        var reference: Int32 = -1
        repeated(&random) { given, random in
            if host !== given {
                host = given
                reference = (try? given.compile(Array(script.utf8)).get()) ?? -1
            }
            var bytes = random.pick(seeds)
            for _ in 0...random.below(6) { damage(&bytes, &random) }
            _ = given.run(reference, arguments: [bytes])
        }
        #expect(reference >= 0)
    }

    private func damage(_ bytes: inout [UInt8], _ random: inout SeededRandom) {
        let at = random.below(bytes.count + 1)
        switch random.below(5) {
        case 0: bytes.insert(random.byte(), at: at)
        case 1 where at < bytes.count: bytes.remove(at: at)
        case 2 where at < bytes.count: bytes[at] = random.byte()
        case 3 where at < bytes.count: bytes[at] ^= 1 << UInt8(random.below(8))
        default:
            let from = random.below(bytes.count + 1)
            bytes.insert(contentsOf: bytes[min(at, from)..<max(at, from)], at: at)
            if bytes.count > 2000 { bytes.removeLast(bytes.count - 2000) }
        }
    }
}
