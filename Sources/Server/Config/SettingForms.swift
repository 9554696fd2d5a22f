import Glibc

/// Settings with a form of their own.
enum SettingForms {
    // MARK: save

    static func setSavePoints(_ settings: inout Settings, _ words: [ByteString], _ source: SettingSource)
        throws(SettingError)
    {
        let none = words.isEmpty || words == [""]
        var points: [SavePoint] = []
        if !none {
            guard words.count.isMultiple(of: 2) else { throw SettingError("Invalid save parameters") }
            for i in stride(from: 0, to: words.count, by: 2) {
                guard let seconds = words[i].integer, let changes = words[i + 1].integer, seconds >= 1, changes >= 0
                else {
                    throw SettingError("Invalid save parameters")
                }
                points.append(SavePoint(seconds: seconds, changes: changes))
            }
        }
        switch source {
        case .command: settings.savePoints = points
        case .startup: settings.savePoints = none ? [] : (settings.savePoints ?? []) + points
        }
    }

    @Sendable static func saveLines(_ settings: Settings) -> [[ByteString]] {
        let points = settings.effectiveSavePoints
        return points.isEmpty ? [[""]] : points.map { ["\($0.seconds)", "\($0.changes)"] }
    }

    // MARK: client-output-buffer-limit

    private static let bufferClasses: [(names: [ByteString], path: SettingPath<OutputBufferLimits.Limit>)] = [
        (["normal"], \.outputBufferLimits.normal),
        (["slave", "replica"], \.outputBufferLimits.replica),
        (["pubsub"], \.outputBufferLimits.pubsub),
    ]

    /// Sets the classes that `words` name, four words each; the others stay.
    static func setBufferLimits(_ settings: inout Settings, _ words: [ByteString]) throws(SettingError) {
        guard words.count.isMultiple(of: 4) else {
            throw SettingError("Wrong number of arguments in buffer limit configuration.")
        }
        for i in stride(from: 0, to: words.count, by: 4) {
            guard let row = bufferClasses.first(where: { $0.names.contains(words[i].lowercased) }) else {
                throw SettingError("Invalid client class specified in buffer limit configuration.")
            }
            guard let hard = parseMemory(words[i + 1]), let soft = parseMemory(words[i + 2]),
                let seconds = words[i + 3].integer, (0...Int(Int32.max)).contains(seconds)
            else {
                throw SettingError("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
            }
            settings[keyPath: row.path] = .init(
                hard: Int(clamping: hard), soft: Int(clamping: soft), softSeconds: seconds)
        }
    }

    @Sendable static func bufferLimitLines(_ settings: Settings) -> [[ByteString]] {
        bufferClasses.map { row in
            let limit = settings[keyPath: row.path]
            return [row.names[0], "\(limit.hard)", "\(limit.soft)", "\(limit.softSeconds)"]
        }
    }

    // MARK: shutdown-on-sig…

    static func shutdownOptions(_ words: [ByteString]) throws(SettingError) -> ShutdownOptions {
        var options: ShutdownOptions = []
        if words.isEmpty { throw .noneOf(ShutdownOptions.names.map(\.0)) }
        for word in words {
            guard let row = ShutdownOptions.names.first(where: { $0.0 == word.lowercased }) else {
                throw .noneOf(ShutdownOptions.names.map(\.0))
            }
            options.insert(row.1)
        }
        if options.isSuperset(of: [.save, .noSave]) {
            throw SettingError("shutdown options SAVE and NOSAVE can't be used simultaneously")
        }
        return options
    }

    static func words(of options: ShutdownOptions) -> [ByteString] {
        let words = ShutdownOptions.names.filter { !$0.1.isEmpty && options.contains($0.1) }.map(\.0)
        return words.isEmpty ? ["default"] : words
    }

    // MARK: snapshot-history

    private static let units: [(ByteString, Int)] = [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)]

    /// Of a number with a unit, or of seconds; 0: `no`.
    static func seconds(_ word: ByteString) throws(SettingError) -> Int {
        let word = word.lowercased
        if word == "no" { return 0 }
        let unit = units.first { $0.0.bytes.first == word.bytes.last }
        let digits = unit == nil ? word : ByteString(word.bytes.dropLast())
        guard let number = digits.integer, number >= 0 else {
            throw SettingError("argument must be 'no', or a time as 86400, 90m, 24h or 7d")
        }
        let (seconds, isHuge) = number.multipliedReportingOverflow(by: unit?.1 ?? 1)
        if isHuge || seconds > longest { throw .outside(0...longest) }
        return seconds
    }
    /// A hundred years.
    private static let longest = 100 * 365 * 86400

