import Storage
import Testing

@testable import Server

/// What the log and the replicas get for commands on strings, keys and lists.
@Suite struct PropagationTests {
    private let parts: Server
    private let server: Router
    private let log: StreamCollector
    private let client: Session

    init() {
        parts = Server()
        server = parts.router
        log = StreamCollector(server.stream)
        client = server.makeSession()
        // SELECT comes once, before this.
        _ = logged("SET first 1")
    }

    /// The commands that one command causes to be logged, as words.
    private func logged(_ line: String) -> [String] {
        let words = line.split(separator: " ")
        let request = OutputBuffer()
        request.append(text: "*\(words.count)\r\n")
        for word in words { request.append(text: "$\(word.utf8.count)\r\n\(word)\r\n") }
        server.receive(client, request.bytes)
        let text = log.take()
        client.output.removeAll()
        return text.split(separator: "*").map { command in
            let fields = command.split(separator: "\r\n", omittingEmptySubsequences: false)
            return stride(from: 2, to: fields.count, by: 2).map { String(fields[$0]) }.joined(separator: " ")
        }
    }

    /// The same, with a time in ms at the end that lies ahead as "<when>".
    private func timed(_ line: String) -> [String] {
        let now = wallClockMilliseconds()
        return logged(line).map { command in
            guard let last = command.split(separator: " ").last, let time = Int64(last), time > now else {
                return command
            }
            return "\(command.dropLast(last.count))<when>"
        }
    }

    @Test func relativeExpiriesBecomeAbsolute() {
        for command in ["SET k v EX 100", "set k v PX 100000 GET", "SETEX k 100 v", "PSETEX k 100000 v"] {
            #expect(timed(command) == ["SET k v PXAT <when>"])
        }
        #expect(logged("SET k v EXAT 4000000000 XX") == ["SET k v PXAT 4000000000000"])
        for command in ["EXPIRE k 100", "PEXPIRE k 200000 GT", "EXPIREAT k 4000000000", "GETEX k EX 100"] {
            #expect(timed(command) == ["PEXPIREAT k <when>"])
        }
        #expect(logged("SET k v pxat 4000000000000") == ["SET k v pxat 4000000000000"])
    }

    @Test func expiriesInThePastAreDeletions() {
        for command in ["EXPIRE k -1", "PEXPIREAT k 1", "EXPIREAT k 1 LT", "GETEX k PXAT 1"] {
            _ = logged("SET k v")
            #expect(logged(command) == ["DEL k"])
        }
    }

    @Test func repliesAndConditionsAreLeftOut() {
        _ = logged("SET k v")
        #expect(logged("SET k w XX GET KEEPTTL") == ["SET k w XX KEEPTTL"])
        #expect(logged("GETSET k x") == ["SET k x"])
        #expect(logged("GETDEL k") == ["DEL k"])
        #expect(logged("INCRBYFLOAT k 1.5") == ["SET k 1.5 KEEPTTL"])
        _ = logged("SET k v EX 100")
        #expect(logged("GETEX k PERSIST") == ["PERSIST k"])
    }

    @Test func plainCommandsAreLoggedAsTheyCame() {
        for command in [
            "set k v", "Append k w", "setnx n 1", "incr n", "mset a 1 b 2", "setbit s 7 1", "rename a c", "copy b d",
            "rpush l a b c d e f", "lpop l", "rpoplpush l m", "lmove l m LEFT RIGHT", "ltrim l 0 1",
        ] {
            #expect(logged(command) == [command])
        }
    }

    @Test func whatChangesNothingIsNotLogged() {
        _ = logged("SET k v")
        _ = logged("RPUSH l a")
        for command in [
            "GET k", "GETEX k", "GETEX k PERSIST", "SET k w NX", "SET none w XX", "SETNX k w", "EXPIRE none 10",
            "PERSIST k", "DEL none", "LPOP none", "LPOP l 0", "LREM l 0 none", "LPUSHX none a", "BLPOP none 0.01",
            "INCR l", "SETBIT k 0 0", "SCAN 0", "RENAMENX k l", "COPY k l", "MSETNX k 1 n 2", "GETDEL none",
        ] {
            #expect(logged(command) == [])
        }
    }

    @Test func popsNameTheListTheyTookFrom() {
        _ = logged("RPUSH l a b c d e f g h")
        #expect(logged("BLPOP none l 0") == ["LPOP l"])
        #expect(logged("BRPOP l 0") == ["RPOP l"])
        #expect(logged("BLMOVE l m LEFT RIGHT 0") == ["LMOVE l m LEFT RIGHT"])
        #expect(logged("BRPOPLPUSH l m 0") == ["RPOPLPUSH l m"])
        #expect(logged("LMPOP 2 none l RIGHT COUNT 2") == ["RPOP l 2"])
        #expect(logged("BLMPOP 0 1 l LEFT COUNT 10") == ["LPOP l 2"])
    }
}
