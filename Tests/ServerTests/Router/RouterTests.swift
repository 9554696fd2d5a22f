import Testing

@testable import Server
@testable import Storage

/// A server without a network, and clients that type inline commands.
struct RouterHarness {
    private let parts: Server
    let server: Router
    let log: StreamCollector
    let client: Session

    init(_ change: (inout Settings) -> Void = { _ in }) {
        var settings = Settings()
        change(&settings)
        parts = Server(config: Config(settings))
        server = parts.router
        log = StreamCollector(server.stream)
        client = RouterHarness.connect(server)
    }

    static func connect(_ server: Router) -> Session {
        guard let client = server.connect() else { preconditionFailure("too many clients") }
        return client
    }

    /// Sends lines, each a command, and takes the replies.
    @discardableResult func run(_ lines: String..., as other: Session? = nil) -> String {
        send(lines.map { $0 + "\r\n" }.joined(), as: other)
    }
    @discardableResult func send(_ text: String, as other: Session? = nil) -> String {
        let client = other ?? client
        let buffer = OutputBuffer()
        buffer.append(text: text)
        server.receive(client, buffer.bytes)
        defer { client.output.removeAll() }
        return client.output.bytes.string
    }
    /// What was logged since the last look, without the SELECT of database 0.
    func logged() -> String {
        log.take().replacing("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n", with: "")
    }
}

private func resp(_ words: String...) -> String {
    "*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
}

@Suite struct RouterTests {
    @Test func lookUpIgnoresCaseAndNothingElse() {
        let h = RouterHarness()
        #expect(h.run("PiNg", "ECHO a") == "+PONG\r\n$1\r\na\r\n")
        for name in ["pin", "pings", "p\\x49ng", "[ing", "pi{g"] { #expect(h.run(name).hasPrefix("-ERR unknown")) }
        for entry in h.server.commands.entries {
            #expect(h.server.commands.find(Bytes(entry.row.name)) === entry)
        }
    }

    @Test func refusals() {
        let h = RouterHarness()
        #expect(h.run("foo") == "-ERR unknown command 'foo', with args beginning with: \r\n")
        #expect(h.run("foo a b") == "-ERR unknown command 'foo', with args beginning with: 'a' 'b' \r\n")
        #expect(h.run("get") == "-ERR wrong number of arguments for 'get' command\r\n")
        #expect(h.run("client id x") == "-ERR wrong number of arguments for 'client|id' command\r\n")
        #expect(h.run("client") == "-ERR wrong number of arguments for 'client' command\r\n")
        #expect(h.run("client foo") == "-ERR unknown subcommand 'foo'. Try CLIENT HELP.\r\n")
        #expect(h.run("*1", "x") == "-ERR Protocol error: expected '$', got 'x'\r\n")
        #expect(h.client.flags.contains(.closeAfterReply))
        #expect(h.run("ping") == "")
    }

    @Test func errorTakesTheReplyBack() {
        let h = RouterHarness()
        h.run("set s x")
        #expect(
            h.run("ping", "lpush s a", "ping").split(separator: "\r\n").map(String.init)
                == ["+PONG", "-WRONGTYPE Operation against a key holding the wrong kind of value", "+PONG"])
        #expect(h.server.statistics.errors["WRONGTYPE"] == 1)
    }

    @Test func guards() {
        let h = RouterHarness { $0.requirePass = "secret" }
        #expect(h.run("get a") == "-NOAUTH Authentication required.\r\n")
        #expect(h.run("auth wrong").hasPrefix("-WRONGPASS"))
        #expect(h.run("auth secret", "get a") == "+OK\r\n$-1\r\n")
        h.server.guards.insert(.misconfigured)
        #expect(h.run("set a 1").hasPrefix("-MISCONF"))
        #expect(h.run("ping").hasPrefix("-MISCONF"))
        #expect(h.run("get a") == "$-1\r\n")
        h.server.guards = .readOnlyReplica
        #expect(h.run("set a 1").hasPrefix("-READONLY"))
        h.server.guards = .outOfMemory
        #expect(h.run("set a 1").hasPrefix("-OOM"))
        #expect(h.run("del a") == ":0\r\n")
    }

    @Test func pipelineLongerThanABatch() {
        let h = RouterHarness()
        let text = (0..<100).map { resp("SET", "k\($0)", "v\($0)") + resp("GET", "k\($0)") }.joined()
        #expect(h.send(text) == (0..<100).map { "+OK\r\n$\("v\($0)".count)\r\nv\($0)\r\n" }.joined())
    }

