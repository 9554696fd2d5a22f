import Storage

// Invariant of this file: pointers to arguments are used within the call that makes them.

/// Streams: their entries. Reading by several at once and consumer groups have files of their own.
enum StreamCommands {
    static var table: [Command] {
        CommandGroup.stream.rows([
            .write(
                "xadd", -5, [.denyoom, .fast],
                [.key(.rwUpdate, note: "Update, not insert, because the stream may be trimmed.")], "5.0.0",
                """
                key [NOMKSTREAM@6.2.0] [references(KEEPREF|DELREF|ACKED)@8.2.0] [trim{strategy(MAXLEN|MINID@6.2.0) [operator(==equal|\
                ~=approximately)] threshold [LIMIT count:i@6.2.0]}] id_or_auto(*=auto_id|id) \
                field_value{field value}...
                """, "Appends an entry to a stream.", xadd
            ).complexity("O(1), and O(N) to trim N entries").tips("nondeterministic_output").history(
                ("6.2.0", "Accepts `NOMKSTREAM`, `MINID` and `LIMIT`."),
                ("7.0.0", "Accepts an id of which only the time is given, `<ms>-*`."),
                ("8.2.0", "Accepts `KEEPREF`, `DELREF` and `ACKED`.")),
            .write(
                "xtrim", -4, .frees, [.key(.rwDelete)], "5.0.0",
                """
                key trim{strategy(MAXLEN|MINID@6.2.0) [operator(==equal|\
                ~=approximately)] threshold [LIMIT count:i@6.2.0] [references(KEEPREF|DELREF|ACKED)@8.2.0]}
                """, "Removes the oldest entries of a stream.", xtrim
            ).complexity("O(N) for N entries removed").tips("nondeterministic_output").history(
                ("6.2.0", "Accepts `MINID` and `LIMIT`."), ("8.2.0", "Accepts `KEEPREF`, `DELREF` and `ACKED`.")),
            .write(
                "xdel", -3, [.fast, .frees], [.key(.rwDelete)], "5.0.0", "key id...",
                "Removes entries of a stream by their ids.", xdel
            ).complexity("O(log(N)) an entry"),
            .read("xlen", 2, .fast, [.key(.ro)], "5.0.0", "key", "Returns the number of entries of a stream.", xlen),
            .read(
                "xrange", -4, [], [.key(.roAccess)], "5.0.0", "key start end [COUNT count:i]",
                "Returns the entries within a range of ids.", xrange
            ).complexity("O(log(N)+M) for M entries returned").history(("6.2.0", "Accepts exclusive ranges.")),
            .read(
                "xrevrange", -4, [], [.key(.roAccess)], "5.0.0", "key end start [COUNT count:i]",
                "Returns the entries within a range of ids, the highest first.", xrevrange
            ).complexity("O(log(N)+M) for M entries returned").history(("6.2.0", "Accepts exclusive ranges.")),
            .write(
                "xsetid", -3, [.denyoom, .fast], [.key(.rwUpdate)], "5.0.0",
                "key last-id [ENTRIESADDED entries_added:i@7.0.0] [MAXDELETEDID max_deleted_entry_id@7.0.0]",
                "Sets the last id and the counters of a stream, for replication.", xsetid
            ).history(("7.0.0", "Accepts `ENTRIESADDED` and `MAXDELETEDID`.")),
        ])
    }

    // MARK: - Writing

