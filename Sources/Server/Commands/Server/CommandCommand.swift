import Storage

/// COMMAND: what commands there are, all of it from their rows.
enum CommandCommand {
    static var table: [Command] {
        CommandGroup.server.rows([
            .connection("command", -1, [.loading, .stale], "2.8.13", "", "Describes all commands.", all).subcommands(
                [.loading, .stale],
                [
                    .connection("count", 2, [], "2.8.13", "", "Returns the number of commands.", count).categories(
                        .connection),
                    .connection(
                        "info", -2, [], "2.8.13", "[command-name...]",
                        "Describes commands for clients: arity, flags, keys and categories.", info
                    ).complexity("O(N) for N commands").tips("nondeterministic_output_order").history(
                        ("7.0.0", "Describes all commands where none is named.")
                    ).categories(.connection),
                    .connection(
                        "docs", -2, [], "7.0.0", "[command-name...]",
                        "Describes commands for users: summary, arguments and history.", docs
                    ).complexity("O(N) for N commands").tips("nondeterministic_output_order").categories(.connection),
                    .connection(
                        "list", -2, [], "7.0.0",
                        "[FILTERBY filterby(MODULE module-name|ACLCAT category|PATTERN pattern:p)]",
                        "Lists the names of commands.", list
                    ).complexity("O(N) for N commands").tips("nondeterministic_output_order").categories(.connection),
                    .connection(
                        "getkeys", -4, [], "2.8.13", "", "Extracts the keys from a command's arguments.", getKeys
                    ).complexity("O(N) for N arguments").categories(.connection),
                    .connection(
                        "getkeysandflags", -4, [], "7.0.0", "",
                        "Extracts the keys from a command's arguments, with how each is accessed.", getKeysAndFlags
                    ).complexity("O(N) for N arguments").categories(.connection),
                    .help("5.0.0").categories(.connection),
                ]
            ).complexity("O(N) for N commands").tips("nondeterministic_output_order").categories(.connection)
        ])
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
            names = withSubcommands(c.services.commands).map(\.fullName)
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
        let (args, keys) = try keys(c)
        c.reply.array(keys.count)
        for (i, _) in keys { c.reply.bulk(args[i]) }
    }

    private static func getKeysAndFlags(_ c: ConnectionContext) throws(CommandError) {
        let (args, keys) = try keys(c)
        c.reply.array(keys.count)
        for (i, access) in keys {
            c.reply.array(2)
            c.reply.bulk(args[i])
            CommandDescription.flags(access, c.reply)
        }
    }

    private static func keys(_ c: ConnectionContext) throws(CommandError) -> (Arguments, [(Int, KeyAccess)]) {
        let args = c.args.dropFirst(2)
        guard let command = c.services.command(args) else { throw CommandError("ERR Invalid command specified") }
        if command.row.keys.isEmpty { throw CommandError("ERR The command has no key arguments") }
        guard command.accepts(argumentCount: args.count) else {
            throw CommandError("ERR Invalid number of arguments specified for command")
        }
        var keys: [(Int, KeyAccess)] = []
        let areFound = command.row.keys.forEach(args) { keys.append(($0, $1)) }
        guard areFound, !keys.isEmpty || command.flags.contains(.noMandatoryKeys) else {
            throw CommandError("ERR Invalid arguments specified for command")
        }
        return (args, keys)
    }
}
