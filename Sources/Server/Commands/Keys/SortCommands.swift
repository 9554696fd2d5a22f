import Storage

/// SORT: the elements of a list, set or sorted set in order.
enum SortCommands {
    static var table: [Command] {
        CommandGroup.generic.rows([
            .write(
                "sort", -2, .denyoom,
                [
                    .key(.roAccess),
                    .unknown(.roAccess, note: "`BY` and `GET` make the names of keys from the elements."),
                    .unknown(.owUpdate, note: "`STORE` may stand anywhere."),
                ], "1.0.0",
                """
                key [BY pattern:p1] [LIMIT offset_count{offset:i count:i}] [GET pattern:p1....] \
                [order(ASC|DESC)] [ALPHA=sorting] [STORE destination:k2]
                """, "Sorts the elements of a list, a set or a sorted set, and returns or stores them.", sort
            ).complexity("O(N+M*log(M)) for N elements, M returned").categories(
                [.set, .sortedset, .list, .dangerous], only: true
            ).findingKeys(sortKeys),
            .read(
                "sort_ro", -2, [],
                [
                    .key(.roAccess),
                    .unknown(.roAccess, note: "`BY` and `GET` make the names of keys from the elements."),
                ], "7.0.0",
                """
                key [BY pattern:p1] [LIMIT offset_count{offset:i count:i}] [GET pattern:p1....] \
                [order(ASC|DESC)] [ALPHA=sorting]
                """, "Sorts the elements of a list, a set or a sorted set.", sortReadOnly
            ).complexity("O(N+M*log(M)) for N elements, M returned").categories(
                [.set, .sortedset, .list, .dangerous], only: true),
        ])
    }

    /// The key and, where there are several STORE, the last one's: that is the one that counts.
    private static let sortKeys: KeyFinder = { args, body in
        body(1, .roAccess)
        var target: Int?
        var i = 2
        while i < args.count {
            if args[i].equals(ignoringCase: "limit") {
                i += 2
            } else if args[i].equals(ignoringCase: "by") || args[i].equals(ignoringCase: "get") {
                i += 1
            } else if args[i].equals(ignoringCase: "store"), i + 1 < args.count {
                i += 1
                target = i
            }
            i += 1
        }
        if let target { body(target, .owUpdate) }
        return true
    }

    // MARK: - Handlers

    private static func sortReadOnly(_ c: ReadContext) throws(CommandError) {
        let request = try SortRequest(c, allowsStore: false)
        var sorting = try Sorting(request, c.args[1], c.db)
        let rows = try sorting.order(c.db)
        sorting.write(rows, c.db, to: c.reply)
    }

    private static func sort(_ c: WriteContext) throws(CommandError) {
        let request = try SortRequest(c, allowsStore: true)
        var sorting = try Sorting(request, c.args[1], c.reading)
        let rows = try sorting.order(c.reading)
        guard let target = request.target else { return sorting.write(rows, c.reading, to: c.reply) }
        var output = MemberList()
        sorting.forEachValue(rows, c.reading) { output.append($0 ?? Bytes()) }
        c.reply.integer(output.count)
        if output.isEmpty {
            c.storeNothing(target)
            return
        }
        let list = c.db.replaceWithNewList(target)
        for i in 0..<output.count { list.push(output[i], .tail) }
        c.changed(target, .list, "sortstore")
        c.count(as: output.count)
    }
}

/// What SORT was asked to do.
private struct SortRequest {
    private(set) var descending = false
    private(set) var alphabetical = false
    private(set) var offset: Int64 = 0
    /// Negative: all.
    private(set) var limit: Int64 = -1
    private(set) var by: SortPattern?
    /// BY a pattern without "*": every element has the same weight, so they are left as they come.
    private(set) var keepsOrder = false
    private(set) var gets: [SortPattern] = []
    private(set) var target: Bytes?
    let isForScript: Bool

