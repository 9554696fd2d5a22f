// What the tables of rows are written with. A row names the command, its arity, flags, keys, the version of Redis that it
// came with, its arguments and what it does, and its handler; what else there is to say follows it.

extension Command {
    static func read(
        _ name: StaticString, _ arity: Int, _ flags: CommandFlags, _ keys: [KeySpec], _ since: StaticString,
        _ arguments: StaticString, _ summary: StaticString, _ handler: @escaping ReadHandler
    ) -> Command {
        let text = CommandDocumentation(since: since, summary: summary, arguments: arguments)
        return Command(name, arity, flags, keys, text, .read(handler))
    }

    static func readCaching(
        _ name: StaticString, _ arity: Int, _ flags: CommandFlags, _ keys: [KeySpec], _ since: StaticString,
        _ arguments: StaticString, _ summary: StaticString, _ handler: @escaping ReadCachingHandler
    ) -> Command {
        let text = CommandDocumentation(since: since, summary: summary, arguments: arguments)
        return Command(name, arity, flags, keys, text, .readCaching(handler))
    }

    static func write(
        _ name: StaticString, _ arity: Int, _ flags: CommandFlags, _ keys: [KeySpec], _ since: StaticString,
        _ arguments: StaticString, _ summary: StaticString, _ handler: @escaping WriteHandler
    ) -> Command {
        let text = CommandDocumentation(since: since, summary: summary, arguments: arguments)
        return Command(name, arity, flags, keys, text, .write(handler))
    }

    static func connection(
        _ name: StaticString, _ arity: Int, _ flags: CommandFlags, _ since: StaticString, _ arguments: StaticString,
        _ summary: StaticString, _ handler: @escaping ConnectionHandler
    ) -> Command {
        let text = CommandDocumentation(since: since, summary: summary, arguments: arguments)
        return Command(name, arity, flags, [], text, .connection(handler))
    }

    static func admin(
        _ name: StaticString, _ arity: Int, _ flags: CommandFlags, _ since: StaticString, _ arguments: StaticString,
        _ summary: StaticString, _ handler: @escaping AdminHandler
    ) -> Command {
        let text = CommandDocumentation(since: since, summary: summary, arguments: arguments)
        return Command(name, arity, flags, [], text, .admin(handler))
    }

    /// A command that is nothing without a subcommand. See `subcommands`.
    static func container(
        _ name: StaticString, _ since: StaticString, _ summary: StaticString, _ flags: CommandFlags,
        _ subcommands: [Command]
    ) -> Command {
        let text = CommandDocumentation(since: since, summary: summary, arguments: "")
        return Command(name, -2, [], [], text, .container).complexity("Depends on subcommand.")
            .subcommands(flags, subcommands)
    }

    static func help(_ since: StaticString) -> Command {
        let text = CommandDocumentation(since: since, summary: "Describes the subcommands.", arguments: "")
        return Command("help", 2, [.loading, .stale], [], text, .help)
    }
}

extension Command {
    private func with(_ change: (inout Command) -> Void) -> Command {
        var changed = self
        change(&changed)
        return changed
    }

    /// How long it takes; O(1) unless said. nil: nothing is said.
    func complexity(_ text: StaticString?) -> Command { with { $0.documentation.complexity = text } }
    func tips(_ text: StaticString) -> Command { with { $0.documentation.tips = text } }
    func history(_ changes: (version: StaticString, change: StaticString)...) -> Command {
        with { $0.documentation.history = changes }
    }
    func deprecated(_ version: StaticString, _ replacement: StaticString) -> Command {
        with { $0.documentation.deprecation = (version, replacement) }
    }
    func systemCommand() -> Command { with { $0.documentation.isSystemCommand = true } }
    /// Categories that neither flags nor group imply. `only` those: the group implies none.
    func categories(_ categories: Categories, only: Bool = false) -> Command {
        with {
            $0.ownCategories = categories
            if only { $0.isInGroupCategory = false }
        }
    }
    /// Another group than that of the table.
    func group(_ group: CommandGroup) -> Command { with { $0.group = group } }
    func secrets(_ secrets: @escaping SecretArguments) -> Command { with { $0.secrets = secrets } }
    func flagged(by flags: @escaping FlagsOfRequest) -> Command { with { $0.flagsOfRequest = flags } }
    func channels(_ channels: ChannelArguments) -> Command { with { $0.channels = channels } }
    func databases(_ databases: DatabaseArguments) -> Command { with { $0.databases = databases } }
    func findingKeys(_ finder: @escaping KeyFinder) -> Command { with { $0.keys.finder = finder } }
    func keys(_ specs: [KeySpec]) -> Command {
        with {
            $0.keys = CommandKeys(specs: specs)
            if $0.keys.isMovable { $0.flags.insert(.movablekeys) }
        }
    }
    /// Subcommands, which share `flags`; HELP has its own.
    func subcommands(_ flags: CommandFlags, _ rows: [Command]) -> Command {
        with {
            $0.subcommands = rows.map { row in
                if case .help = row.handler { row } else { row.with { $0.flags.formUnion(flags) } }
            }
        }
    }

    fileprivate func inside(_ group: CommandGroup, _ flags: CommandFlags) -> Command {
        with {
            $0.group = $0.group ?? group
            $0.flags.formUnion(flags)
            let own = $0.group ?? group
            $0.subcommands = $0.subcommands.map { $0.inside(own, []) }
        }
    }
}

extension CommandGroup {
    /// Rows of this group, which share `flags`.
    func rows(_ flags: CommandFlags, _ rows: [Command]) -> [Command] { rows.map { $0.inside(self, flags) } }
    func rows(_ rows: [Command]) -> [Command] { self.rows([], rows) }
}
