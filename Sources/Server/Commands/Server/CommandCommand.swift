import Storage

/// COMMAND: what commands there are, all of it from their rows.
enum CommandCommand {
    static let table: [Command] = [
        Command(
            "command", arity: -1, flags: [.loading, .stale], keys: .none, group: .server, since: "2.8.13",
            complexity: "O(N) for N commands", summary: "Describes all commands.", categories: .connection,
            subcommands: [
                sub("count", 2, "2.8.13", "O(1)", "How many commands there are.", count),
                sub("info", -2, "2.8.13", "O(N) for N commands", "Describes commands for programs.", info),
                sub("docs", -2, "7.0.0", "O(N) for N commands", "Describes commands for people.", docs),
                sub("list", -2, "7.0.0", "O(N) for N commands", "Names commands.", list),
                sub("getkeys", -4, "2.8.13", "O(N) for N arguments", "The keys among a command's arguments.", getKeys),
                sub(
                    "getkeysandflags", -4, "7.0.0", "O(N) for N arguments",
                    "The keys among a command's arguments, and what it does with them.", getKeysAndFlags),
                sub("help", 2, "5.0.0", "O(1)", "Lists the subcommands.", help),
            ], .connection(all))
    ]

    private static func sub(
        _ name: StaticString, _ arity: Int, _ since: StaticString, _ complexity: StaticString, _ summary: StaticString,
        _ body: @escaping @Sendable (ConnectionContext) throws(CommandError) -> Void
    ) -> Command {
        Command(
            name, arity: arity, flags: [.loading, .stale], keys: .none, group: .server, since: since,
            complexity: complexity, summary: summary, categories: .connection, .connection(body))
    }

    private static func all(_ c: ConnectionContext) throws(CommandError) {
        c.reply.array(c.services.commands.entries.count)
        for command in c.services.commands.entries { CommandDescription.info(command, c.reply) }
    }

    private static func count(_ c: ConnectionContext) throws(CommandError) {
        c.reply.integer(c.services.commands.entries.count)
    }

    private static func info(_ c: ConnectionContext) throws(CommandError) {
        if c.args.count == 2 { return try all(c) }
        c.reply.array(c.args.count - 2)
        for i in 2..<c.args.count {
            if let command = named(c.args[i], c.services) {
                CommandDescription.info(command, c.reply)
            } else {
                c.reply.null()
            }
        }
    }

    private static func docs(_ c: ConnectionContext) throws(CommandError) {
        var commands = c.services.commands.entries
        if c.args.count > 2 { commands = (2..<c.args.count).compactMap { named(c.args[$0], c.services) } }
        c.reply.map(commands.count)
        for command in commands {
            c.reply.bulk(command.fullName)
            CommandDescription.docs(command, c.reply)
        }
    }

    /// `container|name` names a subcommand.
    private static func named(_ name: Bytes, _ services: Services) -> CommandEntry? {
        guard let bar = name.buffer.firstIndex(of: UInt8(ascii: "|")) else { return services.commands.find(name) }
        return services.commands.find(name[0..<bar])?.subcommands?.find(name[bar + 1..<name.count])
    }

    // MARK: - LIST

    private static func list(_ c: ConnectionContext) throws(CommandError) {
        var names: [String] = []
        if c.args.count == 2 {
            names = c.services.commands.entries.map(\.fullName)
        } else if c.args.count == 5 && c.args[2].equals(ignoringCase: "filterby") {
            let value = c.args[4]
            if c.args[3].equals(ignoringCase: "module") {
                // There are no modules.
            } else if c.args[3].equals(ignoringCase: "aclcat") {
                if let category = Categories.names.first(where: { value.equals(ignoringCase: $0.1) })?.0 {
                    names = withSubcommands(c.services.commands).filter { $0.row.categories.contains(category) }.map(
                        \.fullName)
                }
            } else if c.args[3].equals(ignoringCase: "pattern") {
                names = withSubcommands(c.services.commands).map(\.fullName).filter { name in
                    var name = name
                    return name.withUTF8 { utf8 in
                        guard let base = utf8.baseAddress else { return false }
                        return stringmatch(value, Bytes(base, utf8.count), ignoringCase: true)
                    }
                }
            } else {
                throw .syntax
            }
        } else {
            throw .syntax
        }
        c.reply.array(names.count)
        for name in names { c.reply.bulk(name) }
    }

    static func withSubcommands(_ commands: CommandIndex) -> [CommandEntry] {
        commands.entries.flatMap { [$0] + ($0.subcommands?.entries ?? []) }
    }

    // MARK: - GETKEYS

    private static func getKeys(_ c: ConnectionContext) throws(CommandError) {
        let (_, args, keys) = try keys(c)
        c.reply.array(keys.count)
        for i in keys { c.reply.bulk(args[i]) }
    }

    private static func getKeysAndFlags(_ c: ConnectionContext) throws(CommandError) {
        let (command, args, keys) = try keys(c)
        c.reply.array(keys.count)
        for i in keys {
            c.reply.array(2)
            c.reply.bulk(args[i])
            CommandDescription.keyFlags(command, isStored: command.row.keys.storesAt(i), c.reply)
        }
    }

    private static func keys(_ c: ConnectionContext) throws(CommandError) -> (CommandEntry, Arguments, [Int]) {
        let args = c.args.dropFirst(2)
        guard let command = c.services.command(args) else { throw CommandError("ERR Invalid command specified") }
        if case .none = command.row.keys { throw CommandError("ERR The command has no key arguments") }
        guard command.accepts(argumentCount: args.count) else {
            throw CommandError("ERR Invalid number of arguments specified for command")
        }
        var keys: [Int] = []
        guard command.row.keys.forEach(args, { keys.append($0) }) else {
            throw CommandError("ERR Invalid arguments specified for command")
        }
        return (command, args, keys)
    }

    private static func help(_ c: ConnectionContext) throws(CommandError) {
        c.reply.help(
            "COMMAND",
            [
                "(no subcommand)", "    Describe all commands.",
                "COUNT", "    How many commands there are.",
                "DOCS [<name> ...]", "    Describe commands, or all, for people.",
                "GETKEYS <command> [<arg> ...]", "    The keys among a command's arguments.",
                "GETKEYSANDFLAGS <command> [<arg> ...]", "    The same, with what the command does with each.",
                "INFO [<name> ...]", "    Describe commands, or all, for programs.",
                "LIST [FILTERBY (MODULE <name> | ACLCAT <category> | PATTERN <pattern>)]", "    Names of commands.",
            ])
    }
}
