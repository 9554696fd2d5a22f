import Storage

/// ACL, as far as there is one user, `default`, who may do everything and whose password is `requirepass`.
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
                        ("7.0.0", "Shows selectors, and patterns as rules.")),
                    .admin("setuser", -3, [], "6.0.0", "username [rule...]", "Creates or changes a user.", setUser)
                        .complexity("O(N) for N rules").history(
                            ("6.2.0", "Shows the patterns of channels."),
                            ("7.0.0", "Accepts selectors and permissions by key.")),
                    .admin("deluser", -3, [], "6.0.0", "username...", "Deletes users.", deleteUsers).complexity(
                        "O(N) for N users"),
                    .admin(
                        "dryrun", -4, [], "7.0.0", "username command [arg...]",
                        "Checks whether a user may execute a command, without executing it.", dryRun),
                    .admin(
                        "log", -2, [], "6.0.0", "[operation(count:i|RESET)]",
                        "Lists the commands that were denied to users, or clears the list.", log
                    ).complexity("O(N) for N entries returned"),
                    .admin("load", 2, [], "6.0.0", "", "Loads the users from the ACL file.", file).complexity(
                        "O(N) for N users"),
                    .admin("save", 2, [], "6.0.0", "", "Saves the users to the ACL file.", file).complexity(
                        "O(N) for N users"),
                    .help("6.0.0"),
                ])
        ])
    }

    // MARK: - The one user

    private static var userName: Bytes { Bytes("default") }
    private static let rights = "~* &* +@all"

    /// SHA-256 of each password, 64 hexadecimal digits; none: any password will do.
    private static func passwords(_ services: Services) -> [[UInt8]] {
        services.config.settings.passwordHashes.map(\.bytes)
    }

    private static func whoAmI(_ c: ConnectionContext) throws(CommandError) { c.reply.bulk(c.session.user) }

    private static func users(_ c: AdminContext) throws(CommandError) {
        c.reply.array(1)
        c.reply.bulk(userName)
    }

    private static func list(_ c: AdminContext) throws(CommandError) {
        let line = OutputBuffer()
        line.append(c.services.config.settings.isDefaultUserEnabled ? "user default on " : "user default off ")
        let passwords = passwords(c.services)
        if passwords.isEmpty { line.append("nopass ") }
        for hash in passwords {
            line.append(byte: UInt8(ascii: "#"))
            for digit in hash { line.append(byte: digit) }
            line.append(byte: UInt8(ascii: " "))
        }
        line.append(text: rights)
        c.reply.array(1)
        c.reply.bulk(line.bytes)
    }

    private static func getUser(_ c: AdminContext) throws(CommandError) {
        guard c.args[2] == userName else { return c.reply.null() }
        let passwords = passwords(c.services)
        c.reply.map(6)
        c.reply.bulk("flags")
        c.reply.set(passwords.isEmpty ? 2 : 1)
        c.reply.bulk(c.services.config.settings.isDefaultUserEnabled ? "on" : "off")
        if passwords.isEmpty { c.reply.bulk("nopass") }
        c.reply.bulk("passwords")
        c.reply.array(passwords.count)
        for hash in passwords { c.reply.bulk(array: hash) }
        for (name, value) in [("commands", "+@all"), ("keys", "~*"), ("channels", "&*")] {
            c.reply.bulk(name)
            c.reply.bulk(value)
        }
        c.reply.bulk("selectors")
        c.reply.array(0)
    }

    /// Rules that say what is so anyway are taken; all others would change what cannot be changed yet.
    private static func setUser(_ c: AdminContext) throws(CommandError) {
        guard c.args[2] == userName else {
            throw CommandError("ERR ACL users are not supported yet: 'default' is the only one")
        }
        let hasPassword = !passwords(c.services).isEmpty
        for i in 3..<max(3, c.args.count) {
            let rule = c.args[i]
            let isSo =
                ["on", "~*", "allkeys", "&*", "allchannels", "+@all", "allcommands"].contains {
                    (rule.equals(ignoringCase: $0))
                } || (!hasPassword && rule.equals(ignoringCase: "nopass"))
            if !isSo {
                throw CommandError(
                    "ERR The user 'default' cannot be changed by ACL yet: it may do everything, and its password is "
                        + "set by CONFIG SET requirepass")
            }
        }
        c.reply.ok()
    }

    private static func deleteUsers(_ c: AdminContext) throws(CommandError) {
        for i in 2..<c.args.count where c.args[i] == userName {
            throw CommandError("ERR The 'default' user cannot be removed")
        }
        c.reply.integer(0)
    }

    private static func dryRun(_ c: AdminContext) throws(CommandError) {
        guard c.args[2] == userName else {
            throw CommandError(parts: Bytes("ERR User '"), c.args[2], Bytes("' not found"))
        }
        let args = c.args.dropFirst(3)
        guard let command = c.services.command(args) else {
            throw CommandError(parts: Bytes("ERR Command '"), args[0], Bytes("' not found"))
        }
        guard command.accepts(argumentCount: args.count) else { throw .wrongArity(command.fullName) }
        c.reply.ok()
    }

    /// Nothing is refused to the one user.
    private static func log(_ c: AdminContext) throws(CommandError) {
        if c.args.count > 3 { throw .subcommandSyntax(c.args) }
        if c.args.count == 3 {
            if c.args[2].equals(ignoringCase: "reset") { return c.reply.ok() }
            _ = try c.args.integer(2)
        }
        c.reply.array(0)
    }

    /// LOAD and SAVE: `aclfile` is not supported.
    private static func file(_ c: AdminContext) throws(CommandError) {
        throw CommandError(
            "ERR This server is not configured to use an ACL file: the user 'default' is the only one, and its password "
                + "is set by requirepass")
    }

    // MARK: - Categories and passwords

    private static func cat(_ c: ConnectionContext) throws(CommandError) {
        if c.args.count > 3 { throw .subcommandSyntax(c.args) }
        if c.args.count == 2 {
            c.reply.array(Categories.names.count)
            for (_, name) in Categories.names { c.reply.bulk(Bytes(name)) }
            return
        }
        guard let category = Categories.names.first(where: { c.args[2].equals(ignoringCase: $0.1) })?.0 else {
            throw CommandError(parts: Bytes("ERR Unknown category '"), c.args[2], Bytes("'"))
        }
        let all = CommandCommand.withSubcommands(c.services.declaredCommands)
        let found = all.filter { $0.row.categories.contains(category) }
        c.reply.array(found.count)
        for command in found { c.reply.bulk(command.fullName) }
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
