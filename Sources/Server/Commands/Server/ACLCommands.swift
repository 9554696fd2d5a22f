import Storage

/// Users and their permissions.
enum ACLCommands {
    static var table: [Command] {
        CommandGroup.server.rows([
            .container(
                "acl", "6.0.0", "Manages users and their permissions.", [.noscript, .loading, .stale],
                [
                    .connection("whoami", 2, [], "6.0.0", "", "Returns the name of the connection's user.", whoAmI),
                    .connection(
                        "cat", -2, [], "6.0.0", "[categoryname]",
                        "Lists the categories of commands, or the commands of one.", cat),
                    .connection(
                        "genpass", -2, [], "6.0.0", "[bits:i]",
                        "Generates a random password; it has 256 bits unless given.", generatePassword),
                    .admin(
                        "list", 2, [], "6.0.0", "", "Lists the users with their rules, as in a configuration file.",
                        list
                    ).complexity("O(N) for N users"),
                    .admin("users", 2, [], "6.0.0", "", "Lists the names of the users.", users).complexity(
                        "O(N) for N users"),
                    .admin("getuser", 3, [], "6.0.0", "username", "Describes the rules of a user.", getUser).complexity(
                        "O(N) for N rules"
                    ).history(
                        ("6.2.0", "Shows the patterns of channels."),
                        ("7.0.0", "Shows selectors, and patterns as rules.")
                    ).secrets(fromUser),
                    .admin("setuser", -3, [], "6.0.0", "username [rule...]", "Creates or changes a user.", setUser)
                        .complexity("O(N) for N rules").history(
                            ("6.2.0", "Shows the patterns of channels."),
                            ("7.0.0", "Accepts selectors and permissions by key.")
                        ).secrets(fromUser),
                    .admin("deluser", -3, [], "6.0.0", "username...", "Deletes users.", deleteUsers).complexity(
                        "O(N) for N users"
                    ).secrets(fromUser),
                    .admin(
                        "dryrun", -4, [], "7.0.0", "username command [arg...]",
                        "Checks whether a user may execute a command, without executing it.", dryRun),
                    .admin(
                        "log", -2, [], "6.0.0", "[operation(count:i|RESET)]",
                        "Lists the commands that were denied to users, or clears the list.", log
                    ).complexity("O(N) for N entries returned").history(
                        ("7.2.0", "Shows an entry's id and times.")),
                    .admin("load", 2, [], "6.0.0", "", "Loads the users from the ACL file.", load).complexity(
                        "O(N) for N users"),
                    .admin("save", 2, [.repliesLater], "6.0.0", "", "Saves the users to the ACL file.", save)
                        .complexity(
                            "O(N) for N users"),
                    .help("6.0.0"),
                ])
        ])
    }

    /// All that says something about a user.
    @Sendable private static func fromUser(_ args: Arguments, _ body: (Int) -> Void) {
        for i in 2..<max(2, args.count) { body(i) }
    }

    // MARK: - What there is

    private static func whoAmI(_ c: ConnectionContext) throws(CommandError) {
        c.reply.bulk(c.session.user?.name ?? UserTable.defaultName)
    }

    private static func users(_ c: AdminContext) throws(CommandError) {
        let users = c.services.users.sorted
        c.reply.array(users.count)
        for user in users { c.reply.bulk(user.name) }
    }

    private static func list(_ c: AdminContext) throws(CommandError) {
        let users = c.services.users.sorted
        c.reply.array(users.count)
        for user in users { c.reply.bulk(user.line) }
    }

