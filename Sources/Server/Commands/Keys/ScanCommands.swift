import Storage

/// All keys, at once or step by step.
enum ScanCommands {
    static var table: [Command] {
        CommandGroup.generic.rows([
            .read("keys", 2, [], [], "1.0.0", "pattern:p", "Lists the keys that match a pattern.", keys).complexity(
                "O(N) for N keys in the database"
            ).tips("request_policy:all_shards nondeterministic_output_order").categories([.dangerous]),
            .read(
                "scan", -2, [], [], "2.8.0", "cursor:i [MATCH pattern:p] [COUNT count:i] [TYPE type@6.0.0]",
                "Iterates over the keys of the database.", scan
            ).complexity("O(1) a call, O(N) for a whole pass").tips("nondeterministic_output request_policy:special")
                .history(("6.0.0", "Accepts `TYPE`.")),
        ])
    }

    private static func keys(_ c: ReadContext) throws(CommandError) {
        let pattern = c.args[1]
        let reply = c.reply
        let matchesAll = pattern == Bytes("*")
        let mark = reply.deferredArray()
        var count = 0
        c.db.forEach { entry in
            if matchesAll || stringmatch(pattern, entry.key) {
                reply.bulk(entry.key)
                count += 1
            }
            return true
        }
        reply.fill(mark, count)
    }

    private struct Options {
        var count: Int64 = 10
        var pattern: Bytes?
        var type: Bytes?

        init(_ args: Arguments) throws(CommandError) {
            var i = 2
            while i < args.count {
                guard i + 1 < args.count else { throw .syntax }
                if args[i].equals(ignoringCase: "count") {
                    count = try args.integer(i + 1)
                    guard count >= 1 else { throw .syntax }
                } else if args[i].equals(ignoringCase: "match") {
                    pattern = args[i + 1] == Bytes("*") ? nil : args[i + 1]
                } else if args[i].equals(ignoringCase: "type") {
                    type = args[i + 1]
                } else {
                    throw .syntax
                }
                i += 2
            }
        }

        func accepts(_ entry: Entry) -> Bool {
            if let type, !type.equals(ignoringCase: entry.type.name) { return false }
            return pattern.map { stringmatch($0, entry.key) } ?? true
        }
    }

    private static func scan(_ c: ReadContext) throws(CommandError) {
        guard let cursor = ElementScan.cursor(c.args[1]) else { throw .invalidCursor }
        let options = try Options(c.args)
        var found = MemberList()
        let next = c.db.scan(cursor, count: Int(clamping: options.count)) { entry in
            if options.accepts(entry) { found.append(entry.key) }
        }
        c.reply.array(2)
        c.reply.bulk(String(next))
        c.reply.array(found.count)
        for i in 0..<found.count { c.reply.bulk(found[i]) }
    }
}