    @Test func repliesOffAndSkipped() {
        let h = RouterHarness()
        #expect(h.run("client reply off", "ping", "foo", "client reply on", "ping") == "+OK\r\n+PONG\r\n")
        #expect(h.run("client reply skip", "ping", "echo a") == "$1\r\na\r\n")
    }

    @Test func pausedClientsGoOn() {
        let h = RouterHarness()
        let admin = RouterHarness.connect(h.server)
        #expect(h.run("client pause 100000 write", as: admin) == "+OK\r\n")
        #expect(h.run("get a", "set a 1", "get a") == "$-1\r\n")
        #expect(h.run("get a") == "")
        #expect(h.run("client unpause", as: admin) == "+OK\r\n")
        h.server.resume(h.client)
        #expect(h.run() == "+OK\r\n$1\r\n1\r\n$1\r\n1\r\n")
    }

    @Test func tooManyClients() {
        let h = RouterHarness { $0.maxClients = 2 }
        let other = h.server.connect()
        #expect(other != nil)
        #expect(h.server.connect() == nil)
        if let other { h.server.disconnect(other) }
        #expect(h.server.connect() != nil)
    }

    @Test func commandDescribesEveryRow() {
        let h = RouterHarness()
        #expect(h.run("command count") == ":\(h.server.commands.entries.count)\r\n")
        #expect(
            h.run("command info ping").hasPrefix("*1\r\n*10\r\n$4\r\nping\r\n:-1\r\n*1\r\n+fast\r\n:0\r\n:0\r\n:0\r\n"))
        #expect(h.run("command").hasPrefix("*\(h.server.commands.entries.count)\r\n"))
        #expect(h.run("command getkeys mset a 1 b 2") == "*2\r\n$1\r\na\r\n$1\r\nb\r\n")
    }
}

@Suite struct RouterTransactionTests {
    @Test func queueAndExecute() {
        let h = RouterHarness()
        #expect(h.run("multi", "set a 1", "get a", "exec") == "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$1\r\n1\r\n")
        #expect(!h.client.flags.contains(.multi))
        #expect(h.run("exec") == "-ERR EXEC without MULTI\r\n")
        #expect(h.run("discard") == "-ERR DISCARD without MULTI\r\n")
        #expect(h.run("multi", "set a 2", "discard", "get a") == "+OK\r\n+QUEUED\r\n+OK\r\n$1\r\n1\r\n")
        #expect(h.run("multi", "exec") == "+OK\r\n*0\r\n")
    }

    @Test func errorsWhileQueueing() {
        let h = RouterHarness()
        for bad in ["nosuch", "get", "client nosuch"] {
            h.run("multi", "set a 1", bad)
            #expect(h.run("exec") == "-EXECABORT Transaction discarded because of previous errors.\r\n")
        }
        #expect(h.run("get a") == "$-1\r\n")
        // These fail, but leave the transaction alone.
        #expect(h.run("multi", "multi", "watch a", "exec").hasSuffix("*0\r\n"))
    }

    @Test func errorsWhileExecuting() {
        let h = RouterHarness()
        h.run("multi", "set a x", "lpush a y", "set a z")
        #expect(h.run("exec", "get a").hasPrefix("*3\r\n+OK\r\n-WRONGTYPE"))
        #expect(h.run("get a") == "$1\r\nz\r\n")
    }

    @Test func refusedExecution() {
        let h = RouterHarness()
        h.run("multi", "set a x")
        h.server.guards = .outOfMemory
        #expect(h.run("exec").hasPrefix("-EXECABORT Transaction discarded because of: OOM"))
        h.server.guards = []
        #expect(h.run("exec") == "-ERR EXEC without MULTI\r\n")
    }

    /// What another client does to `k`, and whether EXEC notices.
    @Test(arguments: [
        ("set k 2", true), ("del k", true), ("append k x", true), ("expire k 100", true), ("rename k j", true),
        ("flushall", true), ("flushdb", true), ("swapdb 0 1", true), ("get k", false), ("set j 2", false),
        ("del nosuch", false),
    ])
    func watch(command: String, isNoticed: Bool) {
        let h = RouterHarness()
        let other = RouterHarness.connect(h.server)
        h.run("set k 1")
        h.run("watch k")
        h.run(command, as: other)
        #expect(h.run("multi", "ping", "exec") == "+OK\r\n+QUEUED\r\n" + (isNoticed ? "*-1\r\n" : "*1\r\n+PONG\r\n"))
        #expect(h.server.watchers.isEmpty)
        #expect(h.server.keyspace.observers.wanted.isDisjoint(with: [.touched, .ready, .replaced]))
    }

