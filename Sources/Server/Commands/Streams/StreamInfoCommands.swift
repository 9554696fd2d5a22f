import Storage

/// XINFO: what is known about a stream and its groups.
enum StreamInfoCommands {
    static var table: [Command] {
        CommandGroup.stream.rows([
            .container(
                "xinfo", "5.0.0", "Describes streams and their groups.", [],
                [
                    .read(
                        "stream", -3, [], [.key(.roAccess, at: 2)], "5.0.0", "key [FULL full{[COUNT count:i]}]",
                        "Describes a stream; FULL includes its entries and groups.", stream
                    ).complexity("O(1); O(N) for N entries and pending entries returned with FULL").history(
                        ("6.0.0", "Accepts `FULL`."),
                        ("7.0.0", "Shows the stream's counters, and the `entries-read` and `lag` of groups.")),
                    .read(
                        "groups", 3, [], [.key(.roAccess, at: 2)], "5.0.0", "key",
                        "Describes the consumer groups of a stream.", groups
                    ).complexity("O(N) for N groups").history(("7.0.0", "Shows `entries-read` and `lag`.")),
                    .read(
                        "consumers", 4, [], [.key(.roAccess, at: 2)], "5.0.0", "key groupname",
                        "Describes the consumers of a group.", consumers
                    ).complexity("O(N) for N consumers").tips("nondeterministic_output"),
                    .help("5.0.0"),
                ])
        ])
    }

    private static func existing(_ c: ReadContext) throws(CommandError) -> StreamView {
        guard let stream = try c.stream(c.args[2]) else { throw .noSuchKey }
        return stream
    }

    @Sendable private static func groups(_ c: ReadContext) throws(CommandError) {
        let stream = try existing(c)
        let groups = stream.groups
        c.reply.array(groups.count)
        for group in groups {
            c.reply.map(6)
            c.reply.bulk("name")
            c.reply.bulk(group.name)
            c.reply.bulk("consumers")
            c.reply.integer(group.consumers.count)
            c.reply.bulk("pending")
            c.reply.integer(group.pendingCount)
            position(c, stream, group)
        }
    }

    /// Three fields that GROUPS and STREAM FULL share.
    private static func position(_ c: ReadContext, _ stream: StreamView, _ group: StreamGroup) {
        c.reply.bulk("last-delivered-id")
        c.reply.bulk(group.lastID)
        c.reply.bulk("entries-read")
        known(c, group.entriesRead)
        c.reply.bulk("lag")
        known(c, stream.lag(of: group))
    }
    private static func known(_ c: ReadContext, _ number: Int64?) {
        if let number { c.reply.integer(number) } else { c.reply.null() }
    }

    @Sendable private static func consumers(_ c: ReadContext) throws(CommandError) {
        guard let group = try existing(c).group(c.args[3]) else { throw .noGroup(c.args[3], inKey: c.args[2]) }
        c.reply.array(group.consumers.count)
        for consumer in group.consumers {
            c.reply.map(4)
            c.reply.bulk("name")
            c.reply.bulk(consumer.name)
            c.reply.bulk("pending")
            c.reply.integer(consumer.pendingCount)
            c.reply.bulk("idle")
            c.reply.integer(max(c.now &- consumer.seenMs, 0))
            // Since 7.2; -1: it never got anything.
            c.reply.bulk("inactive")
            c.reply.integer(consumer.activeMs.map { max(c.now &- $0, 0) } ?? -1)
        }
    }

    // MARK: - XINFO STREAM

