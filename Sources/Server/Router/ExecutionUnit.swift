import Storage

/// Who makes a change.
enum Origin {
    /// A client's command, EXEC with all that was queued, or what a blocked client is served with.
    case client
    /// Keys and fields whose time has come. Each goes by itself.
    case expiry
    /// Keys that go because memory is short. Each goes by itself.
    case eviction
    /// Work done elsewhere that ends on the loop: MIGRATE.
    case job
}

/// How deep the execution of units is nested. A unit is what takes effect together: the only way in which data changes.
struct ExecutionUnit {
    fileprivate var depth = 0
    var isInProgress: Bool { depth > 0 }
    /// The end of an outermost unit is being dealt with.
    fileprivate var isFinishing = false
    /// Whether what the outermost unit propagates is wrapped in MULTI and EXEC.
    fileprivate var isAtomic = true
}

extension Router {
    // MARK: - Units

    /// Executes `body`, which changes data outside of any command, as a unit, or as a part of the one that is executed.
    func unit<T, E: Error>(_ origin: Origin, _ body: () throws(E) -> T) throws(E) -> T {
        let began = stream.offset
        beginUnit()
        keyspace.beginCommand()
        stream.beginCommand()
        switch origin {
        case .client: break
        case .expiry, .eviction: if execution.depth == 1 { execution.isAtomic = false }
        case .job: if execution.depth == 1 { beginBatch() }
        }
        defer {
            endUnit(nil, since: began)
            // Also where nothing was to be finished: the next unit is one again.
            if execution.depth == 0 { execution.isAtomic = true }
        }
        return try body()
    }

    @inline(__always) private func beginUnit() {
        if execution.depth == 0 { stream.beginUnit() }
        execution.depth &+= 1
    }

    /// `began`: the stream's offset at the beginning of what `session` has executed.
    @inline(__always) private func endUnit(_ session: Session?, since began: Int) {
        execution.depth &-= 1
        if execution.depth == 0 && !work.kinds.isEmpty {
            finishUnit(session, since: began)
        } else if stream.offset != began {
            session?.ackOffset = stream.offset
        }
    }

    /// At the end of an outermost unit that has caused more than one propagated command, in this order: propagate, and
    /// only then let others know: what they have cached, what happened to keys; then serve the clients that wait for keys that
    /// are ready, in units of their own.
    @inline(never) private func finishUnit(_ session: Session?, since began: Int) {
        if work.kinds.remove(.transaction) != nil && execution.isAtomic && !findsKeys(session) { stream.wrapUnit() }
        execution.isAtomic = true
        if stream.offset != began { session?.ackOffset = stream.offset }
        tell()
        if execution.isFinishing { return }
        execution.isFinishing = true
        defer { execution.isFinishing = false }
        while work.kinds.remove(.ready) != nil { serveReady() }
        // Keys that had expired when somebody was to be served.
        tell()
    }

    private func tell() {
        if work.kinds.remove(.invalidations) != nil { tracking.deliver() }
        if work.kinds.remove(.events) != nil { services.events.deliver() }
    }

    /// SCAN and RANDOMKEY: keys that they find to have expired go one by one, as with expiry, however many there are.
    private func findsKeys(_ session: Session?) -> Bool {
        guard let row = session?.lastCommand?.row, case .read = row.handler else { return false }
        return row.keys.isEmpty
    }

    // MARK: - Commands

    /// Executes a command whose arguments were checked, and propagates what it changed. Called for the commands of a
    /// transaction or script too, within their own call. `request`: its bytes, if they are canonical RESP.
    @inline(__always)
    func call(_ session: Session, _ command: CommandEntry, _ args: Arguments, request: Bytes?) {
        let began = clock
        let offset = stream.offset
        beginUnit()
        let failed = execute(session, command, args, request: request) { () throws(CommandError) in
            switch command.row.handler {
            case .read(let handler):
                statistics.reads &+= 1
                try handler(ReadContext(args: args, session: session))
            case .readCaching(let handler):
                statistics.reads &+= 1
                try handler(ReadCachingContext(args: args, session: session))
            case .write(let handler):
                statistics.writes &+= 1
                if keyspace.dueMode != .hidden {
                    try handler(WriteContext(args: args, session: session))
                } else {
                    try withDueKeys(.removed) { () throws(CommandError) in
                        try handler(WriteContext(args: args, session: session))
                    }
                }
            case .connection(let handler):
                try handler(ConnectionContext(args: args, session: session))
            case .admin(let handler):
                if keyspace.dueMode != .hidden {
                    try handler(AdminContext(args: args, session: session))
                } else {
                    try withDueKeys(.kept) { () throws(CommandError) in
                        try handler(AdminContext(args: args, session: session))
                    }
                }
            case .help:
                if let container = command.container { CommandHelp.write(container, session.reply) }
            case .container:
                throw .wrongArity(command.fullName)
            }
        }
        let ended = monotonicNanoseconds()
        clock = ended
        let elapsed = ended &- began
        if session.flags.contains(.blocked) {
            // It counts when it ends.
            session.waiter?.nanoseconds = elapsed
        } else {
            count(session, command, args, nanoseconds: elapsed, failed: failed)
        }
        endUnit(session, since: offset)
        if !work.afterCall.isEmpty { callEnded(session, command, args, hasWritten: stream.offset != offset) }
    }

    /// What others want to know of each command.
    @inline(never)
    private func callEnded(_ session: Session, _ command: CommandEntry, _ args: Arguments, hasWritten: Bool) {
        if work.afterCall.contains(.holdReads) { holdBack(session, command, args, hasWritten: hasWritten) }
        if work.afterCall.contains(.tracking) { tracking.commandEnded(command, args) }
        if work.afterCall.contains(.monitors) { monitors.commandEnded(session, command, args) }
    }

