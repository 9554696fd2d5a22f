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
    /// Bytes or a share: `5%`.
    static func unusedMemoryOrPercent(_ name: ByteString) -> Setting {
        unused(name, "0", []) { (word) throws(SettingError) in
            guard word.bytes.last == UInt8(ascii: "%") else {
                guard let bytes = parseMemory(word) else { throw .notMemoryOrPercent }
                return "\(bytes)"
            }
            guard let percent = ByteString(word.bytes.dropLast()).integer, percent >= 0 else {
                throw .notMemoryOrPercent
            }
            guard percent <= 100 else { throw .percentTooLarge }
            return percent == 0 ? "0" : "\(percent)%"
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
