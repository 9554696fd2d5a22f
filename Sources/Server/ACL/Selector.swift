import Storage

/// What a key's pattern gives.
struct KeyRights: OptionSet, Sendable {
    let rawValue: UInt8
    static let read = KeyRights(rawValue: 1 << 0)
    static let write = KeyRights(rawValue: 1 << 1)
    static let all: KeyRights = [.read, .write]
}

/// The keys that match a pattern, and what may be done with them.
struct KeyPattern: Sendable, Equatable {
    let pattern: ByteString
    var rights: KeyRights
}

/// A set of rights: a command is allowed that one selector of its user allows as a whole, with its keys, channels and
/// databases. The rules that change it stand in `SelectorRules.swift`.
struct Selector: Sendable, Equatable {
    // MARK: Commands

    /// Every command, also those to come: nothing has been taken away since `+@all`.
    private(set) var hasAllCommands = false
    /// A bit for each number of the catalog.
    private var commands: [UInt64]
    /// Commands that are allowed with one of these words behind their names only, by number.
    private var firstArguments: [Int: [ByteString]] = [:]
    /// As they were given, without those that later ones make pointless: `+get`, `-@write`.
    private(set) var commandRules: [ByteString] = ["-@all"]

    // MARK: Keys, channels, databases

    private(set) var hasAllKeys = false
    private(set) var keys: [KeyPattern] = []
    private(set) var hasAllChannels: Bool
    private(set) var channels: [ByteString] = []
    /// nil: all.
    private(set) var databases: [Int]?

    /// Allows nothing.
    init(_ catalog: CommandCatalog, hasAllChannels: Bool) {
        commands = Array(repeating: 0, count: (catalog.items.count + 63) / 64)
        self.hasAllChannels = hasAllChannels
    }

    var allowsEverything: Bool { hasAllCommands && hasAllKeys && hasAllChannels && databases == nil }

    // MARK: - Questions

    func allows(command number: Int) -> Bool { commands[number / 64] & (1 << UInt64(number % 64)) != 0 }

    /// Whether the command is allowed because of the word behind its name, which must not be the only argument.
    func allows(command number: Int, with argument: Bytes) -> Bool {
        guard let words = firstArguments[number] else { return false }
        return words.contains { $0.withBytes { $0.equalsFolded(argument) } }
    }

    /// O(patterns).
    func allows(key: Bytes, _ rights: KeyRights) -> Bool {
        if hasAllKeys { return true }
        for pattern in keys where pattern.rights.isSuperset(of: rights) {
            if pattern.pattern.withBytes({ stringmatch($0, key) }) { return true }
        }
        return false
    }

    /// Whether every key there may be is allowed.
    func allowsAnyKey(_ rights: KeyRights) -> Bool {
        hasAllKeys || keys.contains { $0.pattern == "*" && $0.rights.isSuperset(of: rights) }
    }

    /// Whether every key that begins so is allowed: by a pattern that is a beginning of it, and a `*`.
    func allowsAll(from prefix: Bytes) -> Bool {
        if hasAllKeys { return true }
        return keys.contains { key in
            let letters = key.pattern.bytes.dropLast()
            return key.pattern.bytes.last == UInt8(ascii: "*") && !ByteString(letters).contains(anyOf: "*?[\\")
                && letters.count <= prefix.count && letters.elementsEqual(prefix.buffer.prefix(letters.count))
        }
    }

    /// `isPattern`: who subscribes to a pattern needs that very one.
    func allows(channel: Bytes, isPattern: Bool) -> Bool {
        hasAllChannels || channels.allow(channel: channel, isPattern: isPattern)
    }

    func allows(database: Int) -> Bool { databases.map { $0.contains(database) } ?? true }
}

extension [ByteString] {
    /// As patterns of channels. See `Selector.allows(channel:isPattern:)`.
    func allow(channel: Bytes, isPattern: Bool) -> Bool {
        contains { pattern in
            pattern.withBytes { isPattern ? $0 == channel : stringmatch($0, channel) }
        }
    }
}

// MARK: - Changes

extension Selector {
    mutating func allowAllCommands() {
        for i in commands.indices { commands[i] = .max }
        hasAllCommands = true
        firstArguments = [:]
        commandRules = ["+@all"]
    }
    mutating func denyAllCommands() {
        for i in commands.indices { commands[i] = 0 }
        hasAllCommands = false
        firstArguments = [:]
        commandRules = ["-@all"]
    }

    /// The command with its subcommands.
    mutating func set(_ command: CommandCatalog.Item, _ isAllowed: Bool) {
        setBit(command.number, isAllowed)
        firstArguments[command.number] = nil
        for number in command.subcommands { setBit(number, isAllowed) }
    }
    private mutating func setBit(_ number: Int, _ isAllowed: Bool) {
        let bit: UInt64 = 1 << UInt64(number % 64)
        if isAllowed {
            commands[number / 64] |= bit
        } else {
            commands[number / 64] &= ~bit
            hasAllCommands = false
        }
    }

    mutating func allow(_ command: CommandCatalog.Item, with argument: ByteString) {
        var words = firstArguments[command.number] ?? []
        let folded = argument.lowercased
        if !words.contains(folded) { words.append(folded) }
        firstArguments[command.number] = words
    }

    /// Takes a rule into the text: it replaces what it makes pointless, the rules of its subcommands too. `name` has no sign.
    mutating func note(_ name: ByteString, _ isAllowed: Bool) {
        let name = name.lowercased
        commandRules.removeAll { rule in
            let old = rule.bytes.dropFirst()
            return old.starts(with: name.bytes)
                && (old.count == name.count || old[old.startIndex + name.count] == UInt8(ascii: "|"))
        }
        commandRules.append(isAllowed ? "+\(name)" : "-\(name)")
    }

    mutating func allowAllKeys() {
        hasAllKeys = true
        keys = []
    }
    mutating func resetKeys() {
        hasAllKeys = false
        keys = []
    }
    mutating func allow(keys pattern: ByteString, _ rights: KeyRights) {
        if let known = keys.firstIndex(where: { $0.pattern == pattern }) {
            keys[known].rights.formUnion(rights)
        } else {
            keys.append(KeyPattern(pattern: pattern, rights: rights))
        }
    }

    mutating func allowAllChannels() {
        hasAllChannels = true
        channels = []
    }
    mutating func resetChannels() {
        hasAllChannels = false
        channels = []
    }
    mutating func allow(channels pattern: ByteString) {
        if !channels.contains(pattern) { channels.append(pattern) }
    }

    mutating func allow(databases: [Int]?) { self.databases = databases }
}

extension Bytes {
    /// Equal after folding ASCII case; these bytes are in lower case.
    fileprivate func equalsFolded(_ other: Bytes) -> Bool {
        if count != other.count { return false }
        for i in 0..<count {
            let byte = other[i]
            if self[i] != (byte >= 65 && byte <= 90 ? byte | 32 : byte) { return false }
        }
        return true
    }
}
