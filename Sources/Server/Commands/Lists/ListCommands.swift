import Storage

/// Lists: one key, and what never waits.
enum ListCommands {
    static var table: [Command] {
        CommandGroup.list.rows([
            .write(
                "lpush", -3, [.denyoom, .fast], [.key(.rwInsert)], "1.0.0", "key element...",
                "Prepends elements to a list; a missing list is created.",
                { c throws(CommandError) in try push(c, .head, create: true) }
            ).complexity("O(N) for N elements").history(("2.4.0", "Accepts several elements.")),
            .write(
                "rpush", -3, [.denyoom, .fast], [.key(.rwInsert)], "1.0.0", "key element...",
                "Appends elements to a list; a missing list is created.",
                { c throws(CommandError) in try push(c, .tail, create: true) }
            ).complexity("O(N) for N elements").history(("2.4.0", "Accepts several elements.")),
            .write(
                "lpushx", -3, [.denyoom, .fast], [.key(.rwInsert)], "2.2.0", "key element...",
                "Prepends elements to a list that exists.",
                { c throws(CommandError) in try push(c, .head, create: false) }
            ).complexity("O(N) for N elements").history(("4.0.0", "Accepts several elements.")),
            .write(
                "rpushx", -3, [.denyoom, .fast], [.key(.rwInsert)], "2.2.0", "key element...",
                "Appends elements to a list that exists.",
                { c throws(CommandError) in try push(c, .tail, create: false) }
            ).complexity("O(N) for N elements").history(("4.0.0", "Accepts several elements.")),
            .write(
                "lpop", -2, .fast, [.key(.rwAccessDelete)], "1.0.0", "key [count:i@6.2.0]",
                "Removes and returns elements at the head of a list.",
                { c throws(CommandError) in try pop(c, .head, "lpop") }
            ).complexity("O(N) for N elements").history(("6.2.0", "Accepts a count.")),
            .write(
                "rpop", -2, .fast, [.key(.rwAccessDelete)], "1.0.0", "key [count:i@6.2.0]",
                "Removes and returns elements at the tail of a list.",
                { c throws(CommandError) in try pop(c, .tail, "rpop") }
            ).complexity("O(N) for N elements").history(("6.2.0", "Accepts a count.")),
            .read("llen", 2, .fast, [.key(.ro)], "1.0.0", "key", "Returns the length of a list.", llen),
            .read(
                "lrange", 4, [], [.key(.roAccess)], "1.0.0", "key start:i stop:i",
                "Returns a range of elements of a list.", lrange
            ).complexity("O(S+N), S from the nearer end to the start, N elements returned"),
            .read(
                "lindex", 3, [], [.key(.roAccess)], "1.0.0", "key index:i",
                "Returns the element at an index of a list.", lindex
            ).complexity("O(N) for N elements to the nearer end"),
            .write(
                "lset", 4, .denyoom, [.key(.rwUpdate)], "1.0.0", "key index:i element",
                "Replaces the element at an index of a list.", lset
            ).complexity("O(N) for N elements to the nearer end"),
            .write(
                "linsert", 5, .denyoom, [.key(.rwInsert)], "2.2.0", "key where(BEFORE|AFTER) pivot element",
                "Inserts an element before or after another one.", linsert
            ).complexity("O(N) for N elements before the pivot"),
            .write(
                "lrem", 4, .frees, [.key(.rwDelete)], "1.0.0", "key count:i element",
                "Removes elements of a list that equal a value.", lrem
            ).complexity("O(N+M), M removed of N"),
            .write(
                "ltrim", 4, .frees, [.key(.rwDelete)], "1.0.0", "key start:i stop:i",
                "Removes all elements of a list but a range.", ltrim
            ).complexity("O(N) for N elements removed"),
            .read(
                "lpos", -3, [], [.key(.roAccess)], "6.0.6",
                "key element [RANK rank:i] [COUNT num-matches:i] [MAXLEN len:i]",
                "Finds the indexes of elements that equal a value.", lpos
            ).complexity("O(N) for N elements compared"),
        ])
    }

