import Storage

/// Checking the commands of users who may not do everything, and what a change of users does to their clients.
extension Router {
    // MARK: - Checks

    /// What the session's user lacks for a command: it is noted in the log of denials and counted. nil: nothing.
    @inline(never)
    func denial(
        _ session: Session, _ command: CommandEntry, _ args: Arguments, _ context: DenialContext, caller: Session? = nil
    ) -> Denial? {
        guard let user = session.user, let denial = user.denial(command, args, database: session.db) else { return nil }
        note(denial.reason, context, denial.object(command, args), user.name, caller ?? session)
        return denial
    }

    /// The reply to a client that was refused a command.
    func denialError(_ denial: Denial, _ session: Session, _ command: CommandEntry, _ args: Arguments) -> CommandError {
        guard let user = session.user else { return .noAuth }
        return CommandError(text: "NOPERM \(CommandError.denied(denial, user, command, args, verbose: false))")
    }

    /// Takes an event into the log of denials. `client`: whose command it was.
    func note(
        _ reason: DenialReason, _ context: DenialContext, _ object: ByteString, _ user: ByteString, _ client: Session
    ) {
        let description = OutputBuffer()
        ClientDescription.append(client, services, to: description)
        services.users.log.note(
            reason, context, object: object, user: user, client: ByteString(description.bytes), now: keyspace.now,
            limit: config.settings.aclLogMaxLength)
    }

    // MARK: - Logging in

    /// Lets the session be `name`; false, and noted, when the password does not let in.
    func logIn(_ session: Session, _ name: Bytes, _ password: Bytes, _ args: Arguments) -> Bool {
        if let user = services.users.find(name), user.accepts(password) {
            session.isAuthenticated = true
            session.become(user)
            updateAuthentication(session)
            return true
        }
        let context: DenialContext = session.flags.isDisjoint(with: [.multi, .denyBlocking]) ? .toplevel : .transaction
        note(.authentication, context, ByteString(args[0]), ByteString(name), session)
        return false
    }

    /// A new connection, or one that begins anew, is the default user, and has logged in where that takes no password.
    func beginAsDefault(_ session: Session) {
        session.isAuthenticated = !services.users.isAuthenticationRequired
        session.become(services.users.defaultUser)
        updateAuthentication(session)
    }

    private func updateAuthentication(_ session: Session) {
        let mustLogIn = !session.isAuthenticated && services.users.isAuthenticationRequired
        if mustLogIn == session.flags.contains(.unauthenticated) { return session.updateOutputLimit() }
        if mustLogIn { session.flags.insert(.unauthenticated) } else { session.flags.remove(.unauthenticated) }
        session.updateOutputLimit()
    }

    // MARK: - Changes

    /// Gives a user these rules. Who is subscribed to what it may not hear any more is disconnected. O(clients).
    func setUser(_ name: ByteString, _ rules: UserRules, current: Session?) {
        let old = services.users.set(name, rules)
        guard let user = services.users.find(name) else { return }
        let channels = old.flatMap { Self.narrowed($0, rules) }
        for session in Array(sessions.values) where session.user === user {
            rightsChanged(session, current: current)
            if let channels, pubsub.hears(session, beyond: channels) { close(session, current: current) }
        }
        if user === services.users.defaultUser { defaultUserChanged() }
    }

    /// The user of the session may do other things than before. What it waits for and may not have any more it is told at once,
    /// so that it does not learn when that comes; Redis 7.2 tells it then.
    private func rightsChanged(_ session: Session, current: Session?) {
        session.updateRestriction()
        if !session.flags.contains(.restricted) { return }
        if let waiter = session.waiter, waiter.wait.canBeEnded { refuseWaiting(waiter) }
        if tracking.hearsTooMuch(session) { close(session, current: current) }
    }

    private func refuseWaiting(_ waiter: Waiter) {
        let session = waiter.session
        waiter.request.forEach { command, args, _ in
            guard let denial = denial(session, command, args, .toplevel) else { return }
            let start = session.output.count
            blocked.remove(waiter)
            reject(session, command, denialError(denial, session, command, args))
            finish(session, start)
            session.transport?.scheduleFlush()
            session.transport?.scheduleResume()
        }
    }

