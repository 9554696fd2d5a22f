import Storage

/// Consumer groups: making and removing them, acknowledging, and what is pending.
enum StreamGroupCommands {
    static var table: [Command] {
        CommandGroup.stream.rows([
            .container(
                "xgroup", "5.0.0", "Manages consumer groups.", [],
                [
                    .write(
                        "create", -5, .denyoom, [.key(.rwInsert, at: 2)], "5.0.0",
                        "key groupname id(id|$=new_id) [MKSTREAM] [ENTRIESREAD entries_read:i]",
                        "Creates a consumer group.", create
                    ).history(("7.0.0", "Accepts `ENTRIESREAD`.")),
                    .write(
                        "setid", -5, [], [.key(.rwUpdate, at: 2)], "5.0.0",
                        "key groupname id(id|$=new_id) [ENTRIESREAD entries_read:i]",
                        "Sets the id that a group has read last.", setid
                    ).history(("7.0.0", "Accepts `ENTRIESREAD`.")),
                    .write(
                        "destroy", 4, [], [.key(.rwDelete, at: 2)], "5.0.0", "key groupname",
                        "Removes a consumer group.", destroy
                    ).complexity("O(N) for N pending entries"),
                    .write(
                        "createconsumer", 5, .denyoom, [.key(.rwInsert, at: 2)], "6.2.0", "key groupname consumername",
                        "Creates a consumer in a group.", createconsumer
                    ).complexity("O(log(N))"),
                    .write(
                        "delconsumer", 5, [], [.key(.rwDelete, at: 2)], "5.0.0", "key groupname consumername",
                        "Removes a consumer and its pending entries from a group.", delconsumer
                    ).complexity("O(N) for N pending entries"),
                    .help("5.0.0"),
                ]),
            .write(
                "xack", -4, .fast, [.key(.rwUpdate)], "5.0.0", "key group id...",
                "Acknowledges entries that were delivered to a group.", xack
            ).complexity("O(log(N)) an id"),
            .read(
                "xpending", -3, [], [.key(.roAccess)], "5.0.0",
                "key group [filters{[IDLE min-idle-time:i@6.2.0] start end count:i [consumer]}]",
                "Describes the entries that are pending in a group.", xpending
            ).complexity("O(log(N)+M) for M entries returned; O(N) with IDLE").tips("nondeterministic_output").history(
                ("6.2.0", "Accepts `IDLE` and exclusive ranges.")),
        ])
    }

    // MARK: - XGROUP

    /// The options of CREATE and SETID.
    private static func options(
        _ c: WriteContext, makesStream: inout Bool, isCreate: Bool
    ) throws(CommandError) -> Int64? {
        var read: Int64?
        var i = 5
        while i < c.args.count {
            if isCreate, c.args[i].equals(ignoringCase: "mkstream") {
                makesStream = true
                i += 1
            } else if i + 1 < c.args.count, c.args[i].equals(ignoringCase: "entriesread") {
                let count = try c.args.integer(i + 1)
                if count < -1 { throw CommandError("ERR value for ENTRIESREAD must be positive or -1") }
                read = count == -1 ? nil : count
                i += 2
            } else {
                throw .subcommandSyntax(c.args)
            }
        }
        return read
    }

    private static func existing(_ c: WriteContext) throws(CommandError) -> StreamEditor {
        guard let stream = try c.editStream(c.args[2], create: false) else {
            throw CommandError(
                "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
                    + "MKSTREAM option to create an empty stream automatically.")
        }
        return stream
    }
    private static func existingGroup(_ c: WriteContext) throws(CommandError) -> (StreamEditor, StreamGroup) {
        let stream = try existing(c)
        guard let group = stream.view.group(c.args[3]) else { throw .noGroup(c.args[3], inKey: c.args[2]) }
        return (stream, group)
    }

    @Sendable private static func create(_ c: WriteContext) throws(CommandError) {
        var makesStream = false
        let read = try options(c, makesStream: &makesStream, isCreate: true)
        let found = makesStream ? try c.editStream(c.args[2], create: false) : try existing(c)
        // Options may come twice, but not more of them than there are.
        if c.args.count > 8 { throw .subcommandSyntax(c.args) }
        var id = found?.view.state.lastID ?? .zero
        if c.args[4] != Bytes("$") { id = try c.args.streamID(4) }
        guard let stream = try c.editStream(c.args[2], create: true) else { return }
        guard stream.addGroup(c.args[3], lastID: id, entriesRead: read) != nil else {
            throw CommandError("BUSYGROUP Consumer Group name already exists")
        }
        c.changed(c.args[2], .stream, "xgroup-create")
        c.reply.ok()
    }

