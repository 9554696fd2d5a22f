import Storage

enum SetCommands {
    static var table: [Command] {
        CommandGroup.set.rows([
            .write(
                "sadd", -3, [.denyoom, .fast], [.key(.rwInsert)], "1.0.0", "key member...",
                "Adds members to a set and counts the new ones.", sadd
            ).complexity("O(N) for N members").history(("2.4.0", "Accepts several members.")),
            .write(
                "srem", -3, [.fast, .frees], [.key(.rwDelete)], "1.0.0", "key member...",
                "Removes members of a set; the last one removes the set.", srem
            ).complexity("O(N) for N members").history(("2.4.0", "Accepts several members.")),
            .read(
                "sismember", 3, .fast, [.key(.ro)], "1.0.0", "key member", "Tells whether a set has a member.",
                sismember),
            .read(
                "smismember", -3, .fast, [.key(.roAccess)], "6.2.0", "key member...",
                "Tells which of several members a set has.", smismember
            ).complexity("O(N) for N members"),
            .read("smembers", 2, [], [.key(.roAccess)], "1.0.0", "key", "Returns all members of a set.", smembers)
                .complexity("O(N) for a set of N members").tips("nondeterministic_output_order"),
            .read("scard", 2, .fast, [.key(.ro)], "1.0.0", "key", "Returns the number of members of a set.", scard),
            .write(
                "spop", -2, .fast, [.key(.rwAccessDelete)], "1.0.0", "key [count:i@3.2.0]",
                "Removes and returns random members of a set.", spop
            ).complexity("O(N) for N members returned").tips("nondeterministic_output").history(
                ("3.2.0", "Accepts a count.")),
            .read(
                "srandmember", -2, [], [.key(.roAccess)], "1.0.0", "key [count:i@2.6.0]",
                "Returns random members of a set.", srandmember
            ).complexity("O(N) for N members returned").tips("nondeterministic_output").history(
                ("2.6.0", "Accepts a count.")),
            .write(
                "smove", 4, .fast, [.key(.rwAccessDelete), .key(.rwInsert, at: 2)], "1.0.0",
                "source destination member", "Moves a member from one set to another.", smove),
            .read(
                "sscan", -3, [], [.key(.roAccess)], "2.8.0", "key cursor:i [MATCH pattern:p] [COUNT count:i]",
                "Iterates over the members of a set.", sscan
            ).complexity("O(1) a call, O(N) for a whole pass").tips("nondeterministic_output"),
        ])
    }

    // MARK: - Writing

    private static func sadd(_ c: WriteContext) throws(CommandError) {
        guard let set = try c.editSet(c.args[1], create: true) else { return }
        var added = 0
        for i in 2..<c.args.count where set.insert(c.args[i]) { added += 1 }
        if added > 0 { c.changed(c.args[1], .set, "sadd") }
        c.reply.integer(added)
    }

    private static func srem(_ c: WriteContext) throws(CommandError) {
        guard let set = try c.editSet(c.args[1], create: false) else { return c.reply.integer(0) }
        var removed = 0
        for i in 2..<c.args.count where set.remove(c.args[i]) {
            removed += 1
            if set.view.count == 0 { break }
        }
        if removed > 0 { c.changed(c.args[1], .set, "srem") }
        c.removeIfEmpty(set.entry)
        c.reply.integer(removed)
    }

    private static func smove(_ c: WriteContext) throws(CommandError) {
        let (source, destination, member) = (c.args[1], c.args[2], c.args[3])
        guard let from = try c.editSet(source, create: false) else { return c.reply.integer(0) }
        // A destination of another type is refused before anything is removed.
        _ = try c.set(destination)
        if source == destination { return c.reply.integer(from.view.contains(member) ? 1 : 0) }
        guard from.remove(member) else { return c.reply.integer(0) }
        c.changed(source, .set, "srem")
        c.removeIfEmpty(from.entry)
        if try c.editSet(destination, create: true)?.insert(member) == true { c.changed(destination, .set, "sadd") }
        c.reply.integer(1)
    }