    @Test func watchEnds() {
        let h = RouterHarness()
        h.run("set k 1")
        for end in ["unwatch", "discard", "reset"] {
            h.run("watch k")
            if end == "discard" { h.run("multi") }
            h.run(end, "set k 2")
            #expect(h.run("multi", "ping", "exec").hasSuffix("*1\r\n+PONG\r\n"))
        }
        let other = RouterHarness.connect(h.server)
        h.run("watch k", as: other)
        h.server.disconnect(other)
        #expect(h.server.watchers.isEmpty)
    }

    @Test func missingKeysThatAreFlushedStayMissing() {
        let h = RouterHarness()
        h.run("watch k", "flushall", "swapdb 0 1")
        #expect(h.run("multi", "exec") == "+OK\r\n*0\r\n")
    }

    @Test func watchedKeysExpire() {
        let h = RouterHarness()
        // In one batch, which has one time: however slow the machine, the key is there when it is watched.
        h.run("set k 1 px 1", "watch k")
        while wallClockMilliseconds() <= h.server.keyspace.now + 2 {}
        #expect(h.run("multi", "exec") == "+OK\r\n*-1\r\n")
        // One that has expired before is as good as missing.
        h.run("set k 1 px 1")
        while wallClockMilliseconds() <= h.server.keyspace.now + 2 {}
        h.run("watch k")
        #expect(h.run("multi", "exec") == "+OK\r\n*0\r\n")
    }

    @Test func nullInRESP3() {
        let h = RouterHarness()
        h.run("hello 3", "watch k", "set k 1")
        #expect(h.run("multi", "exec") == "+OK\r\n_\r\n")
    }
}

@Suite struct RouterLogTests {
    @Test func verbatimWhenSomethingChanged() {
        let h = RouterHarness()
        let set = resp("sEt", "a", "1")
        h.send(set)
        #expect(h.log.text == resp("SELECT", "0") + set)
        #expect(h.logged() == set)
        h.send(resp("GET", "a") + resp("DEL", "nosuch"))
        #expect(h.logged() == "")
        h.run("set a 'b c'")
        #expect(h.logged() == resp("set", "a", "b c"))
    }

    @Test func databases() {
        let h = RouterHarness()
        h.run("set a 1", "select 1", "set a 2", "set b 2", "select 0", "set a 3")
        #expect(
            h.log.text
                == resp("SELECT", "0") + resp("set", "a", "1") + resp("SELECT", "1") + resp("set", "a", "2")
                + resp("set", "b", "2") + resp("SELECT", "0") + resp("set", "a", "3"))
        #expect(h.server.stream.offset == h.log.text.utf8.count)
        _ = h.log.take()
        h.run("set a 4")
        #expect(h.log.text == resp("set", "a", "4"))
    }

    @Test func transactionsAreWrapped() {
        let h = RouterHarness()
        h.run("multi", "set a 1", "get a", "exec")
        #expect(h.logged() == resp("set", "a", "1"))
        h.run("multi", "set a 1", "get a", "set b 2", "exec")
        #expect(h.logged() == resp("MULTI") + resp("set", "a", "1") + resp("set", "b", "2") + resp("EXEC"))
        h.run("multi", "get a", "exec", "multi", "set a 1", "discard")
        #expect(h.logged() == "")
    }

    @Test func expiredKeysAreDeleted() {
        let h = RouterHarness()
        h.run("set k 1 px 1", "set j 1 px 1")
        _ = h.log.take()
        while wallClockMilliseconds() <= h.server.keyspace.now + 2 {}
        h.run("get k")
        #expect(h.logged() == resp("DEL", "k"))
        h.run("set j 2")
        #expect(h.logged() == resp("MULTI") + resp("DEL", "j") + resp("set", "j", "2") + resp("EXEC"))
    }

    @Test func repliesWaitForTheirOwnWrites() {
        let h = RouterHarness()
        h.run("get a")
        #expect(h.client.ackOffset == 0)
        h.run("set a 1")
        #expect(h.client.ackOffset == h.server.stream.offset)
        let position = h.client.ackOffset
        h.run("set b 1", as: RouterHarness.connect(h.server))
        h.run("get b")
        #expect(h.client.ackOffset == position)
    }
}
