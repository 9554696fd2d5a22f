import Glibc
import Storage

/// Why the server does not start; `text` is what stands on stderr.
struct ConfigError: Error, CustomStringConvertible {
    let text: ByteString
    /// The line that was refused, and why.
    let summary: ByteString
    var description: String { text.description }

    /// The line that was refused, in the form that Redis prints.
    init(_ place: ByteString, _ line: ByteString, _ message: ByteString) {
        summary = "\(line): \(message)"
        text = """

            *** FATAL CONFIG FILE ERROR (\(Version.name) \(Version.number)) ***
            \(place)
            >>> '\(line)'
            \(message)
            """
    }
    init(_ text: ByteString) {
        self.text = text
        summary = text
    }
    init(unreadable file: ByteString, _ reason: ByteString) {
        self.init("Fatal error, can't open config file '\(file)': \(reason)")
    }
}

/// Reads a configuration: file, standard input and arguments, in this order, so that the later wins.
struct ConfigLoader {
    /// Deep enough for any sane layout; a file that includes itself ends here instead of at the end of memory.
    private static let maximumIncludeDepth = 16
    /// What a line may say besides a setting.
    private static let directives: [ByteString] = ["include", "rename-command", "user", "loadmodule"]

    private var settings = Settings()
    private let checkUser: UserCheck
    /// Where relative paths begin: the working directory, or what `dir` named last, as in Redis.
    private var directory = currentDirectory()
    /// Keeps what is refused, where all faults are wanted; nil: the first one ends the reading.
    private var faults: ConfigFaults?

    /// Throws what is wrong with a user that is declared.
    typealias UserCheck = ([ByteString]) throws(SettingError) -> Void

    private init(_ checkUser: @escaping UserCheck) { self.checkUser = checkUser }

    /// Loads what `arguments` (without the program's name) ask for: `[file | -] [--name value …]… [-]`. `commands`: the
    /// names of those that `rename-command` may rename; `checkUser` hears of each line `user …`, without this word. With
    /// `faults`, lines that are refused go there and are left out.
    static func load(
        arguments: [ByteString], commands: Set<ByteString>, faults: ConfigFaults? = nil,
        checkUser: @escaping UserCheck = { (_) throws(SettingError) in }
    ) throws(ConfigError) -> Config {
        var arguments = arguments[...]
        var loader = ConfigLoader(checkUser)
        loader.faults = faults
        loader.settings.commandNames = CommandNames(known: commands)
        var file: ByteString?
        var readsStandardInput = false
        if let first = arguments.first, !first.hasPrefix("-") {
            file = first
            arguments.removeFirst()
        } else if arguments.first == "-" {
            readsStandardInput = true
            arguments.removeFirst()
        }
        if arguments.last == "-" {
            readsStandardInput = true
            arguments.removeLast()
        }
        if let path = file {
            let absolute = absolutePath(path, from: loader.directory)
            file = absolute
            guard let bytes = readFile(absolute) else { throw ConfigError(unreadable: absolute, systemReason()) }
            try loader.read(bytes, file: absolute, place: "Reading the configuration file", depth: 0)
        }
        if readsStandardInput {
            guard let bytes = readDescriptor(0) else { throw ConfigError(unreadable: "-", systemReason()) }
            try loader.read(bytes, file: "-", place: "Reading the configuration from standard input", depth: 0)
        }
        for directive in Self.directives(arguments) {
            do throws(ConfigError) {
                try loader.apply(directive)
            } catch {
                try loader.note(error, "command line")
            }
        }
        return Config(loader.settings, file: file)
    }

    /// What to print instead of starting, when the first of `arguments` is one that asks for it.
    static func information(_ arguments: [ByteString]) -> String? {
        switch arguments.first {
        case "-v", "--version":
            return "\(Version.name) server v=\(Version.number) redis=\(Version.redis) "
                + "malloc=\(MemoryStatistics.allocator) bits=\(Int.bitWidth)"
        case "-h", "--help":
            return """
                Usage: swiftlet-server [file] [--setting value ...] [-]
                       swiftlet-server - [--setting value ...]   settings from standard input
                       swiftlet-server -v | --version
                       swiftlet-server -h | --help
                       swiftlet-server --check-config [file] [--setting value ...]
                                                                 names all faults, and starts nothing
                       swiftlet-server --completion bash | zsh | fish
                       swiftlet-server [file] --restore-to 'YYYY-MM-DD HH:MM:SS' | before-flushall | ...
                                                                 goes back to a moment that snapshot-history kept
                       swiftlet-server [file] --restore-check ...  says whether it can, and changes nothing

                The file is a redis.conf. Settings on the command line come last and win:
                       swiftlet-server /etc/redis.conf --port 7777 --save 60 1 --loglevel verbose
                """
        default: return nil
        }
    }

    private static let commandLine: ByteString = "Reading the command line"

    /// Groups arguments to directives: `--name` opens one, what follows are its values. Right behind a name that stands
    /// alone, a word is its value even when it starts with `--`, except for `save`, which may have none.
    static func directives(_ arguments: ArraySlice<ByteString>) -> [[ByteString]] {
        var directives: [[ByteString]] = []
        var mayTakeDashes = false
        for argument in arguments {
            if argument.hasPrefix("--") && !mayTakeDashes {
                let name = argument.dropFirst(2)
                directives.append([name])
                mayTakeDashes = splitWords(name)?.count == 1 && name.lowercased != "save"
            } else if directives.isEmpty {
                // Values without a name: Redis takes the first for one.
                directives.append([argument])
                mayTakeDashes = false
            } else {
                directives[directives.count - 1].append(argument)
                mayTakeDashes = false
            }
        }
        return directives.map { $0.count == 1 && $0[0].lowercased == "save" ? [$0[0], ""] : $0 }
    }

