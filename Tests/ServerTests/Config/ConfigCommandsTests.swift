import Storage
import Testing

@testable import Server

/// Runs handlers without a connection or router.
private struct Harness {
    private let parts: Server
    let server: Router
    let log: StreamCollector
    let client: Session

    init(_ change: (inout Settings) -> Void = { _ in }) {
        var settings = Settings()
        settings.enableDebugCommand = .yes
        change(&settings)
        parts = Server(
            config: Config(settings),
            commands: ConfigCommands.table + ServerCommands.table + ACLCommands.table + DiagnosticCommands.table
                + DebugCommands.table + ReplicationCommands.table + WaitCommands.table)
        server = parts.router
        log = StreamCollector(server.stream)
        parts.followSettings()
        client = server.makeSession()
    }

    func run(_ words: String..., resp3: Bool = false) -> String { run(words, resp3: resp3) }

    func run(_ words: [String], resp3: Bool = false) -> String {
        let text = OutputBuffer()
        for word in words { text.append(text: word) }
        var offset = 0
        let bytes = words.map { word in
            defer { offset += word.utf8.count }
            return text.bytes[offset..<offset + word.utf8.count]
        }
        let reply = client.reply
        reply.resp3 = resp3
        defer { reply.output.removeAll() }
        bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            let args = Arguments(base, buffer.count)
            guard var entry = server.commands.find(args[0]) else { return reply.simple("no such command") }
            if let container = entry.subcommands {
                guard args.count > 1, let found = container.find(args[1]) else {
                    return reply.simple("no such subcommand")
                }
                entry = found
            }
            guard entry.accepts(argumentCount: args.count) else { return reply.simple("wrong arity") }
            do throws(CommandError) {
                switch entry.row.handler {
                case .read(let body): try body(ReadContext(args: args, session: client, countsLookups: false))
                case .readCaching(let body): try body(ReadCachingContext(args: args, session: client))
                case .write(let body): try body(WriteContext(args: args, session: client))
                case .connection(let body): try body(ConnectionContext(args: args, session: client))
                case .admin(let body): try body(AdminContext(args: args, session: client))
                case .container, .help: break
                }
            } catch {
                reply.error(error)
            }
        }
        return reply.output.bytes.string
    }
}

@Suite struct ConfigCommandsTests {
    @Test func configSetReachesTheKeyspace() {
        let h = Harness()
        #expect(h.run("CONFIG", "SET", "hash-max-ziplist-entries", "7", "slowlog-max-len", "3") == "+OK\r\n")
        #expect(h.server.keyspace.limits.hashMaxListpackEntries == 7)
        #expect(h.server.services.slowlog.capacity == 3)
        #expect(h.run("config", "get", "slowlog-max-len") == "*2\r\n$15\r\nslowlog-max-len\r\n$1\r\n3\r\n")
        #expect(h.run("config", "get", "slowlog-max-len", resp3: true).hasPrefix("%1\r\n"))
        #expect(h.run("config", "set", "a", "b", "c") == "-ERR syntax error\r\n")
        #expect(h.run("config", "rewrite") == "-ERR The server is running without a config file\r\n")
        #expect(h.run("config", "set", "dir", "/tmp").contains("can't set protected config"))
    }

