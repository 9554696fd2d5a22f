import Glibc

/// Why the server does not start; `description` is what stands on stderr.
struct ConfigError: Error, CustomStringConvertible {
    let description: String

    /// The line that was refused, in the form that Redis prints.
    init(_ place: String, _ text: String, _ message: String) {
        description = """

            *** FATAL CONFIG FILE ERROR (\(Version.name) \(Version.number)) ***
            \(place)
            >>> '\(text)'
            \(message)
            """
    }
    init(unreadable file: String, _ code: Int32) {
        description = "Fatal error, can't open config file '\(file)': \(String(cString: strerror(code)))"
    }
}

/// Reads a configuration: file, standard input and arguments, in this order, so that the later wins.
struct ConfigLoader {
    /// Deep enough for any sane layout; a file that includes itself ends here instead of at the end of memory.
    private static let maximumIncludeDepth = 16

    private var settings = Settings()
    private var unused: [String] = []

    /// Loads what `arguments` (without the program's name) ask for: `[file | -] [--name value …]… [-]`.
    static func load(arguments: [String]) throws(ConfigError) -> Config {
        var arguments = arguments[...]
        var loader = ConfigLoader()
        var file: String?
        var standardInput = false
        if let first = arguments.first, !first.hasPrefix("-") {
            file = first
            arguments.removeFirst()
        }
        if arguments.last == "-" {
            standardInput = true
            arguments.removeLast()
        }
        if let path = file {
            let absolute = absolutePath(path)
            file = absolute
            try loader.read(file: absolute, shown: path, depth: 0)
        }
        if standardInput {
            guard let text = readText(0) else { throw ConfigError(unreadable: "-", errno) }
            try loader.read(text: text, place: "Reading the configuration from standard input", depth: 0)
        }
        for directive in Self.directives(arguments) {
            // One argument may hold the name and its values.
            let name = directive[0]
            guard let split = splitWords(name) else {
                throw ConfigError(commandLine, name, "Unbalanced quotes in configuration line")
            }
            let shown = ([name] + directive.dropFirst().map(quoted)).joined(separator: " ")
            if split.isEmpty && directive.count == 1 { continue }
            try loader.apply(split + directive.dropFirst(), shown, commandLine, depth: 0)
        }
        return Config(loader.settings, file: file, unused: loader.unused)
    }

    private static let commandLine = "Reading the command line"

    /// Groups arguments to directives: `--name` opens one, what follows are its values. Right behind a name that stands
    /// alone, a word is its value even when it starts with `--`, except for `save`, which may have none.
    static func directives(_ arguments: ArraySlice<String>) -> [[String]] {
        var directives: [[String]] = []
        var mayTakeDashes = false
        for argument in arguments {
            if argument.hasPrefix("--") && !mayTakeDashes {
                let name = String(argument.dropFirst(2))
                directives.append([name])
                mayTakeDashes = splitWords(name)?.count == 1 && name.lowercased() != "save"
            } else if directives.isEmpty {
                // Values without a name: Redis takes the first for one.
                directives.append([argument])
                mayTakeDashes = false
            } else {
                directives[directives.count - 1].append(argument)
                mayTakeDashes = false
            }
        }
        return directives.map { $0.count == 1 && $0[0].lowercased() == "save" ? [$0[0], ""] : $0 }
    }

    // MARK: - Files

    private mutating func read(file path: String, shown: String, depth: Int) throws(ConfigError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw ConfigError(unreadable: shown, errno) }
        defer { close(descriptor) }
        guard let text = readText(descriptor) else { throw ConfigError(unreadable: shown, errno) }
        let place = depth == 0 ? "Reading the configuration file" : "Reading the included file \(shown)"
        try read(text: text, place: place, depth: depth)
    }

    private mutating func read(text: String, place: String, depth: Int) throws(ConfigError) {
        var number = 0
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            number += 1
            let trimmed = trim(line)
            if trimmed.isEmpty || trimmed.hasPrefix("#") { continue }
            let here = "\(place), at line \(number)"
            guard let words = splitWords(trimmed) else {
                throw ConfigError(here, trimmed, "Unbalanced quotes in configuration line")
            }
            if !words.isEmpty { try apply(words, trimmed, here, depth: depth) }
        }
    }

    private mutating func include(_ pattern: String, _ depth: Int) throws(ConfigError) {
        guard depth < Self.maximumIncludeDepth else { throw ConfigError(unreadable: pattern, ELOOP) }
        var matches = glob_t()
        defer { globfree(&matches) }
        // Without a match: a pattern means no file, a plain name a missing one.
        guard glob(pattern, 0, nil, &matches) == 0 else {
            if pattern.contains(where: { "*?[".contains($0) }) { return }
            throw ConfigError(unreadable: pattern, ENOENT)
        }
        for i in 0..<Int(matches.gl_pathc) {
            guard let path = matches.gl_pathv[i].map({ String(cString: $0) }) else { continue }
            try read(file: path, shown: path, depth: depth + 1)
        }
    }

    // MARK: - One directive

    private mutating func apply(_ words: [String], _ shown: String, _ place: String, depth: Int) throws(ConfigError) {
        let name = words[0].lowercased()
        let values = Array(words.dropFirst())
        func refuse(_ message: String) -> ConfigError { ConfigError(place, shown, message) }
        switch name {
        case "include" where values.count == 1:
            try include(values[0], depth)
            return
        case "rename-command" where values.count == 2:
            settings.renamedCommands.append(RenamedCommand(from: values[0].lowercased(), to: values[1].lowercased()))
            return
        case "user", "loadmodule":
            if !values.isEmpty { throw refuse("'\(name)' is not supported by \(Version.name)") }
        default: break
        }
        guard let setting = SettingTable.byName[name] else {
            throw refuse("Bad directive or wrong number of arguments")
        }
        do {
            try setting.set(&settings, values, .startup)
        } catch {
            throw refuse(error.message)
        }
        if setting.flags.contains(.unused), !unused.contains(setting.name) { unused.append(setting.name) }
    }
}

/// A configuration is text of a human's size; more is a mistake, such as a device.
private let maximumTextSize = 16 << 20

/// All that `descriptor` has, as UTF-8; nil with errno set when it cannot be read or is no text.
func readText(_ descriptor: Int32) -> String? {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while bytes.count <= maximumTextSize {
        let n = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        if n < 0 {
            if errno == EINTR { continue }
            return nil
        }
        if n == 0 {
            if let text = String(validating: bytes, as: UTF8.self) { return text }
            errno = EILSEQ
            return nil
        }
        bytes += chunk[..<n]
    }
    errno = EFBIG
    return nil
}

/// Without blanks at both ends.
func trim(_ line: Substring) -> String {
    let blank: (UInt8) -> Bool = { $0 == 32 || ($0 >= 9 && $0 <= 13) }
    let utf8 = line.utf8
    guard let first = utf8.firstIndex(where: { !blank($0) }), let last = utf8.lastIndex(where: { !blank($0) }) else {
        return ""
    }
    return String(line[first...last])
}

/// `path` from the root, without resolving links.
func absolutePath(_ path: String) -> String {
    path.hasPrefix("/") ? path : currentDirectory() + "/" + path
}

func currentDirectory() -> String {
    guard let path = getcwd(nil, 0) else { return "." }
    defer { free(path) }
    return String(cString: path)
}
