import Storage

/// The last commands that took long, newest last: `slowlog-max-len` at most. Confined to the loop.
final class Slowlog {
    struct Entry {
        let id: Int64
        /// Seconds since 1970.
        let time: Int64
        let microseconds: Int64
        let arguments: [[UInt8]]
        let address: String
        let client: String
    }

    /// Longer commands are shown with their first arguments and how many more there were, long arguments with their
    /// first bytes: an entry must not hold a value of a gigabyte.
    private static let maximumArguments = 32
    private static let maximumArgumentBytes = 128

    /// The oldest first; those before `first` are gone.
    private var entries: [Entry] = []
    private var first = 0
    private var nextID: Int64 = 0
    /// Entries kept; the oldest go first.
    var capacity = 128 {
        didSet { trim() }
    }

    var count: Int { entries.count - first }
    /// The last `wanted` entries, the newest first.
    func newest(_ wanted: Int) -> [Entry] { entries[first...].suffix(wanted).reversed() }

    /// Notes a command. The caller has compared with `slowlog-log-slower-than`. Amortised O(size of the entry).
    func add(_ arguments: [Bytes], microseconds: Int64, seconds: Int64, address: String, client: String) {
        if capacity == 0 { return }
        entries.append(
            Entry(
                id: nextID, time: seconds, microseconds: microseconds, arguments: Self.shortened(arguments),
                address: address, client: client))
        nextID += 1
        trim()
    }

    func removeAll() {
        entries.removeAll()
        first = 0
    }

    private func trim() {
        first = max(first, entries.count - max(0, capacity))
        // What is gone is freed when it is half of all, so that an entry moves once for each that comes.
        if first < count || first == 0 { return }
        entries.removeFirst(first)
        first = 0
    }

    private static func shortened(_ arguments: [Bytes]) -> [[UInt8]] {
        let whole = arguments.count <= maximumArguments
        var copies = arguments.prefix(whole ? maximumArguments : maximumArguments - 1).map(shortened)
        if !whole { copies.append(Array("... (\(arguments.count - maximumArguments + 1) more arguments)".utf8)) }
        return copies
    }

    private static func shortened(_ argument: Bytes) -> [UInt8] {
        if argument.count <= maximumArgumentBytes { return argument.array }
        let rest = argument.count - maximumArgumentBytes
        return argument[0..<maximumArgumentBytes].array + Array("... (\(rest) more bytes)".utf8)
    }
}
