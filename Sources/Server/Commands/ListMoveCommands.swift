import Storage

/// Lists: from one to another, from the first of several that has any, and the names that wait for an element.
///
/// Waiting itself is still to come: one of these that finds nothing answers as if its timeout had passed, which is
/// what it has to do within MULTI and in scripts anyway.
enum ListMoveCommands {
    static let table: [Command] = [
        Command(
            "lmove", arity: 5, flags: [.denyoom], keys: .range(1, 2, 1), group: .list, since: "6.2.0",
            complexity: "O(1)", summary: "Moves an element from an end of one list to an end of another.",
            .write(lmove)),
        Command(
            "rpoplpush", arity: 3, flags: [.denyoom], keys: .range(1, 2, 1), group: .list, since: "1.2.0",
            complexity: "O(1)", summary: "Moves an element from the tail of one list to the head of another.",
            .write(rpoplpush)),
        Command(
            "lmpop", arity: -4, keys: .numkeys(at: 1), group: .list, since: "7.0.0",
            complexity: "O(N+M) for N keys and M elements",
            summary: "Takes elements from the first list that has any.", .write(lmpop)),
        Command(
            "blpop", arity: -3, flags: [.noscript, .blocking], keys: .range(1, -2, 1), group: .list, since: "2.0.0",
            complexity: "O(N) for N keys",
            summary: "Takes the head of the first list that has any element, or waits for one.",
            .write { c throws(CommandError) in try blockingPop(c, .head) }),
        Command(
            "brpop", arity: -3, flags: [.noscript, .blocking], keys: .range(1, -2, 1), group: .list, since: "2.0.0",
            complexity: "O(N) for N keys",
            summary: "Takes the tail of the first list that has any element, or waits for one.",
            .write { c throws(CommandError) in try blockingPop(c, .tail) }),
        Command(
            "blmove", arity: 6, flags: [.denyoom, .noscript, .blocking], keys: .range(1, 2, 1), group: .list,
            since: "6.2.0", complexity: "O(1)", summary: "Moves an element between lists, or waits for one.",
            .write(blmove)),
        Command(
            "brpoplpush", arity: 4, flags: [.denyoom, .noscript, .blocking], keys: .range(1, 2, 1), group: .list,
            since: "2.2.0", complexity: "O(1)",
            summary: "Moves an element from a tail to a head, or waits for one.", .write(brpoplpush)),
        Command(
            "blmpop", arity: -5, flags: [.blocking], keys: .numkeys(at: 2), group: .list, since: "7.0.0",
            complexity: "O(N+M) for N keys and M elements",
            summary: "Takes elements from the first list that has any, or waits for some.", .write(blmpop)),
    ]

    /// LEFT or RIGHT.
    private static func end(_ text: Bytes) throws(CommandError) -> ListEnd {
        if text.equals(ignoringCase: "left") { return .head }
        if text.equals(ignoringCase: "right") { return .tail }
        throw .syntax
    }

    // MARK: - Moving

    private static func lmove(_ c: WriteContext) throws(CommandError) {
        let from = try end(c.args[3])
        let to = try end(c.args[4])
        if try !move(c, from, to) { c.reply.null() }
    }

    private static func rpoplpush(_ c: WriteContext) throws(CommandError) {
        if try !move(c, .tail, .head) { c.reply.null() }
    }

    private static func blmove(_ c: WriteContext) throws(CommandError) {
        let from = try end(c.args[3])
        let to = try end(c.args[4])
        _ = try c.args.timeout(5)
        if try !move(c, from, to) { return c.reply.null() }
        c.propagate(Bytes("LMOVE"), c.args[1], c.args[2], c.args[3], c.args[4])
    }

    private static func brpoplpush(_ c: WriteContext) throws(CommandError) {
        _ = try c.args.timeout(3)
        if try !move(c, .tail, .head) { return c.reply.null() }
        c.propagate(Bytes("RPOPLPUSH"), c.args[1], c.args[2])
    }

    /// Moves an element from the first key to the second and answers it; false where there is none.
    private static func move(_ c: WriteContext, _ from: ListEnd, _ to: ListEnd) throws(CommandError) -> Bool {
        guard let source = try c.editList(c.args[1], create: false), source.view.count > 0 else { return false }
        let before = c.server.keyspace.changes
        defer { c.server.keyspace.countAsOne(since: before) }
        let isSameKey = c.args[1] == c.args[2]
        guard let target = isSameKey ? source : try c.editList(c.args[2], create: true) else { return false }
        withCopy(source.view[from == .head ? 0 : source.view.count - 1]) { element in
            c.reply.bulk(element)
            if from == .head { source.removeFirst() } else { source.removeLast() }
            target.push(element, to)
        }
        if !isSameKey { c.db.removeIfEmpty(source.entry) }
        return true
    }

    // MARK: - The first list that has any

    private static func blockingPop(_ c: WriteContext, _ end: ListEnd) throws(CommandError) {
        _ = try c.args.timeout(c.args.count - 1)
        for i in 1..<c.args.count - 1 {
            guard let list = try c.editList(c.args[i], create: false), list.view.count > 0 else { continue }
            c.reply.array(2)
            c.reply.bulk(c.args[i])
            ListCommands.take(c, list, end, 1)
            return c.propagate(end == .head ? Bytes("LPOP") : Bytes("RPOP"), c.args[i])
        }
        c.reply.nullArray()
    }

    private static func lmpop(_ c: WriteContext) throws(CommandError) { try popSeveral(c, at: 1, timeout: nil) }
    private static func blmpop(_ c: WriteContext) throws(CommandError) { try popSeveral(c, at: 2, timeout: 1) }

    /// "numkeys key … LEFT|RIGHT [COUNT count]" from the argument at `index` on.
    private static func popSeveral(_ c: WriteContext, at index: Int, timeout: Int?) throws(CommandError) {
        guard let number = c.args[index].integer, number > 0 else {
            throw CommandError("ERR numkeys should be greater than 0")
        }
        guard number < Int64(c.args.count - index - 1) else { throw .syntax }
        let keys = index + 1..<index + 1 + Int(number)
        let end = try end(c.args[keys.upperBound])
        var wanted: Int64?
        var i = keys.upperBound + 1
        while i < c.args.count {
            guard wanted == nil, c.args[i].equals(ignoringCase: "count"), i + 1 < c.args.count else { throw .syntax }
            guard let number = c.args[i + 1].integer, number > 0 else {
                throw CommandError("ERR count should be greater than 0")
            }
            wanted = number
            i += 2
        }
        if let timeout { _ = try c.args.timeout(timeout) }
        for i in keys {
            guard let list = try c.editList(c.args[i], create: false), list.view.count > 0 else { continue }
            let count = Int(min(wanted ?? 1, Int64(list.view.count)))
            c.reply.array(2)
            c.reply.bulk(c.args[i])
            c.reply.array(count)
            ListCommands.take(c, list, end, count)
            withDecimal(Int64(count)) {
                c.propagate(end == .head ? Bytes("LPOP") : Bytes("RPOP"), c.args[i], $0)
            }
            return
        }
        c.reply.nullArray()
    }
}
