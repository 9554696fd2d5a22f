import Storage

/// Taking over what is pending for another consumer.
enum StreamClaimCommands {
    static var table: [Command] {
        CommandGroup.stream.rows([
            .write(
                "xclaim", -6, .fast, [.key(.rwUpdate)], "5.0.0",
                """
                key group consumer min-idle-time id... [IDLE ms:i] [TIME unix-time-milliseconds:t] \
                [RETRYCOUNT count:i] [FORCE] [JUSTID] [LASTID id]
                """, "Transfers pending entries to another consumer.", xclaim
            ).complexity("O(log(N)) an id").tips("nondeterministic_output"),
            .write(
                "xautoclaim", -6, .fast, [.key(.rwDelete)], "6.2.0",
                "key group consumer min-idle-time start [COUNT count:i] [JUSTID]",
                "Transfers entries that have been pending for a time to another consumer.", xautoclaim
            ).complexity("O(M) for M entries examined").tips("nondeterministic_output").history(
                ("7.0.0", "Returns the ids that were deleted from the stream.")),
        ])
    }

    /// The stream and group of a command whose first arguments are key, group, consumer, and least idle time.
    private static func group(_ c: WriteContext) throws(CommandError) -> (StreamEditor, StreamGroup) {
        guard let stream = try c.readStream(c.args[1]), let group = stream.view.group(c.args[2]) else {
            throw .noGroup(c.args[1], c.args[2])
        }
        return (stream, group)
    }

    private static func integer(_ c: WriteContext, _ index: Int, _ what: String) throws(CommandError) -> Int64 {
        guard let value = c.args[index].integer else {
            throw CommandError("ERR Invalid \(what)")
        }
        return value
    }

    // MARK: - XCLAIM

    private struct Options {
        var deliveredMs: Int64?
        var deliveries: Int64?
        var isForced = false
        var justIDs = false
        var lastID = StreamID.zero
    }

    private static func options(_ c: WriteContext, from first: Int) throws(CommandError) -> Options {
        var options = Options()
        var i = first
        while i < c.args.count {
            let hasMore = i + 1 < c.args.count
            if c.args[i].equals(ignoringCase: "force") {
                options.isForced = true
            } else if c.args[i].equals(ignoringCase: "justid") {
                options.justIDs = true
            } else if hasMore, c.args[i].equals(ignoringCase: "idle") {
                i += 1
                options.deliveredMs = c.clock &- (try integer(c, i, "IDLE option argument for XCLAIM"))
            } else if hasMore, c.args[i].equals(ignoringCase: "time") {
                i += 1
                options.deliveredMs = try integer(c, i, "TIME option argument for XCLAIM")
            } else if hasMore, c.args[i].equals(ignoringCase: "retrycount") {
                i += 1
                options.deliveries = try integer(c, i, "RETRYCOUNT option argument for XCLAIM")
            } else if hasMore, c.args[i].equals(ignoringCase: "lastid") {
                i += 1
                options.lastID = try c.args.streamID(i)
            } else {
                throw CommandError(parts: Bytes("ERR Unrecognized XCLAIM option '"), c.args[i], Bytes("'"))
            }
            i += 1
        }
        return options
    }

    private static func xclaim(_ c: WriteContext) throws(CommandError) {
        let (stream, group) = try group(c)
        let leastIdle = try integer(c, 4, "min-idle-time argument for XCLAIM")
        var end = 5
        while end < c.args.count, StreamID.parse(c.args[end], seq: 0)?.seq != nil { end += 1 }
        let options = try options(c, from: end)
        c.propagateNothing()
        var logsLastID = false
        if options.lastID > group.lastID {
            stream.set(group, lastID: options.lastID, entriesRead: group.entriesRead)
            logsLastID = true
        }
        var deliveredMs = options.deliveredMs ?? c.clock
        // What makes no sense is taken for now; a clock that went back since must not change what the log says.
        if deliveredMs < 0 || (deliveredMs > c.clock && !c.isRepeated) { deliveredMs = c.clock }
        let claimer = Claimer(
            c: c, stream: stream, group: group, leastIdle: max(leastIdle, 0), deliveredMs: deliveredMs,
            deliveries: options.deliveries.flatMap { $0 >= 0 ? $0 : nil }, justIDs: options.justIDs)
        stream.touch(claimer.consumer, seenMs: c.isRepeated ? deliveredMs : c.clock, active: false)
        let mark = c.reply.deferredArray()
        var found = 0
        for i in 5..<end {
            switch claimer.claim(try c.args.streamID(i), isForced: options.isForced) {
            case .claimed:
                found += 1
                logsLastID = false
            case .gone: logsLastID = false
            case .left: break
            }
        }
        c.reply.fill(mark, found)
        if logsLastID { StreamPropagation.setID(c, c.args[1], group) }
    }

