/// The files that a manifest of Redis 7's append-only folder names.
///
/// Format (https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/, checked on files of redis-server
/// 7.0.15): a line a file, `file NAME seq N type T`, with T `b` for the base (at most one), `i` for an increment,
/// `h` for history, which is no part of the data. Lines with # are comments, keys that are not known are passed over. A
/// name with other than printable ASCII is in quotes, with backslash escapes.
struct AOFManifest {
    enum Kind: String {
        case base = "b"
        case increment = "i"
        case history = "h"
    }
    struct Entry: Equatable {
        let name: String
        let sequence: Int64
        let kind: Kind
    }

    private(set) var base: Entry?
    /// In the order in which they are read.
    private(set) var increments: [Entry] = []

    /// Throws, naming the line, where `bytes` are no manifest. O(count).
    init(_ bytes: Bytes, path: String) throws(StorageError) {
        var number = 0
        for line in bytes.buffer.split(separator: 10, omittingEmptySubsequences: false) {
            number += 1
            var text = Array(line)
            if text.last == 13 { text.removeLast() }
            if text.isEmpty || text[0] == UInt8(ascii: "#") { continue }
            guard let words = AOFManifest.words(text), let entry = AOFManifest.entry(words), add(entry) else {
                throw StorageError(
                    file: path,
                    message: "line \(number) of this manifest of Redis's append-only files cannot be read: bring the "
                        + "file back from a backup, or let redis-server say what is wrong with it")
            }
        }
        if base == nil && increments.isEmpty {
            throw StorageError(
                file: path,
                message: "this manifest of Redis's append-only files names none: bring it back from a backup, or move "
                    + "the folder away to start without its data")
        }
    }

    /// False where the entry cannot follow those before it.
    private mutating func add(_ entry: Entry) -> Bool {
        switch entry.kind {
        case .base:
            if base != nil { return false }
            base = entry
        case .increment:
            if let last = increments.last, entry.sequence <= last.sequence { return false }
            increments.append(entry)
        case .history: break
        }
        return true
    }

    private static func entry(_ words: [[UInt8]]) -> Entry? {
        if words.count % 2 != 0 { return nil }
        var name: String?
        var sequence: Int64?
        var kind: Kind?
        for i in stride(from: 0, to: words.count, by: 2) {
            let value = String(decoding: words[i + 1], as: UTF8.self)
            switch String(decoding: words[i], as: UTF8.self).lowercased() {
            case "file": name = value
            case "seq": sequence = Int64(value)
            case "type": kind = Kind(rawValue: value)
            default: break
            }
        }
        // The file is one of the folder's own.
        guard let name, !name.isEmpty, !name.utf8.contains(UInt8(ascii: "/")), name != "..", let sequence, sequence > 0,
            let kind
        else { return nil }
        return Entry(name: name, sequence: sequence, kind: kind)
    }

    /// The words of a line, which spaces separate; nil where a quote is not closed.
    private static func words(_ line: [UInt8]) -> [[UInt8]]? {
        var words: [[UInt8]] = []
        var at = 0
        while at < line.count {
            if line[at] == 32 || line[at] == 9 {
                at += 1
                continue
            }
            var word: [UInt8] = []
            if line[at] == UInt8(ascii: "\"") {
                at += 1
                while true {
                    if at == line.count { return nil }
                    if line[at] == UInt8(ascii: "\"") { break }
                    word.append(character(line, &at))
                }
                at += 1
                if at < line.count && line[at] != 32 && line[at] != 9 { return nil }
            } else {
                while at < line.count && line[at] != 32 && line[at] != 9 {
                    word.append(line[at])
                    at += 1
                }
            }
            words.append(word)
        }
        return words
    }

    /// A character between quotes, with escapes undone; `at` goes behind it.
    private static func character(_ line: [UInt8], _ at: inout Int) -> UInt8 {
        defer { at += 1 }
        guard line[at] == UInt8(ascii: "\\"), at + 1 < line.count else { return line[at] }
        at += 1
        switch line[at] {
        case UInt8(ascii: "n"): return 10
        case UInt8(ascii: "r"): return 13
        case UInt8(ascii: "t"): return 9
        case UInt8(ascii: "b"): return 8
        case UInt8(ascii: "a"): return 7
        case UInt8(ascii: "x"):
            guard at + 2 < line.count,
                let value = UInt8(String(decoding: line[at + 1...at + 2], as: UTF8.self), radix: 16)
            else { return line[at] }
            at += 2
            return value
        default: return line[at]
        }
    }
}
