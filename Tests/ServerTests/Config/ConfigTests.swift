import Foundation
import Storage
import Testing

@testable import Server

private func withBytes<T>(_ text: String, _ body: (Bytes) -> T) -> T {
    let buffer = OutputBuffer()
    buffer.append(text: text)
    return body(buffer.bytes)
}

private func get(_ config: Config, _ name: ByteString) -> ByteString? {
    name.withBytes { config.get([$0]) }.first { $0.name == name }?.value
}

private func load(_ arguments: [String]) throws(ConfigError) -> Config {
    try ConfigLoader.load(arguments: arguments.map { ByteString($0) }, commands: CommandTable.names)
}

/// Of this run; removed at its end.
private let directory = NSTemporaryDirectory() + "config-test-\(UUID().uuidString)"
private let makeDirectory: Void = {
    try? FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    atexit { try? FileManager.default.removeItem(atPath: directory) }
}()

private func temporaryFile(_ text: String) throws -> String {
    makeDirectory
    let path = directory + "/\(UUID().uuidString).conf"
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    return path
}

@Suite struct ConfigWordsTests {
    @Test(
        arguments: [
            ("port 7777", ["port", "7777"]), ("save ''", ["save", ""]), ("a \"b c\" d", ["a", "b c", "d"]),
            ("a \"\\x41\\n\\\"\"", ["a", "A\n\""]), ("a 'it\\'s'", ["a", "it's"]), ("  a\t b ", ["a", "b"]), ("", []),
            ("a \"\\xzz\"", ["a", "xzz"]),
        ] as [(ByteString, [ByteString])])
    func words(line: ByteString, expected: [ByteString]) {
        #expect(splitWords(line) == expected)
    }

    @Test(arguments: ["a \"b", "a 'b", "a \"b\"c", "a 'b'c"] as [ByteString])
    func unbalanced(line: ByteString) {
        #expect(splitWords(line) == nil)
    }

    @Test(arguments: ["", "a b", "\"", "\\", "#x", "tab\there", "\u{1}", "é", "Größe 1"] as [ByteString])
    func quotingRoundTrips(word: ByteString) {
        #expect(splitWords(quotedIfNeeded(word)) == [word])
    }

    @Test(
        arguments: [
            ("0", 0), ("512", 512), ("1k", 1000), ("1KB", 1024), ("2mb", 2 << 20), ("1g", 1_000_000_000), ("7b", 7),
            ("", 0), ("kb", 0), ("18446744073709551616", .max), ("99999999999gb", .max),
        ] as [(ByteString, UInt64)])
    func memory(word: ByteString, bytes: UInt64) {
        #expect(parseMemory(word) == bytes)
    }

    @Test(
        arguments: ["x", "-1", "1x", "1 k", " ", "1\u{212A}b"]
            as [ByteString])
    func notMemory(word: ByteString) {
        #expect(parseMemory(word) == nil)
    }
}

@Suite struct ConfigLoadTests {
    @Test func fileAndArguments() throws {
        let path = try temporaryFile("# comment\n\nport 7000\nsave 900 1\nmaxmemory 100mb\nbind 127.0.0.1 ::1\n")
        let config = try load([path, "--port", "7001", "--save", "60", "1"])
        #expect(config.settings.port == 7001)
        #expect(config.settings.maxMemory == 100 << 20)
        #expect(config.settings.bind == ["127.0.0.1", "::1"])
        #expect(get(config, "save") == "900 1 60 1")
        #expect(config.file == ByteString(path))
    }

    @Test(
        arguments: [
            (["--save", "--loglevel", "verbose"], "save", ""), (["--loglevel", "verbose", "--save"], "save", ""),
            (["--save", "", "--loglevel", "verbose"], "loglevel", "verbose"),
            (["--save", "60 1"], "save", "60 1"), ([], "save", "3600 1 300 100 60 10000"),
            (["--maxmemory 700mb", "--port 1"], "maxmemory", "734003200"),
            (["--proc-title-template", "--my--title", "--loglevel", "verbose"], "proc-title-template", "--my--title"),
            (["--proc-title-template", "--save", "--save", ""], "proc-title-template", "--save"),
            (["--replicaof", "host 123"], "replicaof", "host 123"),
            (["--shutdown-on-sigint", "nosave", "force", "now"], "shutdown-on-sigint", "nosave now force"),
            (["loglevel", "verbose", "--maxmemory '700mb'"], "loglevel", "verbose"),
            (["--hash-max-ziplist-entries", "5"], "hash-max-listpack-entries", "5"),
            (["--notify-keyspace-events", "KEA"], "notify-keyspace-events", "AKE"),
            (["--unixsocketperm", "700"], "unixsocketperm", "700"),
            (
                ["--client-output-buffer-limit", "replica", "1mb", "2k", "3"], "client-output-buffer-limit",
                "normal 0 0 0 slave 1048576 2000 3 pubsub 33554432 8388608 60"
            ),
        ] as [([String], ByteString, ByteString)])
    func arguments(_ arguments: [String], name: ByteString, value: ByteString) throws {
        // The first argument of a command line without a file would be taken for one.
        let path = try temporaryFile("")
        let config = try load([path] + arguments)
        #expect(get(config, name) == value)
    }