    // MARK: - XAUTOCLAIM

    /// Entries looked at for each that may be answered.
    private static let attemptsEach: Int64 = 10

    private static func xautoclaim(_ c: WriteContext) throws(CommandError) {
        let leastIdle = try integer(c, 4, "min-idle-time argument for XAUTOCLAIM")
        let start = try c.args.intervalStart(5)
        var count: Int64 = 100
        var justIDs = false
        var i = 6
        while i < c.args.count {
            if i + 1 < c.args.count, c.args[i].equals(ignoringCase: "count") {
                i += 1
                // At most as many ids of 16 bytes as there can be.
                guard let wanted = c.args[i].integer, (1...Int64.max / 16).contains(wanted) else {
                    throw CommandError("ERR COUNT must be > 0")
                }
                count = wanted
            } else if c.args[i].equals(ignoringCase: "justid") {
                justIDs = true
            } else {
                throw .syntax
            }
            i += 1
        }
        let (stream, group) = try group(c)
        c.propagateNothing()
        // What is looked at is gathered first, as claiming changes it.
        var ids: [StreamID] = []
        var next: StreamID?
        let attempts = count.multipliedReportingOverflow(by: attemptsEach)
        let limit = attempts.overflow ? Int64.max : attempts.partialValue
        let claimer = Claimer(
            c: c, stream: stream, group: group, leastIdle: max(leastIdle, 0), deliveredMs: c.clock, deliveries: nil,
            justIDs: justIDs)
        stream.touch(claimer.consumer, seenMs: c.clock, active: false)
        var answered: Int64 = 0
        stream.view.forEachPending(group, from: start) { pending in
            if Int64(ids.count) == limit || answered == count {
                next = pending.id
                return false
            }
            ids.append(pending.id)
            if claimer.takes(pending) { answered += 1 }
            return true
        }
        c.reply.array(3)
        c.reply.bulk(next ?? .zero)
        let mark = c.reply.deferredArray()
        var found = 0
        var gone: [StreamID] = []
        for id in ids {
            switch claimer.claim(id, isForced: false) {
            case .claimed: found += 1
            case .gone: gone.append(id)
            case .left: break
            }
        }
        c.reply.fill(mark, found)
        c.reply.array(gone.count)
        for id in gone { c.reply.bulk(id) }
    }
}

/// Makes entries those of a consumer, and answers and logs each.
private struct Claimer {
    let c: WriteContext
    let stream: StreamEditor
    let group: StreamGroup
    let consumer: StreamConsumer
    let leastIdle: Int64
    let deliveredMs: Int64
    /// nil: one more than before, unless only ids are asked for.
    let deliveries: Int64?
    let justIDs: Bool

    enum Outcome {
        case claimed
        /// The stream does not have the entry any more, so that it is not pending any more.
        case gone
        case left
    }

    init(
        c: WriteContext, stream: StreamEditor, group: StreamGroup, leastIdle: Int64, deliveredMs: Int64,
        deliveries: Int64?, justIDs: Bool
    ) {
        self.c = c
        self.stream = stream
        self.group = group
        self.leastIdle = leastIdle
        self.deliveredMs = deliveredMs
        self.deliveries = deliveries
        self.justIDs = justIDs
        let isNew: Bool
        (consumer, isNew) = c.consumer(c.args[3], of: group, in: stream)
        if isNew { StreamPropagation.createConsumer(c, c.args[1], group, c.args[3]) }
    }

    /// Whether claiming this would answer something.
    func takes(_ pending: StreamView.Pending) -> Bool {
        leastIdle == 0 || c.clock &- pending.deliveredMs >= leastIdle || !stream.view.contains(pending.id)
    }

    func claim(_ id: StreamID, isForced: Bool) -> Outcome {
        let pending = stream.view.pending(id, in: group)
        guard stream.view.contains(id) else {
            guard pending != nil else { return .left }
            StreamPropagation.claim(c, c.args[1], stream, group, id)
            _ = stream.acknowledge(id, group)
            return .gone
        }
        guard pending != nil || isForced else { return .left }
        if let pending, leastIdle > 0, c.clock &- pending.deliveredMs < leastIdle { return .left }
        let before = pending?.deliveries ?? 1
        stream.deliver(
            id, group, to: consumer, deliveredMs: deliveredMs,
            deliveries: deliveries ?? (justIDs ? before : before &+ 1))
        stream.touch(consumer, seenMs: consumer.seenMs, active: true)
        if justIDs {
            c.reply.bulk(id)
        } else {
            stream.view.forEach(from: id, to: id) { id, fields in
                c.reply.entry(id, fields)
                return false
            }
        }
        StreamPropagation.claim(c, c.args[1], stream, group, id)
        return .claimed
    }
}