    @Sendable private static func setid(_ c: WriteContext) throws(CommandError) {
        var makesStream = false
        let read = try options(c, makesStream: &makesStream, isCreate: false)
        let (stream, group) = try existingGroup(c)
        if c.args.count > 7 { throw .subcommandSyntax(c.args) }
        let id = c.args[4] == Bytes("$") ? stream.view.state.lastID : try c.args.streamIDOrEnd(4)
        stream.set(group, lastID: id, entriesRead: read)
        c.changed(c.args[2], .stream, "xgroup-setid")
        c.reply.ok()
    }

    @Sendable private static func destroy(_ c: WriteContext) throws(CommandError) {
        let stream = try existing(c)
        guard let group = stream.view.group(c.args[3]) else { return c.reply.integer(0) }
        stream.remove(group)
        c.changed(c.args[2], .stream, "xgroup-destroy")
        c.reply.integer(1)
    }

    @Sendable private static func createconsumer(_ c: WriteContext) throws(CommandError) {
        let (stream, group) = try existingGroup(c)
        let (_, isNew) = c.consumer(c.args[4], of: group, in: stream)
        c.reply.integer(isNew ? 1 : 0)
    }

    @Sendable private static func delconsumer(_ c: WriteContext) throws(CommandError) {
        let (stream, group) = try existingGroup(c)
        guard let consumer = group.consumer(c.args[4]) else { return c.reply.integer(0) }
        c.reply.integer(consumer.pendingCount)
        stream.remove(consumer, from: group)
        c.changed(c.args[2], .stream, "xgroup-delconsumer")
    }

    // MARK: - XACK

    private static func xack(_ c: WriteContext) throws(CommandError) {
        guard let stream = try c.readStream(c.args[1]), let group = stream.view.group(c.args[2]) else {
            return c.reply.integer(0)
        }
        for i in 3..<c.args.count { _ = try c.args.streamID(i) }
        var count = 0
        for i in 3..<c.args.count where stream.acknowledge(try c.args.streamID(i), group) { count += 1 }
        c.reply.integer(count)
    }

    // MARK: - XPENDING

    private static func xpending(_ c: ReadContext) throws(CommandError) {
        let args = c.args
        if args.count != 3 && !(6...9).contains(args.count) { throw .syntax }
        if args.count == 3 { return try pendingSummary(c) }
        var at = 3
        var leastIdle: Int64 = 0
        if args[3].equals(ignoringCase: "idle") {
            leastIdle = try args.integer(4)
            if args.count < 8 { throw .syntax }
            at = 5
        }
        let count = max(try args.integer(at + 2), 0)
        let start = try args.intervalStart(at)
        let end = try args.intervalEnd(at + 1)
        let (stream, group) = try group(c)
        var consumer: StreamConsumer?
        if at + 3 < args.count {
            consumer = group.consumer(args[at + 3])
            if consumer == nil { return c.reply.array(0) }
        }
        let mark = c.reply.deferredArray()
        var found: Int64 = 0
        if count > 0 {
            stream.forEachPending(group, consumer, from: start) { pending in
                if pending.id > end { return false }
                let idle = c.now &- pending.deliveredMs
                if leastIdle != 0 && idle < leastIdle { return true }
                c.reply.array(4)
                c.reply.bulk(pending.id)
                c.reply.bulk(pending.consumer.name)
                c.reply.integer(max(idle, 0))
                c.reply.integer(pending.deliveries)
                found += 1
                return found < count
            }
        }
        c.reply.fill(mark, Int(found))
    }

    private static func group(_ c: ReadContext) throws(CommandError) -> (StreamView, StreamGroup) {
        guard let stream = try c.stream(c.args[1]), let group = stream.group(c.args[2]) else {
            throw .noGroup(c.args[1], c.args[2])
        }
        return (stream, group)
    }

    private static func pendingSummary(_ c: ReadContext) throws(CommandError) {
        let (stream, group) = try group(c)
        c.reply.array(4)
        c.reply.integer(group.pendingCount)
        guard let (first, last) = stream.pendingRange(group) else {
            c.reply.null()
            c.reply.null()
            return c.reply.nullArray()
        }
        c.reply.bulk(first)
        c.reply.bulk(last)
        let owners = group.consumers.filter { $0.pendingCount > 0 }
        c.reply.array(owners.count)
        for consumer in owners {
            c.reply.array(2)
            c.reply.bulk(consumer.name)
            c.reply.bulkDecimal(Int64(consumer.pendingCount))
        }
    }
}
