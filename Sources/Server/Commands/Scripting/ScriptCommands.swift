import Storage

/// EVAL and its kin, and SCRIPT.
enum ScriptCommands {
    static var table: [Command] {
        CommandGroup.scripting.rows([.noscript, .stale, .skipMonitor, .noMandatoryKeys], runs)
            + CommandGroup.scripting.rows([script])
    }

    private static let writes: StaticString =
        "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE"
    private static let reads: StaticString =
        "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS"
    private static let rw: KeyAccess = [.rw, .access, .update]

    /// Commands that run a script or a function: `body` does.
    static func running(
        _ name: StaticString, _ flags: CommandFlags, _ access: KeyAccess, note: StaticString?, _ since: StaticString,
        _ arguments: StaticString, _ summary: StaticString, _ flagsOfRequest: @escaping FlagsOfRequest,
        _ body: @escaping @Sendable (ConnectionContext) throws(CommandError) -> Void
    ) -> Command {
        let shown: ConnectionHandler = { c throws(CommandError) in
            // MONITOR shows it before the commands that it executes.
            c.services.monitors.show(c.session, c.args)
            try body(c)
        }
        return .connection(name, -3, flags, since, arguments, summary, shown)
            .keys([KeySpec(access: access, begin: .index(2), find: .counted(step: 1), note: note)]).findingKeys {
                findKeys($0, access, $1)
            }.flagged(by: flagsOfRequest)
    }

    /// As many keys as the third argument says; of a wrong number, none.
    private static func findKeys(_ args: Arguments, _ access: KeyAccess, _ body: (Int, KeyAccess) -> Void) -> Bool {
        let spec = KeySpec.counted(access, at: 2)
        let isLoose = spec.hasLooseCount(args)
        _ = spec.forEach(args) { body($0, isLoose ? [] : $1) }
        return true
    }

    private static var runs: [Command] {
        [
            running(
                "eval", .mayReplicate, rw, note: writes, "2.6.0", "script numkeys:i [key...] [arg...]",
                "Runs a script of Lua.", { $0.scripting.flags(ofEval: $1, $2) }
            ) { c throws(CommandError) in try c.scripting.evaluate(c, isReadOnly: false) },
            running(
                "eval_ro", .readonly, .roAccess, note: reads, "7.0.0", "script numkeys:i [key...] [arg...]",
                "Runs a script of Lua that does not write.",
                { $0.scripting.flags(ofEval: $1, $2) }
            ) { c throws(CommandError) in try c.scripting.evaluate(c, isReadOnly: true) },
            running(
                "evalsha", .mayReplicate, rw, note: nil, "2.6.0", "sha1 numkeys:i [key...] [arg...]",
                "Runs a script of Lua that the server knows.",
                { $0.scripting.flags(ofEvalsha: $1, $2) }
            ) { c throws(CommandError) in try c.scripting.evaluateKnown(c, isReadOnly: false) },
            running(
                "evalsha_ro", .readonly, .roAccess, note: nil, "7.0.0", "sha1 numkeys:i [key...] [arg...]",
                "Runs a script of Lua that the server knows and that does not write.",
                { $0.scripting.flags(ofEvalsha: $1, $2) }
            ) { c throws(CommandError) in try c.scripting.evaluateKnown(c, isReadOnly: true) },
            running(
                "fcall", .mayReplicate, rw, note: writes, "7.0.0", "function numkeys:i [key...] [arg...]",
                "Calls a function.", { $0.scripting.flags(ofFcall: $1, $2) }
            ) { c throws(CommandError) in try c.scripting.call(c, isReadOnly: false) },
            running(
                "fcall_ro", .readonly, .roAccess, note: reads, "7.0.0", "function numkeys:i [key...] [arg...]",
                "Calls a function that does not write.",
                { $0.scripting.flags(ofFcall: $1, $2) }
            ) { c throws(CommandError) in try c.scripting.call(c, isReadOnly: true) },
        ].map { $0.complexity("Depends on what is run.") }
    }

    // MARK: - SCRIPT

    private static var script: Command {
        .container(
            "script", "2.6.0", "Manages Lua scripts.", .noscript,
            [
                .connection(
                    "debug", 3, [], "3.2.0", "mode(YES|SYNC|NO)", "Sets the debugger's mode. Swiftlet has none.", debug),
                .connection("exists", -3, [], "2.6.0", "sha1...", "Tells which scripts the server knows.", exists)
                    .complexity("O(N) for N scripts").tips("request_policy:all_shards response_policy:agg_logical_and"),
                .connection(
                    "flush", -2, [], "2.6.0", "[async(ASYNC|SYNC)@6.2.0]", "Forgets all scripts.", flush
                ).complexity("O(N) for N scripts").tips("request_policy:all_nodes response_policy:all_succeeded")
                    .history(("6.2.0", "Accepts `ASYNC` and `SYNC`.")),
                .connection("kill", 2, .allowBusy, "2.6.0", "", "Stops the script that is running.", kill).tips(
                    "request_policy:all_shards response_policy:one_succeeded"),
                .connection("load", 3, .stale, "2.6.0", "script", "Keeps a script, without running it.", load)
                    .complexity("O(N) for N bytes").tips(
                        "request_policy:all_nodes response_policy:all_succeeded"),
                .help("5.0.0"),
            ])
    }

    @Sendable private static func debug(_ c: ConnectionContext) throws(CommandError) {
        let mode = c.args[2]
        if mode.equals(ignoringCase: "no") { return c.reply.ok() }
        guard mode.equals(ignoringCase: "yes") || mode.equals(ignoringCase: "sync") else {
            throw CommandError("ERR Use SCRIPT DEBUG YES/SYNC/NO")
        }
        throw CommandError("ERR Swiftlet has no debugger for scripts")
    }

    @Sendable private static func exists(_ c: ConnectionContext) throws(CommandError) {
        c.reply.array(c.args.count - 2)
        for i in 2..<c.args.count {
            c.reply.integer(ScriptDigest(c.args[i]).map { c.scripting.cache.contains($0) } ?? false ? 1 : 0)
        }
    }

    @Sendable private static func load(_ c: ConnectionContext) throws(CommandError) {
        c.reply.bulk(ByteString(try c.scripting.load(c.args[2]).hex))
    }

    @Sendable private static func flush(_ c: ConnectionContext) throws(CommandError) {
        guard c.args.count == 2 || c.args.count == 3 && isFlushMode(c.args[2]) else {
            throw CommandError("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
        }
        c.scripting.flushScripts()
        c.reply.ok()
    }
    static func isFlushMode(_ word: Bytes) -> Bool {
        word.equals(ignoringCase: "sync") || word.equals(ignoringCase: "async")
    }

    @Sendable private static func kill(_ c: ConnectionContext) throws(CommandError) {
        try c.scripting.kill(.script)
        c.reply.ok()
    }
}

extension ConnectionContext {
    var scripting: Scripting { services.scripting }
}
