import Storage

/// What the line `user default …` says of the one user there is until ACLs come. A line that would take commands or keys
/// from a user is refused: to ignore it would give them.
struct DefaultUser: Sendable, Equatable {
    var isEnabled = false
    /// SHA-256 of each password, 64 hexadecimal digits in lower case.
    var passwords: [ByteString] = []
    /// Any password will do, and none is asked for.
    var takesAnyPassword = false
    private var hasAllKeys = false
    private var hasAllCommands = false

    /// Throws for a rule that is unknown, and for a user that may not do everything.
    init(_ rules: [ByteString]) throws(SettingError) {
        for rule in rules { try apply(rule) }
        guard hasAllKeys && hasAllCommands else {
            throw SettingError(
                "\(Version.name) has no ACLs yet: the default user can't be restricted, it needs ~* and +@all")
        }
        if isEnabled && !takesAnyPassword && passwords.isEmpty {
            throw SettingError("the default user has no password and is not `nopass`: nobody could log in")
        }
    }

    private mutating func apply(_ rule: ByteString) throws(SettingError) {
        switch rule.lowercased {
        case "on": isEnabled = true
        case "off": isEnabled = false
        case "nopass":
            takesAnyPassword = true
            passwords = []
        case "resetpass":
            takesAnyPassword = false
            passwords = []
        case "~*", "%rw~*", "allkeys": hasAllKeys = true
        case "resetkeys": hasAllKeys = false
        case "+@all", "allcommands": hasAllCommands = true
        case "-@all", "nocommands": hasAllCommands = false
        case "reset":
            (isEnabled, takesAnyPassword, hasAllKeys, hasAllCommands) = (false, false, false, false)
            passwords = []
        // There are no channels to be kept from yet, and RESTORE checks every payload.
        case "&*", "allchannels", "resetchannels", "sanitize-payload", "skip-sanitize-payload", "clearselectors": break
        case _ where rule.hasPrefix(">"): add(Self.hash(rule.dropFirst(1)))
        case _ where rule.hasPrefix("<"): passwords.removeAll { $0 == Self.hash(rule.dropFirst(1)) }
        case let lower where rule.hasPrefix("#") && Self.isHash(rule.dropFirst(1)): add(lower.dropFirst(1))
        case let lower where rule.hasPrefix("!") && Self.isHash(rule.dropFirst(1)):
            passwords.removeAll { $0 == lower.dropFirst(1) }
        case _ where rule.hasPrefix("-"): hasAllCommands = false
        case _ where ["+", "~", "%", "&", "("].contains { rule.hasPrefix($0) }: break
        default: throw SettingError("Error in user declaration '\(rule)': Syntax error")
        }
    }

    private mutating func add(_ hash: ByteString) {
        takesAnyPassword = false
        if !passwords.contains(hash) { passwords.append(hash) }
    }

    private static func isHash(_ text: ByteString) -> Bool {
        text.count == 64 && text.lowercased.bytes.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }
    static func hash(_ password: ByteString) -> ByteString { ByteString(SHA256.hexadecimal(of: password.bytes)) }

    /// CONFIG SET requirepass: the one password from now on; none if it is empty.
    mutating func setPassword(_ password: ByteString) {
        takesAnyPassword = password.isEmpty
        passwords = password.isEmpty ? [] : [Self.hash(password)]
    }

    /// The line for the file.
    var line: ByteString {
        let words: [ByteString] =
            [isEnabled ? "on" : "off"] + (takesAnyPassword ? ["nopass"] : passwords.map { "#\($0)" })
        return "user default \(words.joined(separator: " ")) ~* &* +@all"
    }
}

extension Settings {
    /// Takes in `user <name> <rule> …`; throws for what cannot be honoured.
    mutating func declareUser(_ words: [ByteString]) throws(SettingError) {
        guard words[0] == "default" else {
            throw SettingError("'user \(words[0])' is not supported by \(Version.name) yet: only 'default' is")
        }
        if defaultUser != nil {
            throw SettingError(
                "Error in user declaration 'default': Duplicate user found. A user can only be defined once in config files"
            )
        }
        defaultUser = try DefaultUser(Array(words.dropFirst()))
    }

    /// Settles what `requirepass` and the line `user default` say together, once all lines are read; returns what the log
    /// should say about it. The user's line counts, as in Redis, but it cannot make a server public that has a password.
    mutating func settleDefaultUser() -> String? {
        guard let user = defaultUser, !requirePass.isEmpty else { return nil }
        if user.takesAnyPassword {
            defaultUser?.setPassword(requirePass)
            return "The line 'user default … nopass' contradicts requirepass: the password is required"
        }
        if user.passwords.contains(DefaultUser.hash(requirePass)) { return nil }
        return "The passwords of the line 'user default' count, not requirepass"
    }

    /// SHA-256 of each password of the default user, 64 hexadecimal digits; none: any password will do.
    var passwordHashes: [ByteString] {
        defaultUser?.passwords ?? (requirePass.isEmpty ? [] : [DefaultUser.hash(requirePass)])
    }
    var isDefaultUserEnabled: Bool { defaultUser?.isEnabled ?? true }

    /// Whether a client has to log in before anything else.
    var isPasswordRequired: Bool {
        guard let user = defaultUser else { return !requirePass.isEmpty }
        return !user.isEnabled || !user.takesAnyPassword
    }

    /// Whether `password` lets a client in. In a time that tells nothing about how much of it is right.
    func accepts(_ password: Bytes) -> Bool {
        guard let user = defaultUser else { return requirePass.isEmpty || Self.equal(password, requirePass) }
        if !user.isEnabled { return false }
        if user.takesAnyPassword { return true }
        let hash = DefaultUser.hash(ByteString(password))
        return hash.withBytes { hash in user.passwords.contains { Self.equal(hash, $0) } }
    }

    private static func equal(_ given: Bytes, _ wanted: ByteString) -> Bool {
        let wanted = wanted.bytes
        var difference = given.count ^ wanted.count
        for i in 0..<given.count { difference |= Int(given[i] ^ (wanted.isEmpty ? 0 : wanted[i % wanted.count])) }
        return difference == 0
    }
}