    /// Executes what may write where due keys are hidden from those who read.
    @inline(never)
    private func withDueKeys<T>(_ mode: DueMode, _ body: () throws(CommandError) -> T) throws(CommandError) -> T {
        keyspace.dueMode = mode
        defer { updateDueMode() }
        return try body()
    }

    /// Tries to execute a command that waits, for `key`, which may have something for it. False: it goes on waiting.
    func serve(_ waiter: Waiter, _ key: Bytes) -> Bool {
        var isServed = false
        waiter.request.forEach { command, args, _ in
            let session = waiter.session
            let began = clock
            let offset = stream.offset
            let start = session.output.count
            let wasExecuting = session.flags.contains(.executing)
            session.flags.insert(.executing)
            let executing = services.executing
            services.executing = session
            defer {
                if !wasExecuting { session.flags.remove(.executing) }
                services.executing = executing
            }
            beginUnit()
            let failed = execute(session, command, args, request: nil) { () throws(CommandError) in
                switch waiter.wait.attempt {
                case .read(let attempt): isServed = try attempt(ReadContext(args: args, session: session), key)
                case .write(let attempt):
                    let context = WriteContext(args: args, session: session)
                    if keyspace.dueMode != .hidden {
                        isServed = try attempt(context, key)
                    } else {
                        isServed = try withDueKeys(.removed) { () throws(CommandError) in try attempt(context, key) }
                    }
                case .none: break
                }
            }
            if failed { isServed = true }
            clock = monotonicNanoseconds()
            waiter.nanoseconds &+= clock &- began
            endUnit(isServed ? session : nil, since: offset)
            if !isServed { return stillWaits(session) }
            if work.afterCall.contains(.holdReads) {
                holdBack(session, command, args, hasWritten: stream.offset != offset)
            }
            if work.afterCall.contains(.tracking) { tracking.commandEnded(command, args) }
            finishWaiting(waiter, start, failed: failed)
        }
        return isServed
    }

    /// Nothing was there for a client that waits. What it is told meanwhile has no reply to wait for.
    private func stillWaits(_ session: Session) {
        if !session.flags.contains(.hasPushes) { return }
        session.releasePushes()
        session.transport?.scheduleFlush()
    }

    /// Executes `body`, answers the error that it throws, and propagates the command where data changed. True: it failed.
    @inline(__always)
    private func execute(
        _ session: Session, _ command: CommandEntry, _ args: Arguments, request: Bytes?,
        _ body: () throws(CommandError) -> Void
    ) -> Bool {
        let start = session.output.count
        let db = session.db
        var failed = false
        keyspace.beginCommand()
        stream.beginCommand()
        do throws(CommandError) {
            try body()
        } catch {
            failed = true
            session.output.truncate(to: start)
            session.reply.error(error)
            statistics.count(error: error.text)
        }
        if keyspace.isDirty && command.propagates {
            if command.isRenamed {
                propagateRenamed(command, db, args)
            } else {
                stream.endCommand(db, args, request: request)
            }
        }
        return failed
    }

    /// Propagates the command under its own name: the log must be readable when the configuration is another.
    @inline(never)
    private func propagateRenamed(_ command: CommandEntry, _ db: Int, _ args: Arguments) {
        let name = (command.container ?? command).row.name
        let renamed = [Bytes(name)] + (1..<args.count).map { args[$0] }
        renamed.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            stream.endCommand(db, Arguments(base, buffer.count), request: nil)
        }
    }

    /// Has the reply wait for the writes that it may show.
    @inline(never)
    private func holdBack(_ session: Session, _ command: CommandEntry, _ args: Arguments, hasWritten: Bool) {
        // Each command of the transaction was asked itself.
        if command.flags.contains(.runsTransaction) { return }
        if hasWritten {
            recentWrites.note(command.row.keys, args, at: stream.offset)
        } else {
            let shown = recentWrites.offset(shownBy: command, args, end: stream.offset)
            session.ackOffset = max(session.ackOffset, shown)
        }
    }

    // MARK: - Statistics

    /// A command has ended.
    @inline(__always)
    func count(_ session: Session, _ command: CommandEntry, _ args: Arguments, nanoseconds: UInt64, failed: Bool) {
        statistics.count(command.statistics, nanoseconds: nanoseconds, failed: failed)
        if nanoseconds >= slowNanoseconds { noteSlow(session, command, args, nanoseconds) }
    }

    @inline(never)
    private func noteSlow(_ session: Session, _ command: CommandEntry, _ args: Arguments, _ nanoseconds: UInt64) {
        services.latency.note(
            command.flags.contains(.fast) ? .fastCommand : .command, nanoseconds: nanoseconds)
        if nanoseconds < slowlogNanoseconds { return }
        if !command.flags.isDisjoint(with: [.skipSlowlog, .runsTransaction]) { return }
        services.slowlog.add(
            command.shown(args), microseconds: Int64(nanoseconds / 1000), seconds: keyspace.now / 1000,
            address: session.address, client: session.name)
    }
}

// MARK: - What the keyspace tells

extension Router: KeyspaceObserver {
    func keyExpired(_ db: Int, _ key: Bytes) { stream.appendRemoval(db, key) }
    func fieldExpired(_ db: Int, _ key: Bytes, _ field: Bytes, isLast: Bool) {
        stream.appendRemoval(db, key, field: field)
    }
}
