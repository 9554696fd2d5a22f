import Storage

// Invariant of this file: the scratch for a score's text has the 32 bytes that `formatDouble` asks for.

/// Sorted sets: single members, scores and ranks, random members, ZSCAN.
enum ZSetCommands {
    static var table: [Command] {
        CommandGroup.zset.rows([
            .write(
                "zadd", -4, [.denyoom, .fast], [.key(.rwUpdate)], "1.2.0",
                """
                key [condition(NX|XX)@3.0.2] [comparison(GT|LT)@6.2.0] [CH=change@3.0.2] \
                [INCR=increment@3.0.2] score_member{score:d member}...
                """, "Adds members with their scores, or changes the scores.", zadd
            ).complexity("O(M*log(N)) for M members").history(
                ("2.4.0", "Accepts several members."), ("3.0.2", "Accepts `NX`, `XX`, `CH` and `INCR`."),
                ("6.2.0", "Accepts `GT` and `LT`.")),
            .write(
                "zincrby", 4, [.denyoom, .fast], [.key(.rwAccessUpdate)], "1.2.0", "key increment:i member",
                "Adds to the score of a member; a missing member counts as 0.", zincrby
            ).complexity("O(log(N))"),
            .write(
                "zrem", -3, [.fast, .frees], [.key(.rwDelete)], "1.2.0", "key member...",
                "Removes members of a sorted set; the last one removes the sorted set.", zrem
            ).complexity("O(M*log(N)) for M members").history(("2.4.0", "Accepts several members.")),
            .read(
                "zcard", 2, .fast, [.key(.ro)], "1.2.0", "key", "Returns the number of members of a sorted set.", zcard),
            .read(
                "zscore", 3, .fast, [.key(.roAccess)], "1.2.0", "key member", "Returns the score of a member.", zscore),
            .read(
                "zmscore", -3, .fast, [.key(.roAccess)], "6.2.0", "key member...",
                "Returns the scores of several members.", zmscore
            ).complexity("O(N) for N members"),
            .read(
                "zrank", -3, .fast, [.key(.roAccess)], "2.0.0", "key member [WITHSCORE@7.2.0]",
                "Returns the rank of a member, counted from the lowest score.", zrank
            ).complexity("O(log(N))").history(("7.2.0", "Accepts `WITHSCORE`.")),
            .read(
                "zrevrank", -3, .fast, [.key(.roAccess)], "2.0.0", "key member [WITHSCORE@7.2.0]",
                "Returns the rank of a member, counted from the highest score.", zrevrank
            ).complexity("O(log(N))").history(("7.2.0", "Accepts `WITHSCORE`.")),
            .read(
                "zrandmember", -2, [], [.key(.roAccess)], "6.2.0", "key [options{count:i [WITHSCORES]}]",
                "Returns random members of a sorted set.", zrandmember
            ).complexity("O(N) for N members returned").tips("nondeterministic_output"),
            .read(
                "zscan", -3, [], [.key(.roAccess)], "2.8.0", "key cursor:i [MATCH pattern:p] [COUNT count:i]",
                "Iterates over the members and scores of a sorted set.", zscan
            ).complexity("O(1) a call, O(N) for a whole pass").tips("nondeterministic_output"),
        ])
    }

    // MARK: - ZADD

    private struct AddOptions {
        var onlyNew = false
        var onlyExisting = false
        var onlyGreater = false
        var onlyLess = false
        var countChanged = false
        var increment = false

        /// Takes `word` when it is an option.
        mutating func take(_ word: Bytes) -> Bool {
            if word.equals(ignoringCase: "nx") {
                onlyNew = true
            } else if word.equals(ignoringCase: "xx") {
                onlyExisting = true
            } else if word.equals(ignoringCase: "gt") {
                onlyGreater = true
            } else if word.equals(ignoringCase: "lt") {
                onlyLess = true
            } else if word.equals(ignoringCase: "ch") {
                countChanged = true
            } else if word.equals(ignoringCase: "incr") {
                increment = true
            } else {
                return false
            }
            return true
        }

