import Storage

/// The users there are, and what was refused to them. Confined to the loop.
final class UserTable {
    let catalog: CommandCatalog
    /// Who clients are that have not logged in. There always is one.
    let defaultUser: User
    private var users: [ByteString: User]
    let log = ACLLog()
    let fileWriter = UserFileWriter()

    init(_ catalog: CommandCatalog, default rules: UserRules? = nil) {
        self.catalog = catalog
        defaultUser = User(
            Self.defaultName, rules ?? UserRules.initialDefault(RuleContext(catalog: catalog)))
        users = [Self.defaultName: defaultUser]
    }

    static let defaultName: ByteString = "default"

    func find(_ name: ByteString) -> User? { users[name] }
    func find(_ name: Bytes) -> User? { users[ByteString(name)] }
    /// By name. O(N log N).
    var sorted: [User] { users.values.sorted { $0.name < $1.name } }

    /// Gives a user these rules, who is made where there is none; nil, or the rules that it had.
    @discardableResult func set(_ name: ByteString, _ rules: UserRules) -> UserRules? {
        guard let user = users[name] else {
            users[name] = User(name, rules)
            return nil
        }
        let old = user.rules
        user.rules = rules
        return old
    }

    /// nil: there is no such user. The default user stays.
    func remove(_ name: ByteString) -> User? { name == Self.defaultName ? nil : users.removeValue(forKey: name) }

    /// Has these users in the place of all; the default user stays the same object. Returns the others that were there.
    func replaceAll(_ declared: [ByteString: UserRules]) -> [User] {
        let gone = users.values.filter { $0 !== defaultUser }
        users = [Self.defaultName: defaultUser]
        for (name, rules) in declared { set(name, rules) }
        return gone
    }

    /// Clients have to log in before anything else.
    var isAuthenticationRequired: Bool { !defaultUser.isOpen }
}

extension UserRules {
    /// The default user who may do everything, without a password.
    static func initialDefault(_ context: RuleContext) -> UserRules {
        var rules = UserRules(context)
        rules.isEnabled = true
        rules.takesAnyPassword = true
        rules.allowEverything()
        return rules
    }

    /// `requirepass` is the password of a default user who would have none: a line that says `nopass` cannot make a server
    /// public that has a password.
    mutating func require(_ password: ByteString) {
        if !password.isEmpty && isEnabled && takesAnyPassword { setPassword(password) }
    }
}