    private static func xadd(_ c: WriteContext) throws(CommandError) {
        var trim = StreamTrim()
        var makes = true
        var given: (ms: UInt64, seq: UInt64?)?
        var i = 2
        while i < c.args.count, c.args[i] != Bytes("*") {
            if try !trim.take(c.args, &i) {
                if c.args[i].equals(ignoringCase: "nomkstream") {
                    makes = false
                } else {
                    given = StreamID.parse(c.args[i], seq: 0)
                    if given == nil { throw .invalidStreamID }
                    break
                }
            }
            i += 1
        }
        try trim.check()
        try trim.checkLimit(isRepeated: c.isRepeated)
        let first = i + 1
        if c.args.count - first < 2 || (c.args.count - first) % 2 == 1 { throw .wrongArity("xadd") }
        if let given, given.ms == 0, given.seq == 0 {
            throw CommandError("ERR The ID specified in XADD must be greater than 0-0")
        }
        var size = 0
        for j in first..<c.args.count { size += c.args[j].count }
        if size > StreamEditor.maxEntrySize { throw CommandError("ERR Elements are too large to be stored") }
        let last: StreamID
        if let stream = try c.editStream(c.args[1], create: false) {
            last = stream.view.state.lastID
        } else if makes {
            last = .zero
        } else {
            return c.reply.null()
        }
        if last == .max {
            throw CommandError(
                "ERR The stream has exhausted the last possible ID, unable to add more items")
        }
        guard let id = nextID(given, after: last, now: c.clock) else {
            throw CommandError(
                "ERR The ID specified in XADD is equal or smaller than the target stream top item")
        }
        guard let stream = try c.editStream(c.args[1], create: true) else { return }
        withUnsafeTemporaryAllocation(of: Bytes.self, capacity: c.args.count - first) { pairs in
            for j in first..<c.args.count { pairs.initializeElement(at: j - first, to: c.args[j]) }
            stream.append(id, UnsafeBufferPointer(pairs))
        }
        c.changed(c.args[1], .stream, "xadd")
        c.reply.bulk(id)
        let trimmed = trim.apply(stream, nodeEntries: c.settings.streamNodeMaxEntries)
        if trimmed.count > 0 { c.changed(c.args[1], .stream, "xtrim") }
        propagate(c, id, first, trimmed.count > 0 && trimmed.wereOldest ? stream.view.count : nil)
        trimmed.removals?.propagateRemoved(c)
        trimmed.removals?.propagateAcknowledged(c)
        c.count(as: 1)
    }

    /// The id that an entry gets; nil where it would not be above `last`.
    private static func nextID(_ given: (ms: UInt64, seq: UInt64?)?, after last: StreamID, now: Int64) -> StreamID? {
        guard let given else {
            let ms = UInt64(clamping: now)
            return ms > last.ms ? StreamID(ms: ms, seq: 0) : last.next
        }
        if let seq = given.seq {
            let id = StreamID(ms: given.ms, seq: seq)
            return id > last ? id : nil
        }
        if given.ms > last.ms { return StreamID(ms: given.ms, seq: 0) }
        if given.ms < last.ms || last.seq == .max { return nil }
        return StreamID(ms: given.ms, seq: last.seq + 1)
    }

    /// Logs the entry with its id, and how many are left where some were trimmed.
    private static func propagate(_ c: WriteContext, _ id: StreamID, _ first: Int, _ left: Int?) {
        let isTrimmed = left != nil
        id.withText { id in
            withDecimal(Int64(left ?? 0)) { count in
                withUnsafeTemporaryAllocation(of: Bytes.self, capacity: c.args.count - first + 6) { rewritten in
                    var used = 0
                    func add(_ argument: Bytes) {
                        rewritten.initializeElement(at: used, to: argument)
                        used += 1
                    }
                    add(c.args[0])
                    add(c.args[1])
                    if isTrimmed {
                        add(Bytes("MAXLEN"))
                        add(Bytes("="))
                        add(count)
                    }
                    add(id)
                    for j in first..<c.args.count { add(c.args[j]) }
                    guard let base = rewritten.baseAddress else { return }
                    c.propagate(Arguments(base, used))
                }
            }
        }
    }