    // MARK: - Files

    private mutating func read(_ bytes: [UInt8], file: ByteString, place: ByteString, depth: Int)
        throws(ConfigError)
    {
        let lines: [ArraySlice<UInt8>]
        do throws(SettingError) {
            lines = try ConfigLines(bytes).lines
        } catch {
            throw ConfigError(unreadable: file, error.message)
        }
        for (index, line) in lines.enumerated() {
            do throws(ConfigError) {
                try apply(line: trim(line), "\(place), at line \(index + 1)", depth: depth)
            } catch {
                try note(error, "\(file):\(index + 1)")
            }
        }
    }

    /// Keeps `error` where all are wanted, else throws it.
    private func note(_ error: ConfigError, _ place: ByteString) throws(ConfigError) {
        guard let faults else { throw error }
        faults.lines.append("\(place): \(error.summary)")
    }

    private mutating func apply(line: ByteString, _ here: ByteString, depth: Int) throws(ConfigError) {
        if line.bytes.contains(0) {
            throw ConfigError(
                here, ByteString(line.bytes.prefix(100).filter { $0 != 0 }),
                "the line holds NUL bytes: the file is damaged, or UTF-16")
        }
        if line.isEmpty || line.hasPrefix("#") { return }
        guard let words = splitWords(line) else {
            throw ConfigError(here, line, "Unbalanced quotes in configuration line")
        }
        if !words.isEmpty { try apply(words, line, here, depth: depth) }
    }

    /// Reads the file, or those that match the pattern, in alphabetical order; `refuse` makes the error that names the
    /// line.
    private mutating func include(
        _ pattern: ByteString, _ depth: Int, _ refuse: (ByteString) -> ConfigError
    ) throws(ConfigError) {
        let pattern = absolutePath(pattern, from: directory)
        guard depth < Self.maximumIncludeDepth else {
            throw refuse("Can't include '\(pattern)': files include each other more than \(depth) deep")
        }
        for path in pattern.contains(anyOf: "*?[") ? Self.matches(pattern) : [pattern] {
            guard let bytes = readFile(path) else { throw refuse("Can't open '\(path)': \(systemReason())") }
            try read(bytes, file: path, place: "Reading the included file \(path)", depth: depth + 1)
        }
    }

    /// None is no error: a folder of files to include may be empty.
    private static func matches(_ pattern: ByteString) -> [ByteString] {
        var found = glob_t()
        defer { globfree(&found) }
        guard pattern.withCString({ glob($0, 0, nil, &found) }) == 0 else { return [] }
        return (0..<Int(found.gl_pathc)).compactMap { found.gl_pathv[$0].map { ByteString(cString: $0) } }
    }

    // MARK: - One directive

    /// Of the command line, where one argument may hold the name and its values.
    private mutating func apply(_ directive: [ByteString]) throws(ConfigError) {
        let name = directive[0]
        guard let split = splitWords(name) else {
            throw ConfigError(Self.commandLine, name, "Unbalanced quotes in configuration line")
        }
        if split.isEmpty && directive.count == 1 { return }
        let shown = ([name] + directive.dropFirst().map(quotedWord)).joined(separator: " ")
        try apply(split + directive.dropFirst(), shown, Self.commandLine, depth: 0)
    }

    /// What a server is to go back to. Not in a file: it would go back with each start.
    private static func restore(
        _ name: ByteString, _ value: ByteString, _ place: ByteString
    ) throws(SettingError) -> RestoreRequest {
        if place != commandLine { throw SettingError("'\(name)' is for the command line alone") }
        guard let text = value.text, let target = RestoreTarget(text) else {
            throw SettingError("argument must be \(RestoreTarget.forms)")
        }
        return RestoreRequest(target: target, text: text, isCheck: name == "restore-check")
    }

    private mutating func apply(_ words: [ByteString], _ shown: ByteString, _ place: ByteString, depth: Int)
        throws(ConfigError)
    {
        let name = words[0].lowercased
        var values = Array(words.dropFirst())
        func refuse(_ message: ByteString) -> ConfigError { ConfigError(place, shown, message) }
        if name == "include" && values.count == 1 { return try include(values[0], depth, refuse) }
        do throws(SettingError) {
            switch name {
            case "rename-command" where values.count == 2:
                return try settings.commandNames.rename(values[0], to: values[1])
            case "user" where !values.isEmpty:
                try checkUser(values)
                settings.userLines.append(values)
                return
            case "restore-to" where values.count == 1, "restore-check" where values.count == 1:
                return settings.restore = try Self.restore(name, values[0], place)
            case "loadmodule" where !values.isEmpty:
                throw SettingError("'loadmodule' is not supported by \(Version.name)")
            default: break
            }
            guard let setting = SettingTable.byName[name] else {
                let known = Array(SettingTable.byName.keys) + Self.directives
                throw SettingError(
                    "Bad directive or wrong number of arguments\(suggestion(for: name, among: known))")
            }
            if setting.name == "dir", values.count == 1, !values[0].isEmpty {
                values[0] = absolutePath(values[0], from: directory)
            }
            try setting.set(&settings, values, .startup)
            if setting.name == "dir" { directory = values[0] }
        } catch {
            throw refuse(error.message)
        }
    }
}
