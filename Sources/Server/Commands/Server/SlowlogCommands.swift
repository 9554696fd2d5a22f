import Storage

/// SLOWLOG.
enum SlowlogCommands {
    static var row: Command {
        .container(
            "slowlog", "2.2.12", "Manages the log of slow commands.", [.loading, .stale],
            [
                .admin(
                    "get", -2, [], "2.2.12", "[count:i]",
                    "Returns the newest entries of the log: 10 unless given, all with -1.", get
                ).complexity("O(N) for N entries returned").tips("request_policy:all_nodes nondeterministic_output")
                    .history(("4.0.0", "Returns the address and the name of the client.")),
                .admin("len", 2, [], "2.2.12", "", "Returns the number of entries of the log.", length).tips(
                    "request_policy:all_nodes response_policy:agg_sum nondeterministic_output"),
                .admin("reset", 2, [], "2.2.12", "", "Removes all entries of the log.", reset).complexity(
                    "O(N) for N entries"
                ).tips("request_policy:all_nodes response_policy:all_succeeded"),
                .help("6.2.0"),
            ])
    }

    private static func get(_ c: AdminContext) throws(CommandError) {
        guard c.args.count <= 3 else {
            throw .subcommandSyntax(c.args)
        }
        var wanted = 10
        if c.args.count == 3 {
            guard let count = c.args[2].integer, count >= -1 else {
                throw CommandError("ERR count should be greater than or equal to -1")
            }
            wanted = count == -1 ? Int.max : Int(count)
        }
        let entries = c.services.slowlog.newest(wanted)
        c.reply.array(entries.count)
        for entry in entries {
            c.reply.array(6)
            c.reply.integer(entry.id)
            c.reply.integer(entry.time)
            c.reply.integer(entry.microseconds)
            c.reply.array(entry.arguments.count)
            for argument in entry.arguments { c.reply.bulk(array: argument) }
            c.reply.bulk(entry.address)
            c.reply.bulk(entry.client)
        }
    }

    private static func length(_ c: AdminContext) throws(CommandError) {
        c.reply.integer(c.services.slowlog.count)
    }

    private static func reset(_ c: AdminContext) throws(CommandError) {
        c.services.slowlog.removeAll()
        c.reply.ok()
    }
}
