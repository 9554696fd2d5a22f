import Storage

/// Unions, intersections and differences of sorted sets, with sets among them, answered or stored.
enum ZSetAlgebra {
    static var table: [Command] {
        CommandGroup.zset.rows([
            .read(
                "zunion", -3, [], [.counted(.roAccess)], "6.2.0",
                "numkeys:i key... [WEIGHTS weight:i...] [AGGREGATE aggregate(SUM|MIN|MAX)] [WITHSCORES]",
                "Returns the members that any of the sorted sets has.", zunion
            ).complexity("O(N)+O(M*log(M)) for N members in all sets and M in the result"),
            .read(
                "zinter", -3, [], [.counted(.roAccess)], "6.2.0",
                "numkeys:i key... [WEIGHTS weight:i...] [AGGREGATE aggregate(SUM|MIN|MAX)] [WITHSCORES]",
                "Returns the members that all sorted sets have.", zinter
            ).complexity("O(N*K)+O(M*log(M)) for the smallest of K sets having N members, and M in the result"),
            .read(
                "zdiff", -3, [], [.counted(.roAccess)], "6.2.0", "numkeys:i key... [WITHSCORES]",
                "Returns the members of the first sorted set that no other has.", zdiff
            ).complexity("O(N*K)+O(M*log(M)) for the first of K sets having N members, and M in the result"),
            .read(
                "zintercard", -3, [], [.counted(.roAccess)], "7.0.0", "numkeys:i key... [LIMIT limit:i]",
                "Counts the members that all sorted sets have, up to a limit.", zintercard
            ).complexity("O(N*K) for the smallest of K sets having N members"),
            .write(
                "zunionstore", -4, .denyoom, [.key(.owUpdate), .counted(.roAccess, at: 2)], "2.0.0",
                "destination numkeys:i key... [WEIGHTS weight:i...] [AGGREGATE aggregate(SUM|MIN|MAX)]",
                "Stores the members that any of the sorted sets has.", zunionstore
            ).complexity("O(N)+O(M*log(M)) for N members in all sets and M in the result"),
            .write(
                "zinterstore", -4, .denyoom, [.key(.owUpdate), .counted(.roAccess, at: 2)], "2.0.0",
                "destination numkeys:i key... [WEIGHTS weight:i...] [AGGREGATE aggregate(SUM|MIN|MAX)]",
                "Stores the members that all sorted sets have.", zinterstore
            ).complexity("O(N*K)+O(M*log(M)) for the smallest of K sets having N members, and M in the result"),
            .write(
                "zdiffstore", -4, .denyoom, [.key(.owUpdate), .counted(.roAccess, at: 2)], "6.2.0",
                "destination numkeys:i key...", "Stores the members of the first sorted set that no other has.",
                zdiffstore
            ).complexity("O(N*K)+O(M*log(M)) for the first of K sets having N members, and M in the result"),
        ])
    }

    private static func zunion(_ c: ReadContext) throws(CommandError) {
        let request = try Request(c.db, c.args, first: 1, name: "zunion", [.weights, .aggregate, .withScores])
        write(union(request), request.withScores, c.reply)
    }
    private static func zinter(_ c: ReadContext) throws(CommandError) {
        let request = try Request(c.db, c.args, first: 1, name: "zinter", [.weights, .aggregate, .withScores])
        write(intersection(request), request.withScores, c.reply)
    }
    private static func zdiff(_ c: ReadContext) throws(CommandError) {
        let request = try Request(c.db, c.args, first: 1, name: "zdiff", [.withScores])
        write(difference(request), request.withScores, c.reply)
    }
    private static func zunionstore(_ c: WriteContext) throws(CommandError) {
        let request = try Request(c.reading, c.args, first: 2, name: "zunionstore", [.weights, .aggregate])
        store(union(request), c, "zunionstore")
    }
    private static func zinterstore(_ c: WriteContext) throws(CommandError) {
        let request = try Request(c.reading, c.args, first: 2, name: "zinterstore", [.weights, .aggregate])
        store(intersection(request), c, "zinterstore")
    }
    private static func zdiffstore(_ c: WriteContext) throws(CommandError) {
        store(difference(try Request(c.reading, c.args, first: 2, name: "zdiffstore", [])), c, "zdiffstore")
    }