    @Test(
        arguments: [
            (["--invalid"], "'invalid'", "Bad directive or wrong number of arguments"),
            (["--port"], "'port'", "wrong number of arguments"),
            (["--port", "1", "--loglevel"], "'loglevel'", "wrong number of arguments"),
            (["--port", "6379", "6380"], "'port \"6379\" \"6380\"'", "wrong number of arguments"),
            (["--port", "--bla", "--loglevel", "verbose"], "'port \"--bla\"'", "couldn't be parsed into an integer"),
            (["--port", "70000"], "'port \"70000\"'", "argument must be between 0 and 65535 inclusive"),
            (["--loglevel", "loud"], "'loglevel \"loud\"'", "must be one of the following: debug, verbose, notice"),
            (["--appendonly", "maybe"], "'appendonly \"maybe\"'", "argument must be 'yes' or 'no'"),
            (["--replicaof", "--127.0.0.1", "abc"], "'replicaof \"--127.0.0.1\" \"abc\"'", "Invalid master port"),
            (["--replicaof", "--127.0.0.1", "--abc"], "'replicaof \"--127.0.0.1\"'", "wrong number of arguments"),
            (["--maxmemory-clients", "200%"], "maxmemory-clients", "percentage argument must be less or equal to 100"),
            (["--save", "1"], "'save \"1\"'", "Invalid save parameters"),
            (["--dir", "/no/such/place"], "dir", "No such file or directory"),
            (["--cluster-enabled", "yes"], "cluster-enabled", "not supported"),
            (["--snapshotfilename", "a/b"], "snapshotfilename", "can't be a path, just a filename"),
        ] as [([String], String, String)])
    func refused(_ arguments: [String], shown: String, message: String) throws {
        let path = try temporaryFile("")
        do {
            _ = try load([path] + arguments)
            Issue.record("accepted \(arguments)")
        } catch {
            #expect(error.description.contains("*** FATAL CONFIG FILE ERROR (Swiftlet "))
            #expect(error.description.contains(shown))
            #expect(error.description.contains(message))
        }
    }

    @Test func refusedNamesTheLine() throws {
        let path = try temporaryFile("port 1\n\n# c\nfoo bar\n")
        let error = #expect(throws: ConfigError.self) { _ = try load([path]) }
        #expect(error?.description.contains("at line 4\n>>> 'foo bar'\nBad directive") == true)
    }

    @Test func includeIsReadInPlaceAndMayNotRecurse() throws {
        let inner = try temporaryFile("port 7002\ntimeout 5\n")
        let outer = try temporaryFile("port 7001\ninclude \(inner)\ntimeout 6\n")
        let config = try load([outer])
        #expect(config.settings.port == 7002)
        #expect(config.settings.timeout == 6)
        let own = try temporaryFile("")
        try "include \(own)\n".write(toFile: own, atomically: true, encoding: .utf8)
        #expect(throws: ConfigError.self) { _ = try load([own]) }
        #expect(throws: ConfigError.self) { _ = try load([own, "--include", "/no/file"]) }
    }

    @Test func settingsWithoutEffectAreAcceptedAndRemembered() throws {
        let path = try temporaryFile("io-threads 4\nmaxmemory 1mb\nactivedefrag no\nvm-enabled yes\nmaxclients 9\n")
        let config = try load([path])
        #expect(config.withoutEffect.map(\.name) == ["io-threads", "vm-enabled"])
        #expect(get(config, "io-threads") == "4")
    }

    @Test func namesAreUniqueAndLowerCase() {
        var names: Set<ByteString> = []
        for setting in SettingTable.all {
            for name in setting.names {
                #expect(names.insert(name).inserted, "\(name)")
                #expect(name == name.lowercased)
            }
        }
    }
}

@Suite struct ConfigSetTests {
    private func message(_ config: Config, _ pairs: [(ByteString, ByteString)], trusted: Bool = false) -> String? {
        do {
            try config.set(pairs.map { (name: $0.0, value: $0.1) }, isTrusted: trusted)
            return nil
        } catch {
            return error.message.description
        }
    }

