import Storage

/// What a master answers to PSYNC.
enum PSYNCAnswer: Equatable {
    /// An empty line: it is still at it.
    case wait
    /// All of the data comes, as of this offset of the history.
    case full(id: String, offset: Int)
    /// +FULLRESYNC, and not what follows it.
    case malformedFull
    /// The stream goes on where it was asked for; nil: the history has the name that was asked for.
    case partial(id: String?)
    /// Not now.
    case later
    /// An error: it does not know PSYNC, or does not allow it.
    case refused
    case unknown

    /// Of the line, without its end.
    init(_ line: [UInt8]) {
        if line.isEmpty {
            self = .wait
            return
        }
        let words = line.split(separator: 32, omittingEmptySubsequences: true).map(Array.init)
        let first = words.first ?? []
        switch first {
        case Array("+FULLRESYNC".utf8):
            guard words.count == 3, let id = Self.id(words[1]), let offset = Self.offset(words[2]) else {
                self = .malformedFull
                return
            }
            self = .full(id: id, offset: offset)
        case Array("+CONTINUE".utf8):
            if words.count == 1 {
                self = .partial(id: nil)
            } else if let id = Self.id(words[1]) {
                self = .partial(id: id)
            } else {
                self = .unknown
            }
        case Array("-NOMASTERLINK".utf8), Array("-LOADING".utf8): self = .later
        default: self = line[0] == UInt8(ascii: "-") && first == Array("-ERR".utf8) ? .refused : .unknown
        }
    }

    /// 40 characters: Redis takes whatever they are. Those that a history's name may have in our files, at least, here.
    private static func id(_ word: [UInt8]) -> String? {
        guard word.count == 40, word.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: ":") }) else { return nil }
        return String(decoding: word, as: UTF8.self)
    }
    private static func offset(_ word: [UInt8]) -> Int? {
        guard let offset = word.withUnsafeBytes({ $0.baseAddress.flatMap { Bytes($0, word.count).integer } }),
            offset >= 0, offset < 1 << 62
        else { return nil }
        return Int(offset)
    }
}
