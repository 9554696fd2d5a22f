import Storage

/// Rows in the shape of COMMAND's replies, as of Redis 7.0.
enum CommandDescription {
    /// The array of ten of COMMAND INFO.
    static func info(_ command: CommandEntry, _ reply: ReplyWriter) {
        let row = command.row
        let keys = row.keys.range
        reply.array(10)
        reply.bulk(command.fullName)
        reply.integer(row.arity)
        flags(CommandFlags.names.filter { row.flags.contains($0.0) }.map(\.1), reply)
        reply.integer(keys.first)
        reply.integer(keys.last)
        reply.integer(keys.step)
        let categories = Categories.names.filter { row.categories.contains($0.0) }
        reply.set(categories.count)
        for (_, name) in categories { reply.simple(text: "@\(name)") }
        let tips = "\(row.documentation.tips)".split(separator: " ")
        reply.set(tips.count)
        for tip in tips { reply.bulk(String(tip)) }
        reply.set(row.keys.specs.count)
        for spec in row.keys.specs { keySpec(spec, reply) }
        let subcommands = command.subcommands?.entries ?? []
        // Redis has an empty set, but an array where there are any.
        if subcommands.isEmpty { reply.set(0) } else { reply.array(subcommands.count) }
        for subcommand in subcommands { info(subcommand, reply) }
    }

    static func flags(_ names: [StaticString], _ reply: ReplyWriter) {
        reply.set(names.count)
        for name in names { reply.simple(name) }
    }

    static func flags(_ access: KeyAccess, _ reply: ReplyWriter) {
        flags(KeyAccess.names.filter { access.contains($0.0) }.map(\.1), reply)
    }

    // MARK: - Keys

    private static func keySpec(_ spec: KeySpec, _ reply: ReplyWriter) {
        reply.map(spec.note == nil ? 3 : 4)
        if let note = spec.note { text("notes", note, reply) }
        reply.bulk("flags")
        flags(spec.access, reply)
        reply.bulk("begin_search")
        switch spec.begin {
        case .index(let index):
            typed("index", 1, reply)
            integer("index", index, reply)
        case .keyword(let word, let from):
            typed("keyword", 2, reply)
            text("keyword", word, reply)
            integer("startfrom", from, reply)
        case .unknown:
            typed("unknown", 0, reply)
        }
        reply.bulk("find_keys")
        switch spec.find {
        case .range(let last, let step, let limit):
            typed("range", 3, reply)
            integer("lastkey", last, reply)
            integer("keystep", step, reply)
            integer("limit", limit, reply)
        case .counted(let step):
            typed("keynum", 3, reply)
            integer("keynumidx", 0, reply)
            integer("firstkey", 1, reply)
            integer("keystep", step, reply)
        case .unknown:
            typed("unknown", 0, reply)
        }
    }

    /// What follows are so many fields of a specification of this type.
    private static func typed(_ type: StaticString, _ fields: Int, _ reply: ReplyWriter) {
        reply.map(2)
        text("type", type, reply)
        reply.bulk("spec")
        reply.map(fields)
    }

    private static func integer(_ name: StaticString, _ value: Int, _ reply: ReplyWriter) {
        reply.bulk(name)
        reply.integer(value)
    }

    private static func text(_ name: StaticString, _ value: StaticString, _ reply: ReplyWriter) {
        reply.bulk(name)
        reply.bulk(value)
    }

    private static func text(_ name: StaticString, _ value: String, _ reply: ReplyWriter) {
        reply.bulk(name)
        reply.bulk(value)
    }

    // MARK: - Documentation

    /// The map of COMMAND DOCS.
    static func docs(_ command: CommandEntry, _ reply: ReplyWriter) {
        let row = command.row
        let documentation = row.documentation
        var fields = 0
        let mark = reply.deferredArray()
        func field(_ name: StaticString, _ write: () -> Void) {
            fields += 1
            reply.bulk(name)
            write()
        }
        field("summary") { reply.bulk(documentation.summary) }
        field("since") { reply.bulk(documentation.since) }
        if let group = row.group { field("group") { reply.bulk(group.name) } }
        if let complexity = documentation.complexity { field("complexity") { reply.bulk(complexity) } }
        if documentation.isSystemCommand || documentation.deprecation != nil {
            field("doc_flags") {
                flags(
                    (documentation.deprecation == nil ? [] : ["deprecated"])
                        + (documentation.isSystemCommand ? ["syscmd"] : []), reply)
            }
        }
        if let deprecation = documentation.deprecation {
            field("deprecated_since") { reply.bulk(deprecation.version) }
            field("replaced_by") { reply.bulk(deprecation.replacement) }
        }
        if !documentation.history.isEmpty {
            field("history") {
                reply.set(documentation.history.count)
                for (version, change) in documentation.history {
                    reply.array(2)
                    reply.bulk(version)
                    reply.bulk(change)
                }
            }
        }
        if let arguments = ArgumentSyntax.parse(documentation.arguments), !arguments.isEmpty {
            field("arguments") { self.arguments(arguments, reply) }
        }
        if let subcommands = command.subcommands?.entries {
            field("subcommands") {
                reply.map(subcommands.count)
                for subcommand in subcommands {
                    reply.bulk(subcommand.fullName)
                    docs(subcommand, reply)
                }
            }
        }
        reply.fillMap(mark, fields)
    }

    private static func arguments(_ arguments: [ArgumentSyntax], _ reply: ReplyWriter) {
        reply.array(arguments.count)
        for argument in arguments {
            let flags: [StaticString] =
                (argument.isOptional ? ["optional"] : []) + (argument.isMultiple ? ["multiple"] : [])
                + (argument.repeatsToken ? ["multiple_token"] : [])
            let mark = reply.deferredArray()
            var fields = 2
            text("name", argument.name, reply)
            text("type", argument.kind.rawValue, reply)
            if let spec = argument.keySpec {
                fields += 1
                integer("key_spec_index", spec, reply)
            }
            for (name, value) in [
                ("token", argument.token), ("since", argument.since), ("deprecated_since", argument.deprecatedSince),
            ] as [(StaticString, String?)] {
                guard let value else { continue }
                fields += 1
                text(name, value, reply)
            }
            if !flags.isEmpty {
                fields += 1
                reply.bulk("flags")
                self.flags(flags, reply)
            }
            if !argument.parts.isEmpty {
                fields += 1
                reply.bulk("arguments")
                self.arguments(argument.parts, reply)
            }
            reply.fillMap(mark, fields)
        }
    }
}