    /// The choice is random, so what is logged is which members went.
    private static func spop(_ c: WriteContext) throws(CommandError) {
        if c.args.count > 3 { throw .syntax }
        if c.args.count == 3 { return try spopSeveral(c) }
        guard let set = try c.editSet(c.args[1], create: false), set.view.count > 0 else { return c.reply.null() }
        var random = SplitMix64()
        let index = Int.random(in: 0..<set.view.count, using: &random)
        let member = set.view.at(index)
        c.reply.bulk(member)
        c.propagate(Bytes("SREM"), c.args[1], member)
        set.removeAt(index)
        c.changed(c.args[1], .set, "spop")
        c.removeIfEmpty(set.entry)
    }

    private static func spopSeveral(_ c: WriteContext) throws(CommandError) {
        let count = try c.args.nonNegative(2)
        let reply = c.reply
        guard let set = try c.editSet(c.args[1], create: false) else { return reply.set(0) }
        let size = set.view.count
        if count >= size {
            reply.set(size)
            set.view.forEach { member in
                reply.bulk(member)
                return true
            }
            if size > 0 { c.changed(c.args[1], .set, "spop") }
            c.remove(c.args[1])
            c.count(as: size)
            let isLazy = c.settings.lazyServerDelete
            return c.propagate(isLazy ? Bytes("UNLINK") : Bytes("DEL"), c.args[1])
        }
        reply.set(count)
        var random = SplitMix64()
        var left = count
        while left > 0 {
            let batch = min(left, Self.membersInOneSREM)
            var popped = MemberList()
            for _ in 0..<batch {
                let index = Int.random(in: 0..<set.view.count, using: &random)
                popped.append(set.view.at(index))
                set.removeAt(index)
            }
            var command = [Bytes("SREM"), c.args[1]]
            command.reserveCapacity(batch + 2)
            for i in 0..<batch {
                reply.bulk(popped[i])
                command.append(popped[i])
            }
            c.propagate(command)
            left -= batch
        }
        if count > 0 { c.changed(c.args[1], .set, "spop") }
    }
    private static var membersInOneSREM: Int { StructureSizes.size(1024, small: 3) }

    // MARK: - Reading

    private static func sismember(_ c: ReadContext) throws(CommandError) {
        c.reply.integer(try c.set(c.args[1])?.contains(c.args[2]) == true ? 1 : 0)
    }

    private static func smismember(_ c: ReadContext) throws(CommandError) {
        let set = try c.set(c.args[1])
        c.reply.array(c.args.count - 2)
        for i in 2..<c.args.count { c.reply.integer(set?.contains(c.args[i]) == true ? 1 : 0) }
    }

    private static func scard(_ c: ReadContext) throws(CommandError) {
        c.reply.integer(try c.set(c.args[1])?.count ?? 0)
    }

    private static func smembers(_ c: ReadContext) throws(CommandError) {
        guard let set = try c.set(c.args[1]) else { return c.reply.set(0) }
        let reply = c.reply
        reply.set(set.count)
        set.forEach { member in
            reply.bulk(member)
            return true
        }
    }

    private static func srandmember(_ c: ReadContext) throws(CommandError) {
        let request = try RandomRequest(c.args, valuesWord: nil)
        let reply = c.reply
        guard let set = try c.set(c.args[1]), set.count > 0 else {
            return request.count == nil ? reply.null() : reply.array(0)
        }
        guard let count = request.count else {
            var random = SplitMix64()
            return reply.bulk(set.at(Int.random(in: 0..<set.count, using: &random)))
        }
        reply.array(RandomRequest.answerLength(count: count, size: set.count))
        RandomRequest.forEachIndex(count: count, size: set.count) { reply.bulk(set.at($0)) }
    }

    private static func sscan(_ c: ReadContext) throws(CommandError) {
        var scan = try ElementScan(c.args)
        guard let set = try c.set(c.args[1]) else { return scan.write(next: 0, to: c.reply) }
        try scan.readOptions()
        let next = set.scan(cursor: scan.cursor, count: scan.count) { member in
            if scan.accepts(member) { scan.found.append(member) }
        }
        scan.write(next: next, to: c.reply)
    }
}