    static func duration(_ seconds: Int) -> ByteString {
        if seconds == 0 { return "no" }
        let unit = units.first { seconds % $0.1 == 0 } ?? ("s", 1)
        return "\(seconds / unit.1)\(unit.0)"
    }

    // MARK: oom-score-adj

    static func oomScoreAdjustment(_ word: ByteString) throws(SettingError) -> OOMScoreAdjustment {
        if word.lowercased == "relative" { return .relative }
        guard let found = OOMScoreAdjustment(rawValue: word.lowercased.description) else {
            throw .noneOf(["no", "yes", "relative", "absolute"])
        }
        return found
    }

    static func oomScoreValues(_ words: [ByteString]) throws(SettingError) -> OOMScoreValues {
        guard words.count == 3 else { throw .wrongArgumentCount }
        let values = words.compactMap { word in word.integer.flatMap { (-2000...2000).contains($0) ? $0 : nil } }
        guard values.count == 3 else {
            throw SettingError("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
        }
        return OOMScoreValues(master: values[0], replica: values[1], child: values[2])
    }

    static func words(of values: OOMScoreValues) -> [ByteString] {
        ["\(values.master)", "\(values.replica)", "\(values.child)"]
    }

    // MARK: Names and places

    static func master(_ words: [ByteString]) throws(SettingError) -> HostAndPort? {
        guard words.count == 2 else { throw .wrongArgumentCount }
        if words[0].lowercased == "no" && words[1].lowercased == "one" { return nil }
        guard let port = words[1].integer, (0...65535).contains(port) else { throw SettingError("Invalid master port") }
        return HostAndPort(host: words[0], port: port)
    }

    /// A name in `dir`, which the engine opens; nil in `text` where it is not UTF-8.
    static func fileName(_ word: ByteString, _ setting: ByteString, mayBeEmpty: Bool) throws(SettingError) -> String {
        if word.bytes.contains(UInt8(ascii: "/")) {
            throw SettingError("\(setting) can't be a path, just a filename")
        }
        if word.isEmpty && !mayBeEmpty { throw SettingError("\(setting) can't be empty") }
        guard let name = word.text else { throw SettingError("\(setting) must be UTF-8") }
        if name.utf8.contains(0) { throw .holdsNUL }
        return name
    }

    @Sendable static func checkPath(_ path: ByteString) throws(SettingError) {
        if path.bytes.contains(0) { throw .holdsNUL }
    }

    @Sendable static func checkDirectory(_ path: ByteString) throws(SettingError) {
        try checkPath(path)
        var status = stat()
        guard path.withCString({ stat($0, &status) }) == 0 else { throw SettingError(systemReason()) }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw SettingError(systemReason(ENOTDIR)) }
    }

    @Sendable static func checkTitleTemplate(_ template: ByteString) throws(SettingError) {
        let known: [ByteString] = [
            "title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file",
        ]
        if trim(template.bytes[...]).isEmpty { throw .invalidTitle }
        var rest = template.bytes[...]
        while let open = rest.firstIndex(of: UInt8(ascii: "{")) {
            guard let close = rest[open...].firstIndex(of: UInt8(ascii: "}")),
                known.contains(ByteString(rest[(open + 1)..<close]))
            else { throw .invalidTitle }
            rest = rest[(close + 1)...]
        }
    }

    static func percentiles(_ words: [ByteString]) throws(SettingError) -> [String] {
        var percentiles: [String] = []
        for word in words {
            guard let value = word.text.flatMap(Double.init), !value.isNaN else {
                throw SettingError("Invalid latency-tracking-info-percentiles parameters")
            }
            guard value >= 0, value <= 100 else {
                throw SettingError("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
            }
            percentiles.append(trimmed(value))
        }
        return percentiles
    }

    /// At most 17 digits, no trailing zeros: 99.9, 50, 0.001.
    private static func trimmed(_ value: Double) -> String {
        var text = value == value.rounded() ? String(Int(value)) : value.description
        if text.contains("e") { text = "0" }
        return text
    }
}
