/// Why a setting was refused; `message` is Redis's wording where it has one.
struct SettingError: Error {
    let message: ByteString
    /// The reply, where it is not the message behind `ERR`.
    var reply: CommandError?
    init(_ message: ByteString) { self.message = message }

    /// It is not to be set while data are loaded.
    static let loading = {
        var error = SettingError(ByteString(CommandError.loading.text))
        error.reply = .loading
        return error
    }()

    static let wrongArgumentCount = SettingError("wrong number of arguments")
    static let notBool = SettingError("argument must be 'yes' or 'no'")
    static let notInteger = SettingError("argument couldn't be parsed into an integer")
    static let notOctal = SettingError("argument couldn't be parsed as an octal number")
    static let notMemory = SettingError("argument must be a memory value")
    static let notMemoryOrPercent = SettingError("argument must be a memory or percent value")
    static let percentTooLarge = SettingError("percentage argument must be less or equal to 100")
    static func outside(_ range: ClosedRange<Int>) -> SettingError {
        SettingError("argument must be between \(range.lowerBound) and \(range.upperBound) inclusive")
    }
    static let invalidTitle = SettingError("template format is invalid or contains unknown variables")
    static let holdsNUL = SettingError("argument can't hold NUL bytes")
    static let notUTF8 = SettingError("argument must be UTF-8")
    static func noneOf(_ names: [ByteString]) -> SettingError {
        SettingError("argument(s) must be one of the following: \(names.joined(separator: ", "))")
    }
}

/// What a setting allows and how it shows.
struct SettingFlags: OptionSet, Sendable {
    let rawValue: UInt16
    /// Only a file or an argument sets it, not CONFIG SET.
    static let startupOnly = SettingFlags(rawValue: 1)
    /// CONFIG SET needs `enable-protected-configs`.
    static let protected = SettingFlags(rawValue: 2)
    /// CONFIG GET answers it only when asked by its whole name.
    static let hidden = SettingFlags(rawValue: 4)
    /// Accepted so that a redis.conf from elsewhere works; nothing reads it.
    static let unused = SettingFlags(rawValue: 8)
    /// Takes several words on a line.
    static let severalWords = SettingFlags(rawValue: 16)
    /// CONFIG SET is refused while data is loading.
    static let notWhileLoading = SettingFlags(rawValue: 32)
    /// The value is shown to nobody but those who may read the settings.
    static let secret = SettingFlags(rawValue: 64)
    /// Belongs to a feature that is still to come: accepted and kept, without effect so far.
    static let later = SettingFlags(rawValue: 128)
    /// Names a file, of which what it holds counts: CONFIG SET is carried out also where the value stays.
    static let rereads = SettingFlags(rawValue: 256)
}

/// Who must be told when a setting changes at run time. Each is told once per CONFIG SET, when all values stand.
enum SettingEffect: Sendable, CaseIterable {
    case log, limits, listeners, tls, clients, password, persistence, directory, slowlog, notifications, replication
    case oomScore, process
}

extension SettingFlags {
    /// Nothing reads the value: where it is not the default, the log says so.
    var areWithoutEffect: Bool { !isDisjoint(with: [.unused, .later]) }
}

/// Who sets a value: repeated `save` lines of a file add up, while CONFIG SET replaces.
enum SettingSource: Sendable { case startup, command }

/// One row of the table: a name, how its value is written, and where it lives in `Settings`.
struct Setting: Sendable {
    typealias Read = @Sendable (Settings) -> [ByteString]
    typealias Write = @Sendable (inout Settings, [ByteString], SettingSource) throws(SettingError) -> Void

    let name: ByteString
    var alias: ByteString?
    /// Its name in Valkey, understood but not shown.
    var valkeyName: ByteString?
    /// What follows from being without effect, where a user may rely on it.
    var consequence: String?
    var flags: SettingFlags
    var effect: SettingEffect?
    /// The value as the words of one line.
    let words: Read
    let write: Write
    /// The lines that CONFIG REWRITE writes, for the few settings that take several; else one line of `words`.
    var lines: (@Sendable (Settings) -> [[ByteString]])?

    var names: [ByteString] { [name, alias, valkeyName].compactMap { $0 } }
    /// What CONFIG GET answers.
    func value(in settings: Settings) -> ByteString { words(settings).joined(separator: " ") }

    /// Parses `words`; `settings` may be half changed when this throws.
    func set(_ settings: inout Settings, _ words: [ByteString], _ source: SettingSource) throws(SettingError) {
        if flags.contains(.severalWords) {
            // The several words may come as one, quoted: CONFIG SET has no other way.
            let split = words.count == 1 ? words[0].fields : words
            try write(&settings, split, source)
        } else {
            guard words.count == 1 else { throw .wrongArgumentCount }
            try write(&settings, words, source)
        }
    }