        func check(pairs: Int) throws(CommandError) {
            if onlyNew, onlyExisting {
                throw CommandError("ERR XX and NX options at the same time are not compatible")
            }
            if (onlyGreater && (onlyNew || onlyLess)) || (onlyLess && onlyNew) {
                throw CommandError("ERR GT, LT, and/or NX options at the same time are not compatible")
            }
            if increment, pairs > 1 {
                throw CommandError("ERR INCR option supports a single increment-element pair")
            }
        }
    }

    private static func zadd(_ c: WriteContext) throws(CommandError) {
        var options = AddOptions()
        var first = 2
        while first < c.args.count, options.take(c.args[first]) { first += 1 }
        let rest = c.args.count - first
        guard rest > 0, rest % 2 == 0 else { throw .syntax }
        try options.check(pairs: rest / 2)
        try add(c, options, first: first)
    }

    private static func zincrby(_ c: WriteContext) throws(CommandError) {
        var options = AddOptions()
        // Redis reads ZADD's options here too, after which no pair is left.
        if options.take(c.args[2]) { throw .syntax }
        options.increment = true
        try add(c, options, first: 2)
    }

    /// Adds the pairs of score and member from argument `first` on. All scores are read before anything is changed.
    private static func add(_ c: WriteContext, _ options: AddOptions, first: Int) throws(CommandError) {
        guard let firstScore = Score.parse(c.args[first]) else { throw .notFloat }
        let pairs = (c.args.count - first) / 2
        // One pair, the usual case, needs no allocation.
        var otherScores: [Double] = []
        if pairs > 1 { otherScores.reserveCapacity(pairs - 1) }
        for i in 1..<max(pairs, 1) {
            guard let score = Score.parse(c.args[first + 2 * i]) else { throw .notFloat }
            otherScores.append(score)
        }
        guard let zset = try c.editZSet(c.args[1], create: !options.onlyExisting) else {
            return options.increment ? c.reply.null() : c.reply.integer(0)
        }
        var added = 0
        var updated = 0
        var result: Double?
        for i in 0..<pairs {
            let change: ZSetChange
            let score = i == 0 ? firstScore : otherScores[i - 1]
            (change, result) = try put(zset, c.args[first + 2 * i + 1], score, options)
            switch change {
            case .added: added += 1
            case .updated: updated += 1
            case .unchanged: break
            }
        }
        if added + updated > 0 { c.changed(c.args[1], .zset, options.increment ? "zincr" : "zadd") }
        if !options.increment {
            c.reply.integer(options.countChanged ? added + updated : added)
        } else if let result {
            c.reply.double(result)
        } else {
            c.reply.null()
        }
    }

    /// What happened, and the member's score; nil when an option forbade to touch it.
    private static func put(
        _ zset: ZSetEditor, _ member: Bytes, _ score: Double, _ options: AddOptions
    ) throws(CommandError) -> (ZSetChange, Double?) {
        guard let old = zset.view.score(member) else {
            return options.onlyExisting ? (.unchanged, nil) : (zset.set(member, score), score)
        }
        if options.onlyNew { return (.unchanged, nil) }
        let new = options.increment ? old + score : score
        if new.isNaN { throw .scoreNaN }
        if options.onlyLess, new >= old { return (.unchanged, nil) }
        if options.onlyGreater, new <= old { return (.unchanged, nil) }
        return new == old ? (.unchanged, new) : (zset.set(member, new), new)
    }

    private static func zrem(_ c: WriteContext) throws(CommandError) {
        guard let zset = try c.editZSet(c.args[1], create: false) else { return c.reply.integer(0) }
        var removed = 0
        for i in 2..<c.args.count where zset.remove(c.args[i]) {
            removed += 1
            if zset.view.count == 0 { break }
        }
        if removed > 0 { c.changed(c.args[1], .zset, "zrem") }
        c.removeIfEmpty(zset.entry)
        c.reply.integer(removed)
    }

    // MARK: - Reading

    private static func zcard(_ c: ReadContext) throws(CommandError) {
        c.reply.integer(try c.zset(c.args[1])?.count ?? 0)
    }