    // MARK: - The ends

    private static func push(_ c: WriteContext, _ end: ListEnd, create: Bool) throws(CommandError) {
        guard let list = try c.editList(c.args[1], create: create) else { return c.reply.integer(0) }
        for i in 2..<c.args.count { list.push(c.args[i], end) }
        c.changed(c.args[1], .list, end.pushEvent)
        c.reply.integer(Int64(list.view.count))
    }

    private static func pop(_ c: WriteContext, _ end: ListEnd, _ name: String) throws(CommandError) {
        if c.args.count > 3 { throw .wrongArity(name) }
        let wanted = c.args.count == 3 ? try c.args.nonNegative(2) : nil
        guard let list = try c.editList(c.args[1], create: false), list.view.count > 0 else {
            return wanted == nil ? c.reply.null() : c.reply.nullArray()
        }
        guard let wanted else {
            list.pop(end, c.reply.bulk)
            c.changed(c.args[1], .list, end.popEvent)
            return c.removeIfEmpty(list.entry)
        }
        let count = min(wanted, list.view.count)
        c.reply.array(count)
        take(c, list, end, count)
    }

    /// Answers the `count` elements at an end, the outermost first, and removes them.
    static func take(_ c: WriteContext, _ list: ListEditor, _ end: ListEnd, _ count: Int) {
        if count == 0 { return }
        let size = list.view.count
        let reply = c.reply
        list.view.forEach(from: end == .head ? 0 : size - 1, count: count, reverse: end == .tail) { element in
            reply.bulk(element)
            return true
        }
        list.remove(at: end == .head ? 0..<count : size - count..<size)
        c.changed(list.entry.key, .list, end.popEvent)
        c.removeIfEmpty(list.entry)
    }

    // MARK: - Reading

    private static func llen(_ c: ReadContext) throws(CommandError) {
        c.reply.integer(Int64(try c.list(c.args[1])?.count ?? 0))
    }

    private static func lrange(_ c: ReadContext) throws(CommandError) {
        let start = try c.args.integer(2)
        let end = try c.args.integer(3)
        guard let list = try c.list(c.args[1]) else { return c.reply.array(0) }
        let range = elements(start, end, count: list.count)
        let reply = c.reply
        reply.array(range.count)
        if range.isEmpty { return }
        list.forEach(from: range.lowerBound, count: range.count, reverse: false) { element in
            reply.bulk(element)
            return true
        }
    }

    /// As `indexRange`, but an end before the head leaves nothing, where strings would keep their first byte.
    private static func elements(_ start: Int64, _ end: Int64, count: Int) -> Range<Int> {
        end < 0 && Int64(count) &+ end < 0 ? 0..<0 : indexRange(start, end, count: count)
    }

    /// An index from the head, or counted from the tail where negative; nil outside the list.
    private static func position(_ index: Int64, count: Int) -> Int? {
        let index = index < 0 ? index &+ Int64(count) : index
        return index >= 0 && index < Int64(count) ? Int(index) : nil
    }

    private static func lindex(_ c: ReadContext) throws(CommandError) {
        guard let list = try c.list(c.args[1]) else { return c.reply.null() }
        if let index = position(try c.args.integer(2), count: list.count) {
            c.reply.bulk(list[index])
        } else {
            c.reply.null()
        }
    }

    // MARK: - The middle

    private static func lset(_ c: WriteContext) throws(CommandError) {
        guard let list = try c.editList(c.args[1], create: false) else { throw .noSuchKey }
        guard let index = position(try c.args.integer(2), count: list.view.count) else {
            throw .indexOutOfRange
        }
        list.set(index, c.args[3])
        c.changed(c.args[1], .list, "lset")
        c.reply.ok()
    }