    @Test func allOrNothing() {
        let config = Config()
        #expect(message(config, [("maxmemory", "10000002"), ("timeout", "3")]) == nil)
        let text = message(config, [("maxmemory", "1"), ("maxmemory-clients", "200%"), ("timeout", "9")])
        #expect(
            text == "CONFIG SET failed (possibly related to argument 'maxmemory-clients') - "
                + "percentage argument must be less or equal to 100")
        #expect(config.settings.maxMemory == 10_000_002)
        #expect(config.settings.timeout == 3)
    }

    @Test func aRefusedEffectUndoesAll() {
        let config = Config()
        var told: [SettingEffect] = []
        config.apply = { (effect, _) throws(SettingError) in
            told.append(effect)
            if effect == .listeners && config.settings.port == 81 { throw SettingError("Unable to listen") }
        }
        let text = message(config, [("maxmemory", "5"), ("port", "81"), ("slowlog-max-len", "1")])
        #expect(text == "CONFIG SET failed (possibly related to argument 'port') - Unable to listen")
        #expect(config.settings.port == 6379)
        #expect(config.settings.maxMemory == 0)
        #expect(told == [.limits, .listeners, .listeners, .limits])
    }

    @Test(
        arguments: [
            ("nosuch", "1", "Unknown option or number of arguments for CONFIG SET - 'nosuch'"),
            ("daemonize", "yes", "can't set immutable config"), ("dir", "/", "can't set protected config"),
            ("timeout", "+1", "argument couldn't be parsed into an integer"),
            ("save", "1 2 3", "Invalid save parameters"),
            ("notify-keyspace-events", "Q", "Invalid event class character"),
            ("shutdown-on-sigint", "save nosave", "can't be used simultaneously"),
            ("client-query-buffer-limit", "10", "argument must be between 1048576 and 9223372036854775807 inclusive"),
            ("maxmemry", "1", "CONFIG SET - 'maxmemry': did you mean 'maxmemory'?"),
        ] as [(ByteString, ByteString, String)])
    func refused(name: ByteString, value: ByteString, text: String) {
        #expect(message(Config(), [(name, value)])?.contains(text) == true)
    }

    @Test func duplicatesAreRefused() {
        #expect(message(Config(), [("timeout", "1"), ("timeout", "2")])?.contains("duplicate parameter") == true)
    }

    /// Every setting that CONFIG SET takes must take back what CONFIG GET answers.
    @Test func everySettingTakesItsOwnValue() {
        for setting in SettingTable.all where !setting.flags.contains(.startupOnly) && setting.name != "dir" {
            let config = Config()
            let value = setting.value(in: config.settings)
            let text = message(config, [(setting.name, value)], trusted: true)
            if setting.name == "dbfilename" || text == nil {
                #expect(setting.value(in: config.settings) == value, "\(setting.name)")
            } else {
                Issue.record("\(setting.name): \(text ?? "")")
            }
        }
    }

    @Test func hiddenSettingsAnswerToTheirNameOnly() {
        let config = Config()
        #expect(withBytes("*") { config.get([$0]) }.contains { $0.name == "key-load-delay" } == false)
        #expect(get(config, "key-load-delay") == "0")
    }

    @Test func getAnswersAliasesAndEachNameOnce() {
        let config = Config()
        let all = withBytes("maxmem*") { first in withBytes("*of") { config.get([first, $0, first]) } }.map(\.name)
        #expect(Set(all).count == all.count)
        #expect(all.contains("slaveof") && all.contains("replicaof") && all.contains("maxmemory-samples"))
    }
}

@Suite struct ConfigRewriteTests {
    private func rewritten(_ text: String, _ change: (inout Settings) -> Void) throws -> String {
        let path = try temporaryFile(text)
        var settings = try load([path]).settings
        change(&settings)
        return String(decoding: try ConfigRewriter.text(Array(text.utf8), settings, all: false), as: UTF8.self)
    }

    @Test func unchangedFileStaysAsItIs() throws {
        let text = "# my server\nport   7000\n\nmaxmemory 100mb # not a comment to Redis\n".replacingOccurrences(
            of: " # not a comment to Redis", with: "")
        #expect(try rewritten(text) { _ in } == text)
    }

    @Test func changesStayInPlace() throws {
        let text = "# a\nhash-max-ziplist-entries 5\n# b\nhash-max-listpack-entries 6\nport 7000\n"
        let new = try rewritten(text) {
            $0.hashMaxListpackEntries = 100
            $0.timeout = 7
        }
        #expect(
            new == "# a\nhash-max-listpack-entries 100\n# b\nport 7000\n# Generated by CONFIG REWRITE\ntimeout 7\n")
    }

    @Test func savePoints() throws {
        #expect(try rewritten("save 1 2\nsave 3 4\n") { _ in } == "save 1 2\nsave 3 4\n")
        #expect(try rewritten("save 1 2\nsave 3 4\n") { $0.savePoints = [] } == "save \"\"\n")
        let points = [SavePoint(seconds: 5, changes: 6), SavePoint(seconds: 7, changes: 8)]
        #expect(try rewritten("save \"\"\n") { $0.savePoints = points } == "save 5 6\nsave 7 8\n")
    }

    @Test func everythingWrittenCanBeReadAgain() throws {
        var settings = Settings()
        settings.requirePass = "with \"quotes\" and\nlines"
        settings.directoryPath = "/tmp"
        settings.replicaOf = HostAndPort(host: "example", port: 1)
        let path = try temporaryFile("")
        try ConfigRewriter.rewrite(ByteString(path), settings, all: true)
        let again = try load([path]).settings
        for setting in SettingTable.all {
            #expect(setting.value(in: again) == setting.value(in: settings), "\(setting.name)")
        }
    }
}
