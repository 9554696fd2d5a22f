import Glibc

/// Settings with a form of their own.
enum SettingForms {
    // MARK: save

    static func setSavePoints(_ settings: inout Settings, _ words: [String], _ source: SettingSource)
        throws(SettingError)
    {
        let none = words.isEmpty || words == [""]
        var points: [SavePoint] = []
        if !none {
            guard words.count.isMultiple(of: 2) else { throw SettingError("Invalid save parameters") }
            for i in stride(from: 0, to: words.count, by: 2) {
                guard let seconds = Int(words[i]), let changes = Int(words[i + 1]), seconds >= 1, changes >= 0 else {
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

    @Sendable static func saveLines(_ settings: Settings) -> [[String]] {
        let points = settings.effectiveSavePoints
        return points.isEmpty ? [[""]] : points.map { [String($0.seconds), String($0.changes)] }
    }

    // MARK: client-output-buffer-limit

    private static let bufferClasses: [(names: [String], path: SettingPath<OutputBufferLimits.Limit>)] = [
        (["normal"], \.outputBufferLimits.normal),
        (["slave", "replica"], \.outputBufferLimits.replica),
        (["pubsub"], \.outputBufferLimits.pubsub),
    ]

    /// Sets the classes that `words` name, four words each; the others stay.
    static func setBufferLimits(_ settings: inout Settings, _ words: [String]) throws(SettingError) {
        guard !words.isEmpty, words.count.isMultiple(of: 4) else {
            throw SettingError("Wrong number of arguments in buffer limit configuration.")
        }
        for i in stride(from: 0, to: words.count, by: 4) {
            guard let row = bufferClasses.first(where: { $0.names.contains(words[i].lowercased()) }) else {
                throw SettingError("Invalid client class specified in buffer limit configuration.")
            }
            guard let hard = parseMemory(words[i + 1]).flatMap(Int.init(exactly:)),
                let soft = parseMemory(words[i + 2]).flatMap(Int.init(exactly:)),
                let seconds = Int(words[i + 3]), seconds >= 0
            else {
                throw SettingError("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
            }
            settings[keyPath: row.path] = .init(hard: hard, soft: soft, softSeconds: seconds)
        }
    }

    @Sendable static func bufferLimitLines(_ settings: Settings) -> [[String]] {
        bufferClasses.map { row in
            let limit = settings[keyPath: row.path]
            return [row.names[0], String(limit.hard), String(limit.soft), String(limit.softSeconds)]
        }
    }

    // MARK: shutdown-on-sig…

    static func shutdownOptions(_ words: [String]) throws(SettingError) -> ShutdownOptions {
        var options: ShutdownOptions = []
        if words.isEmpty { throw .noneOf(ShutdownOptions.names.map(\.0)) }
        for word in words {
            guard let row = ShutdownOptions.names.first(where: { $0.0 == word.lowercased() }) else {
                throw .noneOf(ShutdownOptions.names.map(\.0))
            }
            options.insert(row.1)
        }
        if options.isSuperset(of: [.save, .noSave]) {
            throw SettingError("shutdown options SAVE and NOSAVE can't be used simultaneously")
        }
        return options
    }

    static func words(of options: ShutdownOptions) -> [String] {
        let words = ShutdownOptions.names.filter { !$0.1.isEmpty && options.contains($0.1) }.map(\.0)
        return words.isEmpty ? ["default"] : words
    }

    // MARK: Names and places

    static func master(_ words: [String]) throws(SettingError) -> HostAndPort? {
        guard words.count == 2 else { throw .wrongArgumentCount }
        if words[0].lowercased() == "no" && words[1].lowercased() == "one" { return nil }
        guard let port = Int(words[1]), (0...65535).contains(port) else { throw SettingError("Invalid master port") }
        return HostAndPort(host: words[0], port: port)
    }

    static func checkFileName(_ name: String, _ setting: String, mayBeEmpty: Bool) throws(SettingError) {
        if name.utf8.contains(UInt8(ascii: "/")) {
            throw SettingError("\(setting) can't be a path, just a filename")
        }
        if name.isEmpty && !mayBeEmpty { throw SettingError("\(setting) can't be empty") }
    }

    @Sendable static func checkDirectory(_ path: String) throws(SettingError) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw SettingError(String(cString: strerror(errno))) }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw SettingError(String(cString: strerror(ENOTDIR))) }
    }

    @Sendable static func checkTitleTemplate(_ template: String) throws(SettingError) {
        let known = ["title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"]
        var rest = template[...]
        while let open = rest.firstIndex(of: "{") {
            guard let close = rest[open...].firstIndex(of: "}"),
                known.contains(String(rest[rest.index(after: open)..<close]))
            else { throw SettingError("template format is invalid or contains unknown variables") }
            rest = rest[rest.index(after: close)...]
        }
    }

    static func percentiles(_ words: [String]) throws(SettingError) -> [String] {
        var percentiles: [String] = []
        for word in words where !word.isEmpty {
            guard let value = Double(word), value.isFinite else {
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
