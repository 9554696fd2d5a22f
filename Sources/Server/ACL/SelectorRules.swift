/// Why a rule was refused, in Redis's words.
enum RuleError: Error {
    case unknownName, syntax, afterAllKeys, afterAllChannels, unknownPassword, badHash, firstArgumentOfSubcommand
    case databaseOutOfRange

    var text: ByteString {
        switch self {
        case .unknownName: "Unknown command or category name in ACL"
        case .syntax: "Syntax error"
        case .afterAllKeys:
            """
            Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try \
            'resetkeys' to start with an empty list of patterns
            """
        case .afterAllChannels:
            """
            Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. \
            Try 'resetchannels' to start with an empty list of channels
            """
        case .unknownPassword: "The password you are trying to remove from the user does not exist"
        case .badHash:
            "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
        case .firstArgumentOfSubcommand: "Allowing first-arg of a subcommand is not supported"
        case .databaseOutOfRange: "The provided database ID is out of range"
        }
    }
}

extension Selector {
    /// Applies a rule that concerns commands, keys, channels or databases; nothing changes when it throws.
    mutating func apply(_ rule: ByteString, _ catalog: CommandCatalog) throws(RuleError) {
        switch rule.lowercased {
        case "": break
        case "allkeys", "~*": allowAllKeys()
        case "resetkeys": resetKeys()
        case "allchannels", "&*": allowAllChannels()
        case "resetchannels": resetChannels()
        case "allcommands", "+@all": allowAllCommands()
        case "nocommands", "-@all": denyAllCommands()
        case "alldbs": allow(databases: nil)
        case "resetdbs": allow(databases: [])
        case let folded where folded.hasPrefix("db="): allow(databases: try Self.databases(rule.dropFirst(3)))
        default:
            switch rule.bytes.first {
            case UInt8(ascii: "~"), UInt8(ascii: "%"): try applyKeys(rule)
            case UInt8(ascii: "&"):
                if hasAllChannels { throw .afterAllChannels }
                let pattern = rule.dropFirst(1)
                if pattern.holdsSpace { throw .syntax }
                allow(channels: pattern)
            case UInt8(ascii: "+"): try applyCommand(rule.dropFirst(1), true, catalog)
            case UInt8(ascii: "-"): try applyCommand(rule.dropFirst(1), false, catalog)
            default: throw .syntax
            }
        }
    }

    private mutating func applyKeys(_ rule: ByteString) throws(RuleError) {
        if hasAllKeys { throw .afterAllKeys }
        var rights = KeyRights.all
        var start = 1
        if rule.hasPrefix("%") {
            rights = []
            letters: while start < rule.count {
                let letter = rule.bytes[start]
                start += 1
                switch letter | 0x20 {
                case UInt8(ascii: "r") where !rights.contains(.read): rights.insert(.read)
                case UInt8(ascii: "w") where !rights.contains(.write): rights.insert(.write)
                default:
                    if letter != UInt8(ascii: "~") { throw .syntax }
                    break letters
                }
            }
            if rights.isEmpty { throw .syntax }
        }
        let pattern = rule.dropFirst(start)
        if pattern.holdsSpace { throw .syntax }
        allow(keys: pattern, rights)
    }

    /// `name` has no sign: a command, a subcommand, a category, or a command with its first argument.
    private mutating func applyCommand(_ name: ByteString, _ isAllowed: Bool, _ catalog: CommandCatalog)
        throws(RuleError)
    {
        if name.hasPrefix("@") {
            guard let category = name.dropFirst(1).withBytes({ Categories(named: $0) }) else { throw .unknownName }
            for item in catalog.items where item.categories.contains(category) { set(item, isAllowed) }
            return note(name, isAllowed)
        }
        guard isAllowed, let bar = name.bytes.lastIndex(of: UInt8(ascii: "|")) else {
            guard let command = catalog.find(name) else { throw .unknownName }
            set(command, isAllowed)
            return note(command.name, isAllowed)
        }
        guard let command = catalog.find(ByteString(name.bytes[..<bar])) else { throw .unknownName }
        if command.isSubcommand { throw .firstArgumentOfSubcommand }
        let argument = ByteString(name.bytes[(bar + 1)...])
        if argument.isEmpty { throw .syntax }
        if command.subcommands.isEmpty {
            allow(command, with: argument)
        } else {
            guard let subcommand = catalog.find(name) else { throw .unknownName }
            set(subcommand, true)
        }
        note(name, true)
    }

    /// Numbers between commas, as Valkey reads them.
    private static func databases(_ text: ByteString) throws(RuleError) -> [Int] {
        var found: [Int] = []
        for part in text.bytes.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            guard let number = ByteString(part.drop { $0 == 32 }).integer else { throw .syntax }
            guard (0...Int(Int32.max)).contains(number) else { throw .databaseOutOfRange }
            if !found.contains(number) { found.append(number) }
        }
        return found
    }
}

extension ByteString {
    /// A space of any kind, or NUL: what patterns of keys and names of users must not have.
    var holdsSpace: Bool { bytes.contains { $0 == 0 || $0 == 32 || (9...13).contains($0) } }
}
