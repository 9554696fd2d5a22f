/// An argument of a command as COMMAND DOCS describes it, and HELP shows it. Rows write arguments as text, which is parsed
/// when one of them is asked:
///
///     key value [condition(NX|XX)@2.6.12] [expiration(EX seconds:i|PX milliseconds:i|KEEPTTL)]
///
/// - `name` is a string, or a key where it is one of `keyNames`; `name:i` an integer, `:d` a number with a fraction, `:p` a
///   pattern, `:t` a Unix time, `:s` a string, and `:k` a key. A number behind the letter is the index of the key
///   specification that it belongs to; keys without one belong to one each, in their order.
/// - `TOKEN` is that word, named like it in lower case; `TOKEN=name` is named otherwise (`""` is the empty word);
///   `TOKEN name` is the word and a value.
/// - `name(A|B)` is one of these, `name{a b}` all of them.
/// - `[a]` may be left out; `a...` may be repeated; `a....` may be repeated with its token. `a@6.2.0` came with that
///   version, `a!6.2.0` is deprecated since. They follow the argument in this order.
struct ArgumentSyntax: Equatable, Sendable {
    enum Kind: String, Sendable {
        case string, integer, double, key, pattern, block, oneof
        case unixTime = "unix-time"
        case pureToken = "pure-token"
    }

    var name: String
    var kind = Kind.string
    /// Index of the key specification that finds it.
    var keySpec: Int?
    var token: String?
    var since: String?
    var deprecatedSince: String?
    var isOptional = false
    var isMultiple = false
    /// Repeated with its token.
    var repeatsToken = false
    var parts: [ArgumentSyntax] = []

    static let keyNames: Set<String> = [
        "key", "key1", "key2", "source", "sourcekey", "src", "destination", "destkey", "dst", "newkey",
    ]

    /// The arguments that `text` describes; nil where it is not in the notation.
    static func parse(_ text: StaticString) -> [ArgumentSyntax]? {
        var parser = Parser(text: Array("\(text)".utf8))
        guard let found = parser.sequence(), parser.isAtEnd else { return nil }
        return found
    }

    /// How many arguments of a request this takes; nil: any number.
    var count: (least: Int, most: Int?) {
        var least = token == nil || kind == .pureToken ? 0 : 1
        var most: Int? = least
        switch kind {
        case .block:
            let inner = Self.count(parts)
            least += inner.least
            most = most.flatMap { most in inner.most.map { most + $0 } }
        case .oneof:
            let counts = parts.map(\.count)
            least += counts.map(\.least).min() ?? 0
            let longest = counts.contains { $0.most == nil } ? nil : counts.compactMap(\.most).max()
            most = most.flatMap { most in longest.map { most + $0 } }
        case .string, .integer, .double, .key, .pattern, .unixTime, .pureToken:
            least += 1
            most = most.map { $0 + 1 }
        }
        return (isOptional ? 0 : least, isMultiple ? nil : most)
    }
    static func count(_ arguments: [ArgumentSyntax]) -> (least: Int, most: Int?) {
        let counts = arguments.map(\.count)
        return (
            counts.reduce(0) { $0 + $1.least },
            counts.reduce(0) { sum, count in sum.flatMap { sum in count.most.map { sum + $0 } } }
        )
    }

    /// As HELP shows it: `<key> [<key> ...]`, `[COUNT <count>]`, `(ON|OFF)`.
    var usage: String {
        var text: String
        switch kind {
        case .pureToken: text = token.map { $0.isEmpty ? "\"\"" : $0 } ?? name
        case .block: text = parts.map(\.usage).joined(separator: " ")
        case .oneof:
            text = parts.map(\.usage).joined(separator: "|")
            // Within the brackets of what may be left out, the choice needs none of its own.
            if !isOptional || token != nil || isMultiple { text = "(\(text))" }
        case .string, .integer, .double, .key, .pattern, .unixTime: text = "<\(name)>"
        }
        if kind != .pureToken, let token {
            text = "\(token) \(isMultiple && !repeatsToken ? "\(text) [\(text) ...]" : text)"
        }
        let isRepeated = isMultiple && (token == nil || repeatsToken)
        if isOptional { return isRepeated ? "[\(text) ...]" : "[\(text)]" }
        return isRepeated ? "\(text) [\(text) ...]" : text
    }
}

