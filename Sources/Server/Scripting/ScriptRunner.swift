import Storage

// Invariant of this file: the router outlives the runner, and a client, with the output that a reply goes to, the run of its
// script.

/// Runs one script or function at a time, and executes its commands. Confined to the loop.
final class ScriptRunner {
    unowned(unsafe) let router: Router
    /// Who executes the commands of scripts.
    let session: Session
    /// What runs.
    private(set) var run: Run?
    /// Since it began. Apart from it, as each command looks at them.
    private var isReadOnly = false
    private var allowsOOM = false
    private var obeys = false
    private(set) var hasWritten = false
    /// The reply goes there.
    private unowned(unsafe) var output: OutputBuffer?

    /// DEBUG SET-DISABLE-DENY-SCRIPTS.
    var allowsEverything = false

    /// The functions that a library's code has registered while it is loaded; nil: none is.
    var registered: [RegisteredFunction]?
    /// Monotonic nanoseconds at which loading it takes too long.
    private var loadDeadline: UInt64 = 0
    private static let longestLoad: UInt64 = 500_000_000

    /// Bytes of a reply's buffer that are kept.
    private static let keptOutput = 64 << 10

    struct Run {
        enum Kind: Equatable { case script, function }
        enum Callee {
            case script(ScriptDigest)
            case function(ByteString)
        }
        let callee: Callee
        /// Who called.
        let client: Session
        let flags: ScriptFlags
        let isReadOnly: Bool
        /// The command that called.
        let request: Arguments
        /// Monotonic nanoseconds.
        let began: UInt64
        var isKilled = false
        var isBusy = false

        var kind: Kind {
            switch callee {
            case .script: .script
            case .function: .function
            }
        }
        /// As errors show it.
        var name: ByteString {
            switch callee {
            case .script(let digest): ByteString(digest.hex)
            case .function(let name): name
            }
        }
    }

    init(_ router: Router) {
        self.router = router
        session = router.makeSession()
        session.flags = [.internal, .script, .denyBlocking]
        session.address = "?:0"
    }

    // MARK: Running

    /// Runs what `reference` names with the keys and arguments of `run.request`, which begin at `firstKey`, and writes the
    /// reply of the client.
    func execute(_ run: Run, _ host: LuaHost, _ reference: Int32, firstKey: Int, keyCount: Int) throws(CommandError) {
        let client = run.client
        if session.db != client.db { session.db = client.db }
        session.become(client.user)
        isReadOnly = run.isReadOnly || run.flags.contains(.noWrites)
        allowsOOM = run.flags.contains(.allowOOM)
        obeys = !client.flags.isDisjoint(with: [.internal, .master])
        hasWritten = false
        session.ackOffset = 0
        output = client.reply.output
        self.run = run
        let errors = router.statistics.errorReplies
        // The reply waits for what its commands' would have waited for.
        defer {
            client.ackOffset = max(client.ackOffset, session.ackOffset)
            ended()
        }
        let keys = run.request.dropFirst(firstKey)
        do throws(LuaError) {
            try host.run(
                reference, keys: Arguments(keys.start, keyCount), arguments: keys.dropFirst(keyCount),
                resp3: client.reply.resp3)
        } catch {
            let text = self.text(of: error, run)
            if !error.isCounted { throw CommandError(bytes: text) }
            client.reply.error(CommandError(bytes: text))
        }
        // As in Redis it has failed if one of its commands has.
        if router.statistics.errorReplies != errors, let command = router.services.command(run.request) {
            router.statistics.fail(command.statistics)
        }
    }

    private func ended() {
        if run?.isBusy == true { endBusy() }
        run = nil
        output = nil
        if router.stream.targets != .all { router.stream.targets = .all }
        session.output.removeAll(keepingAtMost: Self.keptOutput)
    }

    private func text(of error: LuaError, _ run: Run) -> [UInt8] {
        var text = (error.hasCode ? [] : Array("ERR ".utf8)) + error.message
        if error.line > 0 && !error.source.isEmpty {
            text += " script: ".utf8
            text += run.name.bytes
            text += ", on ".utf8
            text += error.source
            text += ":\(error.line).".utf8
        }
        return text
    }