    fileprivate init(
        _ name: ByteString, _ flags: SettingFlags, _ effect: SettingEffect?, words: @escaping Read,
        write: @escaping Write
    ) {
        self.name = name
        self.flags = flags
        self.effect = effect
        self.words = words
        self.write = write
    }

    func alias(_ name: ByteString) -> Setting {
        var copy = self
        copy.alias = name
        return copy
    }
    func valkey(_ name: ByteString) -> Setting {
        var copy = self
        copy.valkeyName = name
        return copy
    }
    /// Marks what belongs to a feature that is still to come.
    func later(_ consequence: String? = nil) -> Setting {
        var copy = self
        copy.flags.insert(.later)
        copy.consequence = consequence
        return copy
    }
    /// Refuses `value`, or all but the default, which ignoring would turn into a wrong promise.
    func refusing(_ value: ByteString? = nil) -> Setting {
        let harmless = words(Settings()).first ?? ""
        return Setting(name, flags, effect, words: words) { (settings, words, source) throws(SettingError) in
            if let word = words.first?.lowercased, value.map({ $0 == word }) ?? (word != harmless) {
                throw SettingError("'\(name)' is not supported by \(Version.name)")
            }
            try write(&settings, words, source)
        }
    }
    /// Has CONFIG SET refuse `value`; in a file it is accepted.
    func refusingToSet(_ value: ByteString, because reason: ByteString) -> Setting {
        Setting(name, flags, effect, words: words) { (settings, words, source) throws(SettingError) in
            if source == .command && words.first?.lowercased == value { throw SettingError(reason) }
            try write(&settings, words, source)
        }
    }
    func lines(_ body: @escaping @Sendable (Settings) -> [[ByteString]]) -> Setting {
        var copy = self
        copy.lines = body
        return copy
    }
}

// MARK: - The kinds of settings, over a property of Settings

typealias SettingPath<Value> = WritableKeyPath<Settings, Value> & Sendable

/// How an integer is written.
enum IntegerForm: Sendable { case decimal, octal, memory }

extension Setting {
    static func bool(
        _ name: ByteString, _ path: SettingPath<Bool>, _ flags: SettingFlags = [], _ effect: SettingEffect? = nil
    ) -> Setting {
        Setting(name, flags, effect) {
            [$0[keyPath: path] ? "yes" : "no"]
        } write: {
            (settings, words, _) throws(SettingError) in
            settings[keyPath: path] = try parseBool(words[0])
        }
    }

    static func integer(
        _ name: ByteString, _ path: SettingPath<Int>, _ range: ClosedRange<Int>, form: IntegerForm = .decimal,
        _ flags: SettingFlags = [], _ effect: SettingEffect? = nil
    ) -> Setting {
        Setting(name, flags, effect) {
            [formatInteger($0[keyPath: path], form)]
        } write: {
            (settings, words, _) throws(SettingError) in
            settings[keyPath: path] = try parseInteger(words[0], range, form)
        }
    }

    /// Bytes, with a unit or none: `100mb`.
    static func memory(
        _ name: ByteString, _ path: SettingPath<Int>, _ range: ClosedRange<Int> = 0...Int.max,
        _ flags: SettingFlags = [],
        _ effect: SettingEffect? = nil
    ) -> Setting {
        integer(name, path, range, form: .memory, flags, effect)
    }

    /// Bytes, or a share: `5%`.
    static func bytesOrPercent(
        _ name: ByteString, _ path: SettingPath<ClientMemoryLimit>, _ effect: SettingEffect
    ) -> Setting {
        word(name, effect) {
            switch $0[keyPath: path] {
            case .bytes(let bytes): "\(bytes)"
            case .percent(let percent): "\(percent)%"
            }
        } write: { (settings, word) throws(SettingError) in
            guard word.bytes.last == UInt8(ascii: "%") else {
                guard let bytes = parseMemory(word) else { throw .notMemoryOrPercent }
                settings[keyPath: path] = .bytes(Int(clamping: bytes))
                return
            }
            guard let percent = ByteString(word.bytes.dropLast()).integer, percent >= 0 else {
                throw .notMemoryOrPercent
            }
            guard percent <= 100 else { throw .percentTooLarge }
            settings[keyPath: path] = percent == 0 ? .bytes(0) : .percent(percent)
        }
    }

    static func choice<Choice: SettingChoice>(
        _ name: ByteString, _ path: SettingPath<Choice>, _ flags: SettingFlags = [], _ effect: SettingEffect? = nil
    ) -> Setting {
        Setting(name, flags, effect) {
            [ByteString($0[keyPath: path].rawValue)]
        } write: {
            (settings, words, _) throws(SettingError) in
            guard let choice = Choice(rawValue: words[0].lowercased.description) else {
                throw .noneOf(Choice.allCases.map { ByteString($0.rawValue) })
            }
            settings[keyPath: path] = choice
        }
    }

