import Storage

/// Lists: from one to another, from the first of several that has any, and the commands that wait for an element. Those
/// do at first what the others do, and the same again for the key that has got something; the log has what they did as
/// the command that does not wait.
enum ListMoveCommands {
    static var table: [Command] {
        CommandGroup.list.rows([
            .write(
                "lmove", 5, .denyoom, [.key(.rwAccessDelete), .key(.rwInsert, at: 2)], "6.2.0",
                "source destination wherefrom(LEFT|RIGHT) whereto(LEFT|RIGHT)",
                "Moves an element from an end of one list to an end of another.", lmove),
            .write(
                "rpoplpush", 3, .denyoom, [.key(.rwAccessDelete), .key(.rwInsert, at: 2)], "1.2.0",
                "source destination", "Moves an element from the tail of one list to the head of another.", rpoplpush
            ).deprecated("6.2.0", "`LMOVE` with `RIGHT` and `LEFT`"),
            .write(
                "lmpop", -4, [], [.counted(.rwAccessDelete)], "7.0.0",
                "numkeys:i key... where(LEFT|RIGHT) [COUNT count:i]",
                "Removes and returns elements of the first list that is not empty.", lmpop
            ).complexity("O(N+M) for N keys and M elements"),
            .write(
                "blpop", -3, [.noscript, .callableByScripts, .blocking], [.keys(.rwAccessDelete, through: -2)], "2.0.0",
                "key... timeout:d",
                "Removes and returns the head of the first list that is not empty; waits for one.",
                { c throws(CommandError) in try blockingPop(c, .head) }
            ).complexity("O(N) for N keys").history(("6.0.0", "Accepts fractions of seconds.")),
            .write(
                "brpop", -3, [.noscript, .callableByScripts, .blocking], [.keys(.rwAccessDelete, through: -2)], "2.0.0",
                "key... timeout:d",
                "Removes and returns the tail of the first list that is not empty; waits for one.",
                { c throws(CommandError) in try blockingPop(c, .tail) }
            ).complexity("O(N) for N keys").history(("6.0.0", "Accepts fractions of seconds.")),
            .write(
                "blmove", 6, [.denyoom, .noscript, .callableByScripts, .blocking],
                [.key(.rwAccessDelete), .key(.rwInsert, at: 2)], "6.2.0",
                "source destination wherefrom(LEFT|RIGHT) whereto(LEFT|RIGHT) timeout:d",
                "Moves an element from one list to another; waits for one.", blmove),
            .write(
                "brpoplpush", 4, [.denyoom, .noscript, .callableByScripts, .blocking],
                [.key(.rwAccessDelete), .key(.rwInsert, at: 2)],
                "2.2.0", "source destination timeout:d",
                "Moves an element from the tail of one list to the head of another; waits for one.", brpoplpush
            ).history(("6.0.0", "Accepts fractions of seconds.")).deprecated(
                "6.2.0", "`BLMOVE` with `RIGHT` and `LEFT`"),
            .write(
                "blmpop", -5, .blocking, [.counted(.rwAccessDelete, at: 2)], "7.0.0",
                "timeout:d numkeys:i key... where(LEFT|RIGHT) [COUNT count:i]",
                "Removes and returns elements of the first list that is not empty; waits for some.", blmpop
            ).complexity("O(N+M) for N keys and M elements"),
        ])
    }

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
        let timeout = try c.args.timeout(5)
        try moveOrWait(c, timeout) { c throws(CommandError) in
            if try !move(c, from, to) { return false }
            c.propagate(Bytes("LMOVE"), c.args[1], c.args[2], c.args[3], c.args[4])
            return true
        }
    }

    private static func brpoplpush(_ c: WriteContext) throws(CommandError) {
        let timeout = try c.args.timeout(3)
        try moveOrWait(c, timeout) { c throws(CommandError) in
            if try !move(c, .tail, .head) { return false }
            c.propagate(Bytes("RPOPLPUSH"), c.args[1], c.args[2])
            return true
        }
    }

    private static func moveOrWait(
        _ c: WriteContext, _ timeout: Int64, _ move: @escaping (WriteContext) throws(CommandError) -> Bool
    ) throws(CommandError) {
        if try move(c) { return }
        c.wait(
            for: 1..<2, orAnswer: .null,
            Wait(timeout: timeout, attempt: .write { c, _ throws(CommandError) in try move(c) }))
    }

    /// Moves an element from the first key to the second and answers it; false where there is none.
    private static func move(_ c: WriteContext, _ from: ListEnd, _ to: ListEnd) throws(CommandError) -> Bool {
        guard let source = try c.editList(c.args[1], create: false), source.view.count > 0 else { return false }
        let isSameKey = c.args[1] == c.args[2]
        guard let target = isSameKey ? source : try c.editList(c.args[2], create: true) else { return false }
        withCopy(source.view[from == .head ? 0 : source.view.count - 1]) { element in
            c.reply.bulk(element)
            source.pop(from) { _ in }
            target.push(element, to)
        }
        c.changed(c.args[2], .list, to.pushEvent)
        c.changed(c.args[1], .list, from.popEvent)
        if !isSameKey { c.removeIfEmpty(source.entry) }
        c.count(as: 1)
        return true
    }

    // MARK: - The first list that has any

    private static func blockingPop(_ c: WriteContext, _ end: ListEnd) throws(CommandError) {
        let timeout = try c.args.timeout(c.args.count - 1)
        let keys = 1..<c.args.count - 1
        for i in keys { if try popOne(c, c.args[i], end) { return } }
        c.wait(
            for: keys,
            Wait(timeout: timeout, attempt: .write { c, key throws(CommandError) in try popOne(c, key, end) }))
    }

    /// False where there is nothing.
    private static func popOne(_ c: WriteContext, _ key: Bytes, _ end: ListEnd) throws(CommandError) -> Bool {
        guard let list = try c.editList(key, create: false), list.view.count > 0 else { return false }
        c.reply.array(2)
        c.reply.bulk(key)
        ListCommands.take(c, list, end, 1)
        c.propagate(end == .head ? Bytes("LPOP") : Bytes("RPOP"), key)
        return true
    }

    private static func lmpop(_ c: WriteContext) throws(CommandError) {
        let request = try PopRequest(c.args, 1)
        for i in request.keys { if try popSeveral(c, c.args[i], request) { return } }
        c.reply.nullArray()
    }

    private static func blmpop(_ c: WriteContext) throws(CommandError) {
        let request = try PopRequest(c.args, 2)
        let timeout = try c.args.timeout(1)
        for i in request.keys { if try popSeveral(c, c.args[i], request) { return } }
        c.wait(
            for: request.keys,
            Wait(timeout: timeout, attempt: .write { c, key throws(CommandError) in try popSeveral(c, key, request) }))
    }

    /// "numkeys key … LEFT|RIGHT [COUNT count]"
    private struct PopRequest {
        let keys: Range<Int>
        let end: ListEnd
        let count: Int64

        /// `first`: the index of `numkeys`.
        init(_ args: Arguments, _ first: Int) throws(CommandError) {
            guard let number = args[first].integer, number > 0 else {
                throw CommandError("ERR numkeys should be greater than 0")
            }
            guard number < Int64(args.count - first - 1) else { throw .syntax }
            keys = first + 1..<first + 1 + Int(number)
            end = try ListMoveCommands.end(args[keys.upperBound])
            var wanted: Int64?
            var i = keys.upperBound + 1
            while i < args.count {
                guard wanted == nil, args[i].equals(ignoringCase: "count"), i + 1 < args.count else { throw .syntax }
                guard let number = args[i + 1].integer, number > 0 else {
                    throw CommandError("ERR count should be greater than 0")
                }
                wanted = number
                i += 2
            }
            count = wanted ?? 1
        }
    }

    /// False where there is nothing.
    private static func popSeveral(
        _ c: WriteContext, _ key: Bytes, _ request: PopRequest
    ) throws(CommandError) -> Bool {
        guard let list = try c.editList(key, create: false), list.view.count > 0 else { return false }
        let count = Int(min(request.count, Int64(list.view.count)))
        c.reply.array(2)
        c.reply.bulk(key)
        c.reply.array(count)
        ListCommands.take(c, list, request.end, count)
        withDecimal(Int64(count)) { c.propagate(request.end == .head ? Bytes("LPOP") : Bytes("RPOP"), key, $0) }
        return true
    }
}