    private static func zscore(_ c: ReadContext) throws(CommandError) {
        writeScore(try c.zset(c.args[1])?.score(c.args[2]), c.reply)
    }

    private static func zmscore(_ c: ReadContext) throws(CommandError) {
        let zset = try c.zset(c.args[1])
        c.reply.array(c.args.count - 2)
        for i in 2..<c.args.count { writeScore(zset?.score(c.args[i]), c.reply) }
    }

    private static func writeScore(_ score: Double?, _ reply: ReplyWriter) {
        if let score { reply.double(score) } else { reply.null() }
    }

    private static func zrank(_ c: ReadContext) throws(CommandError) { try rank(c, "zrank", reverse: false) }
    private static func zrevrank(_ c: ReadContext) throws(CommandError) { try rank(c, "zrevrank", reverse: true) }

    private static func rank(_ c: ReadContext, _ name: String, reverse: Bool) throws(CommandError) {
        if c.args.count > 4 { throw .wrongArity(name) }
        let withScore = c.args.count == 4
        if withScore, !c.args[3].equals(ignoringCase: "withscore") { throw .syntax }
        guard let zset = try c.zset(c.args[1]), let ascending = zset.rank(of: c.args[2]) else {
            return withScore ? c.reply.nullArray() : c.reply.null()
        }
        let rank = Int64(reverse ? zset.count - 1 - ascending : ascending)
        if withScore {
            c.reply.array(2)
            c.reply.integer(rank)
            writeScore(zset.score(c.args[2]), c.reply)
        } else {
            c.reply.integer(rank)
        }
    }

    private static func zrandmember(_ c: ReadContext) throws(CommandError) {
        let request = try RandomRequest(c.args, valuesWord: "withscores")
        let reply = c.reply
        guard let zset = try c.zset(c.args[1]), zset.count > 0 else {
            return request.count == nil ? reply.null() : reply.array(0)
        }
        guard let count = request.count else {
            var random = SplitMix64()
            return reply.bulk(zset.at(Int.random(in: 0..<zset.count, using: &random)).0)
        }
        let length = RandomRequest.answerLength(count: count, size: zset.count)
        reply.scoredArray(length, withScores: request.withValues)
        RandomRequest.forEachIndex(count: count, size: zset.count) { index in
            let (member, score) = zset.at(index)
            reply.scored(member, score, withScores: request.withValues)
        }
    }

    private static func zscan(_ c: ReadContext) throws(CommandError) {
        var scan = try ElementScan(c.args)
        guard let zset = try c.zset(c.args[1]) else { return scan.write(next: 0, to: c.reply) }
        try scan.readOptions()
        // A listpack holds whole numbers as integers, and ZSCAN answers what it finds there.
        let isListpack = c.db.find(c.args[1])?.encoding == .listpack
        let next = withUnsafeTemporaryAllocation(byteCount: 32, alignment: 1) { scratch in
            zset.scan(cursor: scan.cursor, count: scan.count) { member, score in
                guard scan.accepts(member), let text = scratch.baseAddress else { return }
                scan.found.append(member)
                if isListpack, score.magnitude <= Self.integerScoreLimit, let integer = Int64(exactly: score) {
                    scan.found.append(Bytes(text, decimalDigits(of: integer, into: text)))
                } else {
                    scan.found.append(formatDouble(score, into: text))
                }
            }
        }
        scan.write(next: next, to: c.reply)
    }
    /// 2^62: half of what an integer in a listpack can be.
    private static let integerScoreLimit = 4_611_686_018_427_387_904.0
}

extension ReplyWriter {
    /// Opens an answer of `count` members: with scores, RESP3 has pairs, RESP2 members and scores in turn.
    func scoredArray(_ count: Int, withScores: Bool) {
        array(withScores && !resp3 ? count * 2 : count)
    }
    /// A member of such an answer.
    func scored(_ member: Bytes, _ score: Double, withScores: Bool) {
        if withScores, resp3 { array(2) }
        bulk(member)
        if withScores { double(score) }
    }
}
