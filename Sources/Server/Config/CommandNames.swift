import Storage

/// What `rename-command` made of the commands' names, line by line, as Redis does it: a line finds the command under the
/// name that it has by then. Names are in lower case.
struct CommandNames: Sendable, Equatable {
    /// The name in force of each command that was renamed, by its own; nil: disabled.
    private var renamed: [ByteString: ByteString?] = [:]

    /// The commands that there are, by their own names.
    private let known: Set<ByteString>

    init(known: Set<ByteString> = []) { self.known = known }

    var isEmpty: Bool { renamed.isEmpty }

    /// The name under which clients find `command`; nil when there is none.
    func name(of command: ByteString) -> ByteString? { renamed[command] ?? command }

    /// Throws Redis's words when `name` is no command's, or `new` is another's. An empty `new` disables the command.
    mutating func rename(_ name: ByteString, to new: ByteString) throws(SettingError) {
        guard let command = command(called: name.lowercased) else {
            throw SettingError("No such command in rename-command")
        }
        // A name that is given up is free, for the command itself too.
        renamed.updateValue(nil, forKey: command)
        if new.isEmpty { return }
        if self.command(called: new.lowercased) != nil { throw SettingError("Target command name already exists") }
        renamed.updateValue(new.lowercased, forKey: command)
    }

    /// The command's own name.
    private func command(called name: ByteString) -> ByteString? {
        if let found = renamed.first(where: { $0.value == name }) { return found.key }
        let isKnown = known.contains(name) || Self.namesInRedis.contains(name)
        return renamed[name] == nil && isKnown ? name : nil
    }

    /// Commands that a redis.conf may rename and that need not be here yet: `rename-command EVAL ""` is no mistake.
    private static let namesInRedis: Set<ByteString> = [
        "asking", "eval", "eval_ro", "evalsha", "evalsha_ro", "failover", "fcall", "fcall_ro",
        "hgetdel", "hgetex", "hsetex", "psubscribe", "psync", "publish", "punsubscribe",
        "readonly", "readwrite", "replconf", "spublish", "ssubscribe", "stralgo", "subscribe",
        "sunsubscribe", "sync", "unsubscribe",
    ]
}