/// Reads the notation from left to right.
private struct Parser {
    let text: [UInt8]
    private var at = 0
    private var keys = 0

    init(text: [UInt8]) { self.text = text }

    var isAtEnd: Bool { at == text.count }
    private var next: Character? { at < text.count ? Character(Unicode.Scalar(text[at])) : nil }

    private mutating func take(_ character: Character) -> Bool {
        if next != character { return false }
        at += 1
        return true
    }
    private mutating func word(while isPart: (Character) -> Bool) -> String {
        let start = at
        while let next, isPart(next) { at += 1 }
        return String(decoding: text[start..<at], as: UTF8.self)
    }

    private mutating func name() -> String { word { !" ()[]{}|@!.".contains($0) } }

    /// Arguments separated by spaces, up to what closes them.
    mutating func sequence() -> [ArgumentSyntax]? {
        var found: [ArgumentSyntax] = []
        while let next, !")}]|".contains(next) {
            guard let argument = argument() else { return nil }
            found.append(argument)
            while take(" ") {}
        }
        return found
    }

    private mutating func argument() -> ArgumentSyntax? {
        if take("[") {
            guard var inner = argument(), take("]") else { return nil }
            inner.isOptional = true
            return inner
        }
        guard var argument = bare() else { return nil }
        if take(".") {
            guard take("."), take(".") else { return nil }
            argument.isMultiple = true
            argument.repeatsToken = take(".")
        }
        let isVersion: (Character) -> Bool = { $0.isNumber || $0 == "." }
        if take("@") { argument.since = word(while: isVersion) }
        if take("!") { argument.deprecatedSince = word(while: isVersion) }
        return argument
    }

    private mutating func bare() -> ArgumentSyntax? {
        let word = name()
        guard !word.isEmpty else { return nil }
        // A token may be "=" itself.
        if let equal = word.dropFirst().firstIndex(of: "=") {
            let token = word[..<equal]
            let name = String(word[word.index(after: equal)...])
            return ArgumentSyntax(name: name, kind: .pureToken, token: token == "\"\"" ? "" : String(token))
        }
        if word.contains(where: \.isLowercase) { return value(word) }
        let end = at
        if take(" "), next?.isLowercase == true {
            var argument = value(name())
            argument?.token = word
            return argument
        }
        at = end
        return ArgumentSyntax(name: word.lowercased(), kind: .pureToken, token: word)
    }

    /// What is called `word`, with the parts that follow it in brackets.
    private mutating func value(_ word: String) -> ArgumentSyntax? {
        if take("(") { return alternatives(word) }
        if take("{") {
            guard let parts = sequence(), take("}") else { return nil }
            return ArgumentSyntax(name: word, kind: .block, parts: parts)
        }
        var argument = ArgumentSyntax(name: word)
        if let colon = word.lastIndex(of: ":"), let kind = Self.kinds[word[colon...].prefix(2)],
            case let number = word[colon...].dropFirst(2), number.allSatisfy(\.isNumber)
        {
            argument.name = String(word[..<colon])
            argument.kind = kind
            argument.keySpec = Int(number)
        } else if ArgumentSyntax.keyNames.contains(word) {
            argument.kind = .key
        }
        if argument.kind == .key {
            argument.keySpec = argument.keySpec ?? keys
            keys += 1
        }
        return argument
    }

    /// What else has a colon, such as "ip:port", is a name.
    private static let kinds: [Substring: ArgumentSyntax.Kind] = [
        ":i": .integer, ":d": .double, ":p": .pattern, ":t": .unixTime, ":s": .string, ":k": .key,
    ]

    private mutating func alternatives(_ name: String) -> ArgumentSyntax? {
        var parts: [ArgumentSyntax] = []
        repeat {
            guard let part = argument() else { return nil }
            parts.append(part)
        } while take("|")
        return take(")") ? ArgumentSyntax(name: name, kind: .oneof, parts: parts) : nil
    }
}
