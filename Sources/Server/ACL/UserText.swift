// How users are shown: by ACL LIST and GETUSER, in files, and to CONFIG REWRITE.

extension Selector {
    /// As GETUSER shows them: patterns after one another.
    var keysText: ByteString { hasAllKeys ? "~*" : keys.map(\.text).joined(separator: " ") }
    var channelsText: ByteString { hasAllChannels ? "&*" : channels.map { "&\($0)" }.joined(separator: " ") }
    var commandsText: ByteString { commandRules.joined(separator: " ") }
    /// nil: all of them.
    var databasesText: ByteString? {
        databases.map { numbers in
            numbers.isEmpty ? "resetdbs" : "db=\(numbers.map { ByteString("\($0)") }.joined(separator: ","))"
        }
    }

    /// The rules that make it out of one that allows nothing. `isRead`: they will be read again, where a pattern `*` among
    /// others is told from `allkeys`; Redis shows both as `~*`.
    fileprivate func text(isRead: Bool) -> ByteString {
        var words: [ByteString] = hasAllKeys ? ["~*"] : keys.map { isRead && $0 == .any ? "%RW~*" : $0.text }
        words += hasAllChannels ? ["&*"] : ["resetchannels"] + channels.map { "&\($0)" }
        if let databasesText { words.append(databasesText) }
        return (words + commandRules).joined(separator: " ")
    }
}

extension KeyPattern {
    fileprivate static let any = KeyPattern(pattern: "*", rights: .all)

    fileprivate var text: ByteString {
        if rights == .all { return "~\(pattern)" }
        return rights == .read ? "%R~\(pattern)" : "%W~\(pattern)"
    }
}

extension UserRules {
    /// Those that make these rules out of a new user's; none has a space.
    fileprivate func words(isRead: Bool) -> [ByteString] {
        flags + passwords.map { "#\($0)" } + selectors[0].text(isRead: isRead).words
            + selectors.dropFirst().flatMap { ByteString("(\($0.text(isRead: isRead)))").words }
    }

    /// As GETUSER shows them.
    var flags: [ByteString] {
        var flags: [ByteString] = [isEnabled ? "on" : "off"]
        if takesAnyPassword { flags.append("nopass") }
        switch sanitizing {
        case .always: flags.append("sanitize-payload")
        case .skipped: flags.append("skip-sanitize-payload")
        }
        return flags
    }
}

extension User {
    /// As ACL LIST shows this user.
    var line: ByteString { "user \(([name] + rules.words(isRead: false)).joined(separator: " "))" }
    /// As a line of the file of users.
    var fileLine: ByteString { "user \(([name] + rules.words(isRead: true)).joined(separator: " "))" }
    /// As a line of a configuration, where quotes and backslashes mean something.
    var configLine: ByteString {
        let words = ([name] + rules.words(isRead: true)).map { word in
            let isPlain =
                !word.isEmpty && word.text != nil
                && word.bytes.allSatisfy { $0 > 32 && $0 != 127 && !"\"'\\".utf8.contains($0) }
            return isPlain ? word : quotedWord(word)
        }
        return "user \(words.joined(separator: " "))"
    }
}
