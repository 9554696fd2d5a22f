import Storage

/// Sorted sets: everything that takes a range of ranks, scores or members.
enum ZSetRangeCommands {
    static var table: [Command] {
        CommandGroup.zset.rows([
            .read(
                "zcount", 4, .fast, [.key(.roAccess)], "2.0.0", "key min:d max:d",
                "Counts the members within a range of scores.", zcount
            ).complexity("O(log(N))"),
            .read(
                "zlexcount", 4, .fast, [.key(.roAccess)], "2.8.9", "key min max",
                "Counts the members within a lexicographical range.", zlexcount
            ).complexity("O(log(N))"),
            .read(
                "zrange", -4, [], [.key(.roAccess)], "1.2.0",
                """
                key start stop [sortby(BYSCORE|BYLEX)@6.2.0] [REV@6.2.0] \
                [LIMIT offset_count{offset:i count:i}@6.2.0] [WITHSCORES]
                """, "Returns the members within a range of ranks, of scores, or of names.", zrange
            ).complexity("O(log(N)+M) for M members returned").history(
                ("6.2.0", "Accepts `BYSCORE`, `BYLEX`, `REV` and `LIMIT`.")),
            .write(
                "zrangestore", -5, .denyoom, [.key(.owUpdate), .key(.roAccess, at: 2)], "6.2.0",
                "dst src min max [sortby(BYSCORE|BYLEX)] [REV] [LIMIT offset_count{offset:i count:i}]",
                "Stores the members within a range of ranks, of scores, or of names.", zrangestore
            ).complexity("O(log(N)+M) for M members stored"),
            .read(
                "zrevrange", -4, [], [.key(.roAccess)], "1.2.0", "key start:i stop:i [WITHSCORES]",
                "Returns the members within a range of ranks, the highest score first.", zrevrange
            ).complexity("O(log(N)+M) for M members returned").deprecated("6.2.0", "`ZRANGE` with `REV`"),
            .read(
                "zrangebyscore", -4, [], [.key(.roAccess)], "1.0.5",
                "key min:d max:d [WITHSCORES@2.0.0] [LIMIT offset_count{offset:i count:i}]",
                "Returns the members within a range of scores.", zrangebyscore
            ).complexity("O(log(N)+M) for M members returned").history(("2.0.0", "Accepts `WITHSCORES`.")).deprecated(
                "6.2.0", "`ZRANGE` with `BYSCORE`"),
            .read(
                "zrevrangebyscore", -4, [], [.key(.roAccess)], "2.2.0",
                "key max:d min:d [WITHSCORES] [LIMIT offset_count{offset:i count:i}]",
                "Returns the members within a range of scores, the highest first.", zrevrangebyscore
            ).complexity("O(log(N)+M) for M members returned").history(("2.1.6", "Accepts exclusive bounds."))
                .deprecated("6.2.0", "`ZRANGE` with `REV` and `BYSCORE`"),
            .read(
                "zrangebylex", -4, [], [.key(.roAccess)], "2.8.9", "key min max [LIMIT offset_count{offset:i count:i}]",
                "Returns the members within a lexicographical range.", zrangebylex
            ).complexity("O(log(N)+M) for M members returned").deprecated("6.2.0", "`ZRANGE` with `BYLEX`"),
            .read(
                "zrevrangebylex", -4, [], [.key(.roAccess)], "2.8.9",
                "key max min [LIMIT offset_count{offset:i count:i}]",
                "Returns the members within a lexicographical range, the last one first.", zrevrangebylex
            ).complexity("O(log(N)+M) for M members returned").deprecated("6.2.0", "`ZRANGE` with `REV` and `BYLEX`"),
            .write(
                "zremrangebyrank", 4, .frees, [.key(.rwDelete)], "2.0.0", "key start:i stop:i",
                "Removes the members within a range of ranks.", zremrangebyrank
            ).complexity("O(log(N)+M) for M members removed"),
            .write(
                "zremrangebyscore", 4, .frees, [.key(.rwDelete)], "1.2.0", "key min:d max:d",
                "Removes the members within a range of scores.", zremrangebyscore
            ).complexity("O(log(N)+M) for M members removed"),
            .write(
                "zremrangebylex", 4, .frees, [.key(.rwDelete)], "2.8.9", "key min max",
                "Removes the members within a lexicographical range.", zremrangebylex
            ).complexity("O(log(N)+M) for M members removed"),
        ])
    }