    private static func getUser(_ c: AdminContext) throws(CommandError) {
        guard let user = c.services.users.find(c.args[2]) else { return c.reply.null() }
        let rules = user.rules
        // A field of Valkey's, for those who use its rule.
        let showsDatabases = rules.selectors.contains { $0.databases != nil }
        c.reply.map(showsDatabases ? 7 : 6)
        c.reply.bulk("flags")
        c.reply.set(rules.flags.count)
        for flag in rules.flags { c.reply.bulk(flag) }
        c.reply.bulk("passwords")
        c.reply.array(rules.passwords.count)
        for hash in rules.passwords { c.reply.bulk(hash) }
        write(rules.selectors[0], showsDatabases, c.reply)
        c.reply.bulk("selectors")
        c.reply.array(rules.selectors.count - 1)
        for selector in rules.selectors.dropFirst() {
            c.reply.map(showsDatabases ? 4 : 3)
            write(selector, showsDatabases, c.reply)
        }
    }

    private static func write(_ selector: Selector, _ showsDatabases: Bool, _ reply: ReplyWriter) {
        reply.bulk("commands")
        reply.bulk(selector.commandsText)
        reply.bulk("keys")
        reply.bulk(selector.keysText)
        reply.bulk("channels")
        reply.bulk(selector.channelsText)
        if !showsDatabases { return }
        reply.bulk("databases")
        reply.bulk(selector.databases == [] ? "" : selector.databasesText ?? "alldbs")
    }

    // MARK: - Changes

    /// All rules, or none.
    private static func setUser(_ c: AdminContext) throws(CommandError) {
        let name = ByteString(c.args[2])
        if name.holdsSpace { throw CommandError("ERR Usernames can't contain spaces or null characters") }
        let given = (3..<max(3, c.args.count)).map { ByteString(c.args[$0]) }
        let joined: [ByteString]
        do throws(UnmatchedParenthesis) {
            joined = try joinedSelectors(given)
        } catch {
            throw CommandError(text: "ERR Unmatched parenthesis in acl selector starting at '\(error.rule)'.")
        }
        let router = c.services.router
        let context = router.ruleContext
        var rules = c.services.users.find(name)?.rules ?? UserRules(context)
        for rule in joined {
            do throws(RuleError) {
                try rules.apply(rule, context)
            } catch {
                throw CommandError(text: "ERR Error in ACL SETUSER modifier '\(rule)': \(error.text)")
            }
        }
        router.setUser(name, rules, current: c.session)
        c.reply.ok()
    }

    private static func deleteUsers(_ c: AdminContext) throws(CommandError) {
        let names = (2..<c.args.count).map { ByteString(c.args[$0]) }
        if names.contains(UserTable.defaultName) { throw CommandError("ERR The 'default' user cannot be removed") }
        var removed = 0
        for name in names {
            guard let user = c.services.users.remove(name) else { continue }
            c.services.router.userRemoved(user, current: c.session)
            removed += 1
        }
        c.reply.integer(removed)
    }

    // MARK: - What is refused

    private static func dryRun(_ c: AdminContext) throws(CommandError) {
        guard let user = c.services.users.find(c.args[2]) else {
            throw CommandError(parts: Bytes("ERR User '"), c.args[2], Bytes("' not found"))
        }
        let args = c.args.dropFirst(3)
        guard let command = c.services.command(args) else {
            throw CommandError(parts: Bytes("ERR Command '"), args[0], Bytes("' not found"))
        }
        guard command.accepts(argumentCount: args.count) else { throw .wrongArity(command.fullName) }
        guard let denial = user.denial(command, args, database: c.session.db) else { return c.reply.ok() }
        c.reply.bulk(CommandError.denied(denial, user, command, args, verbose: true))
    }

    /// Entries that LOG answers unless a number is given.
    private static let shownEntries: Int64 = 10