    // MARK: What the host asks for

    /// redis.call and redis.pcall: the command's reply, good until the next one.
    func execute(_ args: Arguments, resp3: Bool) -> Bytes {
        let output = session.output
        output.removeAll(keepingAtMost: Self.keptOutput)
        session.reply.resp3 = resp3
        guard let command = router.services.command(args) else { return refuse(nil, .unknownInScript) }
        guard command.accepts(argumentCount: args.count) else { return refuse(command, .wrongArityInScript) }
        if command.flags.contains(.noscript) && command.flags.isDisjoint(with: .callableByScripts) && !allowsEverything
        {
            return refuse(command, .notAllowedInScript)
        }
        if session.flags.contains(.restricted), let error = denial(of: command, args) { return refuse(command, error) }
        if isReadOnly && !command.flags.isDisjoint(with: [.write, .mayReplicate]) {
            return refuse(command, .writeInReadOnlyScript)
        }
        if !router.guards.isEmpty, let error = refusal(of: command) { return refuse(command, error) }
        if command.flags.contains(.write) {
            hasWritten = true
            if let error = router.rowRefusal(command, args) { return refuse(command, error) }
        }
        session.lastCommand = command
        router.clock = monotonicNanoseconds()
        router.call(session, command, args, request: nil)
        return output.bytes
    }

    /// What the server's state has against a command, where it would not be refused half-way through.
    @inline(never)
    private func refusal(of command: CommandEntry) -> CommandError? {
        if router.guards.contains(.staleReplica) && !command.flags.contains(.stale) { return .staleInScript }
        if hasWritten || obeys { return nil }
        var refused = router.guards.intersection(command.refusedBy)
        if !command.flags.contains(.write) { refused.subtract([.readOnlyReplica, .misconfigured, .tooFewReplicas]) }
        if allowsOOM { refused.remove(.outOfMemory) }
        refused.formIntersection([.readOnlyReplica, .misconfigured, .tooFewReplicas, .outOfMemory])
        // In the order in which a script is told.
        for guarded in [Guards.readOnlyReplica, .misconfigured, .tooFewReplicas, .outOfMemory]
        where refused.contains(guarded) {
            return guarded.error(misconfiguration: router.misconfiguration, busy: router.busy)
        }
        return nil
    }

    /// What the user who called the script may not do.
    @inline(never)
    private func denial(of command: CommandEntry, _ args: Arguments) -> CommandError? {
        guard let user = session.user,
            let denial = router.denial(session, command, args, .script, caller: run?.client)
        else { return nil }
        let reason = CommandError.denied(denial, user, command, args, verbose: false)
        return CommandError(text: "ERR ACL failure in script: \(reason)")
    }

    private func refuse(_ command: CommandEntry?, _ error: CommandError) -> Bytes {
        if let command { router.statistics.reject(command.statistics) }
        router.statistics.count(error: error.text)
        session.reply.error(error)
        return session.output.bytes
    }

    /// redis.acl_check_cmd: 1, or 0: the user may not; -1: there is no such command.
    func mayExecute(_ args: Arguments) -> Int32 {
        guard let command = router.services.command(args) else { return -1 }
        guard let user = run?.client.user else { return 1 }
        return user.denial(command, args, database: session.db) == nil ? 1 : 0
    }

    func setReplication(_ targets: Int32) {
        router.stream.targets = PropagationTargets(rawValue: UInt8(truncatingIfNeeded: targets))
    }

    func log(_ level: Int, _ text: Bytes) {
        switch level {
        case 0: router.logger.debug(text.string)
        case 1: router.logger.verbose(text.string)
        case 2: router.logger.notice(text.string)
        default: router.logger.warning(text.string)
        }
    }

    func write(_ piece: Bytes) { output?.append(piece) }
    /// An error is among what was written, which no command has answered.
    func count(error text: Bytes) { router.statistics.count(error: text[0..<min(text.count, 128)].string) }

    // MARK: Libraries

    /// Runs a library's code; what it has registered, also where it ends in an error.
    func load(_ code: Bytes, in host: LuaHost) -> (functions: [RegisteredFunction], error: LuaError?) {
        registered = []
        loadDeadline = monotonicNanoseconds() + Self.longestLoad
        var failure: LuaError?
        do throws(LuaError) { try host.load(code) } catch { failure = error }
        let functions = registered ?? []
        registered = nil
        return (functions, failure)
    }

