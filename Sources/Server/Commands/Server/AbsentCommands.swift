import Storage

/// What clients ask of features that are not there: how much there is of them, which is nothing.
enum AbsentCommands {
    static var table: [Command] {
        CommandGroup.scripting.rows([script, function]) + CommandGroup.server.rows([module])
    }

    // MARK: - SCRIPT and FUNCTION

    private static var script: Command {
        .container(
            "script", "2.6.0", "Manages Lua scripts.", .noscript,
            [
                .connection("exists", -3, [], "2.6.0", "sha1...", "Tells which scripts are cached.", scriptExists)
                    .complexity("O(N) for N scripts").tips("request_policy:all_shards response_policy:agg_logical_and"),
                .connection(
                    "flush", -2, [], "2.6.0", "[async(ASYNC|SYNC)@6.2.0]", "Removes all scripts from the cache.",
                    scriptFlush
                ).complexity("O(N) for N scripts").tips("request_policy:all_nodes response_policy:all_succeeded")
                    .history(("6.2.0", "Accepts `ASYNC` and `SYNC`.")),
                .connection("kill", 2, .allowBusy, "2.6.0", "", "Stops the script that is running.", notBusy).tips(
                    "request_policy:all_shards response_policy:one_succeeded"),
                .help("5.0.0"),
            ])
    }

    private static var function: Command {
        .container(
            "function", "7.0.0", "Manages libraries of functions.", .noscript,
            [
                .connection(
                    "list", -2, [], "7.0.0", "[LIBRARYNAME library-name-pattern] [WITHCODE]",
                    "Lists the libraries and their functions.", functionList
                ).complexity("O(N) for N functions").tips("nondeterministic_output_order"),
                .connection("kill", 2, .allowBusy, "7.0.0", "", "Stops the function that is running.", notBusy).tips(
                    "request_policy:all_shards response_policy:one_succeeded"),
                .help("7.0.0"),
            ])
    }

    @Sendable private static func notBusy(_ c: ConnectionContext) throws(CommandError) {
        throw CommandError("NOTBUSY No scripts in execution right now.")
    }

    @Sendable private static func scriptExists(_ c: ConnectionContext) throws(CommandError) {
        c.reply.array(c.args.count - 2)
        for _ in 2..<c.args.count { c.reply.integer(0) }
    }

    @Sendable private static func scriptFlush(_ c: ConnectionContext) throws(CommandError) {
        guard c.args.count == 2 || c.args.count == 3 && isFlushMode(c.args[2]) else {
            throw CommandError("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
        }
        c.reply.ok()
    }

    private static func isFlushMode(_ word: Bytes) -> Bool {
        word.equals(ignoringCase: "sync") || word.equals(ignoringCase: "async")
    }

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

    // MARK: - MODULE

    private static var module: Command {
        .container(
            "module", "4.0.0", "Manages modules.", .noscript,
            [
                .admin("list", 2, [], "4.0.0", "", "Lists the modules that are loaded.", moduleList).complexity(
                    "O(N) for N modules"
                ).tips("nondeterministic_output_order"),
                .admin(
                    "load", -3, .noAsyncLoading, "4.0.0", "path [arg...]", "Loads a module. Swiftlet supports none.",
                    noModules),
                .admin(
                    "loadex", -3, .noAsyncLoading, "7.0.0", "path [CONFIG configs{name value}....] [ARGS args{arg}...]",
                    "Loads a module with its settings. Swiftlet supports none.", noModules),
                .admin(
                    "unload", 3, .noAsyncLoading, "4.0.0", "name", "Unloads a module. Swiftlet supports none.",
                    noModules),
                .help("5.0.0"),
            ])
    }

    @Sendable private static func moduleList(_ c: AdminContext) throws(CommandError) { c.reply.array(0) }

    @Sendable private static func noModules(_ c: AdminContext) throws(CommandError) {
        throw CommandError("ERR Modules are not supported")
    }
}