    private static func linsert(_ c: WriteContext) throws(CommandError) {
        let after = c.args[2].equals(ignoringCase: "after")
        if !after && !c.args[2].equals(ignoringCase: "before") { throw .syntax }
        guard let list = try c.editList(c.args[1], create: false) else { return c.reply.integer(0) }
        let pivot = c.args[3]
        let count = list.view.count
        var index = 0
        list.view.forEach(from: 0, count: count, reverse: false) { element in
            if element == pivot { return false }
            index += 1
            return true
        }
        if index == count { return c.reply.integer(-1) }
        list.insert(c.args[4], at: after ? index + 1 : index)
        c.changed(c.args[1], .list, "linsert")
        c.reply.integer(Int64(list.view.count))
    }

    private static func lrem(_ c: WriteContext) throws(CommandError) {
        let limit = try c.args.integer(2)
        guard let list = try c.editList(c.args[1], create: false) else { return c.reply.integer(0) }
        let magnitude = Int(clamping: limit.magnitude)
        let removed = list.removeAll(equal: c.args[3], limit: magnitude, fromTail: limit < 0)
        if removed > 0 { c.changed(c.args[1], .list, "lrem") }
        c.removeIfEmpty(list.entry)
        c.reply.integer(Int64(removed))
    }

    private static func ltrim(_ c: WriteContext) throws(CommandError) {
        let start = try c.args.integer(2)
        let end = try c.args.integer(3)
        guard let list = try c.editList(c.args[1], create: false) else { return c.reply.ok() }
        let count = list.view.count
        let kept = elements(start, end, count: count)
        c.changed(c.args[1], .list, "ltrim")
        if kept.isEmpty {
            c.remove(c.args[1])
            c.count(as: count)
        } else {
            list.trim(to: kept)
        }
        c.reply.ok()
    }

    // MARK: - Searching

    private struct PositionOptions {
        var rank: Int64 = 1
        var count: Int64?
        var limit: Int64 = 0

        init(_ args: Arguments) throws(CommandError) {
            var i = 3
            while i < args.count {
                guard i + 1 < args.count else { throw .syntax }
                if args[i].equals(ignoringCase: "rank") {
                    // The lowest one has no magnitude.
                    rank = try args.integer(i + 1, in: Int64.min + 1...Int64.max)
                    if rank == 0 {
                        throw CommandError(
                            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or "
                                + "use negative to start from the end of the list")
                    }
                } else if args[i].equals(ignoringCase: "count") {
                    guard let number = args[i + 1].integer, number >= 0 else {
                        throw CommandError("ERR COUNT can't be negative")
                    }
                    count = number
                } else if args[i].equals(ignoringCase: "maxlen") {
                    guard let number = args[i + 1].integer, number >= 0 else {
                        throw CommandError("ERR MAXLEN can't be negative")
                    }
                    limit = number
                } else {
                    throw .syntax
                }
                i += 2
            }
        }
    }

    private static func lpos(_ c: ReadContext) throws(CommandError) {
        let options = try PositionOptions(c.args)
        let list = try c.list(c.args[1])
        let size = list?.count ?? 0
        let reverse = options.rank < 0
        var skipped = options.rank.magnitude - 1
        var found: [Int] = []
        let wanted = options.count.map { $0 == 0 ? .max : $0 } ?? 1
        let compared = options.limit == 0 ? size : Int(min(options.limit, Int64(size)))
        let value = c.args[2]
        var index = reverse ? size - 1 : 0
        list?.forEach(from: index, count: compared, reverse: reverse) { element in
            if element == value {
                if skipped > 0 { skipped -= 1 } else { found.append(index) }
            }
            index += reverse ? -1 : 1
            return found.count < wanted
        }
        if options.count == nil {
            if let first = found.first { c.reply.integer(Int64(first)) } else { c.reply.null() }
            return
        }
        c.reply.array(found.count)
        for index in found { c.reply.integer(Int64(index)) }
    }
}

extension ListEnd {
    var pushEvent: StaticString { self == .head ? "lpush" : "rpush" }
    var popEvent: StaticString { self == .head ? "lpop" : "rpop" }
}
