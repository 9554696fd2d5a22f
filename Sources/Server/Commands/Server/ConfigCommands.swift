import Storage

enum ConfigCommands {
    private static let flags: CommandFlags = [.admin, .noscript, .loading, .stale]

    static let table: [Command] = [
        Command(
            "config", arity: -2, keys: .none, group: .server, since: "2.0.0", complexity: "Depends on subcommand.",
            summary: "Looks at and changes the server's settings.",
            subcommands: [
                Command(
                    "get", arity: -3, flags: flags, keys: .none, group: .server, since: "2.0.0",
                    complexity: "O(N) for N patterns",
                    summary: "Answers names and values of the settings that patterns match.", .connection(get)),
                Command(
                    "set", arity: -4, flags: flags, keys: .none, group: .server, since: "2.0.0",
                    complexity: "O(N) for N settings", summary: "Changes settings, all of those named or none.",
                    secrets: setSecrets, .connection(set)),
                Command(
                    "rewrite", arity: 2, flags: flags, keys: .none, group: .server, since: "2.8.0",
                    complexity: "O(N) for a file of N lines",
                    summary: "Brings the configuration file up to date with the settings in force.",
                    .connection(rewrite)),
                Command(
                    "resetstat", arity: 2, flags: flags, keys: .none, group: .server, since: "2.0.0",
                    summary: "Sets the counters that INFO shows to zero.", .connection(resetStatistics)),
                Command(
                    "help", arity: 2, flags: [.loading, .stale], keys: .none, group: .server, since: "5.0.0",
                    summary: "Answers what CONFIG can do.", .connection(help)),
            ])
    ]

    private static func get(_ c: ConnectionContext) throws(CommandError) {
        let found = c.services.config.get((2..<c.args.count).map { c.args[$0] })
        c.reply.map(found.count)
        for (name, value) in found {
            c.reply.bulk(name)
            c.reply.bulk(value)
        }
    }

    private static func set(_ c: ConnectionContext) throws(CommandError) {
        guard c.args.count.isMultiple(of: 2) else { throw .syntax }
        let pairs = stride(from: 2, to: c.args.count, by: 2).map {
            (name: ByteString(c.args[$0]), value: ByteString(c.args[$0 + 1]))
        }
        let config = c.services.config
        let isTrusted = config.settings.enableProtectedConfigs.allows(c.session)
        do {
            try config.set(pairs, isTrusted: isTrusted, isLoading: c.services.persistence.isLoading)
        } catch {
            throw CommandError(bytes: "ERR ".utf8 + error.message.bytes)
        }
        c.reply.ok()
    }

    /// What follows the name of a secret setting, wherever it stands: a word may be missing before it.
    @Sendable private static func setSecrets(_ args: Arguments, _ body: (Int) -> Void) {
        for i in 2..<max(2, args.count - 1) {
            guard let setting = SettingTable.byName[ByteString(args[i]).lowercased] else { continue }
            if setting.flags.contains(.secret) { body(i + 1) }
        }
    }

    private static func rewrite(_ c: ConnectionContext) throws(CommandError) {
        try rewrite(c.services, all: false)
        c.reply.ok()
    }

    /// For DEBUG CONFIG-REWRITE-FORCE-ALL too, which writes settings at their default as well.
    static func rewrite(_ services: Services, all: Bool) throws(CommandError) {
        guard let file = services.config.file else {
            throw CommandError("ERR The server is running without a config file")
        }
        do {
            try ConfigRewriter.rewrite(file, services.config.settings, all: all)
        } catch {
            services.logger.warning("CONFIG REWRITE failed: \(error.message)")
            throw CommandError(bytes: "ERR ".utf8 + error.message.bytes)
        }
        services.logger.notice("CONFIG REWRITE executed with success.")
    }

    private static func resetStatistics(_ c: ConnectionContext) throws(CommandError) {
        c.services.statistics.reset(
            expired: c.services.keyspace.expired, expiredFields: c.services.keyspace.expiredFields)
        c.reply.ok()
    }

    private static func help(_ c: ConnectionContext) throws(CommandError) {
        c.reply.help(
            "CONFIG",
            [
                "GET <pattern> [<pattern> ...]", "    Settings that a pattern matches, with their values.",
                "SET <setting> <value> [<setting> <value> ...]", "    Change settings: all of them or none.",
                "RESETSTAT", "    Set the counters of INFO to zero.",
                "REWRITE", "    Bring the configuration file up to date.",
            ])
    }
}

extension Permission {
    /// Whether this lets `client` in.
    func allows(_ session: Session) -> Bool {
        switch self {
        case .no: false
        case .yes: true
        case .local: session.isLocal
        }
    }
}

extension ReplyWriter {
    /// The reply of a container's HELP: a line on its form, `lines`, and HELP itself.
    func help(_ container: String, _ lines: [String]) {
        array(lines.count + 3)
        simple(text: "\(container) <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
        for line in lines { simple(text: line) }
        simple("HELP")
        simple("    Print this help.")
    }
}