    private static func log(_ c: AdminContext) throws(CommandError) {
        if c.args.count > 3 { throw .subcommandSyntax(c.args) }
        let log = c.services.users.log
        var count = shownEntries
        if c.args.count == 3 {
            if c.args[2].equals(ignoringCase: "reset") {
                log.removeAll()
                return c.reply.ok()
            }
            count = max(0, try c.args.integer(2))
        }
        let entries = log.entries.prefix(Int(clamping: count))
        c.reply.array(entries.count)
        for entry in entries {
            c.reply.map(10)
            c.reply.bulk("count")
            c.reply.integer(entry.count)
            c.reply.bulk("reason")
            c.reply.bulk(entry.reason.text)
            c.reply.bulk("context")
            c.reply.bulk(entry.context.text)
            c.reply.bulk("object")
            c.reply.bulk(entry.object)
            c.reply.bulk("username")
            c.reply.bulk(entry.user)
            c.reply.bulk("age-seconds")
            c.reply.double(Double(c.now - entry.updated) / 1000)
            c.reply.bulk("client-info")
            c.reply.bulk(entry.client)
            c.reply.bulk("entry-id")
            c.reply.integer(entry.id)
            c.reply.bulk("timestamp-created")
            c.reply.integer(entry.created)
            c.reply.bulk("timestamp-last-updated")
            c.reply.integer(entry.updated)
        }
    }

    // MARK: - The file

    private static let noFile = CommandError(
        "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER "
            + "command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to "
            + "store users in the Redis configuration.")

    private static func load(_ c: AdminContext) throws(CommandError) {
        let file = c.settings.aclFile
        if file.isEmpty { throw noFile }
        guard let bytes = readFile(file) else {
            throw CommandError(text: "ERR Error loading ACLs, opening file '\(file)': \(systemReason())")
        }
        let router = c.services.router
        do throws(UserFile.Fault) {
            router.use(try UserFile.parse(bytes, name: file, router.ruleContext), current: c.session)
        } catch {
            throw CommandError(text: "ERR \(error.text)")
        }
        c.reply.ok()
    }

    /// A job writes and syncs the file; the client waits for it.
    private static func save(_ c: AdminContext) throws(CommandError) {
        let file = c.settings.aclFile
        if file.isEmpty { throw noFile }
        let router = c.services.router
        guard let waiter = router.wait(c.session, c.args) else { return }
        let text = UserFile.text(c.services.users.sorted)
        let writer = c.services.users.fileWriter
        let place = writer.begin()
        router.jobs.start("acl") { (_) throws(Never) in
            writer.write(text, to: file, place: place)
        } completion: { result in
            let reason = result.get()
            if let reason { router.logger.warning("Cannot save the users to \(file): \(reason)") }
            router.answer(waiter, reason == nil ? nil : notSaved)
        }
    }
    private static let notSaved = CommandError(
        "ERR There was an error trying to save the ACLs. Please check the server logs for more information")

    // MARK: - Categories and passwords

    private static func cat(_ c: ConnectionContext) throws(CommandError) {
        if c.args.count > 3 { throw .subcommandSyntax(c.args) }
        if c.args.count == 2 {
            c.reply.array(Categories.names.count)
            for (_, name) in Categories.names { c.reply.bulk(Bytes(name)) }
            return
        }
        guard let category = Categories(named: c.args[2]) else {
            throw CommandError(parts: Bytes("ERR Unknown category '"), c.args[2], Bytes("'"))
        }
        let found = c.services.users.catalog.items.filter { $0.categories.contains(category) }
        c.reply.array(found.count)
        for command in found { c.reply.bulk(command.name) }
    }

    /// Bits of a password of GENPASS, and at most.
    private static let passwordBits: Int64 = 256
    private static let maximumPasswordBits: Int64 = 4096

    private static func generatePassword(_ c: ConnectionContext) throws(CommandError) {
        if c.args.count > 3 { throw .subcommandSyntax(c.args) }
        let bits = c.args.count == 3 ? try c.args.integer(2) : passwordBits
        guard (1...maximumPasswordBits).contains(bits) else {
            throw CommandError(
                "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to "
                    + "\(maximumPasswordBits)")
        }
        var random = SystemRandomNumberGenerator()
        var password = ""
        for _ in 0..<(bits + 3) / 4 { password += String(UInt8.random(in: 0...15, using: &random), radix: 16) }
        c.reply.bulk(password)
    }
}
