import Storage

// Invariant of this file: the router outlives this room; a host that another thread frees is referred to by nobody else.

/// Scripts and functions: what was given to the server, compiled, and running it. States of Lua are made when something is to
/// be compiled: a server without scripts has none. Confined to the loop.
final class Scripting {
    unowned(unsafe) let router: Router
    /// Made with the first state of Lua.
    private(set) var madeRunner: ScriptRunner?

    // MARK: Scripts
    private var scriptHost: LuaHost?
    private(set) var cache = ScriptCache()
    /// Scripts that had to go for others.
    private(set) var evicted = 0

    // MARK: Functions
    private var functionHost: LuaHost?
    private var compiled = FunctionRegistry()
    /// `loads` of the keyspace's libraries when `compiled` was made of them.
    private var compiledLoads = 0

    /// Runs since a garbage collector had its step.
    private var runs = 0
    private static let runsPerStep = 50

    init(_ router: Router) { self.router = router }

    private var keyspace: Keyspace { router.keyspace }
    var runner: ScriptRunner {
        if let madeRunner { return madeRunner }
        let made = ScriptRunner(router)
        madeRunner = made
        return made
    }

    // MARK: - Scripts

    /// EVAL: runs the script, which is compiled and kept where it is new.
    func evaluate(_ c: ConnectionContext, isReadOnly: Bool) throws(CommandError) {
        let keyCount = try keyCount(c.args, .notInteger)
        let digest = ScriptDigest(of: c.args[1])
        let script =
            if let known = cache.find(digest) { known } else { try compile(c.args[1], digest, isLoaded: false) }
        try run(script, c, keyCount, isReadOnly)
    }

    /// EVALSHA.
    func evaluateKnown(_ c: ConnectionContext, isReadOnly: Bool) throws(CommandError) {
        if c.args[1].count != 40 { throw .noScript }
        let keyCount = try keyCount(c.args, .notInteger)
        guard let digest = ScriptDigest(c.args[1]), let script = cache.find(digest) else { throw .noScript }
        try run(script, c, keyCount, isReadOnly)
    }

    private func run(
        _ script: Script, _ c: ConnectionContext, _ keyCount: Int, _ isReadOnly: Bool
    ) throws(CommandError) {
        guard let host = scriptHost else { throw .noScript }
        try run(.script(script.digest), script.flags, script.reference, host, c, keyCount, isReadOnly)
    }

    private func run(
        _ callee: ScriptRunner.Run.Callee, _ flags: ScriptFlags, _ reference: Int32, _ host: LuaHost,
        _ c: ConnectionContext, _ keyCount: Int, _ isReadOnly: Bool
    ) throws(CommandError) {
        try check(flags, c.session, isReadOnly)
        let run = ScriptRunner.Run(
            callee: callee, client: c.session, flags: flags, isReadOnly: isReadOnly, request: c.args,
            began: router.clock)
        defer { collect(host) }
        try runner.execute(run, host, reference, firstKey: 3, keyCount: keyCount)
    }

    /// The count of keys in the third argument.
    @inline(__always)
    private func keyCount(_ args: Arguments, _ noNumber: CommandError) throws(CommandError) -> Int {
        guard let count = args[2].integer else { throw noNumber }
        if count > Int64(args.count - 3) {
            throw CommandError("ERR Number of keys can't be greater than number of args")
        }
        if count < 0 { throw CommandError("ERR Number of keys can't be negative") }
        return Int(count)
    }

    private func collect(_ host: LuaHost) {
        runs &+= 1
        if runs % Self.runsPerStep == 0 { host.collect() }
    }

    /// SCRIPT LOAD: its digest. The script stays until SCRIPT FLUSH.
    func load(_ text: Bytes) throws(CommandError) -> ScriptDigest {
        let digest = ScriptDigest(of: text)
        if let script = cache.find(digest) {
            cache.keep(script)
        } else {
            _ = try compile(text, digest, isLoaded: true)
        }
        return digest
    }

    private func compile(_ text: Bytes, _ digest: ScriptDigest, isLoaded: Bool) throws(CommandError) -> Script {
        let (flags, code) = try Shebang.script(text)
        let host = try madeHost(.scripts, &scriptHost)
        let reference: Int32
        do throws(LuaError) {
            reference = try host.compile(code)
        } catch {
            throw CommandError(bytes: Array("ERR Error compiling script (new function): ".utf8) + error.message)
        }
        let script = Script(digest, flags, reference, size: text.count, isLoaded: isLoaded)
        if let old = cache.add(script) {
            host.release(old.reference)
            evicted += 1
        }
        return script
    }