    /// The channels that are left, where some are gone; nil where none is.
    private static func narrowed(_ old: UserRules, _ new: UserRules) -> [ByteString]? {
        if new.selectors.contains(where: \.hasAllChannels) { return nil }
        let left = new.selectors.flatMap(\.channels)
        let isNarrower = old.selectors.contains { selector in
            selector.hasAllChannels || selector.channels.contains { !left.contains($0) }
        }
        return isNarrower ? left : nil
    }

    /// Whether strangers must log in may have changed.
    func defaultUserChanged() { for session in Array(sessions.values) { updateAuthentication(session) } }

    /// A user is gone: its clients are disconnected. O(clients).
    func userRemoved(_ user: User, current: Session?) {
        for session in Array(sessions.values) where session.user === user {
            session.isAuthenticated = false
            session.become(services.users.defaultUser)
            updateAuthentication(session)
            close(session, current: current)
        }
    }

    /// All users are others: clients are disconnected but for those of the default user, as in Redis. O(clients).
    func replaceUsers(_ declared: [ByteString: UserRules], current: Session?) {
        for user in services.users.replaceAll(declared) { userRemoved(user, current: current) }
        for session in Array(sessions.values) { rightsChanged(session, current: current) }
        defaultUserChanged()
    }

    // MARK: - Users of the configuration

    var ruleContext: RuleContext {
        RuleContext(catalog: services.users.catalog, allowsChannels: config.settings.aclPubSubDefault == .allchannels)
    }

    /// Has the users that the configuration or the file of its `aclfile` declares. Once, before clients come. Throws what is
    /// wrong with them.
    func declareUsers() throws(SettingError) {
        let settings = config.settings
        if !settings.aclFile.isEmpty {
            guard settings.userLines.isEmpty else { throw SettingError(Self.usersTwice) }
            let file = settings.aclFile
            guard let bytes = readFile(file) else {
                throw SettingError("Error loading ACLs, opening file '\(file)': \(systemReason())")
            }
            do throws(UserFile.Fault) {
                use(try UserFile.parse(bytes, name: file, ruleContext), current: nil)
            } catch {
                throw SettingError("Aborting startup because of ACL errors: \(error.text)")
            }
        } else if !settings.userLines.isEmpty {
            var declared = UserDeclarations()
            for words in settings.userLines { try declared.add(words, ruleContext) }
            use(declared.users, current: nil)
        }
        for user in services.users.sorted where user.isDisabled {
            logger.notice(
                "The user '\(user.name)' is disabled (there is no 'on' modifier in the user description). Make sure this is "
                    + "not a configuration error.")
        }
    }
    private static let usersTwice: ByteString = """
        Users are declared in the configuration, and it names an ACL file too: declare them in one of the two, as it \
        would not be clear which counts
        """

    /// Has these users, and a default user where they have none.
    func use(_ declared: [ByteString: UserRules], current: Session?) {
        let password = config.settings.requirePass
        var users = declared
        var rules = declared[UserTable.defaultName] ?? .initialDefault(ruleContext)
        let stated = rules
        rules.require(password)
        users[UserTable.defaultName] = rules
        replaceUsers(users, current: current)
        if password.isEmpty || declared[UserTable.defaultName] == nil { return }
        if stated != rules {
            logger.warning("The line 'user default … nopass' contradicts requirepass: the password is required")
        } else if !stated.passwords.contains(UserRules.hash(password)) {
            logger.warning("The passwords of the line 'user default' count, not requirepass")
        }
    }

    /// CONFIG SET requirepass.
    func requirePasswordChanged() {
        var rules = services.users.defaultUser.rules
        rules.setPassword(config.settings.requirePass)
        setUser(UserTable.defaultName, rules, current: nil)
    }

    /// For CONFIG REWRITE: the lines that declare the users there are. nil: the file has such lines already, needs none as
    /// there is only the default user as `requirepass` has it, or `aclfile` has them.
    func userLines(unlike stated: [[ByteString]]) -> [ByteString]? {
        if !config.settings.aclFile.isEmpty { return stated.isEmpty ? nil : [] }
        var declared = UserDeclarations()
        for words in stated { try? declared.add(words, ruleContext) }
        var wanted = declared.users
        var rules = wanted[UserTable.defaultName] ?? .initialDefault(ruleContext)
        rules.require(config.settings.requirePass)
        wanted[UserTable.defaultName] = rules
        let users = services.users.sorted
        let areStated = users.count == wanted.count && users.allSatisfy { wanted[$0.name] == $0.rules }
        return areStated ? nil : users.map(\.configLine)
    }
}