    @Test func infoHasAllSectionsAndFields() {
        let h = Harness()
        let standard = h.run("INFO")
        for text in [
            "# Server\r\nredis_version:7.2.0\r\n", "\r\n\r\n# Clients\r\n", "role:master", "used_memory:",
            "rdb_last_bgsave_status:ok", "aof_enabled:1", "# Keyspace\r\n", "swiftlet_oldest_unsynced_ms:0",
        ] { #expect(standard.contains(text), "\(text)") }
        #expect(!standard.contains("# Commandstats"))
        #expect(h.run("info", "everything").contains("# Commandstats"))
        #expect(h.run("info", "keyspace", "cpu").contains("# Keyspace"))
        #expect(h.run("info", "nosuch") == "$0\r\n\r\n")
        _ = h.run("debug", "populate", "3")
        #expect(h.run("info", "keyspace").contains("db0:keys=3,expires=0,avg_ttl=0"))
    }

    @Test func flushAndPopulateAreLogged() {
        let h = Harness()
        #expect(h.run("debug", "populate", "2", "p", "10") == "+OK\r\n")
        #expect(h.run("dbsize") == ":2\r\n")
        #expect(h.log.text.contains("$3\r\np:1\r\n$10\r\nvalue:1\0\0\0\r\n"))
        #expect(h.run("flushall", "bogus") == "-ERR syntax error\r\n")
        #expect(h.run("FLUSHALL", "ASYNC") == "+OK\r\n")
        #expect(h.run("dbsize") == ":0\r\n")
        #expect(h.log.text.hasSuffix("*1\r\n$8\r\nFLUSHALL\r\n"))
    }

    @Test(arguments: [
        (["swapdb", "0", "99"], "-ERR DB index is out of range\r\n"),
        (["swapdb", "a", "1"], "-ERR invalid first DB index\r\n"),
        (["swapdb", "0", "b"], "-ERR invalid second DB index\r\n"),
        (["wait", "0", "-1"], "-ERR timeout is negative\r\n"),
        (["wait", "0", "10"], ":0\r\n"), (["role"], "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"),
        (["replicaof", "no", "one"], "+OK\r\n"), (["acl", "whoami"], "$7\r\ndefault\r\n"),
        (["shutdown", "save", "nosave"], "-ERR syntax error\r\n"),
        (["shutdown", "abort"], "-ERR No shutdown in progress.\r\n"),
        (["slowlog", "get", "-2"], "-ERR count should be greater than or equal to -1\r\n"),
        (["slowlog", "len"], ":0\r\n"), (["latency", "latest"], "*0\r\n"), (["latency", "reset"], ":0\r\n"),
        (["memory", "usage", "nokey"], "$-1\r\n"),
        (["memory", "usage", "k", "samples", "-1"], "-ERR syntax error\r\n"),
        (["debug", "digest"], "+0000000000000000000000000000000000000000\r\n"),
        (["debug", "object", "nokey"], "-ERR no such key\r\n"), (["debug", "error", "FOO a b"], "-FOO a b\r\n"),
        (["debug", "sleep", "0"], "+OK\r\n"), (["debug", "stringmatch-len", "100000", "a*a*a*b"], "+OK\r\n"),
        (
            ["debug", "nosuch"],
            "-ERR unknown subcommand or wrong number of arguments for 'nosuch'. Try DEBUG HELP.\r\n"
        ),
        (
            ["debug", "digest", "x"],
            "-ERR unknown subcommand or wrong number of arguments for 'digest'. Try DEBUG HELP.\r\n"
        ),
        (["debug", "populate", "-1"], "-ERR value is out of range, must be positive\r\n"),
        (["bgsave", "x"], "-ERR syntax error\r\n"),
    ])
    func replies(words: [String], reply: String) {
        #expect(Harness().run(words) == reply)
    }

    @Test func debugNeedsPermission() {
        let h = Harness { $0.enableDebugCommand = .local }
        h.client.isLocal = false
        #expect(h.run("debug", "help").hasPrefix("-ERR DEBUG command not allowed"))
        h.client.isLocal = true
        #expect(h.run("debug", "help").hasPrefix("*"))
    }

    @Test func debugObjectNamesTheEncoding() {
        let h = Harness()
        _ = h.run("debug", "populate", "1")
        #expect(h.run("debug", "object", "key:0").contains(" refcount:1 encoding:embstr serializedlength:"))
    }

    /// Bytes as redis-server 7.0.15 sends them.
    @Test(arguments: [
        ("string", "$11\r\nHello World\r\n", "$11\r\nHello World\r\n"), ("integer", ":12345\r\n", ":12345\r\n"),
        ("double", ",3.141\r\n", "$5\r\n3.141\r\n"), ("null", "_\r\n", "$-1\r\n"),
        ("set", "~3\r\n:0\r\n:1\r\n:2\r\n", "*3\r\n:0\r\n:1\r\n:2\r\n"),
        ("map", "%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n", "*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n"),
        ("verbatim", "=29\r\ntxt:This is a verbatim\nstring\r\n", "$25\r\nThis is a verbatim\nstring\r\n"),
        ("true", "#t\r\n", ":1\r\n"), ("false", "#f\r\n", ":0\r\n"),
    ])
    func debugProtocol(type: String, resp3: String, resp2: String) {
        let h = Harness()
        #expect(h.run("debug", "protocol", type, resp3: true) == resp3)
        #expect(h.run("debug", "protocol", type) == resp2)
    }

    @Test func slowlogKeepsTheLatestAndShortens() {
        let slowlog = Slowlog()
        slowlog.capacity = 2
        let long = OutputBuffer()
        long.append(text: String(repeating: "x", count: 200))
        for i in 0..<3 {
            slowlog.add(
                Array(repeating: long.bytes, count: 40), microseconds: Int64(i), seconds: 1, address: "a", client: "")
        }
        let entries = slowlog.newest(10)
        #expect(entries.map(\.id) == [2, 1])
        #expect(entries[1].arguments.count == 32)
        #expect(String(decoding: entries[1].arguments[31], as: UTF8.self) == "... (9 more arguments)")
        #expect(String(decoding: entries[1].arguments[0], as: UTF8.self).hasSuffix("... (72 more bytes)"))
    }

    @Test func histogram() {
        let statistics = Statistics()
        let number = statistics.register("get")
        for microseconds in [1, 2, 3, 100, 100] as [UInt64] {
            statistics.count(number, nanoseconds: microseconds * 1000, failed: false)
        }
        #expect(statistics.commands[number].calls == 5)
        #expect(statistics.commands[number].microseconds == 206)
        #expect(statistics.commands[number].latencies.total == 5)
        statistics.tracksLatency = false
        statistics.count(number, nanoseconds: 1000, failed: true)
        #expect(statistics.commands[number].failed == 1)
        #expect(statistics.commands[number].latencies.total == 5)
        statistics.reset(expired: 0, expiredFields: 0)
        #expect(statistics.commands[number].calls == 0 && statistics.commands[number].latencies.total == 0)
    }

    @Test func formats() {
        #expect(Info.fixed(3.14159, 2) == "3.14")
        #expect(Info.fixed(-0.05, 2) == "-0.05")
        #expect(Info.fixed(2, 6) == "2.000000")
        #expect(Info.human(1023) == "1023B")
        #expect(Info.human(1536) == "1.50K")
    }
}