    private func madeHost(_ kind: LuaHost.Kind, _ host: inout LuaHost?) throws(CommandError) -> LuaHost {
        if let host { return host }
        guard let made = LuaHost(kind, runner) else { throw CommandError("OOM there is no memory for Lua") }
        host = made
        return made
    }

    /// SCRIPT FLUSH: another thread frees the state of Lua, which may hold much.
    func flushScripts() {
        cache = ScriptCache()
        let old = scriptHost
        scriptHost = nil
        free(old)
    }

    private func free(_ host: LuaHost?) {
        guard let host else { return }
        let parcel = HostParcel(host: host)
        router.jobs.start("lua") { (_) in
            parcel.free()
        } completion: { _ in
        }
    }

    // MARK: - Functions

    /// FCALL.
    func call(_ c: ConnectionContext, isReadOnly: Bool) throws(CommandError) {
        try compileLoaded()
        guard let function = compiled.function(c.args[1]), let host = functionHost else { throw .noFunction }
        let keyCount = try keyCount(c.args, CommandError("ERR Bad number of keys provided"))
        try run(.function(function.name), function.flags, function.reference, host, c, keyCount, isReadOnly)
    }

    /// All libraries, by name.
    func libraries() throws(CommandError) -> [Library] {
        try compileLoaded()
        return compiled.sorted
    }

    /// FUNCTION LOAD: the library's name.
    func load(library text: Bytes, replaces: Bool) throws(CommandError) -> ByteString {
        try compileLoaded()
        let library = try compile(library: text, known: replaces ? nil : compiled)
        let old = compiled.remove(library.name)
        do throws(CommandError) {
            try compiled.add(library)
        } catch {
            release(library)
            if let old { try compiled.add(old) }
            throw error
        }
        if let old { release(old) }
        keyspace.setLibrary(library.name.bytes, code: library.code)
        return library.name
    }

    func delete(library name: ByteString) throws(CommandError) {
        try compileLoaded()
        guard let library = compiled.remove(name) else { throw CommandError("ERR Library not found") }
        release(library)
        keyspace.removeLibrary(name.bytes)
    }

    func flushFunctions() {
        forgetFunctions()
        keyspace.removeAllLibraries()
        compiledLoads = keyspace.libraries.loads
    }

    /// FUNCTION RESTORE: all of the libraries, or none.
    func restore(_ codes: [[UInt8]], _ policy: RestorePolicy) throws(CommandError) {
        try compileLoaded()
        var result = policy == .flush ? FunctionRegistry() : compiled
        var added: [Library] = []
        var removed = policy == .flush ? compiled.sorted : []
        do throws(CommandError) {
            for code in codes {
                let library = try code.lend { (code) throws(CommandError) in try compile(library: code, known: nil) }
                added.append(library)
                guard let old = result.remove(library.name) else { continue }
                if policy == .append {
                    throw CommandError(text: "ERR Library \(library.name) already exists")
                }
                removed.append(old)
            }
            for library in added { try result.add(library) }
        } catch {
            for library in added { release(library) }
            throw error
        }
        for library in removed { release(library) }
        if policy == .flush { keyspace.removeAllLibraries() }
        compiled = result
        for library in added { keyspace.setLibrary(library.name.bytes, code: library.code) }
    }
    enum RestorePolicy { case flush, append, replace }

    /// Compiles a library. `known`: those whose name it must not have.
    private func compile(library text: Bytes, known: FunctionRegistry?) throws(CommandError) -> Library {
        let (engine, name, code) = try Shebang.library(text)
        if !name.isFunctionName { throw CommandError("ERR \(ScriptRunner.badName)") }
        if engine.lowercased != "lua" {
            throw CommandError(text: "ERR Engine '\(engine)' not found")
        }
        if known?.libraries[name] != nil {
            throw CommandError(text: "ERR Library '\(name)' already exists")
        }
        let host = try madeHost(.functions, &functionHost)
        let (functions, failure) = runner.load(code, in: host)
        let library = Library(name, text.array, functions)
        if let failure {
            release(library)
            throw CommandError(bytes: failure.textOfLibrary)
        }
        if functions.isEmpty { throw CommandError("ERR No functions registered") }
        return library
    }

    private func release(_ library: Library) {
        for function in library.functions { functionHost?.release(function.reference) }
    }

    private func forgetFunctions() {
        compiled = FunctionRegistry()
        let old = functionHost
        functionHost = nil
        free(old)
    }

