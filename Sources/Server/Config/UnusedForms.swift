// MARK: - Settings that nothing reads: checked as Redis checks them, and kept as text

extension Setting {
    static func unusedBool(_ name: ByteString, _ value: Bool, _ flags: SettingFlags = []) -> Setting {
        unused(name, value ? "yes" : "no", flags) { (word) throws(SettingError) in try parseBool(word) ? "yes" : "no" }
    }
    static func unusedInteger(
        _ name: ByteString, _ value: Int, _ range: ClosedRange<Int>, form: IntegerForm = .decimal,
        _ flags: SettingFlags = []
    ) -> Setting {
        unused(name, formatInteger(value, form), flags) { (word) throws(SettingError) in
            formatInteger(try parseInteger(word, range, form), form)
        }
    }
    static func unusedChoice(
        _ name: ByteString, _ value: ByteString, _ choices: [ByteString], _ flags: SettingFlags = []
    )
        -> Setting
    {
        unused(name, value, flags) { (word) throws(SettingError) in
            let lower = word.lowercased
            guard choices.contains(lower) else { throw .noneOf(choices) }
            return lower
        }
    }
    static func unusedText(
        _ name: ByteString, _ value: ByteString = "", _ flags: SettingFlags = [],
        check: @escaping @Sendable (ByteString) throws(SettingError) -> Void = { (_) throws(SettingError) in }
    ) -> Setting {
        unused(name, value, flags) { (word) throws(SettingError) in
            try check(word)
            return word
        }
    }
    static func unusedWords(
        _ name: ByteString, _ value: [ByteString], _ flags: SettingFlags = [],
        check: @escaping @Sendable ([ByteString]) throws(SettingError) -> Void
    ) -> Setting {
        several(name, flags.union(.unused)) {
            $0.unused[name]?.words ?? value
        } write: { (settings, words, _) throws(SettingError) in
            try check(words)
            settings.unused[name] = words.joined(separator: " ")
        }
    }
}