    private static func xtrim(_ c: WriteContext) throws(CommandError) {
        var trim = StreamTrim()
        var i = 2
        while i < c.args.count {
            if try !trim.take(c.args, &i) { throw .syntax }
            i += 1
        }
        try trim.check()
        if trim.threshold == nil {
            throw CommandError("ERR syntax error, XTRIM must be called with a trimming strategy")
        }
        try trim.checkLimit(isRepeated: c.isRepeated)
        guard let stream = try c.editStream(c.args[1], create: false) else { return c.reply.integer(0) }
        let trimmed = trim.apply(stream, nodeEntries: c.settings.streamNodeMaxEntries)
        c.reply.integer(trimmed.count)
        if trimmed.count == 0 { return }
        c.changed(c.args[1], .stream, "xtrim")
        c.count(as: trimmed.count)
        if trimmed.wereOldest {
            withDecimal(Int64(stream.view.count)) {
                c.propagate(Bytes("XTRIM"), c.args[1], Bytes("MAXLEN"), Bytes("="), $0)
            }
        }
        trimmed.removals?.propagateRemoved(c)
        trimmed.removals?.propagateAcknowledged(c)
    }

    private static func xdel(_ c: WriteContext) throws(CommandError) {
        guard let stream = try c.editStream(c.args[1], create: false) else { return c.reply.integer(0) }
        for i in 2..<c.args.count { _ = try c.args.streamID(i) }
        var removed = 0
        for i in 2..<c.args.count where stream.delete(try c.args.streamID(i)) { removed += 1 }
        if removed > 0 { c.changed(c.args[1], .stream, "xdel") }
        c.reply.integer(removed)
    }

    private static func xsetid(_ c: WriteContext) throws(CommandError) {
        let id = try c.args.streamID(2)
        var added: Int64?
        var maxDeleted = StreamID.zero
        var i = 3
        while i < c.args.count {
            guard i + 1 < c.args.count else { throw .syntax }
            if c.args[i].equals(ignoringCase: "entriesadded") {
                let count = try c.args.integer(i + 1)
                if count < 0 { throw CommandError("ERR entries_added must be positive") }
                added = count
            } else if c.args[i].equals(ignoringCase: "maxdeletedid") {
                maxDeleted = try c.args.streamID(i + 1)
                if id < maxDeleted {
                    throw CommandError(
                        "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
                }
            } else {
                throw .syntax
            }
            i += 2
        }
        guard let stream = try c.editStream(c.args[1], create: false) else { throw .noSuchKey }
        var state = stream.view.state
        if stream.view.count > 0 {
            if id < stream.view.lastEntryID {
                throw CommandError("ERR The ID specified in XSETID is smaller than the target stream top item")
            }
            if let added, added < Int64(stream.view.count) {
                throw CommandError("ERR The entries_added specified in XSETID is smaller than the target stream length")
            }
        }
        if id < state.maxDeletedID {
            throw CommandError("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id")
        }
        state.lastID = id
        if let added { state.entriesAdded = added }
        if maxDeleted != .zero { state.maxDeletedID = maxDeleted }
        stream.set(state)
        c.changed(c.args[1], .stream, "xsetid")
        c.reply.ok()
    }

    // MARK: - Reading

    private static func xlen(_ c: ReadContext) throws(CommandError) {
        c.reply.integer(try c.stream(c.args[1])?.count ?? 0)
    }

    private static func xrange(_ c: ReadContext) throws(CommandError) { try range(c, start: 2, end: 3) }
    private static func xrevrange(_ c: ReadContext) throws(CommandError) { try range(c, start: 3, end: 2) }

    private static func range(_ c: ReadContext, start: Int, end: Int) throws(CommandError) {
        let first = try c.args.intervalStart(start)
        let last = try c.args.intervalEnd(end)
        var count = Int.max
        var i = 4
        while i < c.args.count {
            guard i + 1 < c.args.count, c.args[i].equals(ignoringCase: "count") else { throw .syntax }
            count = Int(max(try c.args.integer(i + 1), 0))
            i += 2
        }
        guard let stream = try c.stream(c.args[1]) else { return c.reply.array(0) }
        if count == 0 { return c.reply.nullArray() }
        let reply = c.reply
        let mark = reply.deferredArray()
        var found = 0
        stream.forEach(from: first, to: last, reverse: start > end) { id, fields in
            reply.entry(id, fields)
            found += 1
            return found < count
        }
        reply.fill(mark, found)
    }
}