    /// What was loaded from a snapshot is compiled before it is asked for. Throws for a library that cannot be used; then
    /// there are none.
    private func compileLoaded() throws(CommandError) {
        if compiledLoads == keyspace.libraries.loads { return }
        forgetFunctions()
        for (name, code) in keyspace.libraries.all {
            do throws(CommandError) {
                let library = try code.lend { (code) throws(CommandError) in try compile(library: code, known: nil) }
                try compiled.add(library)
            } catch {
                forgetFunctions()
                throw CommandError(
                    text: "ERR The library of functions '\(ByteString(name))' cannot be loaded: \(error.text)")
            }
        }
        compiledLoads = keyspace.libraries.loads
    }

    /// SCRIPT KILL and FUNCTION KILL.
    func kill(_ kind: ScriptRunner.Run.Kind) throws(CommandError) {
        guard let madeRunner else { throw .notBusy }
        try madeRunner.kill(kind)
    }

    // MARK: - What may run

    /// What the server's state, and how it is called, have against a script that has said what it does.
    private func check(_ flags: ScriptFlags, _ client: Session, _ isReadOnly: Bool) throws(CommandError) {
        if router.guards.isEmpty && !isReadOnly { return }
        try checkThoroughly(flags, client, isReadOnly)
    }

    @inline(never)
    private func checkThoroughly(_ flags: ScriptFlags, _ client: Session, _ isReadOnly: Bool) throws(CommandError) {
        let guards = router.guards
        if flags.contains(.undeclared) {
            if guards.contains(.staleReplica) { throw .masterDown }
            return
        }
        if guards.contains(.staleReplica) && !flags.contains(.allowStale) {
            throw CommandError(
                "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag is not "
                    + "set on the script.")
        }
        let obeys = !client.flags.isDisjoint(with: [.internal, .master])
        if !flags.contains(.noWrites) {
            if guards.contains(.readOnlyReplica) && !obeys {
                throw CommandError("READONLY Can not run script with write flag on readonly replica.")
            }
            if guards.contains(.misconfigured) && !obeys { throw router.misconfiguration }
            if isReadOnly { throw CommandError("ERR Can not execute a script with write flag using *_ro command.") }
            if guards.contains(.tooFewReplicas) { throw .tooFewReplicas }
        }
        if guards.contains(.outOfMemory) && !obeys && flags.isDisjoint(with: [.allowOOM, .noWrites]) {
            throw CommandError(
                "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'")
        }
    }

    /// The flags of a request that runs a script. nil: those of its command.
    func flags(ofEval args: Arguments, _ flags: CommandFlags) -> CommandFlags? {
        if let known = cache.peek(ScriptDigest(of: args[1])) { return known.flags.refine(flags) }
        return (try? Shebang.script(args[1])).map { $0.flags.refine(flags) }
    }
    func flags(ofEvalsha args: Arguments, _ flags: CommandFlags) -> CommandFlags? {
        ScriptDigest(args[1]).flatMap { cache.peek($0) }.map { $0.flags.refine(flags) }
    }
    func flags(ofFcall args: Arguments, _ flags: CommandFlags) -> CommandFlags? {
        compiled.function(args[1]).map { $0.flags.refine(flags) }
    }

    // MARK: - What INFO shows

    var scriptMemory: Int { scriptHost?.memory ?? 0 }
    var functionMemory: Int { functionHost?.memory ?? 0 }
    var libraryMemory: Int { compiled.memory }
    var libraryCount: Int { keyspace.libraries.count }
    var functionCount: Int { compiled.functionCount }
}

extension Scripting: ServerPart {
    /// All libraries of the snapshot must be of use.
    func dataLoaded(from path: String) throws(StorageError) {
        do throws(CommandError) {
            try compileLoaded()
        } catch {
            throw StorageError(
                file: path,
                message:
                    "\(error.text.dropFirst(4)). Take it out of a copy (table `functions`), or use a server that knows it"
            )
        }
    }
}

/// A state of Lua that nobody else refers to any more.
private final class HostParcel: @unchecked Sendable {
    // @unchecked: it belongs to the thread that frees it.
    private var host: LuaHost?
    init(host: LuaHost) { self.host = host }
    func free() { host = nil }
}

extension LuaError {
    /// As FUNCTION LOAD answers it.
    fileprivate var textOfLibrary: [UInt8] {
        isCompiled
            ? Array("ERR Error registering functions: ".utf8) + (hasCode ? [] : Array("ERR ".utf8)) + message
            : Array("ERR Error compiling function: ".utf8) + message
    }
}

extension CommandError {
    static let noScript = CommandError("NOSCRIPT No matching script. Please use EVAL.")
    static let notBusy = CommandError("NOTBUSY No scripts in execution right now.")
    static let noFunction = CommandError("ERR Function not found")
}
