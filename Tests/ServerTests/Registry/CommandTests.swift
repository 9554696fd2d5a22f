import Storage
import TestSupport
import Testing

@testable import Server

@Suite struct CommandTests {
    private static var entries: [CommandEntry] {
        RouterHarness().server.commands.entries.flatMap { [$0] + ($0.subcommands?.entries ?? []) }
    }

    @Test func argumentsOfEveryRowAreInTheNotation() {
        for entry in Self.entries {
            #expect(ArgumentSyntax.parse(entry.row.documentation.arguments) != nil, "\(entry.fullName)")
        }
        for text in DebugCommands.argumentsOfActions { #expect(ArgumentSyntax.parse(text) != nil, "\(text)") }
    }

    @Test func arityIsThatOfTheArguments() {
        // Redis documents or checks these otherwise, which COMMAND says too.
        let exceptions: Set = [
            "client|kill", "command|getkeys", "command|getkeysandflags", "debug", "geohash", "geopos", "pfmerge",
            "psync", "quit", "replconf",
        ]
        var differing: Set<String> = []
        for entry in Self.entries where entry.subcommands == nil {
            guard let arguments = ArgumentSyntax.parse(entry.row.documentation.arguments) else { continue }
            let count = ArgumentSyntax.count(arguments)
            let names = entry.container == nil ? 1 : 2
            let arity = count.least == count.most ? count.least + names : -(count.least + names)
            if arity != entry.arity { differing.insert(entry.fullName) }
        }
        #expect(differing == exceptions)
    }

    @Test func notation() {
        func parse(_ text: StaticString) -> [ArgumentSyntax]? { ArgumentSyntax.parse(text) }
        #expect(parse("") == [])
        #expect(
            parse("key value:i") == [
                ArgumentSyntax(name: "key", kind: .key, keySpec: 0), ArgumentSyntax(name: "value", kind: .integer),
            ])
        #expect(
            parse("key:s ip:port name:k2 p:p1") == [
                ArgumentSyntax(name: "key"), ArgumentSyntax(name: "ip:port"),
                ArgumentSyntax(name: "name", kind: .key, keySpec: 2),
                ArgumentSyntax(name: "p", kind: .pattern, keySpec: 1),
            ])
        #expect(
            parse("[EX seconds:i...@6.2.0!7.0.0]") == [
                ArgumentSyntax(
                    name: "seconds", kind: .integer, token: "EX", since: "6.2.0", deprecatedSince: "7.0.0",
                    isOptional: true,
                    isMultiple: true)
            ])
        #expect(
            parse("way(CH=change|==equal|\"\"=empty|*=all)....") == [
                ArgumentSyntax(
                    name: "way", kind: .oneof, isMultiple: true, repeatsToken: true,
                    parts: [("change", "CH"), ("equal", "="), ("empty", ""), ("all", "*")].map {
                        ArgumentSyntax(name: $0.0, kind: .pureToken, token: $0.1)
                    })
            ])
        #expect(
            parse("LIMIT pair{offset:i NO ONE}") == [
                ArgumentSyntax(
                    name: "pair", kind: .block, token: "LIMIT",
                    parts: [
                        ArgumentSyntax(name: "offset", kind: .integer),
                        ArgumentSyntax(name: "no", kind: .pureToken, token: "NO"),
                        ArgumentSyntax(name: "one", kind: .pureToken, token: "ONE"),
                    ])
            ])
        for text in ["(", "a)", "[a", "a]", "a{b", "a(b", "a(", "a()", "a..", "{a}", "[]", "a (b)", "a|b"]
            as [StaticString]
        {
            #expect(parse(text) == nil, "\(text)")
        }
    }

    @Test func usage() {
        func usage(_ text: StaticString) -> String? {
            ArgumentSyntax.parse(text).map { $0.map(\.usage).joined(separator: " ") }
        }
        #expect(usage("key value:i...") == "<key> <value> [<value> ...]")
        #expect(usage("[a...] [b{c d}...]") == "[<a> ...] [<c> <d> ...]")
        #expect(usage("mode(ON|OFF) [mode(YES|NO)]") == "(ON|OFF) [YES|NO]")
        #expect(
            usage("[COUNT count:i] [WEIGHTS weight:i...] [GET pattern:p....]")
                == "[COUNT <count>] [WEIGHTS <weight> [<weight> ...]] [GET <pattern> ...]")
    }

    /// Whatever the arguments are: the router asks before the command has checked them.
    @Test func keysAreWithinTheArguments() {
        var random = SeededRandom()
        let words: [StaticString] = [
            "key", "", "0", "1", "2", "-1", "9223372036854775808", "STREAMS", "streams", "KEYS", "STORE", "storedist",
            "GET",
            "AUTH2", "limit", "overflow",
        ]
        for entry in Self.entries {
            for _ in 0..<200 {
                let args = (0..<Int.random(in: 1...9, using: &random)).map { _ in
                    Bytes(random.pick(words))
                }
                args.withUnsafeBufferPointer { buffer in
                    guard let base = buffer.baseAddress else { return }
                    let args = Arguments(base, buffer.count)
                    var areWithin = true
                    entry.row.keys.forEach(args) { index, _ in areWithin = areWithin && index > 0 && index < args.count
                    }
                    entry.row.secrets?(args) { index in areWithin = areWithin && index > 0 && index < args.count }
                    if !areWithin { Issue.record("\(entry.fullName): \((0..<args.count).map { args[$0].string })") }
                }
            }
        }
    }

    /// What the router must know of a command stands in its row.
    @Test func flagsForTheRouter() {
        func names(_ flag: CommandFlags) -> Set<String> {
            Set(Self.entries.filter { $0.flags.contains(flag) }.map(\.fullName))
        }
        #expect(names(.unqueued) == ["multi", "exec", "discard", "watch", "quit", "reset"])
        #expect(names(.beginsTransaction) == ["multi"])
        #expect(names(.runsTransaction) == ["exec"])
        #expect(
            names(.whileSubscribed) == [
                "ping", "quit", "reset", "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe",
                "sunsubscribe",
            ])
        #expect(names(.reportsMisconfiguration) == ["ping"])
        #expect(names(.showsData) == ["debug"])
        #expect(names(.mayReplicate) == ["pfcount", "publish", "spublish", "eval", "evalsha", "fcall"])
        #expect(
            names(.relativeTimes) == [
                "expire", "pexpire", "setex", "psetex", "set", "getex", "restore", "hexpire", "hpexpire",
                "hgetex", "hsetex", "msetex",
            ])
    }

    @Test func aReplyWaitsForTheWritesThatItMayShow() throws {
        let commands = RouterHarness().server.commands
        func offset(_ writes: RecentWrites, _ words: StaticString...) -> Int? {
            let args = words.map { Bytes($0) }
            return args.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress, let command = commands.find(args[0]) else { return nil }
                return writes.offset(shownBy: command, Arguments(base, buffer.count), end: 1000)
            }
        }
        func note(_ writes: inout RecentWrites, _ words: StaticString..., at position: Int) {
            let args = words.map { Bytes($0) }
            args.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress, let command = commands.find(args[0]) else { return }
                writes.note(command.row.keys, Arguments(base, buffer.count), at: position)
            }
        }
        var writes = RecentWrites()
        note(&writes, "zunionstore", "target", "2", "a", "b", at: 10)
        #expect(offset(writes, "get", "target") == 10)
        #expect(offset(writes, "zunion", "2", "x", "target") == 10)
        #expect(offset(writes, "get", "a") == 0, "only read")
        #expect(offset(writes, "ping") == 0)
        #expect(offset(writes, "config") == 0)
        #expect(offset(writes, "debug", "digest") == 1000)
        #expect(offset(writes, "dbsize") == 1000)
        #expect(offset(writes, "sort_ro", "a") == 1000, "the keys of BY and GET are unknown")
        note(&writes, "georadius", "a", "1", "2", "3", "m", "store", "b", "store", "c", at: 20)
        #expect(offset(writes, "get", "anything") == 20)
    }
}
