import Storage

/// Sorted sets: taking the members with the lowest or highest scores, also from the first of several sets that has any.
enum ZSetPopCommands {
    static var table: [Command] {
        CommandGroup.zset.rows([
            .write(
                "zpopmin", -2, .fast, [.key(.rwAccessDelete)], "5.0.0", "key [count:i]",
                "Removes and returns the members with the lowest scores.", zpopmin
            ).complexity("O(log(N)*M) for M members"),
            .write(
                "zpopmax", -2, .fast, [.key(.rwAccessDelete)], "5.0.0", "key [count:i]",
                "Removes and returns the members with the highest scores.", zpopmax
            ).complexity("O(log(N)*M) for M members"),
            .write(
                "zmpop", -4, [], [.counted(.rwAccessDelete)], "7.0.0",
                "numkeys:i key... where(MIN|MAX) [COUNT count:i]",
                "Removes and returns members of the first sorted set that is not empty.", zmpop
            ).complexity("O(K) + O(M*log(N)) for K keys and M members"),
            .write(
                "bzpopmin", -3, [.noscript, .callableByScripts, .blocking, .fast],
                [.keys(.rwAccessDelete, through: -2)], "5.0.0",
                "key... timeout:d",
                "Removes and returns the lowest member of the first sorted set that is not empty; waits for one.",
                bzpopmin
            ).complexity("O(log(N))").history(("6.0.0", "Accepts fractions of seconds.")),
            .write(
                "bzpopmax", -3, [.noscript, .callableByScripts, .blocking, .fast],
                [.keys(.rwAccessDelete, through: -2)], "5.0.0",
                "key... timeout:d",
                "Removes and returns the highest member of the first sorted set that is not empty; waits for one.",
                bzpopmax
            ).complexity("O(log(N))").history(("6.0.0", "Accepts fractions of seconds.")),
            .write(
                "bzmpop", -5, .blocking, [.counted(.rwAccessDelete, at: 2)], "7.0.0",
                "timeout:d numkeys:i key... where(MIN|MAX) [COUNT count:i]",
                "Removes and returns members of the first sorted set that is not empty; waits for some.", bzmpop
            ).complexity("O(K) + O(M*log(N)) for K keys and M members"),
        ])
    }

    enum Side {
        case min, max

        /// The command that takes from this side, as it is logged.
        var popCommand: Bytes { self == .min ? Bytes("ZPOPMIN") : Bytes("ZPOPMAX") }
    }

    /// Calls `body` with each of the `count` outermost members and then removes them.
    private static func pop(
        _ c: WriteContext, _ zset: ZSetEditor, _ side: Side, _ count: Int, _ body: (Bytes, Double) -> Void
    ) {
        let size = zset.view.count
        zset.view.forEach(rank: side == .min ? 0 : size - 1, count: count, reverse: side == .max) { member, score in
            body(member, score)
            return true
        }
        zset.removeRanks(side == .min ? 0..<count : size - count..<size)
        c.changed(zset.entry.key, .zset, side == .min ? "zpopmin" : "zpopmax")
        c.removeIfEmpty(zset.entry)
    }

    // MARK: - One key

    private static func zpopmin(_ c: WriteContext) throws(CommandError) { try popOne(c, .min) }
    private static func zpopmax(_ c: WriteContext) throws(CommandError) { try popOne(c, .max) }

    private static func popOne(_ c: WriteContext, _ side: Side) throws(CommandError) {
        if c.args.count > 3 { throw .syntax }
        let hasCount = c.args.count == 3
        let wanted = hasCount ? try c.args.nonNegative(2) : 1
        let reply = c.reply
        guard let zset = try c.editZSet(c.args[1], create: false), zset.view.count > 0, wanted > 0 else {
            return reply.array(0)
        }
        let count = min(wanted, zset.view.count)
        // Without a count, RESP3 answers the one member and its score as they are, not as a pair in an array.
        reply.array(hasCount && reply.resp3 ? count : count * 2)
        pop(c, zset, side, count) { member, score in
            if hasCount, reply.resp3 { reply.array(2) }
            reply.bulk(member)
            reply.double(score)
        }
    }