    // MARK: - Requests

    /// What a range is a range of.
    private enum Limits {
        case ranks(RankRange)
        case scores(ScoreRange)
        case members(LexRange)

        enum Kind { case ranks, scores, members }
    }

    /// A parsed ZRANGE or one of its kin.
    private struct Request {
        let limits: Limits
        let reverse: Bool
        let withScores: Bool
        private let offset: Int64
        /// Negative: no limit.
        private let limit: Int64

        /// Reads `min max [options]` from argument `first` on. What the command's name settles, `kind` or `reverse`,
        /// is no option any more.
        init(
            _ args: Arguments, first: Int, kind: Limits.Kind?, reverse: Bool?, storing: Bool = false
        ) throws(CommandError) {
            var (kind, direction, withScores) = (kind, reverse, false)
            var (offset, limit): (Int64, Int64) = (0, -1)
            var i = first + 2
            while i < args.count {
                let word = args[i]
                if !storing, word.equals(ignoringCase: "withscores") {
                    withScores = true
                } else if word.equals(ignoringCase: "limit"), i + 2 < args.count {
                    guard let first = args[i + 1].integer, let second = args[i + 2].integer else { throw .notInteger }
                    (offset, limit) = (first, second)
                    i += 2
                } else if direction == nil, word.equals(ignoringCase: "rev") {
                    direction = true
                } else if kind == nil, word.equals(ignoringCase: "bylex") {
                    kind = .members
                } else if kind == nil, word.equals(ignoringCase: "byscore") {
                    kind = .scores
                } else {
                    throw .syntax
                }
                i += 1
            }
            let reverse = direction ?? false
            let settled = kind ?? .ranks
            if limit != -1, settled == .ranks {
                throw CommandError(
                    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
            }
            if withScores, settled == .members {
                throw CommandError("ERR syntax error, WITHSCORES not supported in combination with BYLEX")
            }
            // Backwards, a range of scores or members is written with its upper limit first.
            let (low, high) = reverse ? (args[first + 1], args[first]) : (args[first], args[first + 1])
            switch settled {
            case .ranks: limits = .ranks(try RankRange(args[first], args[first + 1]))
            case .scores: limits = .scores(try ScoreRange(low, high))
            case .members: limits = .members(try LexRange(low, high))
            }
            self.reverse = reverse
            self.withScores = withScores
            self.offset = offset
            self.limit = limit
        }

        /// The rank (ascending) to start from and the number of members to go over, in the direction of the request.
        func span(in zset: ZSetView) -> (rank: Int, count: Int) {
            let ranks: Range<Int>
            switch limits {
            case .ranks(let range):
                let indexes = range.indexes(count: zset.count)
                return (reverse ? zset.count - 1 - indexes.lowerBound : indexes.lowerBound, indexes.count)
            case .scores(let range): ranks = range.ranks(in: zset)
            case .members(let range): ranks = range.ranks(in: zset)
            }
            guard offset >= 0, offset < ranks.count else { return (0, 0) }
            let skipped = Int(offset)
            let left = ranks.count - skipped
            let count = limit < 0 ? left : Int(min(Int64(left), limit))
            return (reverse ? ranks.upperBound - 1 - skipped : ranks.lowerBound + skipped, count)
        }
    }

    // MARK: - Reading