    @Sendable private static func stream(_ c: ReadContext) throws(CommandError) {
        let stream = try existing(c)
        var count: Int?
        if c.args.count > 3 {
            guard c.args[3].equals(ignoringCase: "full"), c.args.count == 4 || c.args.count == 6 else {
                throw .subcommandSyntax(c.args)
            }
            count = 10
            if c.args.count == 6 {
                guard c.args[4].equals(ignoringCase: "count") else { throw .subcommandSyntax(c.args) }
                let wanted = try c.args.integer(5)
                count = wanted < 0 ? 10 : Int(wanted)
            }
        }
        let reply = c.reply
        let state = stream.state
        reply.map(count == nil ? 10 : 9)
        reply.bulk("length")
        reply.integer(stream.count)
        reply.bulk("radix-tree-keys")
        reply.integer(stream.nodeCount)
        reply.bulk("radix-tree-nodes")
        reply.integer(treeNodes(stream))
        for (name, id) in [
            ("last-generated-id", state.lastID), ("max-deleted-entry-id", state.maxDeletedID),
        ] as [(StaticString, StreamID)] {
            reply.bulk(name)
            reply.bulk(id)
        }
        reply.bulk("entries-added")
        reply.integer(state.entriesAdded)
        reply.bulk("recorded-first-entry-id")
        reply.bulk(stream.firstID)
        if let count { return full(c, stream, count) }
        reply.bulk("groups")
        reply.integer(stream.groups.count)
        for (name, reverse) in [("first-entry", false), ("last-entry", true)] as [(StaticString, Bool)] {
            reply.bulk(name)
            var isEmpty = true
            stream.forEach(reverse: reverse) { id, fields in
                reply.entry(id, fields)
                isEmpty = false
                return false
            }
            if isEmpty { reply.null() }
        }
    }

    /// `count`: at most so many entries and pending entries; 0: all.
    private static func full(_ c: ReadContext, _ stream: StreamView, _ count: Int) {
        let reply = c.reply
        reply.bulk("entries")
        let entries = reply.deferredArray()
        var found = 0
        stream.forEach { id, fields in
            reply.entry(id, fields)
            found += 1
            return found != count
        }
        reply.fill(entries, found)
        reply.bulk("groups")
        reply.array(stream.groups.count)
        for group in stream.groups {
            reply.map(7)
            reply.bulk("name")
            reply.bulk(group.name)
            position(c, stream, group)
            reply.bulk("pel-count")
            reply.integer(group.pendingCount)
            reply.bulk("pending")
            pending(c, stream, group, nil, count)
            reply.bulk("consumers")
            reply.array(group.consumers.count)
            for consumer in group.consumers {
                reply.map(5)
                reply.bulk("name")
                reply.bulk(consumer.name)
                reply.bulk("seen-time")
                reply.integer(consumer.seenMs)
                reply.bulk("active-time")
                reply.integer(consumer.activeMs ?? -1)
                reply.bulk("pel-count")
                reply.integer(consumer.pendingCount)
                reply.bulk("pending")
                pending(c, stream, group, consumer, count)
            }
        }
    }

    private static func pending(
        _ c: ReadContext, _ stream: StreamView, _ group: StreamGroup, _ consumer: StreamConsumer?, _ count: Int
    ) {
        let mark = c.reply.deferredArray()
        var found = 0
        stream.forEachPending(group, consumer) { pending in
            c.reply.array(consumer == nil ? 4 : 3)
            c.reply.bulk(pending.id)
            if consumer == nil { c.reply.bulk(pending.consumer.name) }
            c.reply.integer(pending.deliveredMs)
            c.reply.integer(pending.deliveries)
            found += 1
            return found != count
        }
        c.reply.fill(mark, found)
    }

    /// Nodes that Redis's radix tree has with a key of 16 bytes for each of the stream's: one for each run of bytes
    /// that keys share, one for each place where they part, one for each end. O(nodes).
    private static func treeNodes(_ stream: StreamView) -> Int {
        var keys: [StreamID] = []
        keys.reserveCapacity(stream.nodeCount)
        stream.forEachNode { master, _ in keys.append(master) }
        return keys.isEmpty ? 1 : treeNodes(keys[...], from: 0)
    }
    private static func treeNodes(_ keys: ArraySlice<StreamID>, from depth: Int) -> Int {
        guard let first = keys.first, let last = keys.last else { return 0 }
        if keys.count == 1 { return depth == 16 ? 1 : 2 }
        var common = depth
        while byte(first, common) == byte(last, common) { common += 1 }
        var total = common > depth ? 2 : 1
        var start = keys.startIndex
        while start < keys.endIndex {
            var end = start + 1
            while end < keys.endIndex, byte(keys[end], common) == byte(keys[start], common) { end += 1 }
            total += treeNodes(keys[start..<end], from: common + 1)
            start = end
        }
        return total
    }
    private static func byte(_ id: StreamID, _ index: Int) -> UInt8 {
        let half = index < 8 ? id.ms : id.seq
        return UInt8(truncatingIfNeeded: half >> UInt64(8 * (7 - index % 8)))
    }
}