    // MARK: - Several keys

    private static func bzpopmin(_ c: WriteContext) throws(CommandError) { try blockingPop(c, .min) }
    private static func bzpopmax(_ c: WriteContext) throws(CommandError) { try blockingPop(c, .max) }

    private static func blockingPop(_ c: WriteContext, _ side: Side) throws(CommandError) {
        let timeout = try c.args.timeout(c.args.count - 1)
        let keys = 1..<c.args.count - 1
        for i in keys { if try popWithKey(c, c.args[i], side) { return } }
        c.wait(
            for: keys,
            Wait(
                type: .zset, timeout: timeout,
                attempt: .write { c, key throws(CommandError) in try popWithKey(c, key, side) }))
    }

    /// False where there is nothing.
    private static func popWithKey(_ c: WriteContext, _ key: Bytes, _ side: Side) throws(CommandError) -> Bool {
        guard let zset = try c.editZSet(key, create: false), zset.view.count > 0 else { return false }
        let reply = c.reply
        reply.array(3)
        reply.bulk(key)
        pop(c, zset, side, 1) { member, score in
            reply.bulk(member)
            reply.double(score)
        }
        c.propagate(side.popCommand, key)
        return true
    }

    private static func zmpop(_ c: WriteContext) throws(CommandError) {
        let request = try PopRequest(c.args, 1)
        for i in request.keys { if try popSeveral(c, c.args[i], request) { return } }
        c.reply.nullArray()
    }

    private static func bzmpop(_ c: WriteContext) throws(CommandError) {
        let request = try PopRequest(c.args, 2)
        let timeout = try c.args.timeout(1)
        for i in request.keys { if try popSeveral(c, c.args[i], request) { return } }
        c.wait(
            for: request.keys,
            Wait(
                type: .zset, timeout: timeout,
                attempt: .write { c, key throws(CommandError) in try popSeveral(c, key, request) }))
    }

    /// `numkeys key … MIN|MAX [COUNT count]`
    private struct PopRequest {
        let keys: Range<Int>
        let side: Side
        let count: Int

        /// `first`: the index of `numkeys`.
        init(_ args: Arguments, _ first: Int) throws(CommandError) {
            guard let number = args[first].integer, number > 0 else {
                throw CommandError("ERR numkeys should be greater than 0")
            }
            guard number < args.count - first - 1 else { throw .syntax }
            keys = first + 1..<first + 1 + Int(number)
            var i = keys.upperBound
            if args[i].equals(ignoringCase: "min") {
                side = .min
            } else if args[i].equals(ignoringCase: "max") {
                side = .max
            } else {
                throw .syntax
            }
            i += 1
            guard i < args.count else {
                count = 1
                return
            }
            guard i + 1 < args.count, args[i].equals(ignoringCase: "count") else {
                throw .syntax
            }
            guard let wanted = args[i + 1].integer, wanted > 0 else {
                throw CommandError("ERR count should be greater than 0")
            }
            guard i + 2 == args.count else { throw .syntax }
            count = Int(wanted)
        }
    }

    /// False where there is nothing.
    private static func popSeveral(
        _ c: WriteContext, _ key: Bytes, _ request: PopRequest
    ) throws(CommandError) -> Bool {
        guard let zset = try c.editZSet(key, create: false), zset.view.count > 0 else { return false }
        let reply = c.reply
        let count = min(request.count, zset.view.count)
        reply.array(2)
        reply.bulk(key)
        reply.array(count)
        pop(c, zset, request.side, count) { member, score in
            reply.array(2)
            reply.bulk(member)
            reply.double(score)
        }
        withDecimal(Int64(count)) { c.propagate(request.side.popCommand, key, $0) }
        return true
    }
}
