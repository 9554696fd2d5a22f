import Storage

/// Reading several streams at once, alone or as one of a group.
enum StreamReadCommands {
    static var table: [Command] {
        CommandGroup.stream.rows([
            .read(
                "xread", -4, .blocking, [.after("STREAMS", from: 1, .roAccess, last: -1, limit: 2)], "5.0.0",
                "[COUNT count:i] [BLOCK milliseconds:i] STREAMS streams{key... id...}",
                "Returns the entries of streams after given ids; can wait for them.", xread
            ).complexity("O(log(N)+M) a stream for M entries returned"),
            .write(
                "xreadgroup", -7, .blocking, [.after("STREAMS", from: 4, .roAccess, last: -1, limit: 2)], "5.0.0",
                """
                GROUP group_consumer{group consumer} [COUNT count:i] [BLOCK milliseconds:i] [NOACK] \
                STREAMS streams{key... id...}
                """, "Delivers entries of streams to a consumer of a group; can wait for them.", xreadgroup
            ).complexity("O(log(N)+M) a stream for M entries returned"),
        ])
    }

    // MARK: - XREAD

    /// In a transaction BLOCK is without effect, in a script it is an error.
    private static func mayBlock(_ c: some CommandContext) -> Bool { !c.session.flags.contains(.script) }

    private static func xread(_ c: ReadContext) throws(CommandError) {
        let request = try StreamReadRequest(c.args, isGroup: false, mayBlock: mayBlock(c))
        let after = try request.resolve(c.db)
        if serve(request, after, c.args, c.db, c.reply) { return }
        guard let timeout = request.timeout else { return c.reply.nullArray() }
        c.wait(
            for: request.keys,
            Wait(
                type: .stream, timeout: timeout,
                attempt: .read { (c, key) throws(CommandError) in
                    let request = try StreamReadRequest(c.args, isGroup: false)
                    return serve(request, after, c.args, c.db, c.reply, only: key)
                }))
    }

    /// Answers the entries after the ids `after`, which `StreamReadRequest.resolve` has given. False where there are
    /// none: nothing is written then, and it can be called again with the same ids once the stream `only` has got more.
    private static func serve(
        _ request: StreamReadRequest, _ after: [StreamID], _ args: Arguments, _ db: ReadDatabase, _ reply: ReplyWriter,
        only: Bytes? = nil
    ) -> Bool {
        let mark = reply.deferredArray()
        var found = 0
        for (index, key) in request.keys.enumerated() where only == nil || args[key] == only {
            guard let stream = try? db.stream(args[key]), stream.count > 0, stream.lastEntryID > after[index],
                let start = after[index].next
            else { continue }
            if !reply.resp3 { reply.array(2) }
            reply.bulk(args[key])
            let entries = reply.deferredArray()
            var count = 0
            stream.forEach(from: start) { id, fields in
                reply.entry(id, fields)
                count += 1
                return count != request.count
            }
            reply.fill(entries, count)
            found += 1
        }
        if found == 0 { return false }
        if reply.resp3 { reply.fillMap(mark, found) } else { reply.fill(mark, found) }
        return true
    }

    // MARK: - XREADGROUP

    private static func xreadgroup(_ c: WriteContext) throws(CommandError) {
        let request = try StreamReadRequest(c.args, isGroup: true, mayBlock: mayBlock(c))
        let after = try request.resolveInGroup(c)
        if try serveGroup(request, after, c) { return }
        guard let timeout = request.timeout else { return c.reply.nullArray() }
        c.wait(
            for: request.keys,
            Wait(
                type: .stream, timeout: timeout, isServedByRemoval: true,
                attempt: .write { (c, key) throws(CommandError) in
                    let request = try StreamReadRequest(c.args, isGroup: true)
                    // A waiting client has asked for new entries of all streams.
                    let new = [StreamID?](repeating: nil, count: request.keys.count)
                    return try serveGroup(request, new, c, only: key)
                }))
    }

