import Storage

// Whether a user may execute a command, with its keys, channels and databases. Nothing is allocated.

/// Which of a command's arguments are channels that it uses.
enum ChannelArguments: Sendable {
    /// The first.
    case first
    /// All of them: channels, or patterns of such.
    case all(isPattern: Bool)
}

/// Calls back with the number of each database that a command uses besides the selected one.
enum DatabaseArguments: Sendable {
    /// Only those that these arguments name, as far as they are numbers; the selected one is not used.
    case named([Int])
    /// As the last argument behind this word says, besides the selected one.
    case after(StaticString)
    /// The argument at this index, besides the selected one.
    case also(Int)
    case all
}

/// What a user lacks for a command; with an index among its arguments.
enum Denial {
    case command
    case key(Int)
    /// 0: the selected one.
    case database(Int)
    case channel(Int)

    var reason: DenialReason {
        switch self {
        case .command: .command
        case .key: .key
        case .database: .database
        case .channel: .channel
        }
    }
    /// What it is about: the command's name, a key, a channel, or the number of a database that is not the selected one.
    func object(_ command: CommandEntry, _ args: Arguments) -> ByteString {
        switch self {
        case .command, .database(0): ByteString(command.fullName)
        case .key(let index), .channel(let index), .database(let index): ByteString(args[index])
        }
    }
    /// Of the reasons that several selectors have, the one that came furthest is told.
    fileprivate var progress: (Int, Int) {
        switch self {
        case .command: (1, 0)
        case .key(let index): (2, index)
        case .channel(let index): (3, index)
        case .database(let index): (4, index)
        }
    }
}

extension User {
    /// nil: one of the selectors allows all of it. O(selectors * (keys + channels) * patterns).
    func denial(_ command: CommandEntry, _ args: Arguments, database: Int) -> Denial? {
        if allowsEverything { return nil }
        var told = Denial.command
        for selector in rules.selectors {
            guard let denial = selector.denial(command, args, database: database) else { return nil }
            if denial.progress > told.progress { told = denial }
        }
        return told
    }

    /// Whether a selector allows the command together with every key there may be: for what finds keys in data.
    func allowsAnyKey(_ command: CommandEntry, _ args: Arguments, database: Int, _ rights: KeyRights) -> Bool {
        allowsEverything
            || rules.selectors.contains {
                $0.allowsAnyKey(rights) && $0.denial(command, args, database: database) == nil
            }
    }
}

extension Session {
    /// Whether the user may know of a key, whatever may be done with it. O(patterns).
    func mayKnow(_ key: Bytes) -> Bool {
        guard flags.contains(.restricted), let user else { return true }
        return user.rules.selectors.contains { $0.allows(key: key, []) }
    }

    /// Whether the user may know of every key that begins so. O(patterns).
    func mayKnowAll(from prefix: Bytes) -> Bool {
        guard flags.contains(.restricted), let user else { return true }
        return user.rules.selectors.contains { $0.allowsAll(from: prefix) }
    }
}

extension CommandContext {
    /// Whether the client's user may read every key there may be, by the command that is executed: what finds the names of keys
    /// in data asks this.
    var mayReadAnyKey: Bool {
        guard session.flags.contains(.restricted), let user = session.user,
            let command = session.services.command(args)
        else { return true }
        return user.allowsAnyKey(command, args, database: session.db, .read)
    }
}

extension Selector {
    fileprivate func denial(_ command: CommandEntry, _ args: Arguments, database: Int) -> Denial? {
        if !hasAllCommands && !command.flags.contains(.noAuth) && !allows(command: command.permission) {
            let next = command.container == nil ? 1 : 2
            guard args.count > next, allows(command: command.permission, with: args[next]) else { return .command }
        }
        if databases != nil, let denial = databaseDenial(command, args, selected: database) { return denial }
        if !hasAllKeys, let index = deniedKey(command.row.keys, args) { return .key(index) }
        if !hasAllChannels, let channels = command.row.channels, let index = deniedChannel(channels, args) {
            return .channel(index)
        }
        return nil
    }

    /// Index of the first key that is not allowed. Arguments that make no sense have none.
    private func deniedKey(_ keys: CommandKeys, _ args: Arguments) -> Int? {
        var denied: Int?
        let makesSense = keys.forEach(args) { index, access in
            if denied == nil && !allows(key: args[index], access.rights) { denied = index }
        }
        return makesSense ? denied : nil
    }

    private func deniedChannel(_ channels: ChannelArguments, _ args: Arguments) -> Int? {
        switch channels {
        case .first: return args.count > 1 && !allows(channel: args[1], isPattern: false) ? 1 : nil
        case .all(let isPattern):
            for i in 1..<max(1, args.count) where !allows(channel: args[i], isPattern: isPattern) { return i }
            return nil
        }
    }

    private func databaseDenial(_ command: CommandEntry, _ args: Arguments, selected: Int) -> Denial? {
        func isDenied(_ index: Int) -> Bool {
            guard let number = args[index].integer, let database = Int(exactly: number), database >= 0 else {
                return false
            }
            return !allows(database: database)
        }
        switch command.row.databases {
        case .named(let indices):
            for index in indices where index < args.count && isDenied(index) { return .database(index) }
            return nil
        case .all: return .database(0)
        case .also(let index): if index < args.count && isDenied(index) { return .database(index) }
        case .after(let word):
            for i in 1..<max(1, args.count - 1) where args[i].equals(ignoringCase: word) && isDenied(i + 1) {
                return .database(i + 1)
            }
        case nil: break
        }
        return command.usesSelectedDatabase && !allows(database: selected) ? .database(0) : nil
    }
}

extension CommandEntry {
    /// Reads or writes keys, whichever they are.
    fileprivate var usesSelectedDatabase: Bool {
        switch row.handler {
        case .read, .readCaching, .write: true
        case .connection, .admin, .container, .help: !row.keys.isEmpty
        }
    }
}

extension KeyAccess {
    /// The rights that this needs: none for what only asks whether a key is there, which any pattern allows.
    fileprivate var rights: KeyRights {
        var rights: KeyRights = contains(.access) ? .read : []
        if !isDisjoint(with: [.insert, .delete, .update]) { rights.insert(.write) }
        return rights
    }
}

extension CommandCatalog {
    /// Of the commands of a server.
    convenience init(_ rows: [Command]) {
        self.init(
            rows.map { row in
                (
                    name: ByteString("\(row.name)"), categories: row.categories,
                    subcommands: row.subcommands.map { (ByteString("\($0.name)"), $0.categories) }
                )
            })
    }
}

extension CommandError {
    init(text: ByteString) { self.init(bytes: text.bytes) }
    static let noKeyPermission = CommandError("NOPERM No permissions to access a key")

    /// Why a command is refused to a user. `verbose`: with the key or channel that it is about.
    static func denied(_ denial: Denial, _ user: User, _ command: CommandEntry, _ args: Arguments, verbose: Bool)
        -> ByteString
    {
        let object = denial.object(command, args)
        switch denial {
        case .command: return "User \(user.name) has no permissions to run the '\(command.fullName)' command"
        case .key:
            return verbose
                ? "User \(user.name) has no permissions to access the '\(object)' key"
                : "No permissions to access a key"
        case .channel:
            return verbose
                ? "User \(user.name) has no permissions to access the '\(object)' channel"
                : "No permissions to access a channel"
        case .database:
            return verbose
                ? "User \(user.name) has no permissions to access database \(object)"
                : "No permissions to access database"
        }
    }
}
