import Storage

/// FUNCTION.
enum FunctionCommands {
    static var table: [Command] { CommandGroup.scripting.rows([function]) }

    private static let ofAll: StaticString = "request_policy:all_shards response_policy:all_succeeded"

    private static var function: Command {
        .container("function", "7.0.0", "Manages libraries of functions.", .noscript, writes + reads + [.help("7.0.0")])
    }

    private static var writes: [Command] {
        [
            .write("delete", 3, [], [], "7.0.0", "library-name", "Deletes a library and its functions.", delete).tips(
                ofAll),
            .write("flush", -2, [], [], "7.0.0", "[async(ASYNC|SYNC)]", "Deletes all libraries.", flush).complexity(
                "O(N) for N functions"
            ).tips(ofAll),
            .write(
                "load", -3, .denyoom, [], "7.0.0", "[REPLACE] function-code", "Loads a library of functions.", load
            ).complexity("O(1), but for compiling the code").tips(ofAll),
            .write(
                "restore", -3, .denyoom, [], "7.0.0", "serialized-value [policy(FLUSH|APPEND|REPLACE)]",
                "Loads all libraries of a payload of FUNCTION DUMP.", restore
            ).complexity("O(N) for N functions").tips(ofAll),
        ]
    }

    private static var reads: [Command] {
        [
            .connection("dump", 2, [], "7.0.0", "", "Returns all libraries as a payload for FUNCTION RESTORE.", dump)
                .complexity("O(N) for N functions"),
            .connection("kill", 2, .allowBusy, "7.0.0", "", "Stops the function that is running.", kill).tips(
                "request_policy:all_shards response_policy:one_succeeded"),
            .connection(
                "list", -2, [], "7.0.0", "[LIBRARYNAME library-name-pattern] [WITHCODE]",
                "Lists the libraries and their functions.", list
            ).complexity("O(N) for N functions").tips("nondeterministic_output_order"),
            .connection(
                "stats", 2, .allowBusy, "7.0.0", "", "Tells which function runs, and what the engine holds.", stats
            ).tips("nondeterministic_output request_policy:all_shards response_policy:special"),
        ]
    }

    // MARK: - Changes

    @Sendable private static func load(_ c: WriteContext) throws(CommandError) {
        var replaces = false
        for i in 2..<c.args.count - 1 {
            guard c.args[i].equals(ignoringCase: "replace") else {
                throw CommandError(parts: Bytes("ERR Unknown option given: "), c.args[i])
            }
            replaces = true
        }
        c.reply.bulk(try c.scripting.load(library: c.args[c.args.count - 1], replaces: replaces))
    }

    @Sendable private static func delete(_ c: WriteContext) throws(CommandError) {
        try c.scripting.delete(library: ByteString(c.args[2]))
        c.reply.ok()
    }

    @Sendable private static func flush(_ c: WriteContext) throws(CommandError) {
        if c.args.count > 3 { throw .subcommandSyntax(c.args) }
        guard c.args.count == 2 || c.args.count == 3 && ScriptCommands.isFlushMode(c.args[2]) else {
            throw CommandError("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
        }
        c.scripting.flushFunctions()
        c.reply.ok()
    }

    @Sendable private static func restore(_ c: WriteContext) throws(CommandError) {
        if c.args.count > 4 { throw .subcommandSyntax(c.args) }
        var policy = Scripting.RestorePolicy.append
        if c.args.count == 4 {
            if c.args[3].equals(ignoringCase: "flush") {
                policy = .flush
            } else if c.args[3].equals(ignoringCase: "replace") {
                policy = .replace
            } else if !c.args[3].equals(ignoringCase: "append") {
                throw CommandError("ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.")
            }
        }
        let codes: [[UInt8]]
        do throws(FunctionPayload.Failure) {
            codes = try FunctionPayload.read(c.args[2], checksum: c.checksPayloads)
        } catch {
            switch error {
            case .foreign: throw CommandError("ERR DUMP payload version or checksum are wrong")
            case .otherType: throw CommandError("ERR given type is not a function")
            case .damaged: throw CommandError("ERR failed loading functions: the payload is damaged")
            }
        }
        try c.scripting.restore(codes, policy)
        c.reply.ok()
    }

    // MARK: - What there is

    @Sendable private static func dump(_ c: ConnectionContext) throws(CommandError) {
        FunctionPayload.of(c.services.keyspace.libraries.all, compresses: c.settings.rdbCompression) {
            c.reply.bulk($0)
        }
    }

    @Sendable private static func kill(_ c: ConnectionContext) throws(CommandError) {
        try c.scripting.kill(.function)
        c.reply.ok()
    }

    @Sendable private static func list(_ c: ConnectionContext) throws(CommandError) {
        var i = 2
        var pattern: Bytes?
        var hasCode = false
        while i < c.args.count {
            if !hasCode, c.args[i].equals(ignoringCase: "withcode") {
                hasCode = true
            } else if pattern == nil, c.args[i].equals(ignoringCase: "libraryname") {
                i += 1
                if i == c.args.count { throw CommandError("ERR library name argument was not given") }
                pattern = c.args[i]
            } else {
                throw CommandError(parts: Bytes("ERR Unknown argument "), c.args[i])
            }
            i += 1
        }
        let libraries = try c.scripting.libraries().filter { library in
            pattern.map { pattern in library.name.withBytes { stringmatch(pattern, $0, ignoringCase: true) } } ?? true
        }
        c.reply.array(libraries.count)
        for library in libraries { describe(library, hasCode: hasCode, c.reply) }
    }

    private static func describe(_ library: Library, hasCode: Bool, _ reply: ReplyWriter) {
        reply.map(hasCode ? 4 : 3)
        reply.bulk("library_name")
        reply.bulk(library.name)
        reply.bulk("engine")
        reply.bulk("LUA")
        reply.bulk("functions")
        reply.array(library.functions.count)
        for function in library.functions {
            reply.map(3)
            reply.bulk("name")
            reply.bulk(function.name)
            reply.bulk("description")
            if let description = function.description { reply.bulk(description) } else { reply.null() }
            reply.bulk("flags")
            let flags = ScriptFlags.names.filter { function.flags.contains($0.0) }
            reply.set(flags.count)
            for (_, name) in flags { reply.simple(name) }
        }
        if hasCode {
            reply.bulk("library_code")
            library.code.lend { reply.bulk($0) }
        }
    }

    @Sendable private static func stats(_ c: ConnectionContext) throws(CommandError) {
        c.reply.map(2)
        c.reply.bulk("running_script")
        if let run = c.scripting.madeRunner?.run {
            c.reply.map(3)
            c.reply.bulk("name")
            c.reply.bulk(run.name)
            c.reply.bulk("command")
            c.reply.array(run.request.count)
            for i in 0..<run.request.count { c.reply.bulk(run.request[i]) }
            c.reply.bulk("duration_ms")
            c.reply.integer(Int((monotonicNanoseconds() - run.began) / 1_000_000))
        } else {
            c.reply.null()
        }
        c.reply.bulk("engines")
        c.reply.map(1)
        c.reply.bulk("LUA")
        c.reply.map(2)
        c.reply.bulk("libraries_count")
        c.reply.integer(c.scripting.libraryCount)
        c.reply.bulk("functions_count")
        c.reply.integer(c.scripting.functionCount)
    }
}

extension WriteContext {
    fileprivate var scripting: Scripting { session.services.scripting }
}
