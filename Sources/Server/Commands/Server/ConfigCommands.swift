import Storage

enum ConfigCommands {
    static var table: [Command] {
        CommandGroup.server.rows([
            .container(
                "config", "2.0.0", "Reads and changes the settings.", [.noscript, .loading, .stale],
                [
                    .admin(
                        "get", -3, [], "2.0.0", "parameter{parameter}...",
                        "Returns the settings whose names match patterns.", get
                    ).complexity("O(N) for N patterns").history(("7.0.0", "Accepts several patterns.")),
                    .admin(
                        "set", -4, [], "2.0.0", "parameter_value{parameter value}...",
                        "Changes settings: all of the given ones, or none.", set
                    ).complexity("O(N) for N settings").tips("request_policy:all_nodes response_policy:all_succeeded")
                        .history(("7.0.0", "Accepts several settings.")).secrets(setSecrets),
                    .admin(
                        "rewrite", 2, [], "2.8.0", "", "Writes the settings in force to the configuration file.",
                        rewrite
                    ).complexity("O(N) for a file of N lines"),
                    .admin("resetstat", 2, [], "2.0.0", "", "Resets the statistics of INFO.", resetStatistics),
                    .help("5.0.0"),
                ])
        ])
    }

    private static func get(_ c: AdminContext) throws(CommandError) {
        let found = c.services.config.get((2..<c.args.count).map { c.args[$0] })
        c.reply.map(found.count)
        for (name, value) in found {
            c.reply.bulk(name)
            c.reply.bulk(value)
        }
    }

    private static func set(_ c: AdminContext) throws(CommandError) {
        guard c.args.count.isMultiple(of: 2) else { throw .syntax }
        let pairs = stride(from: 2, to: c.args.count, by: 2).map {
            (name: ByteString(c.args[$0]), value: ByteString(c.args[$0 + 1]))
        }
        let config = c.services.config
        let isTrusted = config.settings.enableProtectedConfigs.allows(c.session)
        // Also while a master's data come in beside those that are served.
        let isLoading = c.services.persistence.isLoading || c.services.guards.contains(.replacing)
        do {
            try config.set(pairs, isTrusted: isTrusted, isLoading: isLoading)
        } catch {
            throw error.reply ?? CommandError(bytes: "ERR ".utf8 + error.message.bytes)
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

    private static func rewrite(_ c: AdminContext) throws(CommandError) {
        try rewrite(c.services, all: false)
        c.reply.ok()
    }

    /// For DEBUG CONFIG-REWRITE-FORCE-ALL too, which writes settings at their default as well.
    static func rewrite(_ services: Services, all: Bool) throws(CommandError) {
        guard let file = services.config.file else {
            throw CommandError("ERR The server is running without a config file")
        }
        do {
            try ConfigRewriter.rewrite(
                file, services.config.settings, all: all, users: services.router.userLines(unlike:))
        } catch {
            services.logger.warning("CONFIG REWRITE failed: \(error.message)")
            throw CommandError(bytes: "ERR ".utf8 + error.message.bytes)
        }
        services.logger.notice("CONFIG REWRITE executed with success.")
    }

    private static func resetStatistics(_ c: AdminContext) throws(CommandError) {
        c.services.statistics.reset(
            expired: c.services.keyspace.expired, expiredFields: c.services.keyspace.expiredFields)
        c.reply.ok()
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