    /// nil, or the error.
    func register(_ function: RegisteredFunction) -> StaticString? {
        guard function.name.isFunctionName else { return Self.badName }
        if registered?.contains(where: { $0.name == function.name }) == true {
            return "Function already exists in the library"
        }
        registered?.append(function)
        return nil
    }

    static let badName: StaticString =
        "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"

    // MARK: Busy scripts

    /// Looks after the others while Lua code runs. nil: it may go on; or the error with which it ends.
    func interrupted() -> StaticString? {
        let now = monotonicNanoseconds()
        if registered != nil { return now > loadDeadline ? "FUNCTION LOAD timeout" : nil }
        guard let run, run.client.flags.contains(.master) || !run.client.flags.contains(.internal) else { return nil }
        let threshold = router.config.settings.busyReplyThreshold
        if run.isBusy {
            serveOthers(run)
        } else if threshold > 0 && now &- run.began > UInt64(threshold) &* 1_000_000 {
            beginBusy(run)
            serveOthers(run)
        }
        if self.run?.isKilled != true { return nil }
        return run.kind == .script
            ? "Script killed by user with SCRIPT KILL." : "Script killed by user with FUNCTION KILL."
    }

    private func beginBusy(_ run: Run) {
        self.run?.isBusy = true
        let milliseconds = (monotonicNanoseconds() - run.began) / 1_000_000
        let command = run.kind == .script ? "SCRIPT KILL" : "FUNCTION KILL"
        router.logger.warning(
            "Slow script detected: still in execution after \(milliseconds) milliseconds. You can try killing the script "
                + "using the \(command) command. Script name is: \(run.name).")
        router.busy = run.kind == .script ? .busy : .busyFunction
        router.guards.insert(.busyScript)
        // What a script has written takes effect, in the log too, when it has ended.
        router.stream.isHeld = true
        router.loop?.beginNesting()
    }

    private func endBusy() {
        router.guards.remove(.busyScript)
        router.stream.isHeld = false
        // What was to be done meanwhile.
        router.waker.wake()
    }

    /// A turn of the loop for other clients, in which only those commands are executed that are allowed now.
    private func serveOthers(_ run: Run) {
        guard let loop = router.loop else { return }
        let keyspace = router.keyspace
        let (now, touches, clock) = (keyspace.now, keyspace.touchesOnAccess, router.clock)
        let batch = RequestBatch()
        router.batch.exchangeContents(with: batch)
        loop.turn(besides: run.client.transport)
        router.batch.exchangeContents(with: batch)
        router.clock = clock
        keyspace.now = now
        keyspace.touchesOnAccess = touches
    }

    /// SCRIPT KILL and FUNCTION KILL.
    func kill(_ kind: Run.Kind) throws(CommandError) {
        guard let run else { throw .notBusy }
        if run.client.flags.contains(.master) {
            throw CommandError(
                "UNKILLABLE The busy script was sent by a master instance in the context of replication and cannot be "
                    + "killed.")
        }
        if hasWritten {
            throw CommandError(
                "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the "
                    + "script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.")
        }
        if run.kind != kind { throw run.kind == .script ? .busy : .busyFunction }
        self.run?.isKilled = true
    }
}

extension ByteString {
    /// Whether a library or a function can be called so.
    var isFunctionName: Bool {
        !isEmpty
            && bytes.allSatisfy { ($0 | 0x20 >= 97 && $0 | 0x20 <= 122) || ($0 >= 48 && $0 <= 57) || $0 == 95 }
    }
}

extension CommandError {
    static let unknownInScript = CommandError("ERR Unknown Redis command called from script")
    static let wrongArityInScript = CommandError("ERR Wrong number of args calling Redis command from script")
    static let notAllowedInScript = CommandError("ERR This Redis command is not allowed from script")
    static let writeInReadOnlyScript = CommandError("ERR Write commands are not allowed from read-only scripts.")
    static let staleInScript = CommandError("ERR Can not execute the command on a stale replica")
}