    // Elements name the keys: a user must be allowed to read any.
    private static let deniedBy = CommandError("ERR BY option of SORT denied due to insufficient ACL permissions.")
    private static let deniedGet = CommandError("ERR GET option of SORT denied due to insufficient ACL permissions.")

    init(_ c: some CommandContext, allowsStore: Bool) throws(CommandError) {
        let args = c.args
        isForScript = c.session.flags.contains(.script)
        var i = 2
        while i < args.count {
            let rest = args.count - i - 1
            if args[i].equals(ignoringCase: "asc") {
                descending = false
            } else if args[i].equals(ignoringCase: "desc") {
                descending = true
            } else if args[i].equals(ignoringCase: "alpha") {
                alphabetical = true
            } else if args[i].equals(ignoringCase: "limit"), rest >= 2 {
                offset = try args.integer(i + 1)
                limit = try args.integer(i + 2)
                i += 2
            } else if allowsStore, args[i].equals(ignoringCase: "store"), rest >= 1 {
                target = args[i + 1]
                i += 1
            } else if args[i].equals(ignoringCase: "by"), rest >= 1 {
                by = SortPattern(args[i + 1])
                if case .key = by {
                    if !c.mayReadAnyKey { throw Self.deniedBy }
                } else {
                    keepsOrder = true
                }
                i += 1
            } else if args[i].equals(ignoringCase: "get"), rest >= 1 {
                if !c.mayReadAnyKey { throw Self.deniedGet }
                gets.append(SortPattern(args[i + 1]))
                i += 1
            } else {
                throw .syntax
            }
            i += 1
        }
    }

    /// A set has no order to keep; what is stored, or seen by a script, must not depend on its memory.
    mutating func sortAlphabetically() {
        keepsOrder = false
        alphabetical = true
        by = nil
    }

    /// The rows of `count` that LIMIT leaves.
    func rows(_ count: Int) -> Range<Int> {
        let first = Int(clamping: max(0, offset))
        if first >= count { return 0..<0 }
        return first..<(limit < 0 ? count : first + min(count - first, Int(clamping: limit)))
    }
}

/// A pattern of BY or GET.
private enum SortPattern {
    /// "#": the element.
    case element
    /// The string at the key that the element makes of "prefix*suffix", or a field of the hash there.
    case key(prefix: Bytes, suffix: Bytes, field: Bytes?)
    /// No "*": names no key.
    case constant

    init(_ text: Bytes) {
        if text == Bytes("#") {
            self = .element
            return
        }
        guard let star = text.buffer.firstIndex(of: UInt8(ascii: "*")) else {
            self = .constant
            return
        }
        let prefix = text[0..<star]
        var end = text.count
        var field: Bytes?
        // An arrow with nothing behind it belongs to the key.
        for i in star + 1..<max(star + 1, text.count - 2) where text[i..<i + 2] == Bytes("->") {
            end = i
            field = text[i + 2..<text.count]
            break
        }
        self = .key(prefix: prefix, suffix: text[star + 1..<end], field: field)
    }

    /// What the pattern finds for an element; good until the next look-up. nil: no such key or field, or the key holds
    /// something else.
    func value(of element: Bytes, _ db: ReadDatabase, scratch: OutputBuffer) -> Bytes? {
        switch self {
        case .element: return element
        case .constant: return nil
        case .key(let prefix, let suffix, let field):
            scratch.removeAll()
            scratch.append(prefix)
            scratch.append(element)
            scratch.append(suffix)
            guard let field else { return (try? db.string(scratch.bytes)) ?? nil }
            return (try? db.hash(scratch.bytes))??.get(field)
        }
    }
}

/// The elements of one SORT, copied, since BY and GET look other keys up.
private struct Sorting {
    private struct Row {
        let index: Int
        var score = 0.0
        /// Where its weight is among `weights`, when that is text.
        var weight: Int?
    }

    private var request: SortRequest
    private var elements = MemberList()
    private var weights = MemberList()
    private let scratch = OutputBuffer(capacity: 64)