    /// Delivers entries to the consumer: new ones where `after` is nil for a stream, else those pending for it. False
    /// where there are none, as above. Throws NOGROUP where a group is gone.
    private static func serveGroup(
        _ request: StreamReadRequest, _ after: [StreamID?], _ c: WriteContext, only: Bytes? = nil
    ) throws(CommandError) -> Bool {
        c.propagateNothing()
        let reply = c.reply
        let mark = reply.deferredArray()
        var found = 0
        // As in Redis, each stream that is answered counts, and each consumer that is made; entries do not.
        var made = 0
        defer { c.count(as: found + made) }
        for (index, key) in request.keys.enumerated() where only == nil || c.args[key] == only {
            let (stream, group) = try request.group(c.args[key], in: c.editStream(c.args[key], create: false))
            let (consumer, isNewConsumer) = request.consumer(stream, group, c)
            if isNewConsumer { made += 1 }
            let isNew = after[index] == nil
            stream.touch(consumer, seenMs: c.clock, active: false)
            if isNew && (stream.view.count == 0 || stream.view.lastEntryID <= group.lastID) { continue }
            if !reply.resp3 { reply.array(2) }
            reply.bulk(c.args[key])
            let reader = GroupReader(
                c: c, stream: stream, group: group, consumer: consumer, key: c.args[key], count: request.count)
            if let after = after[index] {
                reader.readPending(from: after.next)
            } else {
                reader.readNew(acknowledged: request.isAcknowledged)
            }
            found += 1
        }
        if found == 0 { return false }
        if reply.resp3 { reply.fillMap(mark, found) } else { reply.fill(mark, found) }
        return true
    }
}

/// One stream of an XREADGROUP.
private struct GroupReader {
    let c: WriteContext
    let stream: StreamEditor
    let group: StreamGroup
    let consumer: StreamConsumer
    let key: Bytes
    /// 0: no limit.
    let count: Int

    /// Entries after the group's last, which become pending unless they count as acknowledged.
    func readNew(acknowledged: Bool) {
        guard let start = group.lastID.next else { return c.reply.array(0) }
        let view = stream.view
        let mark = c.reply.deferredArray()
        var delivered: [StreamID] = []
        var found = 0
        var last = group.lastID
        var read = group.entriesRead
        view.forEach(from: start) { id, fields in
            c.reply.entry(id, fields)
            read = view.entriesRead(after: id, before: read)
            last = id
            if !acknowledged { delivered.append(id) }
            found += 1
            return found != count
        }
        c.reply.fill(mark, found)
        if found == 0 { return }
        stream.set(group, lastID: last, entriesRead: read)
        stream.touch(consumer, seenMs: c.clock, active: true)
        for id in delivered {
            stream.deliver(id, group, to: consumer, deliveredMs: c.clock, deliveries: 1)
            StreamPropagation.claim(c, key, stream, group, id)
        }
        StreamPropagation.setID(c, key, group)
    }

    /// What is pending for this consumer already: delivered once more.
    func readPending(from start: StreamID?) {
        var ids: [StreamID] = []
        if let start {
            stream.view.forEachPending(group, consumer, from: start) {
                ids.append($0.id)
                return ids.count != count
            }
        }
        c.reply.array(ids.count)
        for id in ids {
            var exists = false
            stream.view.forEach(from: id, to: id) { id, fields in
                c.reply.entry(id, fields)
                exists = true
                return false
            }
            if !exists {
                c.reply.array(2)
                c.reply.bulk(id)
                c.reply.nullArray()
                continue
            }
            guard let pending = stream.view.pending(id, in: group) else { continue }
            stream.deliver(
                id, group, to: consumer, deliveredMs: c.clock, deliveries: pending.deliveries &+ 1)
            StreamPropagation.claim(c, key, stream, group, id)
        }
    }
}