    private static func zrange(_ c: ReadContext) throws(CommandError) {
        answer(try Request(c.args, first: 2, kind: nil, reverse: nil), try c.zset(c.args[1]), c.reply)
    }
    private static func zrevrange(_ c: ReadContext) throws(CommandError) {
        answer(try Request(c.args, first: 2, kind: .ranks, reverse: true), try c.zset(c.args[1]), c.reply)
    }
    private static func zrangebyscore(_ c: ReadContext) throws(CommandError) {
        answer(try Request(c.args, first: 2, kind: .scores, reverse: false), try c.zset(c.args[1]), c.reply)
    }
    private static func zrevrangebyscore(_ c: ReadContext) throws(CommandError) {
        answer(try Request(c.args, first: 2, kind: .scores, reverse: true), try c.zset(c.args[1]), c.reply)
    }
    private static func zrangebylex(_ c: ReadContext) throws(CommandError) {
        answer(try Request(c.args, first: 2, kind: .members, reverse: false), try c.zset(c.args[1]), c.reply)
    }
    private static func zrevrangebylex(_ c: ReadContext) throws(CommandError) {
        answer(try Request(c.args, first: 2, kind: .members, reverse: true), try c.zset(c.args[1]), c.reply)
    }

    private static func answer(_ request: Request, _ zset: ZSetView?, _ reply: ReplyWriter) {
        guard let zset else { return reply.array(0) }
        let span = request.span(in: zset)
        reply.scoredArray(span.count, withScores: request.withScores)
        guard span.count > 0 else { return }
        zset.forEach(rank: span.rank, count: span.count, reverse: request.reverse) { member, score in
            reply.scored(member, score, withScores: request.withScores)
            return true
        }
    }

    private static func zcount(_ c: ReadContext) throws(CommandError) {
        let range = try ScoreRange(c.args[2], c.args[3])
        let zset = try c.zset(c.args[1])
        c.reply.integer(zset.map { range.ranks(in: $0).count } ?? 0)
    }

    private static func zlexcount(_ c: ReadContext) throws(CommandError) {
        let range = try LexRange(c.args[2], c.args[3])
        let zset = try c.zset(c.args[1])
        c.reply.integer(zset.map { range.ranks(in: $0).count } ?? 0)
    }

    // MARK: - Writing

    private static func zrangestore(_ c: WriteContext) throws(CommandError) {
        let request = try Request(c.args, first: 3, kind: nil, reverse: nil, storing: true)
        // Copies, since the destination may be the source.
        var members = MemberList()
        var scores: [Double] = []
        if let zset = try c.reading.zsetOrRefuse(c.args[2]) {
            let span = request.span(in: zset)
            if span.count > 0 {
                zset.forEach(rank: span.rank, count: span.count, reverse: request.reverse) { member, score in
                    members.append(member)
                    scores.append(score)
                    return true
                }
            }
        }
        c.storeZSet(c.args[1], members, scores, "zrangestore")
        c.reply.integer(members.count)
    }

    private static func zremrangebyrank(_ c: WriteContext) throws(CommandError) {
        let range = try RankRange(c.args[2], c.args[3])
        try remove(c, "zremrangebyrank") { range.indexes(count: $0.count) }
    }
    private static func zremrangebyscore(_ c: WriteContext) throws(CommandError) {
        let range = try ScoreRange(c.args[2], c.args[3])
        try remove(c, "zremrangebyscore") { range.ranks(in: $0) }
    }
    private static func zremrangebylex(_ c: WriteContext) throws(CommandError) {
        let range = try LexRange(c.args[2], c.args[3])
        try remove(c, "zremrangebylex") { range.ranks(in: $0) }
    }

    private static func remove(
        _ c: WriteContext, _ event: StaticString, _ ranks: (ZSetView) -> Range<Int>
    ) throws(CommandError) {
        guard let zset = try c.editZSet(c.args[1], create: false) else { return c.reply.integer(0) }
        let range = ranks(zset.view)
        if !range.isEmpty {
            zset.removeRanks(range)
            c.changed(c.args[1], .zset, event)
        }
        c.removeIfEmpty(zset.entry)
        c.reply.integer(range.count)
    }
}

extension WriteContext {
    /// Puts a sorted set of these members in the place of whatever `key` held; of none, nothing.
    func storeZSet(_ key: Bytes, _ members: MemberList, _ scores: [Double], _ event: StaticString) {
        if members.isEmpty {
            storeNothing(key)
            return
        }
        let zset = db.replaceWithNewZSet(key)
        for (i, score) in scores.enumerated() { zset.set(members[i], score) }
        changed(key, .zset, event)
        count(as: 1)
    }
}