    private static func zintercard(_ c: ReadContext) throws(CommandError) {
        let request = try Request(c.db, c.args, first: 1, name: "zintercard", [.limit])
        var count = 0
        forEachCommon(request) { _, _ in
            count += 1
            return count != request.limit
        }
        c.reply.integer(count)
    }

    // MARK: - Requests

    /// A set or sorted set with its weight; the members of a set have score 1.
    private struct Operand {
        enum Value {
            case missing
            case set(SetView)
            case zset(ZSetView)
        }
        let value: Value
        var weight = 1.0

        init(_ db: ReadDatabase, _ key: Bytes) throws(CommandError) {
            switch db.find(key)?.type {
            case nil: value = .missing
            case .set: value = try db.setOrRefuse(key).map { .set($0) } ?? .missing
            case .zset, .string, .list, .hash, .stream: value = try db.zsetOrRefuse(key).map { .zset($0) } ?? .missing
            }
        }

        var count: Int {
            switch value {
            case .missing: 0
            case .set(let set): set.count
            case .zset(let zset): zset.count
            }
        }

        func score(_ member: Bytes) -> Double? {
            switch value {
            case .missing: nil
            case .set(let set): set.contains(member) ? 1 : nil
            case .zset(let zset): zset.score(member)
            }
        }

        /// `score` times the weight; infinity times 0 counts as 0.
        func weighted(_ score: Double) -> Double {
            let product = score * weight
            return product.isNaN ? 0 : product
        }

        func forEach(_ body: (Bytes, Double) -> Bool) {
            switch value {
            case .missing: break
            case .set(let set): set.forEach { body($0, 1) }
            case .zset(let zset): zset.forEach(rank: 0, count: zset.count, reverse: false, body)
            }
        }
    }

    private enum Aggregate {
        case sum, min, max

        func callAsFunction(_ a: Double, _ b: Double) -> Double {
            switch self {
            case .sum:
                // Infinities of both signs cancel out.
                let sum = a + b
                return sum.isNaN ? 0 : sum
            case .min: return b < a ? b : a
            case .max: return b > a ? b : a
            }
        }
    }

    private struct Options: OptionSet {
        let rawValue: Int
        static let weights = Options(rawValue: 1)
        static let aggregate = Options(rawValue: 2)
        static let withScores = Options(rawValue: 4)
        static let limit = Options(rawValue: 8)
    }

    /// `numkeys key … [WEIGHTS …] [AGGREGATE …] [WITHSCORES] [LIMIT …]`, as far as a command allows them.
    private struct Request {
        private(set) var operands: [Operand] = []
        private(set) var aggregate = Aggregate.sum
        private(set) var withScores = false
        /// 0: none.
        private(set) var limit = 0

        /// `first`: the index of `numkeys`. Keys of another type are refused before an option is looked at.
        init(
            _ db: ReadDatabase, _ args: Arguments, first: Int, name: StaticString, _ allowed: Options
        ) throws(CommandError) {
            guard let keys = args[first].integer else { throw .notInteger }
            guard keys > 0 else { throw CommandError("ERR at least 1 input key is needed for '\(name)' command") }
            guard keys < args.count - first else { throw .syntax }
            var i = first + 1
            operands.reserveCapacity(Int(keys))
            while i <= first + Int(keys) {
                operands.append(try Operand(db, args[i]))
                i += 1
            }
            while i < args.count {
                let word = args[i]
                let left = args.count - i - 1
                if allowed.contains(.weights), left >= operands.count, word.equals(ignoringCase: "weights") {
                    for k in operands.indices {
                        guard let weight = Score.parse(args[i + 1 + k]) else {
                            throw CommandError("ERR weight value is not a float")
                        }
                        operands[k].weight = weight
                    }
                    i += operands.count
                } else if allowed.contains(.aggregate), left >= 1, word.equals(ignoringCase: "aggregate") {
                    aggregate = try Self.aggregate(args[i + 1])
                    i += 1
                } else if allowed.contains(.withScores), word.equals(ignoringCase: "withscores") {
                    withScores = true
                } else if allowed.contains(.limit), left >= 1, word.equals(ignoringCase: "limit") {
                    limit = try args.limit(i + 1)
                    i += 1
                } else {
                    throw .syntax
                }
                i += 1
            }
        }