    static func text(
        _ name: ByteString, _ path: SettingPath<ByteString>, _ flags: SettingFlags = [], _ effect: SettingEffect? = nil,
        check: @escaping @Sendable (ByteString) throws(SettingError) -> Void = { (_) throws(SettingError) in }
    ) -> Setting {
        Setting(name, flags, effect) {
            [$0[keyPath: path]]
        } write: { (settings, words, _) throws(SettingError) in
            try check(words[0])
            settings[keyPath: path] = words[0]
        }
    }

    /// The name of a file in `dir`.
    static func fileName(
        _ name: ByteString, _ path: SettingPath<String>, _ flags: SettingFlags = [], _ effect: SettingEffect? = nil,
        mayBeEmpty: Bool = false
    ) -> Setting {
        Setting(name, flags, effect) {
            [ByteString($0[keyPath: path])]
        } write: { (settings, words, _) throws(SettingError) in
            settings[keyPath: path] = try SettingForms.fileName(words[0], name, mayBeEmpty: mayBeEmpty)
        }
    }

    /// A path, in whatever encoding the file system has.
    static func path(
        _ name: ByteString, _ path: SettingPath<ByteString>, _ flags: SettingFlags = [], _ effect: SettingEffect? = nil
    ) -> Setting {
        text(name, path, flags, effect, check: SettingForms.checkPath)
    }

    /// A setting with a form of its own; `write` gets all words of the line.
    static func several(
        _ name: ByteString, _ flags: SettingFlags = [], _ effect: SettingEffect? = nil, words: @escaping Read,
        write: @escaping Write
    ) -> Setting {
        Setting(name, flags.union(.severalWords), effect, words: words, write: write)
    }
    /// One word that has a form of its own.
    static func word(
        _ name: ByteString, _ effect: SettingEffect, read: @escaping @Sendable (Settings) -> ByteString,
        write: @escaping @Sendable (inout Settings, ByteString) throws(SettingError) -> Void
    ) -> Setting {
        Setting(name, [], effect) {
            [read($0)]
        } write: { (settings, words, _) throws(SettingError) in
            try write(&settings, words[0])
        }
    }
}

extension Setting {
    /// A setting that nothing reads, kept as text; `parse` checks it as Redis does.
    static func unused(
        _ name: ByteString, _ value: ByteString, _ flags: SettingFlags,
        _ parse: @escaping @Sendable (ByteString) throws(SettingError) -> ByteString
    ) -> Setting {
        Setting(name, flags.union(.unused), nil) {
            [$0.unused[name] ?? value]
        } write: { (settings, words, _) throws(SettingError) in
            settings.unused[name] = try parse(words[0])
        }
    }
}

// MARK: - Values

/// An enum whose cases are the words a setting allows.
protocol SettingChoice: RawRepresentable, CaseIterable, Sendable, Equatable where RawValue == String {}

func parseBool(_ word: ByteString) throws(SettingError) -> Bool {
    switch word.lowercased {
    case "yes": true
    case "no": false
    default: throw .notBool
    }
}

func parseInteger(_ word: ByteString, _ range: ClosedRange<Int>, _ form: IntegerForm) throws(SettingError) -> Int {
    let value: Int
    switch form {
    case .decimal:
        guard let number = word.integer else { throw .notInteger }
        value = number
    case .octal:
        guard let number = Int(word.description, radix: 8) else { throw .notOctal }
        value = number
    case .memory:
        guard let number = parseMemory(word) else { throw .notMemory }
        // More than the type holds is out of range, whatever the range.
        value = Int(clamping: number)
        if number > UInt64(range.upperBound.magnitude) { throw .outside(range) }
    }
    guard range.contains(value) else { throw .outside(range) }
    return value
}

func formatInteger(_ value: Int, _ form: IntegerForm) -> ByteString {
    form == .octal ? ByteString(String(value, radix: 8)) : "\(value)"
}

/// Bytes from `512`, `1k` (1000), `1kb` (1024), likewise m, mb, g, gb, and b; any case. No digits are 0, as in Redis. More
/// than 64 bits hold are as many as they hold. nil for anything else.
func parseMemory(_ word: ByteString) -> UInt64? {
    let digits = word.bytes.prefix { $0 >= 48 && $0 <= 57 }
    let number = digits.isEmpty ? 0 : UInt64(String(decoding: digits, as: UTF8.self)) ?? .max
    let unit: UInt64
    switch word.dropFirst(digits.count).lowercased {
    case "", "b": unit = 1
    case "k": unit = 1000
    case "kb": unit = 1 << 10
    case "m": unit = 1_000_000
    case "mb": unit = 1 << 20
    case "g": unit = 1_000_000_000
    case "gb": unit = 1 << 30
    default: return nil
    }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: unit)
    return overflow ? .max : bytes
}
