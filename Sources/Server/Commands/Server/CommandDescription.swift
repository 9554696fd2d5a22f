import Storage

/// Rows in the shape of COMMAND's replies, as of Redis 7.0.
enum CommandDescription {
    /// The array of ten of COMMAND INFO.
    static func info(_ command: CommandEntry, _ reply: ReplyWriter) {
        let row = command.row
        let keys = row.keys.positions
        reply.array(10)
        reply.bulk(command.fullName)
        reply.integer(row.arity)
        let flags = CommandFlags.names.filter { row.flags.contains($0.0) }
        reply.set(flags.count)
        for (_, name) in flags { reply.simple(name) }
        reply.integer(keys.first)
        reply.integer(keys.last)
        reply.integer(keys.step)
        let categories = Categories.names.filter { row.categories.contains($0.0) }
        reply.set(categories.count)
        for (_, name) in categories {
            reply.output.append("+@")
            reply.output.append(name)
            reply.output.appendLineEnd()
        }
        // Tips for proxies: none are given.
        reply.set(0)
        keySpecs(command, reply)
        let subcommands = command.subcommands?.entries ?? []
        reply.set(subcommands.count)
        for subcommand in subcommands { info(subcommand, reply) }
    }

    /// The map of COMMAND DOCS.
    static func docs(_ command: CommandEntry, _ reply: ReplyWriter) {
        let row = command.row
        let subcommands = command.subcommands?.entries ?? []
        reply.map(subcommands.isEmpty ? 4 : 5)
        for (name, value) in [
            ("summary", row.summary), ("since", row.since), ("group", row.group.name), ("complexity", row.complexity),
        ] as [(StaticString, StaticString)] {
            reply.bulk(Bytes(name))
            reply.bulk(Bytes(value))
        }
        if subcommands.isEmpty { return }
        reply.bulk(Bytes("subcommands"))
        reply.map(subcommands.count)
        for subcommand in subcommands {
            reply.bulk(subcommand.fullName)
            docs(subcommand, reply)
        }
    }

    /// What a command does with a key.
    static func keyFlags(_ command: CommandEntry, isStored: Bool, _ reply: ReplyWriter) {
        let flags: [StaticString] =
            if isStored {
                ["OW", "update"]
            } else if command.flags.contains(.write), !command.row.keys.hasStore {
                ["RW", "access", "update"]
            } else {
                ["RO", "access"]
            }
        reply.set(flags.count)
        for flag in flags { reply.simple(flag) }
    }

    private static func keySpecs(_ command: CommandEntry, _ reply: ReplyWriter) {
        switch command.row.keys {
        case .none:
            reply.set(0)
        case .range(let first, let last, let step):
            reply.set(1)
            range(command, first, last < 0 ? last : last - first, step, isStored: false, reply)
        case .numkeys(let at, let storingAt):
            reply.set(storingAt == nil ? 1 : 2)
            if let storingAt { range(command, storingAt, 0, 1, isStored: true, reply) }
            begin(command, at, isStored: false, reply)
            find("keynum", [("keynumidx", 0), ("firstkey", 1), ("keystep", 1)], reply)
        case .function:
            reply.set(1)
            reply.map(3)
            reply.bulk(Bytes("flags"))
            keyFlags(command, isStored: false, reply)
            reply.bulk(Bytes("begin_search"))
            typed("unknown", reply) { reply.map(0) }
            reply.bulk(Bytes("find_keys"))
            typed("unknown", reply) { reply.map(0) }
        }
    }

    private static func range(
        _ command: CommandEntry, _ first: Int, _ last: Int, _ step: Int, isStored: Bool, _ reply: ReplyWriter
    ) {
        begin(command, first, isStored: isStored, reply)
        find("range", [("lastkey", last), ("keystep", step), ("limit", 0)], reply)
    }

    private static func begin(_ command: CommandEntry, _ index: Int, isStored: Bool, _ reply: ReplyWriter) {
        reply.map(3)
        reply.bulk(Bytes("flags"))
        keyFlags(command, isStored: isStored, reply)
        reply.bulk(Bytes("begin_search"))
        typed("index", reply) {
            reply.map(1)
            reply.bulk(Bytes("index"))
            reply.integer(index)
        }
    }

    private static func find(_ type: StaticString, _ fields: [(StaticString, Int)], _ reply: ReplyWriter) {
        reply.bulk(Bytes("find_keys"))
        typed(type, reply) {
            reply.map(fields.count)
            for (name, value) in fields {
                reply.bulk(Bytes(name))
                reply.integer(value)
            }
        }
    }

    private static func typed(_ type: StaticString, _ reply: ReplyWriter, _ spec: () -> Void) {
        reply.map(2)
        reply.bulk(Bytes("type"))
        reply.bulk(Bytes(type))
        reply.bulk(Bytes("spec"))
        spec()
    }
}