        private static func aggregate(_ word: Bytes) throws(CommandError) -> Aggregate {
            if word.equals(ignoringCase: "sum") { return .sum }
            if word.equals(ignoringCase: "min") { return .min }
            if word.equals(ignoringCase: "max") { return .max }
            throw .syntax
        }

        /// The smallest first: fewest members to ask about, and the order in which scores are added up.
        var ascending: [Operand] { operands.sorted { $0.count < $1.count } }
    }

    // MARK: - Algorithms

    /// Distinct members, each with its score.
    private struct Result {
        var members = MemberList()
        var scores: [Double] = []

        mutating func append(_ member: Bytes, _ score: Double) {
            members.append(member)
            scores.append(score)
        }
    }

    private static func forEachCommon(_ request: Request, _ body: (Bytes, Double) -> Bool) {
        let operands = request.ascending
        guard let smallest = operands.first else { return }
        let others = operands.dropFirst()
        let copy = OutputBuffer(capacity: 64)
        smallest.forEach { borrowed, score in
            // A view lends its element only until the next question to any view.
            let member = copy.replace(with: borrowed)
            var total = smallest.weighted(score)
            for other in others {
                guard let score = other.score(member) else { return true }
                // Not `weighted`: here Redis lets infinity times 0 make the whole sum 0.
                total = request.aggregate(total, score * other.weight)
            }
            return body(member, total)
        }
    }

    private static func intersection(_ request: Request) -> Result {
        var result = Result()
        forEachCommon(request) { member, score in
            result.append(member, score)
            return true
        }
        return result
    }

    private static func union(_ request: Request) -> Result {
        let operands = request.ascending
        var table = MemberTable(expecting: operands.last?.count ?? 0)
        var scores: [Double] = []
        for operand in operands {
            operand.forEach { member, score in
                let weighted = operand.weighted(score)
                let (index, isNew) = table.insert(member)
                if isNew {
                    scores.append(weighted)
                } else {
                    scores[index] = request.aggregate(scores[index], weighted)
                }
                return true
            }
        }
        return Result(members: table.members, scores: scores)
    }

    private static func difference(_ request: Request) -> Result {
        var result = Result()
        guard let first = request.operands.first else { return result }
        // The largest first: it is the likeliest to have the member.
        let others = request.operands.dropFirst().sorted { $0.count > $1.count }
        let copy = OutputBuffer(capacity: 64)
        first.forEach { borrowed, score in
            let member = copy.replace(with: borrowed)
            for other in others where other.score(member) != nil { return true }
            result.append(member, score)
            return true
        }
        return result
    }

    private static func write(_ result: Result, _ withScores: Bool, _ reply: ReplyWriter) {
        let order = result.scores.indices.sorted { a, b in
            let (left, right) = (result.scores[a], result.scores[b])
            return left != right ? left < right : result.members[a].compare(result.members[b]) < 0
        }
        reply.scoredArray(order.count, withScores: withScores)
        for i in order { reply.scored(result.members[i], result.scores[i], withScores: withScores) }
    }

    /// The destination may be one of the operands: the result holds copies.
    private static func store(_ result: Result, _ c: WriteContext, _ event: StaticString) {
        c.storeZSet(c.args[1], result.members, result.scores, event)
        c.reply.integer(result.scores.count)
    }
}
