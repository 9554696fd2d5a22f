import Storage

/// What clients ask of features that are not there: how much there is of them, which is nothing.
enum AbsentCommands {
    static let table: [Command] = [pubsub, script, function, module, failover]

    private typealias Body = @Sendable (ConnectionContext) throws(CommandError) -> Void

    private static func sub(
        _ group: CommandGroup, _ name: StaticString, _ arity: Int, _ flags: CommandFlags, since: StaticString,
        _ summary: StaticString, _ body: @escaping Body
    ) -> Command {
        Command(
            name, arity: arity, flags: flags, keys: .none, group: group, since: since,
            complexity: "O(N) for N arguments", summary: summary, .connection(body))
    }

    private static let notBusy = CommandError("NOTBUSY No scripts in execution right now.")

    // MARK: - PUBSUB

    private static let pubsub = Command(
        "pubsub", arity: -2, keys: .none, group: .pubsub, since: "2.8.0", complexity: "Depends on subcommand.",
        summary: "Who is subscribed to what.",
        subcommands: [
            about("channels", -2, "2.8.0", "Lists channels with subscribers.", channels),
            about("numsub", -2, "2.8.0", "Counts the subscribers of channels.", subscribers),
            about("numpat", 2, "2.8.0", "Counts the patterns that are subscribed to.", { c in c.reply.integer(0) }),
            about("shardchannels", -2, "7.0.0", "Lists shard channels with subscribers.", channels),
            about("shardnumsub", -2, "7.0.0", "Counts the subscribers of shard channels.", subscribers),
            sub(
                .pubsub, "help", 2, [.loading, .stale], since: "6.2.0", "Answers what PUBSUB can do.",
                { c in
                    c.reply.help(
                        "PUBSUB",
                        [
                            "CHANNELS [<pattern>]", "    Channels that have subscribers.", "NUMPAT",
                            "    How many patterns are subscribed to.", "NUMSUB [<channel> ...]",
                            "    How many subscribers channels have.", "SHARDCHANNELS [<pattern>]",
                            "    Shard channels that have subscribers.", "SHARDNUMSUB [<shardchannel> ...]",
                            "    How many subscribers shard channels have.",
                        ])
                }),
        ])

    private static func about(
        _ name: StaticString, _ arity: Int, _ since: StaticString, _ summary: StaticString, _ body: @escaping Body
    ) -> Command {
        sub(.pubsub, name, arity, [.pubsub, .loading, .stale], since: since, summary, body)
    }

    @Sendable private static func channels(_ c: ConnectionContext) throws(CommandError) {
        if c.args.count > 3 { throw .subcommandSyntax(c.args) }
        c.reply.array(0)
    }

    @Sendable private static func subscribers(_ c: ConnectionContext) throws(CommandError) {
        c.reply.array(2 * (c.args.count - 2))
        for i in 2..<c.args.count {
            c.reply.bulk(c.args[i])
            c.reply.integer(0)
        }
    }

    // MARK: - SCRIPT and FUNCTION

    private static let script = Command(
        "script", arity: -2, keys: .none, group: .scripting, since: "2.6.0", complexity: "Depends on subcommand.",
        summary: "Which scripts are loaded.",
        subcommands: [
            sub(.scripting, "exists", -3, .noscript, since: "2.6.0", "Tells which scripts are loaded.") { c in
                c.reply.array(c.args.count - 2)
                for _ in 2..<c.args.count { c.reply.integer(0) }
            },
            sub(.scripting, "flush", -2, .noscript, since: "2.6.0", "Forgets all scripts.") { c throws(CommandError) in
                guard c.args.count == 2 || c.args.count == 3 && isFlushMode(c.args[2]) else {
                    throw CommandError("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
                }
                c.reply.ok()
            },
            sub(.scripting, "kill", 2, [.noscript, .allowBusy], since: "2.6.0", "Ends the script that runs.") {
                _ throws(CommandError) in throw notBusy
            },
            sub(.scripting, "help", 2, [.loading, .stale], since: "5.0.0", "Answers what SCRIPT can do.") { c in
                c.reply.help(
                    "SCRIPT",
                    [
                        "EXISTS <sha1> [<sha1> ...]", "    Which scripts are loaded.", "FLUSH [ASYNC|SYNC]",
                        "    Forget all scripts.", "KILL", "    End the script that runs.",
                    ])
            },
        ])

    private static func isFlushMode(_ word: Bytes) -> Bool {
        word.equals(ignoringCase: "sync") || word.equals(ignoringCase: "async")
    }

    private static let function = Command(
        "function", arity: -2, keys: .none, group: .scripting, since: "7.0.0", complexity: "Depends on subcommand.",
        summary: "Which libraries of functions are loaded.",
        subcommands: [
            sub(.scripting, "list", -2, .noscript, since: "7.0.0", "Lists libraries.", functionList),
            sub(.scripting, "kill", 2, [.noscript, .allowBusy], since: "7.0.0", "Ends the function that runs.") {
                _ throws(CommandError) in throw notBusy
            },
            sub(.scripting, "help", 2, [.loading, .stale], since: "7.0.0", "Answers what FUNCTION can do.") { c in
                c.reply.help(
                    "FUNCTION",
                    [
                        "KILL", "    End the function that runs.", "LIST [LIBRARYNAME <pattern>] [WITHCODE]",
                        "    The libraries that are loaded.",
                    ])
            },
        ])

    @Sendable private static func functionList(_ c: ConnectionContext) throws(CommandError) {
        var i = 2
        var isNamed = false
        var hasCode = false
        while i < c.args.count {
            if !hasCode, c.args[i].equals(ignoringCase: "withcode") {
                hasCode = true
            } else if !isNamed, c.args[i].equals(ignoringCase: "libraryname") {
                isNamed = true
                i += 1
                if i == c.args.count { throw CommandError("ERR library name argument was not given") }
            } else {
                throw CommandError(parts: Bytes("ERR Unknown argument "), c.args[i])
            }
            i += 1
        }
        c.reply.array(0)
    }

    // MARK: - MODULE and FAILOVER

    private static let module = Command(
        "module", arity: -2, keys: .none, group: .server, since: "4.0.0", complexity: "Depends on subcommand.",
        summary: "Which modules are loaded.",
        subcommands: [
            sub(.server, "list", 2, [.admin, .noscript], since: "4.0.0", "Lists modules.", { c in c.reply.array(0) }),
            loading("load", -3, "4.0.0", "Loads a module."),
            loading("loadex", -3, "7.0.0", "Loads a module with settings."),
            loading("unload", 3, "4.0.0", "Unloads a module."),
            sub(.server, "help", 2, [.loading, .stale], since: "5.0.0", "Answers what MODULE can do.") { c in
                c.reply.help("MODULE", ["LIST", "    The modules that are loaded: there are none."])
            },
        ])

    private static func loading(
        _ name: StaticString, _ arity: Int, _ since: StaticString, _ summary: StaticString
    ) -> Command {
        sub(.server, name, arity, [.admin, .noscript, .noAsyncLoading], since: since, summary) {
            _ throws(CommandError) in throw CommandError("ERR Modules are not supported")
        }
    }

    private static let failover = sub(
        .server, "failover", -1, [.admin, .noscript, .stale], since: "6.2.0", "Makes a replica take over."
    ) { c throws(CommandError) in
        throw c.args.count == 2 && c.args[1].equals(ignoringCase: "abort")
            ? CommandError("ERR No failover in progress.") : CommandError("ERR FAILOVER requires connected replicas.")
    }
}
