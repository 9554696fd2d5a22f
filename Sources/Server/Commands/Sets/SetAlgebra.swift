import Storage

/// Intersections, unions and differences of sets, answered or stored.
enum SetAlgebra {
    static var table: [Command] {
        CommandGroup.set.rows([
            .read(
                "sinter", -2, [], [.keys(.roAccess)], "1.0.0", "key...", "Returns the members that all sets have.",
                sinter
            ).complexity("O(N*M) for the smallest of M sets having N members").tips("nondeterministic_output_order"),
            .read(
                "sintercard", -3, [], [.counted(.roAccess)], "7.0.0", "numkeys:i key... [LIMIT limit:i]",
                "Counts the members that all sets have, up to a limit.", sintercard
            ).complexity("O(N*M) for the smallest of M sets having N members"),
            .write(
                "sinterstore", -3, .denyoom, [.key(.rwUpdate), .keys(.roAccess, at: 2)], "1.0.0", "destination key...",
                "Stores the members that all sets have.", sinterstore
            ).complexity("O(N*M) for the smallest of M sets having N members"),
            .read(
                "sunion", -2, [], [.keys(.roAccess)], "1.0.0", "key...",
                "Returns the members that any of the sets has.", sunion
            ).complexity("O(N) for N members in all sets").tips("nondeterministic_output_order"),
            .write(
                "sunionstore", -3, .denyoom, [.key(.owUpdate), .keys(.roAccess, at: 2)], "1.0.0", "destination key...",
                "Stores the members that any of the sets has.", sunionstore
            ).complexity("O(N) for N members in all sets"),
            .read(
                "sdiff", -2, [], [.keys(.roAccess)], "1.0.0", "key...",
                "Returns the members of the first set that no other set has.", sdiff
            ).complexity("O(N) for N members in all sets").tips("nondeterministic_output_order"),
            .write(
                "sdiffstore", -3, .denyoom, [.key(.owUpdate), .keys(.roAccess, at: 2)], "1.0.0", "destination key...",
                "Stores the members of the first set that no other set has.", sdiffstore
            ).complexity("O(N) for N members in all sets"),
        ])
    }

    private static func sinter(_ c: ReadContext) throws(CommandError) {
        write(intersection(try operands(c.db, c.args, 1..<c.args.count)), c.reply)
    }
    private static func sunion(_ c: ReadContext) throws(CommandError) {
        write(union(try operands(c.db, c.args, 1..<c.args.count)), c.reply)
    }
    private static func sdiff(_ c: ReadContext) throws(CommandError) {
        write(difference(try operands(c.db, c.args, 1..<c.args.count)), c.reply)
    }
    private static func sinterstore(_ c: WriteContext) throws(CommandError) {
        store(intersection(try operands(c.reading, c.args, 2..<c.args.count)), c, "sinterstore")
    }
    private static func sunionstore(_ c: WriteContext) throws(CommandError) {
        store(union(try operands(c.reading, c.args, 2..<c.args.count)), c, "sunionstore")
    }
    private static func sdiffstore(_ c: WriteContext) throws(CommandError) {
        store(difference(try operands(c.reading, c.args, 2..<c.args.count)), c, "sdiffstore")
    }

    private static func sintercard(_ c: ReadContext) throws(CommandError) {
        guard let keys = c.args[1].integer, keys > 0 else {
            throw CommandError("ERR numkeys should be greater than 0")
        }
        guard keys <= c.args.count - 2 else {
            throw CommandError("ERR Number of keys can't be greater than number of args")
        }
        var limit = 0
        var i = 2 + Int(keys)
        while i < c.args.count {
            guard c.args[i].equals(ignoringCase: "limit"), i + 1 < c.args.count else { throw .syntax }
            limit = try c.args.limit(i + 1)
            i += 2
        }
        var count = 0
        forEachCommon(try operands(c.db, c.args, 2..<2 + Int(keys))) { _ in
            count += 1
            return count != limit
        }
        c.reply.integer(count)
    }

    // MARK: - Algorithms

    /// The sets at the keys; nil for a missing one. Every key is looked at, so that one of another type is refused even
    /// where an empty set has already settled the result.
    private static func operands(
        _ db: ReadDatabase, _ args: Arguments, _ keys: Range<Int>
    ) throws(CommandError) -> [SetView?] {
        var sets: [SetView?] = []
        sets.reserveCapacity(keys.count)
        for i in keys { sets.append(try db.setOrRefuse(args[i])) }
        return sets
    }

    /// Goes over the smallest set and asks the others, the next smallest first: a miss is found soonest there.
    private static func forEachCommon(_ operands: [SetView?], _ body: (Bytes) -> Bool) {
        let sets = operands.compactMap { $0 }.sorted { $0.count < $1.count }
        guard sets.count == operands.count, let smallest = sets.first else { return }
        let others = sets.dropFirst()
        let copy = OutputBuffer(capacity: 64)
        smallest.forEach { borrowed in
            // A view lends its element only until the next question to any view.
            let member = copy.replace(with: borrowed)
            for other in others where !other.contains(member) { return true }
            return body(member)
        }
    }

    private static func intersection(_ operands: [SetView?]) -> MemberList {
        var result = MemberList()
        forEachCommon(operands) { member in
            result.append(member)
            return true
        }
        return result
    }

    private static func union(_ operands: [SetView?]) -> MemberList {
        let sets = operands.compactMap { $0 }
        var result = MemberTable(expecting: sets.map(\.count).max() ?? 0)
        for set in sets {
            set.forEach { member in
                _ = result.insert(member)
                return true
            }
        }
        return result.members
    }

    /// Asks the other sets for each member of the first, or strikes out the others' members, whichever looks at fewer.
    private static func difference(_ operands: [SetView?]) -> MemberList {
        var result = MemberList()
        guard let first = operands.first ?? nil else { return result }
        // The largest first: it is the likeliest to have the member.
        let others = operands.dropFirst().compactMap { $0 }.sorted { $0.count > $1.count }
        let total = others.reduce(first.count) { $0 + $1.count }
        if first.count.multipliedReportingOverflow(by: others.count).partialValue / 2 <= total {
            let copy = OutputBuffer(capacity: 64)
            first.forEach { borrowed in
                let member = copy.replace(with: borrowed)
                for other in others where other.contains(member) { return true }
                result.append(member)
                return true
            }
            return result
        }
        var table = MemberTable(expecting: first.count)
        first.forEach { member in
            _ = table.insert(member)
            return true
        }
        var struckOut = [Bool](repeating: false, count: table.count)
        for other in others {
            other.forEach { member in
                if let index = table.index(of: member) { struckOut[index] = true }
                return true
            }
        }
        for index in 0..<table.count where !struckOut[index] { result.append(table.members[index]) }
        return result
    }

    private static func write(_ members: MemberList, _ reply: ReplyWriter) {
        reply.set(members.count)
        for i in 0..<members.count { reply.bulk(members[i]) }
    }

    /// The destination may be one of the operands: `members` are copies.
    private static func store(_ members: MemberList, _ c: WriteContext, _ event: StaticString) {
        if members.isEmpty {
            c.storeNothing(c.args[1])
        } else {
            let set = c.db.replaceWithNewSet(c.args[1])
            for i in 0..<members.count { set.insert(members[i]) }
            c.changed(c.args[1], .set, event)
            c.count(as: 1)
        }
        c.reply.integer(members.count)
    }
}