    /// Takes the elements in. Throws WRONGTYPE for a string or hash.
    init(_ request: SortRequest, _ key: Bytes, _ db: ReadDatabase) throws(CommandError) {
        self.request = request
        guard let entry = db.find(key) else { return }
        do {
            switch entry.type {
            case .list: gather(try db.list(key))
            case .set: gather(try db.set(key))
            case .zset: gather(try db.zset(key))
            case .string, .hash, .stream: throw WrongType()
            }
        } catch {
            throw .wrongType
        }
    }

    private mutating func gather(_ list: ListView?) {
        guard let list else { return }
        let reverse = request.keepsOrder && request.descending
        list.forEach(from: reverse ? list.count - 1 : 0, count: list.count, reverse: reverse) { element in
            elements.append(element)
            return true
        }
    }
    private mutating func gather(_ set: SetView?) {
        if request.keepsOrder && (request.target != nil || request.isForScript) { request.sortAlphabetically() }
        set?.forEach { member in
            elements.append(member)
            return true
        }
    }
    private mutating func gather(_ zset: ZSetView?) {
        guard let zset else { return }
        // Its own order stands in for a weight, so DESC means something even when nothing is sorted.
        let reverse = request.keepsOrder && request.descending
        zset.forEach(rank: reverse ? zset.count - 1 : 0, count: zset.count, reverse: reverse) { member, _ in
            elements.append(member)
            return true
        }
    }

    // MARK: Order

    /// The indexes of the elements to answer, in order. Throws when a weight should be a number and is not.
    mutating func order(_ db: ReadDatabase) throws(CommandError) -> [Int] {
        let wanted = request.rows(elements.count)
        if request.keepsOrder { return Array(wanted) }
        var rows: [Row] = []
        rows.reserveCapacity(elements.count)
        var areNumbers = true
        for i in 0..<elements.count { rows.append(row(i, db, &areNumbers)) }
        if !areNumbers { throw CommandError("ERR One or more scores can't be converted into double") }
        rows.sort(by: isBefore)
        return rows[wanted].map(\.index)
    }

    /// All weights are looked up, also where one of them is no number.
    private mutating func row(_ index: Int, _ db: ReadDatabase, _ areNumbers: inout Bool) -> Row {
        var row = Row(index: index)
        if request.alphabetical && request.by == nil { return row }
        let value = request.by.map { $0.value(of: elements[index], db, scratch: scratch) } ?? elements[index]
        guard let value else { return row }
        if request.alphabetical {
            row.weight = weights.count
            weights.append(value)
        } else if let score = Score.parseWeight(value) {
            row.score = score
        } else {
            areNumbers = false
        }
        return row
    }

    private func isBefore(_ a: Row, _ b: Row) -> Bool {
        let difference = compare(a, b)
        // Equal ones stay as they came, either way.
        return difference == 0 ? a.index < b.index : (difference < 0) != request.descending
    }

    private func compare(_ a: Row, _ b: Row) -> Int {
        if !request.alphabetical {
            if a.score != b.score { return a.score < b.score ? -1 : 1 }
            return elements[a.index].compare(elements[b.index])
        }
        if request.by == nil { return elements[a.index].compare(elements[b.index]) }
        switch (a.weight, b.weight) {
        case (nil, nil): return 0
        case (nil, _): return -1
        case (_, nil): return 1
        case (.some(let a), .some(let b)): return weights[a].compare(weights[b])
        }
    }

    // MARK: Answer

    /// Calls `body` with each value of the reply; nil where GET finds nothing.
    func forEachValue(_ rows: [Int], _ db: ReadDatabase, _ body: (Bytes?) -> Void) {
        for row in rows {
            if request.gets.isEmpty { body(elements[row]) }
            for get in request.gets { body(get.value(of: elements[row], db, scratch: scratch)) }
        }
    }

    func write(_ rows: [Int], _ db: ReadDatabase, to reply: ReplyWriter) {
        reply.array(rows.count * max(1, request.gets.count))
        forEachValue(rows, db) { value in
            if let value { reply.bulk(value) } else { reply.null() }
        }
    }
}
